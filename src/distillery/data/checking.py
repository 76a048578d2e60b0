"""What `distillery check` reports, and whether an image decodes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 64_000_000
"""Larger images are refused: no benchmark has one, and a small hostile file can claim any size."""


@dataclass
class CheckReport:
    """The state of a benchmark on disk.

    Attributes:
        benchmark: Name of the benchmark.
        root: Its root folder.
        counts: What is there, by name.
        faults: What is missing or malformed, one sentence each; empty when all is well.
        notes: What is worth knowing and no fault.
    """

    benchmark: str
    root: Path
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults


def decode_fault(path: Path) -> str | None:
    """None if the JPEG or PNG file decodes to its last row, else one sentence that says why not."""
    size, fault = decoded_size(path)
    return None if size else fault


def decoded_size(path: Path) -> tuple[tuple[int, int] | None, str | None]:
    """(width, height) in pixels and None if the JPEG or PNG file decodes entirely, else None and the reason."""
    if not path.is_file():
        return None, f"{path}: does not exist."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("JPEG", "PNG")) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    return (
                        None,
                        f"{path}: is too large ({width} x {height} pixels, at most {MAX_PIXELS // 10**6} million).",
                    )
                image.load()
                return (width, height), None
    except Image.DecompressionBombError:
        return None, f"{path}: is too large (more than {MAX_PIXELS // 10**6} million pixels)."
    except UnidentifiedImageError:
        return None, f"{path}: is not a JPEG or PNG image."
    except Exception as error:  # decoders raise many types on hostile bytes; each means that it does not decode
        truncated = "truncated" in str(error) or "unexpected end" in str(error)
        return None, f"{path}: is truncated." if truncated else f"{path}: does not decode ({error})."
