"""Reading frames: fast, and never silently half an image.

OpenCV decodes a JPEG faster than Pillow, but releases of it fill the lost part of a truncated file with grey and only
print a warning. Decoding a second time with Pillow would more than double the cost of a frame; instead the end marker
is looked for in the bytes (microseconds): within a JPEG's compressed data FF D9 cannot occur, so a file whose last scan
is not followed by it is truncated. `distillery check` decodes every image in full with Pillow.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from distillery.data.decoding import MAX_PIXELS
from distillery.errors import UserError

_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_MAX_BYTES = 256 * 2**20


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Decodes a JPEG or PNG file: (H, W, 3) uint8, RGB; otherwise as `read_bgr`."""
    return np.asarray(cv2.cvtColor(read_bgr(path), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_bgr(path: Path) -> npt.NDArray[np.uint8]:
    """Decodes a JPEG or PNG file in the order of channels in which OpenCV encodes again.

    An orientation tag is ignored: ground truth counts pixels as they are stored.

    Args:
        path: The image file.

    Returns:
        (H, W, 3) uint8, BGR; a grey image has three equal channels.

    Raises:
        UserError: If the file is absent, not an image, truncated, or claims more than 64 million pixels.
    """
    data = _bytes(path)
    if data.startswith(_JPEG):
        whole = data.rfind(_JPEG_END) > data.rfind(_JPEG_SCAN) >= 0
    elif data.startswith(_PNG):
        whole = data.rfind(_PNG_END) >= 0
    else:
        raise _fault(path, "is not a JPEG or PNG image")
    if not whole:
        raise _fault(path, "is truncated")
    size = _size(data)
    if size is None:
        raise _fault(path, "has no valid image header")
    if size[0] * size[1] > MAX_PIXELS:
        raise _fault(path, f"is too large ({size[0]} x {size[1]} pixels, at most {MAX_PIXELS // 10**6} million)")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise _fault(path, "does not decode")
    return np.asarray(image, dtype=np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of a JPEG or PNG file from its header alone.

    Raises:
        UserError: If the file is absent or has no such header.
    """
    # A JPEG's header may lie behind embedded previews of any length; nearly always it is in the first bytes.
    size = _size(_bytes(path, 4096)) or _size(_bytes(path))
    if size is None:
        raise _fault(path, "has no valid image header")
    return size


def _bytes(path: Path, limit: int = -1) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _fault(path, "is larger than 256 MB")
        with path.open("rb") as stream:
            return stream.read(limit)
    except FileNotFoundError:
        raise _fault(path, "does not exist") from None
    except OSError as error:
        raise _fault(path, f"cannot be read ({error.strerror})") from None


def _fault(path: Path, problem: str) -> UserError:
    return UserError(problem, file=path, remedy="restore the file from the dataset's archive")


def _size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that a JPEG's or PNG's header claims, if there is a header and both are positive."""
    size = None
    if data.startswith(_JPEG):
        size = _jpeg_size(data)
    elif data.startswith(_PNG):
        size = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return size if size is not None and min(size) >= 1 else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the frame header (ITU-T T.81, B.2.2), without decoding."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        elif marker == 0xDA:
            return None
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
