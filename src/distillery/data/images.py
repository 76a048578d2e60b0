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

from distillery.data.checking import MAX_PIXELS
from distillery.errors import UserError

_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_MAX_BYTES = 256 * 2**20


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Decodes a JPEG or PNG file.

    An orientation tag is ignored: ground truth counts pixels as they are stored.

    Args:
        path: The image file.

    Returns:
        (H, W, 3) uint8, RGB; a grey image has three equal channels.

    Raises:
        UserError: If the file is absent, not an image, truncated, or claims more than 64 million pixels.
    """
    data = _bytes(path)
    if data.startswith(_JPEG):
        whole, size = data.rfind(_JPEG_END) > data.rfind(_JPEG_SCAN) >= 0, _jpeg_size(data)
    elif data.startswith(_PNG):
        whole, size = (
            data.rfind(_PNG_END) >= 0,
            (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")),
        )
    else:
        raise _fault(path, "is not a JPEG or PNG image")
    if not whole:
        raise _fault(path, "is truncated")
    if size is None or min(size) < 1:
        raise _fault(path, "has no valid image header")
    if size[0] * size[1] > MAX_PIXELS:
        raise _fault(path, f"is too large ({size[0]} x {size[1]} pixels, at most {MAX_PIXELS // 10**6} million)")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise _fault(path, "does not decode")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _fault(path, "is larger than 256 MB")
        return path.read_bytes()
    except FileNotFoundError:
        raise _fault(path, "does not exist") from None
    except OSError as error:
        raise _fault(path, f"cannot be read ({error.strerror})") from None


def _fault(path: Path, problem: str) -> UserError:
    return UserError(problem, file=path, remedy="restore the file from the dataset's archive")


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
