"""What re-ID teachers of every kind say about the labelled people of a training set.

Every teacher describes annotated boxes, as it describes a query: no detector takes part. The network on crops sees
each box alone; OIM pools it from the whole image; QEEPS does as OIM, with the image as its own query, since its stem is
always guided by a pair of images and was never trained alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distillery.config.search_jobs import ReIDTraining
from distillery.config.search_network import Resize
from distillery.data.images import read_image
from distillery.engine.checkpoint import load_sidecar, sidecar_path
from distillery.engine.devices import Device
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.person_search.benchmarks.base import SearchImage, SearchSplit
from distillery.person_search.checkpoints import TEACHERS, Network, load_network, parameters_of, student_of
from distillery.person_search.dataset import Pixels, as_input, crop, load_resized
from distillery.person_search.network import OIMNetwork
from distillery.person_search.reid import ReIDNetwork

_TOLERANCE = 1e-3
_USE_MEAN = "set construction: mean, which needs features alone"


class Described(NamedTuple):
    """Features (N, D) float32 of length 1 on the CPU, and the identities (N,) int64 whose they are."""

    features: Tensor
    ids: Tensor


@torch.no_grad()
def describe_labelled(
    network: Network, resize: Resize | None, images: Sequence[SearchImage], device: Device
) -> Described:
    """Features of everybody with an identity; each image is read, and passes the stem, once.

    Args:
        network: A teacher of any kind, on the device and in evaluation mode.
        resize: Input size of a person-search network; None for a network on crops.
        images: Training images, with somebody who has an identity.
        device: Where it computes.
    """
    labelled = [image for image in images if (image.ids >= 0).any()]
    with Progress("features", len(labelled)) as progress, device.autocast():
        if isinstance(network, ReIDNetwork):
            features = network.embed(_crops(labelled, network.crop, progress), device.torch)
        else:
            features = torch.cat(list(_pooled(labelled, network, resize, device.torch, progress)))
    ids = torch.cat([torch.from_numpy(image.ids[image.ids >= 0]) for image in labelled])
    return Described(features, ids)


def _crops(images: Iterable[SearchImage], size: tuple[int, int], progress: Progress) -> Iterator[Pixels]:
    for image in images:
        pixels = read_image(image.path)
        yield from (crop(pixels, box, size) for box in image.boxes[image.ids >= 0])
        progress.update()


def _pooled(
    images: Iterable[SearchImage],
    network: OIMNetwork,
    resize: Resize | None,
    device: torch.device,
    progress: Progress,
) -> Iterator[Tensor]:
    for image in images:
        pixels, scale = load_resized(image, resize)
        boxes = torch.from_numpy(image.boxes[image.ids >= 0] * np.float32(scale)).to(device)
        maps = network.look(as_input(pixels, network.stem.stride, device), [(pixels.shape[0], pixels.shape[1])])
        yield network.describe(maps, boxes).float().cpu()
        progress.update()


def teacher_features(teacher: Path, split: SearchSplit, device: Device) -> Described:
    """Features of a split's labelled people by the teacher of a checkpoint.

    Raises:
        UserError: If the checkpoint is missing, broken, or of a network that describes nobody.
    """
    network = load_network(teacher, TEACHERS).to(device.torch)
    trained = parameters_of(teacher)
    resize = None if isinstance(trained, ReIDTraining) else trained.resize
    return describe_labelled(network, resize, split.images, device)


def final_rows(teacher: Path, split: SearchSplit, data: str) -> Tensor:
    """The table that a teacher has when its training ends, one row an identity.

    Args:
        teacher: Checkpoint of a network with a table of its own.
        split: Training images.
        data: Hash of their manifest.

    Returns:
        (L, D) of length 1.

    Raises:
        UserError: If the teacher has no table of its own, it belongs to other people, or it has rows never written.
    """
    network = load_network(teacher, TEACHERS)
    if isinstance(network, ReIDNetwork) or network.identification is None:
        raise UserError("has no table of its own", file=teacher, place="construction: final", remedy=_USE_MEAN)
    sidecar, trained = load_sidecar(teacher, kind=TEACHERS), parameters_of(teacher)
    assert not isinstance(trained, ReIDTraining)
    if sidecar.get("table") and student_of(teacher, sidecar, trained).frozen:
        raise UserError("was trained with a fixed table, not one of its own", file=teacher, remedy=_USE_MEAN)
    inputs = sidecar.get("inputs")
    if not isinstance(inputs, dict) or inputs.get("data") != data:
        raise UserError(
            "was trained on another dataset, so the rows of its table belong to other people",
            file=sidecar_path(teacher),
            place="inputs.data",
            remedy="pass a teacher that was trained on this dataset, or " + _USE_MEAN,
        )
    rows = network.identification.table
    missing = split.identities - int(((rows.norm(dim=1) - 1).abs() < _TOLERANCE).sum())
    if missing:
        raise UserError(
            f"has no row for {missing} of {split.identities} identities: their people never entered its table",
            file=teacher,
            remedy="train it longer and on all identities, or " + _USE_MEAN,
        )
    return rows.clone()
