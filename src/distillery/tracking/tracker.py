"""The SiamFC tracker: three scales, a cosine window, one forward a frame (siamfc-pytorch's test-time loop)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from distillery.config.tracking import TrackerInference
from distillery.config.training import Compute
from distillery.engine.devices import Device, prepare
from distillery.tracking.backbones import STRIDE, fold_batch_norm
from distillery.tracking.boxes import centre_to_xywh, xywh_to_centre
from distillery.tracking.crops import Image, context_side, crop, mean_colour
from distillery.tracking.siamfc import SiamFC, load

Box = npt.NDArray[np.float64]


class SiamFCTracker:
    """Follows one target through a video.

    Args:
        network: In evaluation mode.
        inference: Test-time settings.
        device: Where the network computes.
    """

    def __init__(self, network: SiamFC, inference: TrackerInference, device: Device) -> None:
        self.geometry, self.inference, self.device = network.geometry, inference, device
        network.backbone = fold_batch_norm(network.backbone)
        self.network = network.to(device.torch).eval()
        half = inference.scales // 2
        self._factors = inference.scale_step ** np.arange(-half, inference.scales - half)
        self._penalties = np.where(np.arange(-half, inference.scales - half) == 0, 1.0, inference.scale_penalty)

    @torch.inference_mode()
    def init(self, image: Image, box: npt.ArrayLike) -> None:
        """Learns the target from the first frame.

        Args:
            image: (H, W, 3) RGB uint8.
            box: x, y, w, h in 0-based pixels.
        """
        x, y, width, height = (float(value) for value in xywh_to_centre(box))
        self._centre, self._size = np.array([x, y]), np.array([width, height])
        self._side = context_side(width, height, self.geometry.context)
        self._border = mean_colour(image)
        exemplar = crop(image, (x, y), self._side, self.geometry.exemplar, self._border)
        self._kernel = self.network.embed(self._tensor(exemplar[None]))
        positions = self.geometry.search - self.geometry.exemplar
        self._cells = positions // STRIDE + 1
        up = self.inference.response_up * self._cells
        window = np.outer(np.hanning(up), np.hanning(up))
        self._window = (window / window.sum()).astype(np.float32)

    @torch.inference_mode()
    def update(self, image: Image) -> Box:
        """Finds the target in the next frame; returns x, y, w, h in 0-based pixels."""
        geometry, settings = self.geometry, self.inference
        search = self._side * geometry.search / geometry.exemplar
        centre = (float(self._centre[0]), float(self._centre[1]))
        crops = np.stack(
            [crop(image, centre, search * factor, geometry.search, self._border) for factor in self._factors]
        )
        responses = self.network.respond(self._kernel, self._tensor(crops)).float().cpu().numpy()
        up = len(self._window)
        enlarged = np.stack([cv2.resize(r, (up, up), interpolation=cv2.INTER_CUBIC) for r in responses])
        best = int(np.argmax(enlarged.max((1, 2)) * self._penalties))
        response = enlarged[best] * np.float32(self._penalties[best])
        response -= response.min()
        response /= response.sum() + 1e-16
        response = (1 - settings.window) * response + settings.window * self._window
        row, column = np.unravel_index(int(response.argmax()), response.shape)

        # From cells of the enlarged response to pixels of the crop, to pixels of the image.
        displacement = (np.array([column, row]) - (up - 1) / 2) * STRIDE / settings.response_up
        self._centre = self._centre + displacement * search * self._factors[best] / geometry.search
        change = (1 - settings.scale_rate) + settings.scale_rate * self._factors[best]
        self._size = self._size * change
        self._side *= change
        return centre_to_xywh(np.concatenate([self._centre, self._size]))

    def _tensor(self, crops: npt.NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(crops).to(self.device.torch).permute(0, 3, 1, 2).float()


def from_checkpoint(path: Path, compute: Compute, inference: TrackerInference) -> SiamFCTracker:
    """Tracker of a trained network."""
    device = prepare(compute)
    return SiamFCTracker(load(path), inference, device)
