"""Whether an image file decodes to its last row, and what is unusual about it."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 64_000_000
"""Larger images are refused: no benchmark has one, and a small hostile file can claim any size."""
MAX_IMAGE_BYTES = 256 * 2**20
"""So are larger files."""
_ORIENTATION = 0x0112
_FORMAT = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


class Decoded(NamedTuple):
    """What one file turned out to be."""

    size: tuple[int, int] | None
    """(width, height) in pixels as they are stored; None if it does not decode."""
    fault: str | None
    """Why it does not decode ("is truncated"), without the file's name; None if it does."""
    traits: tuple[str, ...] = ()
    """Keys of `distillery.data.check_images.ODDITIES` that hold for it."""


Work = Callable[[Path], Decoded]


def decode(path: Path) -> Decoded:
    """Decodes a JPEG or PNG file entirely; never raises.

    All compressed data are read, which is what finds a truncated or damaged file; of a JPEG the pixels are made at an
    eighth of the size and without colour (libjpeg's scaled decoding), which about halves the time. A flipped bit that
    gives another valid picture shows only in the hash of a manifest.

    Args:
        path: The file. Links are followed; anything but a regular file is refused unopened (a pipe would never end).
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return Decoded(None, "is a folder, not an image" if stat.S_ISDIR(state.st_mode) else "is no regular file")
        if state.st_size > MAX_IMAGE_BYTES:
            return Decoded(None, f"is larger than {MAX_IMAGE_BYTES >> 20} MB")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, handled below, and of odd metadata
            with Image.open(path, formats=("JPEG", "PNG")) as image:
                return _decode(image, path.suffix.lower())
    except FileNotFoundError:
        return Decoded(None, "does not exist")
    except Image.DecompressionBombError:
        return Decoded(None, f"is too large (more than {MAX_PIXELS // 10**6} million pixels)")
    except UnidentifiedImageError:
        return Decoded(None, "is not a JPEG or PNG image")
    except Exception as error:  # decoders raise many types on hostile bytes; each means that it does not decode
        if any(words in str(error).lower() for words in ("truncated", "unexpected end")):
            return Decoded(None, "is truncated")
        if isinstance(error, OSError) and error.strerror:
            return Decoded(None, f"cannot be read ({error.strerror})")
        return Decoded(None, f"does not decode ({' '.join(str(error).split()) or type(error).__name__})")


def _decode(image: Image.Image, suffix: str) -> Decoded:
    width, height = image.size
    if width * height > MAX_PIXELS:
        problem = f"is too large ({width} x {height} pixels, at most {MAX_PIXELS // 10**6} million)"
        return Decoded(None, problem)
    traits = []
    if image.mode in ("1", "L", "LA", "I", "I;16"):
        traits.append("grey_image")
    if image.mode == "CMYK":
        traits.append("cmyk_image")
    if _FORMAT.get(suffix, image.format) != image.format:
        traits.append("misnamed_image")
    if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1:
        traits.append("orientation_tag")
    image.draft("L", (max(1, width // 8), max(1, height // 8)))
    image.load()
    return Decoded((width, height), None, tuple(traits))


def decode_each(work: Work, paths: Sequence[Path]) -> list[Decoded]:
    """What `work` says to each path; stands here because a process that starts with this module starts fast."""
    return [work(path) for path in paths]


def decode_fault(path: Path) -> str | None:
    """None if the JPEG or PNG file decodes to its last row, else one sentence that says why not."""
    return decoded_size(path)[1]


def decoded_size(path: Path) -> tuple[tuple[int, int] | None, str | None]:
    """(width, height) in pixels and None if the JPEG or PNG file decodes entirely, else None and the reason."""
    found = decode(path)
    return found.size, None if found.fault is None else f"{path}: {found.fault}."
