"""Six cameras and the light of the hour: what makes the same coat look different from image to image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from distillery.data.worlds.street_raster import Ints


@dataclass(frozen=True)
class Camera:
    """A camera: channel gains per 256, gamma per cent, amplitude of the noise (0..255), blur weight per 256."""

    gains: tuple[int, int, int]
    gamma: int
    noise: int
    blur: int


CAMERAS: tuple[Camera, ...] = (
    Camera((256, 256, 256), 100, 6, 0),
    Camera((284, 254, 222), 92, 10, 30),
    Camera((226, 252, 286), 110, 8, 44),
    Camera((244, 266, 238), 118, 16, 20),
    Camera((236, 234, 240), 84, 12, 64),
    Camera((270, 246, 258), 126, 20, 40),
)


def photograph(
    scene: Ints, camera: Camera, exposure: int, slope: int, generator: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 that `camera` takes of `scene` (H, W, 3; 0..255).

    Args:
        scene: What is before the camera.
        camera: The camera.
        exposure: Brightness per 256.
        slope: Change of brightness per 256 from the left to the right edge.
        generator: Source of the noise.
    """
    height, width = scene.shape[:2]
    ramp = exposure + slope * (2 * np.arange(width, dtype=np.int32) - width) // (2 * width)
    lit = np.clip(scene * ramp[None, :, None] >> 8, 0, 255)
    if camera.blur:
        lit = _blurred(_blurred(lit, camera.blur, 0), camera.blur, 1)
    response = np.stack([_response(gain, camera.gamma) for gain in camera.gains])
    shown = np.stack([response[channel][lit[..., channel]] for channel in range(3)], axis=2)
    # The sum of two even distributions is near enough to a bell, and a byte each is cheap to draw.
    dice = generator.integers(0, 256, (2, height, width, 3), dtype=np.uint8).astype(np.int32)
    noise = (dice[0] + dice[1] - 255) * camera.noise // 256
    picture: npt.NDArray[np.uint8] = np.clip(shown + noise, 0, 255).astype(np.uint8)
    return picture


def _blurred(image: Ints, weight: int, axis: int) -> Ints:
    """A three-tap blur along `axis`: `weight` / 256 on each side."""
    padded = np.pad(image, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
    ahead, behind = (padded[2:], padded[:-2]) if axis == 0 else (padded[:, 2:], padded[:, :-2])
    blurred: Ints = ((256 - 2 * weight) * image + weight * (ahead + behind)) >> 8
    return blurred


@cache
def _response(gain: int, gamma: int) -> Ints:
    """Table of 256: gain, then gamma. Rounding absorbs the last-bit differences between maths libraries."""
    return np.array(
        [min(255, round(255 * (min(255, value * gain / 256) / 255) ** (gamma / 100))) for value in range(256)], np.int32
    )
