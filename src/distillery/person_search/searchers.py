"""What finds and describes the people of an image: a person-search network, or a re-ID network on given boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distillery.config.search_network import Resize
from distillery.engine.devices import Device
from distillery.person_search.dataset import Pixels, as_input, crop
from distillery.person_search.network import OIMNetwork
from distillery.person_search.reid import ReIDNetwork

Found = tuple[Tensor, Tensor, Tensor]
"""Boxes (K, 4) in pixels of the resized image, scores (K,), features (K, D)."""


class Searcher(Protocol):
    """Finds and describes people.

    Attributes:
        resize: Input size; None takes images as they are.
        describes: Whether it has features.
    """

    resize: Resize | None
    describes: bool

    def gallery(self, pixels: Sequence[Pixels], people: Sequence[Tensor]) -> list[Found]:
        """What is found in resized images (H, W, 3) of one size; `people` are their annotated boxes (N, 4)."""

    def queries(self, image: int, boxes: Tensor) -> Tensor:
        """Features (M, D) of given boxes (M, 4) in one of the images that `gallery` had last."""


class NetworkSearcher:
    """A person-search network or a detector; with `true_boxes` it describes annotated people instead of detecting."""

    def __init__(self, network: OIMNetwork, resize: Resize, device: Device, *, true_boxes: bool) -> None:
        self.resize: Resize | None = resize
        self.describes = network.identification is not None
        self._network = network
        self._device = device
        self._true_boxes = true_boxes
        self._features: Tensor | None = None

    def gallery(self, pixels: Sequence[Pixels], people: Sequence[Tensor]) -> list[Found]:
        """See `Searcher`."""
        network, sizes = self._network, [(image.shape[0], image.shape[1]) for image in pixels]
        images = torch.cat([as_input(image, network.stem.stride, self._device.torch) for image in pixels])
        with self._device.autocast():
            self._features = network.look(images, sizes)
            if self._true_boxes:
                described = [self.queries(image, boxes) for image, boxes in enumerate(people)]
                return [(boxes, torch.ones(len(boxes)), one) for boxes, one in zip(people, described, strict=True)]
            return [(one.boxes, one.scores, one.features) for one in network.detect_all(self._features, sizes)]

    def queries(self, image: int, boxes: Tensor) -> Tensor:
        """See `Searcher`."""
        assert self._features is not None
        with self._device.autocast():
            return self._network.describe(self._features[image : image + 1], boxes.to(self._device.torch))


class TeacherSearcher:
    """A re-ID network on annotated boxes, every one with score 1."""

    def __init__(self, network: ReIDNetwork, device: Device) -> None:
        self.resize: Resize | None = None
        self.describes = True
        self._network = network
        self._device = device
        self._pixels: Sequence[Pixels] = []

    def gallery(self, pixels: Sequence[Pixels], people: Sequence[Tensor]) -> list[Found]:
        """See `Searcher`."""
        self._pixels = pixels
        described = [self.queries(image, boxes) for image, boxes in enumerate(people)]
        return [(boxes, torch.ones(len(boxes)), one) for boxes, one in zip(people, described, strict=True)]

    def queries(self, image: int, boxes: Tensor) -> Tensor:
        """See `Searcher`."""
        crops = [crop(self._pixels[image], box.numpy(), self._network.crop) for box in boxes]
        with self._device.autocast():
            return self._network.embed(crops, self._device.torch)


def as_array(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor as float32 on the CPU."""
    return np.asarray(tensor.detach().float().cpu().numpy(), np.float32)
