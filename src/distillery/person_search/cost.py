"""Cost of a person-search network: what one image takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from distillery.config.training import Compute
from distillery.engine import cost, devices
from distillery.engine.randomness import numpy_generator
from distillery.person_search.checkpoints import load_network, parameters_of
from distillery.person_search.inference import NetworkSearcher, Searcher, TeacherSearcher
from distillery.person_search.network import OIMNetwork

PEOPLE = 4
"""Annotated people in the image of a re-ID teacher's measurement."""


def prepare(checkpoint: Path, compute: Compute, _inference: None = None) -> cost.Step:
    """One image of the training size: detections and their features, or features of four true boxes.

    The image is noise, on which a detector keeps its full number of proposals, so the head's work is the largest.
    """
    device = devices.prepare(compute)
    network = load_network(checkpoint).to(device.torch)
    searcher: Searcher
    if isinstance(network, OIMNetwork):
        resize = parameters_of(checkpoint).resize  # type: ignore[union-attr]
        size = (resize.shorter, round(resize.shorter * 4 / 3))
        searcher = NetworkSearcher(network, resize, device, true_boxes=False)
        step = f"one image of {size[1]} x {size[0]} px: detections and their id features"
    else:
        size = (240, 320)
        searcher = TeacherSearcher(network, device)
        step = f"id features of {PEOPLE} boxes of an image"
    pixels = numpy_generator(0, "cost").integers(0, 256, (*size, 3), dtype=np.uint8)
    left = torch.arange(PEOPLE) * (size[1] - 40) / PEOPLE
    people = torch.stack([left, torch.full_like(left, 20), left + 40, torch.full_like(left, 120)], 1)
    return cost.Step(torch.no_grad()(lambda: searcher.gallery(pixels, people)), step)
