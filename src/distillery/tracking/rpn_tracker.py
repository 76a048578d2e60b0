"""The tracker of SiamRPN and SiamRPN++: one crop a frame, the best anchor's box (DaSiamRPN's test-time loop)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distillery.config.siamrpn import RPNGeometry, RPNInference
from distillery.config.training import Compute
from distillery.engine import checkpoint
from distillery.engine.devices import Device, prepare
from distillery.tracking.anchors import Array, decode, grid
from distillery.tracking.boxes import centre_to_xywh, within_reach, xywh_to_centre
from distillery.tracking.crops import Image, context_side, crop, mean_colour

Box = npt.NDArray[np.float64]

NETWORKS = {"siamrpn": "distillery.tracking.siamrpn", "siamrpnpp": "distillery.tracking.siamrpnpp"}
"""Kind of a checkpoint -> module with its `load`."""


class Network(Protocol):
    """What is asked of a network, in evaluation mode."""

    geometry: RPNGeometry

    def for_inference(self) -> Any:
        """The same function with less work, as a module of its own."""

    def template(self, crops: Tensor) -> Any:
        """What correlates: the kernels of an exemplar (1, 3, z, z)."""

    def respond(self, kernels: Any, search: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (1, 2k, R, R) and box offsets (1, 4k, R, R) of a search region (1, 3, x, x)."""


class _Field(NamedTuple):
    """What a size of the search region determines."""

    side: int
    anchors: Array
    window: Array
    """Cosine window over all anchors, weighed by its influence."""


class RPNTracker:
    """Follows one target through a video.

    Args:
        network: In evaluation mode; it stays as it is.
        inference: Test-time settings.
        device: Where the network computes.
    """

    def __init__(self, network: Network, inference: RPNInference, device: Device) -> None:
        self.geometry, self.inference, self.device = network.geometry, inference, device
        self.network = network.for_inference().to(device.torch).eval()
        self._fields: dict[int, _Field] = {}

    @property
    def search_side(self) -> int:
        """Side in pixels of the search region's crop, which the first frame decides."""
        return self._field.side

    @torch.inference_mode()
    def init(self, image: Image, box: npt.ArrayLike) -> None:
        """Learns the target from the first frame.

        Args:
            image: (H, W, 3) RGB uint8.
            box: x, y, w, h in 0-based pixels.
        """
        geometry, settings = self.geometry, self.inference
        x, y, width, height = (float(value) for value in xywh_to_centre(within_reach(box)))
        self._centre, self._size = np.array([x, y]), np.array([width, height])
        is_small = width * height < settings.small * image.shape[0] * image.shape[1]
        self._field = self._field_of(geometry.small_search if settings.adaptive and is_small else geometry.search)
        self._border = mean_colour(image)
        side = context_side(width, height, geometry.context)
        exemplar = crop(image, (x, y), side, geometry.exemplar, self._border)
        with self.device.autocast():
            self._kernels = self.network.template(self._tensor(exemplar))

    @torch.inference_mode()
    def update(self, image: Image) -> Box:
        """Finds the target in the next frame; returns x, y, w, h in 0-based pixels."""
        geometry, field = self.geometry, self._field
        side = context_side(float(self._size[0]), float(self._size[1]), geometry.context)
        zoom = geometry.exemplar / side  # from pixels of the image to pixels of the crop
        centre = float(self._centre[0]), float(self._centre[1])
        search = crop(image, centre, field.side / zoom, field.side, self._border)
        with self.device.autocast():
            logits, offsets = self.network.respond(self._kernels, self._tensor(search))
        moved, size = self._best(logits.float().cpu().numpy(), offsets.float().cpu().numpy(), zoom)
        height, width = image.shape[:2]
        self._centre = np.clip(self._centre + moved, 0, (width, height))
        # A frame smaller than the smallest box leaves the box at that size.
        self._size = np.maximum(np.minimum(size, (width, height)), self.inference.smallest)
        return centre_to_xywh(np.concatenate([self._centre, self._size]))

    def _best(self, logits: Array, offsets: Array, zoom: float) -> tuple[Box, Box]:
        """Displacement of the centre and new size, both in pixels of the image."""
        settings, field = self.inference, self._field
        background, target = logits.reshape(2, -1)
        score = 1 / (1 + np.exp(np.clip(background - target, -80, 80)))
        boxes = decode(offsets.reshape(4, -1).T, field.anchors)
        width, height = boxes[:, 2], boxes[:, 3]
        last_width, last_height = (self._size * zoom).astype(np.float32)
        scale = _change(_equal_side(width, height) / _equal_side(last_width, last_height))
        ratio = _change(last_width / last_height * height / width)
        penalty = np.exp((1 - ratio * scale) * np.float32(settings.penalty))
        best = int(np.argmax(penalty * score * np.float32(1 - settings.window) + field.window))
        found = boxes[best].astype(np.float64) / zoom
        rate = float(penalty[best] * score[best]) * settings.rate
        return found[:2], self._size * (1 - rate) + found[2:] * rate

    def _field_of(self, side: int) -> _Field:
        if side not in self._fields:
            cells = self.geometry.cells(side)
            window = np.outer(np.hanning(cells), np.hanning(cells)).ravel() * self.inference.window
            tiled = np.tile(window, self.geometry.anchors).astype(np.float32)
            self._fields[side] = _Field(side, grid(self.geometry, cells), tiled)
        return self._fields[side]

    def _tensor(self, image: Image) -> Tensor:
        return torch.from_numpy(image).to(self.device.torch).permute(2, 0, 1)[None].float()


def _change(factor: Array) -> Array:
    """By how much a quantity changed, whether it grew or shrank: at least 1."""
    return np.maximum(factor, 1 / factor)


def _equal_side(width: Array, height: Array) -> Array:
    """Side of the square with context 0.5 around a box (the constant is DaSiamRPN's, whatever the crop's context)."""
    padding = (width + height) * np.float32(0.5)
    side: Array = np.sqrt((width + padding) * (height + padding))
    return side


def from_checkpoint(path: Path, compute: Compute, inference: RPNInference) -> RPNTracker:
    """Tracker of a trained network of either family."""
    device = prepare(compute)
    kind = checkpoint.load_sidecar(path, kind=tuple(NETWORKS))["kind"]
    return RPNTracker(import_module(NETWORKS[kind]).load(path), inference, device)
