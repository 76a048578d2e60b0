"""Cost of a person-search network: what one image takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distillery.config.training import Compute
from distillery.engine import cost, devices
from distillery.engine.randomness import numpy_generator
from distillery.person_search.checkpoints import load_network, parameters_of
from distillery.person_search.dataset import as_input
from distillery.person_search.folding import folded
from distillery.person_search.network import OIMNetwork
from distillery.person_search.qeeps import QEEPSNetwork
from distillery.person_search.searchers import NetworkSearcher, Searcher, TeacherSearcher

PEOPLE = 4
"""Annotated people in the image of a re-ID teacher's measurement."""


def prepare(checkpoint: Path, compute: Compute, _inference: None = None) -> cost.Step:
    """One image of the training size: detections and their features, or features of four true boxes; of QEEPS a pair.

    The image is noise, on which a detector keeps its full number of proposals, so the head's work is the largest.
    """
    device = devices.prepare(compute)
    network = folded(load_network(checkpoint)).to(device.torch)
    if isinstance(network, OIMNetwork):
        resize = parameters_of(checkpoint).resize  # type: ignore[union-attr]
        height, width = resize.shorter, round(resize.shorter * 4 / 3)
    else:
        resize, (height, width) = None, (240, 320)
    pixels = numpy_generator(0, "cost").integers(0, 256, (height, width, 3), dtype=np.uint8)
    left = torch.arange(PEOPLE) * (width - 40) / PEOPLE
    people = torch.stack([left, torch.full_like(left, 20), left + 40, torch.full_like(left, 120)], 1)
    image = f"one image of {width} x {height} px"
    if isinstance(network, QEEPSNetwork):
        begun = network.begin(as_input(pixels, network.stem.stride, device.torch), [(height, width)])
        person = people[:1].to(device.torch)
        step = f"{image} for one query: detections and their similarities; what the stem says before it is not counted"
        return cost.Step(_without_gradient(device, lambda: network.search(begun, begun, person)), step)
    searcher: Searcher
    if isinstance(network, OIMNetwork):
        assert resize is not None
        searcher = NetworkSearcher(network, resize, device, true_boxes=False)
        step = f"{image}: detections and their id features" if searcher.describes else f"{image}: detections"
    else:
        searcher = TeacherSearcher(network, device)
        step = f"id features of {PEOPLE} boxes of an image"
    return cost.Step(torch.no_grad()(lambda: searcher.gallery([pixels], [people])), step)


def _without_gradient(device: devices.Device, call: Callable[[], Any]) -> Callable[[], Any]:
    def step() -> Any:
        with torch.no_grad(), device.autocast():
            return call()

    return step
