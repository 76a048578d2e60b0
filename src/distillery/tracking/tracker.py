"""The SiamFC tracker: three scales, a cosine window, one forward a frame (siamfc-pytorch's test-time loop)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from distillery.config.siamfc import SiamFCInference
from distillery.config.training import Compute
from distillery.engine.devices import Device, prepare
from distillery.tracking.boxes import centre_to_xywh, within_reach, xywh_to_centre
from distillery.tracking.crops import Image, context_side, crop, mean_colour
from distillery.tracking.siamfc import SiamFC, load

Box = npt.NDArray[np.float64]
FloatMaps = npt.NDArray[np.float32]


class SiamFCTracker:
    """Follows one target through a video.

    Args:
        network: Trained; it moves to the device and stays as it is.
        inference: Test-time settings.
        device: Where the network computes.
    """

    def __init__(self, network: SiamFC, inference: SiamFCInference, device: Device) -> None:
        self.geometry, self.inference, self.device = network.geometry, inference, device
        packed = device.torch.type == "cpu" and device.dtype == torch.float32
        self.network = network.to(device.torch).for_inference(inference.scales, packed=packed)
        half = inference.scales // 2
        steps = np.arange(-half, inference.scales - half)
        self._factors: list[float] = (inference.scale_step**steps).tolist()
        self._penalties = np.where(steps == 0, 1.0, inference.scale_penalty).astype(np.float32)
        cells = (self.geometry.search - self.geometry.exemplar) // network.stride + 1
        self._enlarge = Enlargement(cells, inference.response_up)
        # Pixels of the search region between neighbouring positions of the enlarged response.
        self._position = network.stride / inference.response_up
        up = inference.response_up * cells
        window = np.outer(np.hanning(up), np.hanning(up))
        self._window = (window / window.sum()).astype(np.float32)
        self._weighted_window = np.float32(inference.window) * self._window
        side = self.geometry.search
        self._crops = np.empty((inference.scales, side, side, 3), np.uint8)

    @torch.inference_mode()
    def init(self, image: Image, box: npt.ArrayLike) -> None:
        """Learns the target from the first frame.

        Args:
            image: (H, W, 3) RGB uint8.
            box: x, y, w, h in 0-based pixels.
        """
        x, y, width, height = (float(value) for value in xywh_to_centre(within_reach(box)))
        self._centre, self._size = (x, y), (width, height)
        self._side = context_side(width, height, self.geometry.context)
        self._border = mean_colour(image)
        exemplar = crop(image, (x, y), self._side, self.geometry.exemplar, self._border)
        with self.device.autocast():
            self._kernel = self.network.embed(self._tensor(exemplar[None]))

    @torch.inference_mode()
    def update(self, image: Image) -> Box:
        """Finds the target in the next frame; returns x, y, w, h in 0-based pixels."""
        geometry, settings = self.geometry, self.inference
        search = self._side * geometry.search / geometry.exemplar
        for factor, out in zip(self._factors, self._crops, strict=True):
            crop(image, self._centre, search * factor, geometry.search, self._border, out=out)
        with self.device.autocast():
            responses = self.network.respond(self._kernel, self._tensor(self._crops))
        best, row, column = self._peak(responses.float().cpu().numpy())

        # From positions of the enlarged response to pixels of the crop, to pixels of the image.
        middle = (len(self._window) - 1) / 2
        pixels = self._position * search * self._factors[best] / geometry.search
        (x, y), (width, height) = self._centre, self._size
        self._centre = x + (column - middle) * pixels, y + (row - middle) * pixels
        change = (1 - settings.scale_rate) + settings.scale_rate * self._factors[best]
        self._size = width * change, height * change
        self._side *= change
        return centre_to_xywh(self._centre + self._size)

    def _peak(self, responses: FloatMaps) -> tuple[int, int, int]:
        """The best scale, and row and column of the best position in its enlarged response under the window."""
        # Interpolation passes a constant through: it is left out, so that flat responses stay flat to the last bit.
        floors = responses.min(axis=(1, 2), keepdims=True)
        enlarged = self._enlarge(responses - floors)
        peaks = (enlarged.max(axis=(1, 2)) + floors[:, 0, 0]) * self._penalties
        best = int(peaks.argmax())
        response = enlarged[best]
        response -= response.min()
        response *= self._penalties[best]
        response *= (1 - self.inference.window) / (float(response.sum()) + 1e-16)
        response += self._weighted_window
        row, column = divmod(int(response.argmax()), len(self._window))
        return best, row, column

    def _tensor(self, crops: npt.NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(crops).to(self.device.torch).permute(0, 3, 1, 2).float()


class Enlargement:
    """OpenCV's bicubic `resize` of small square maps as two matrix products, several times faster.

    Args:
        cells: Side of the maps.
        factor: By which they are enlarged.
    """

    def __init__(self, cells: int, factor: int) -> None:
        # Resizing is linear and separable: resizing an identity matrix along one side gives that side's matrix.
        unit = np.eye(cells, dtype=np.float32)
        rows = cv2.resize(unit, (cells, cells * factor), interpolation=cv2.INTER_CUBIC)
        self._rows = torch.from_numpy(rows)
        self._columns = self._rows.T.contiguous()

    def __call__(self, maps: FloatMaps) -> FloatMaps:
        """(B, cells, cells) -> (B, cells * factor, cells * factor)."""
        count, cells, _ = maps.shape
        tall = self._rows @ torch.from_numpy(maps)
        enlarged: FloatMaps = (tall.view(-1, cells) @ self._columns).view(count, len(self._rows), -1).numpy()
        return enlarged


def from_checkpoint(path: Path, compute: Compute, inference: SiamFCInference) -> SiamFCTracker:
    """Tracker of a trained network."""
    device = prepare(compute)
    return SiamFCTracker(load(path), inference, device)
