"""Integer rendering: sprites are warped and blended with whole numbers only, so every machine draws the same bytes.

Units: angles are in 1/4096 of a turn, frame positions in 1/16 pixel, sprite positions in 1/256 sprite pixel; the
centre of pixel `i` is at `i + 1/2`. No floating point enters a pixel: neither SIMD width, libm nor BLAS matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]
Packed = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

TURN = 4096
"""Angle units in a full turn."""
ONE = 1 << 14
"""The value 1 in the sine table."""
SUB = 16
"""Position units in a frame pixel."""
TEXEL = 256
"""Position units in a sprite pixel."""
SPRITE = 64
"""Side of a sprite in sprite pixels."""
RADIUS = SPRITE // 2 - 4
"""Radius of the disc in sprite pixels that a shape fills; the rest is a transparent border, for warps and filters."""

SINE: Ints = np.array([round(math.sin(2 * math.pi * k / TURN) * ONE) for k in range(TURN)], dtype=np.int32)
"""sin(2πk/4096) · 2^14, rounded."""

_LANES = np.uint64(0x00FF00FF00FF00FF)
_EIGHT = np.uint64(8)
_FULL = np.uint64(256)


def sin(angle: int) -> int:
    """Sine of an angle (1/4096 turn), times 2^14."""
    return int(SINE[angle % TURN])


def cos(angle: int) -> int:
    """Cosine of an angle (1/4096 turn), times 2^14."""
    return int(SINE[(angle + TURN // 4) % TURN])


@dataclass(frozen=True)
class Pose:
    """Where and how a sprite stands in a frame."""

    x: int
    """Centre, 1/16 pixel."""
    y: int
    """Centre, 1/16 pixel."""
    size: int
    """Diameter of the sprite's disc, 1/16 pixel."""
    angle: int = 0
    """In-plane rotation, 1/4096 turn."""
    width: int = 256
    """Extent along the sprite's own horizontal axis, 1/256 of `size`; shrinks with out-of-plane rotation."""
    height: int = 256
    """Extent along the sprite's own vertical axis, 1/256 of `size`."""
    bend: int = 0
    """Amplitude of the deformation, 1/256 sprite pixel."""
    phase: int = 0
    """Phase of the deformation, 1/4096 turn."""


@dataclass(frozen=True)
class Layer:
    """A rendered sprite: RGBA values 0..255 of shape (h, w, 4) whose first pixel lies at (`left`, `top`)."""

    left: int
    top: int
    rgba: Ints

    @property
    def mask(self) -> Mask:
        """Pixels (h, w) that the object covers by at least one half."""
        return np.asarray(self.rgba[..., 3] >= 128)


def tight(mask: Mask, left: int = 0, top: int = 0) -> tuple[int, int, int, int]:
    """Tight x, y, w, h of a mask (h, w), which is not empty, whose first pixel is (`left`, `top`)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return left + x, top + y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def pack(rgba: npt.NDArray[np.integer]) -> Packed:
    """Four 8-bit channels (h, w, 4) as four 16-bit lanes of one word (h, w): one multiplication blends a pixel."""
    words = rgba.astype(np.uint64)
    shifted: Packed = words[..., 0]
    for channel in (1, 2, 3):
        shifted = shifted | (words[..., channel] << np.uint64(16 * channel))
    return shifted


def unpack(words: Packed) -> Ints:
    """The inverse of `pack`."""
    lanes = [((words >> np.uint64(16 * channel)) & np.uint64(255)).astype(np.int32) for channel in range(4)]
    return np.stack(lanes, axis=-1)


def mipmaps(rgba: npt.NDArray[np.integer], levels: int = 3) -> tuple[Packed, ...]:
    """Packed copies of a sprite at full, half, quarter … resolution, each the mean of 2 x 2 pixels of the last."""
    copies = [rgba.astype(np.int32)]
    for _ in range(levels - 1):
        last = copies[-1]
        quads = last[0::2, 0::2] + last[1::2, 0::2] + last[0::2, 1::2] + last[1::2, 1::2]
        copies.append((quads + 2) >> 2)
    return tuple(pack(copy) for copy in copies)


def _blend(first: Packed, second: Packed, weight: Packed) -> Packed:
    """Lane-wise first + (second - first) · weight / 256, rounded down; weights are 0..255."""
    mixed: Packed = ((first * (_FULL - weight) + second * weight) >> _EIGHT) & _LANES
    return mixed


def sample(words: Packed, u: Ints, v: Ints) -> Packed:
    """Bilinear look-up of a packed image at positions (u, v) in 1/256 pixel; outside, the border repeats."""
    rows, side = words.shape
    u = np.clip(u - TEXEL // 2, 0, (side - 1) * TEXEL - 1)
    v = np.clip(v - TEXEL // 2, 0, (rows - 1) * TEXEL - 1)
    index = (v >> 8) * side + (u >> 8)
    across, down = (u & 255).astype(np.uint64), (v & 255).astype(np.uint64)
    flat = words.ravel()
    upper = _blend(flat.take(index), flat.take(index + 1), across)
    lower = _blend(flat.take(index + side), flat.take(index + side + 1), across)
    return _blend(upper, lower, down)


def place(levels: tuple[Packed, ...], pose: Pose) -> Layer:
    """Renders a sprite, rotated, scaled, foreshortened and bent, into a window that just holds it.

    Args:
        levels: The sprite's `mipmaps`, the first of side `SPRITE`.
        pose: Where and how it stands.
    """
    reach = (pose.size * max(pose.width, pose.height) * 5 >> 11) + 2 * SUB  # 5/8 of the size: warps leave the disc
    left, top = (pose.x - reach) >> 4, (pose.y - reach) >> 4
    side = (2 * reach >> 4) + 2
    dx: Ints = (np.arange(side, dtype=np.int32) + left) * SUB + SUB // 2 - pose.x
    dy: Ints = (np.arange(side, dtype=np.int32) + top) * SUB + SUB // 2 - pose.y
    cosine, sine = cos(pose.angle), sin(pose.angle)
    # Rotation in 1/1024 frame pixel, then zoom (1/256 sprite pixels a frame pixel): all within 31 bits.
    zoom = 2 * RADIUS * TEXEL * SUB * 256 // pose.size
    across = ((dx * cosine)[None, :] + (dy * sine)[:, None]) >> 8
    down = ((dy * cosine)[:, None] - (dx * sine)[None, :]) >> 8
    middle = SPRITE * TEXEL // 2
    u: Ints = (across * (zoom // pose.width) >> 10) + middle
    v: Ints = (down * (zoom // pose.height) >> 10) + middle
    if pose.bend:
        wave = SINE[((v >> 2) + pose.phase) & (TURN - 1)]
        counter = SINE[((u * 3 >> 3) + 2 * pose.phase) & (TURN - 1)]
        u, v = u + (wave * pose.bend >> 14), v + (counter * (pose.bend // 2) >> 14)
    level, step = 0, zoom // max(pose.width, pose.height)
    while step > 2 * TEXEL * 5 // 4 and level < len(levels) - 1:
        level, step = level + 1, step // 2
    return Layer(left, top, unpack(sample(levels[level], u >> level, v >> level)))


def smear(layer: Layer, dx: int, dy: int) -> Layer:
    """Motion blur: the mean of the layer along a path of (dx, dy) pixels centred on it, weighted by coverage."""
    steps = max(abs(dx), abs(dy)) + 1
    if steps == 1:
        return layer
    pad_x, pad_y = (abs(dx) + 1) // 2 + 1, (abs(dy) + 1) // 2 + 1
    height, width = layer.rgba.shape[:2]
    total = np.zeros((height + 2 * pad_y, width + 2 * pad_x, 4), dtype=np.int32)
    weighted = layer.rgba.copy()
    weighted[..., :3] *= layer.rgba[..., 3:]
    for step in range(steps):
        x = pad_x + (dx * (2 * step - steps + 1)) // (2 * (steps - 1))
        y = pad_y + (dy * (2 * step - steps + 1)) // (2 * (steps - 1))
        total[y : y + height, x : x + width] += weighted
    total[..., :3] //= np.maximum(total[..., 3:], 1)
    total[..., 3] //= steps
    return Layer(layer.left - pad_x, layer.top - pad_y, total)


def _overlap(left: int, top: int, shape: tuple[int, ...], frame: tuple[int, ...]) -> tuple[slice, slice, slice, slice]:
    """Rows and columns in the frame, then in the layer, of their common part (empty slices where there is none)."""
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = max(min(top + shape[0], frame[0]), y0), max(min(left + shape[1], frame[1]), x0)
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


def composite(frame: Ints, layer: Layer) -> None:
    """Blends a layer over `frame`, values 0..255 of shape (H, W, 3), in place."""
    rows, columns, layer_rows, layer_columns = _overlap(layer.left, layer.top, layer.rgba.shape, frame.shape)
    rgba = layer.rgba[layer_rows, layer_columns]
    if rgba.size == 0:
        return
    alpha = rgba[..., 3:]
    alpha = alpha + (alpha >> 7)  # 0..256, so that opaque is exactly opaque
    under = frame[rows, columns]
    under += ((rgba[..., :3] - under) * alpha + 128) >> 8


def window(image: Ints, x: int, y: int, height: int, width: int) -> Ints:
    """The (height, width) part of `image` (H, W, 3) whose corner is at (x, y) in 1/16 pixel, interpolated."""
    column, row, across, down = x >> 4, y >> 4, x & 15, y & 15
    part = image[row : row + height + 1, column : column + width + 1]
    part = part[:, :-1] * (SUB - across) + part[:, 1:] * across
    part = part[:-1] * (SUB - down) + part[1:] * down
    return np.asarray((part + SUB * SUB // 2) >> 8, dtype=np.int32)


def turned_window(words: Packed, x: int, y: int, zoom: int, angle: int, height: int, width: int) -> Ints:
    """The (height, width, 3) picture of a packed image that is turned and magnified about a point.

    Args:
        words: Packed RGBA.
        x: Point of the image in the middle of the picture, 1/16 pixel.
        y: The same, downwards.
        zoom: Picture pixels an image pixel, 1/256; at least 64.
        angle: How far the image is turned, 1/4096 turn.
        height: Of the picture; with the width, at most 4096.
        width: Of the picture.
    """
    cosine, sine = cos(angle), sin(angle)
    dx: Ints = np.arange(width, dtype=np.int32) * SUB + SUB // 2 - width * SUB // 2
    dy: Ints = np.arange(height, dtype=np.int32) * SUB + SUB // 2 - height * SUB // 2
    # 1/256 picture pixel, then 1/256 image pixel: at most 2^19 times 2^12.
    across = ((dx * cosine)[None, :] + (dy * sine)[:, None]) >> 10
    down = ((dy * cosine)[:, None] - (dx * sine)[None, :]) >> 10
    scale = (1 << 18) // zoom
    u: Ints = (across * scale >> 10) + x * (TEXEL // SUB)
    v: Ints = (down * scale >> 10) + y * (TEXEL // SUB)
    return unpack(sample(words, u, v))[..., :3]


def streak(picture: Ints, dx: int, dy: int) -> Ints:
    """Motion blur of a whole (H, W, 3) picture along (dx, dy) pixels; outside, the border repeats."""
    steps = max(abs(dx), abs(dy)) + 1
    if steps == 1:
        return picture
    pad_x, pad_y = (abs(dx) + 1) // 2, (abs(dy) + 1) // 2
    height, width = picture.shape[:2]
    wide = np.pad(picture, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="edge")
    total = np.zeros_like(picture)
    for step in range(steps):
        x = pad_x + (dx * (2 * step - steps + 1)) // (2 * (steps - 1))
        y = pad_y + (dy * (2 * step - steps + 1)) // (2 * (steps - 1))
        total += wide[y : y + height, x : x + width]
    return np.asarray(total // steps)


def inside(layer: Layer, frame: tuple[int, ...]) -> Mask:
    """The layer's mask, cut to a frame of shape (H, W): True where the object lies in the picture."""
    mask = np.zeros(layer.rgba.shape[:2], dtype=np.bool_)
    _, _, rows, columns = _overlap(layer.left, layer.top, layer.rgba.shape, frame)
    mask[rows, columns] = layer.mask[rows, columns]
    return mask


def covered(layer: Layer, other: Layer) -> Mask:
    """Pixels (h, w) of `layer` that `other`, drawn over it, hides by at least one half."""
    hidden = np.zeros(layer.rgba.shape[:2], dtype=np.bool_)
    rows, columns, other_rows, other_columns = _overlap(
        other.left - layer.left, other.top - layer.top, other.rgba.shape, hidden.shape
    )
    hidden[rows, columns] = other.mask[other_rows, other_columns]
    return hidden
