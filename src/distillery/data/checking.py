"""What a check of a dataset reports. A reader's `check(root)` fills it; `check_run.run` does the rest.

How a reader takes part, in its function `check(root: Path) -> CheckReport`:

- make `CheckReport(benchmark=NAME, root=root, known=ODDITIES)`, `ODDITIES` being the table of what is odd about the
  official files and no fault (name -> sentence);
- load every file through `report.attempt(lambda: …)`: what raises becomes one fault, and the check goes on;
- put what was counted into `report.counts`, under the names of `check_counts.OFFICIAL`;
- say what is absent with `report.missing` (with --allow-partial that is no fault), what is wrong with
  `report.faults.append`, what is odd with `report.odd`, what else is worth knowing with `report.notes.append`;
- hand over the images, with the boxes that should lie within them, by `report.images.append(ImageGroup(…))`. They are
  not opened there: which of them are decoded, and by how many processes, is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from distillery.data.decoding import MAX_PIXELS, decode_fault, decoded_size
from distillery.errors import UserError

__all__ = ["MAX_PIXELS", "BoxRule", "CheckReport", "ImageGroup", "Oddity", "decode_fault", "decoded_size"]

SHOWN = 3
"""Places that an oddity names; the others are counted."""
_LISTED_ONE_BY_ONE = 20
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class BoxRule:
    """How far a set's boxes may leave the image, as its official annotations need it."""

    slack: float = 1.0
    """Pixels beyond an edge that mean nothing: numbering from 1, and edges that are counted in or out."""
    beyond: Literal["fault", "oddity"] = "oddity"
    """What a box is that reaches farther."""
    outside: Literal["fault", "oddity"] = "oddity"
    """What a box is that lies outside altogether; most boxes of one video doing so are a fault in any case."""


@dataclass(frozen=True, eq=False)
class ImageGroup:
    """Images that belong together: one video, or one folder. A sample takes the first and the last of each group."""

    name: str
    """What messages call it ("Jogging-1")."""
    folder: Path
    files: tuple[str, ...]
    """Paths below the folder, in order."""
    boxes: npt.NDArray[np.float64] | None = None
    """(M, 4) left, top, right, bottom edge in pixels from the image's upper left corner; empty boxes are left out."""
    rows: npt.NDArray[np.int64] | None = None
    """(M,) index into `files` of each box's image; None where box i is that of image i."""
    rule: BoxRule = BoxRule()
    video: bool = True
    """Whether one camera took them, so that all have one size."""
    starts_in: Path | None = None
    """The file whose first box trackers start from, which then must not lie outside the first image."""


@dataclass
class Oddity:
    """Something unusual that the official files are known to have."""

    what: str
    """One sentence: what it is, and what is done about it."""
    seen: int = 0
    """How often it was seen."""
    where: list[str] = field(default_factory=list)
    """The first few places."""


@dataclass
class CheckReport:
    """The state of a benchmark on disk.

    Attributes:
        benchmark: Name of the benchmark.
        root: Its root folder.
        counts: What is there, by name.
        faults: What is missing or malformed, one sentence each; empty when all is well.
        notes: What is worth knowing and no fault.
        known: Oddities of the official set, name -> sentence.
        oddities: The same with how often each was seen.
        absent: The faults that say that something is not there; with --allow-partial they are here alone.
        images: Images to be decoded.
        decoded: How many were.
        listed: How many there are in all, each counted once.
        expected: Official counts that were compared, name -> accepted values.
    """

    benchmark: str
    root: Path
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known: Mapping[str, str] = field(default_factory=dict)
    oddities: dict[str, Oddity] = field(init=False)
    absent: list[str] = field(default_factory=list)
    images: list[ImageGroup] = field(default_factory=list)
    decoded: int = 0
    listed: int = 0
    expected: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.oddities = {name: Oddity(what) for name, what in self.known.items()}

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    def odd(self, name: str, where: str = "", seen: int = 1, *, what: str = "") -> None:
        """Counts an oddity; one that is not `known` needs `what`, the sentence that explains it."""
        if seen <= 0:
            return
        if name not in self.oddities and not what:
            raise KeyError(f"{name!r} is no known oddity of {self.benchmark}")
        oddity = self.oddities.setdefault(name, Oddity(what))
        oddity.seen += seen
        if where and len(oddity.where) < SHOWN and where not in oddity.where:
            oddity.where.append(where)

    def missing(self, sentence: str) -> None:
        """Something is not there: a fault, unless what is there is all that is asked for."""
        self.faults.append(sentence)
        self.absent.append(sentence)

    def missing_files(self, folder: Path, names: Iterable[str], what: str = "files") -> None:
        """Files of a folder that are not there: one by one if they are few, else in one sentence."""
        lost = list(names)
        if len(lost) > _LISTED_ONE_BY_ONE:
            shown = ", ".join(lost[:SHOWN])
            self.missing(f"{folder}: {len(lost)} {what} are not there: {shown} and {len(lost) - SHOWN} more.")
            return
        for name in lost:
            self.missing(f"{folder / name}: does not exist.")

    def attempt(self, load: Callable[[], _Value], *, needs: Path | None = None) -> _Value | None:
        """What `load` returns, or None with the reason among the faults.

        Args:
            load: Reads something; a `UserError` or `OSError` of it is a fault.
            needs: A file without which it must fail: where that is absent, so is what it would say.
        """
        try:
            return load()
        except UserError as error:
            (self.missing if needs is not None and _is_absent(needs) else self.faults.append)(str(error))
        except OSError as error:
            self.faults.append(f"{error.filename or needs or self.root}: cannot be read ({error.strerror or error}).")
        return None

    def forgive_absence(self) -> None:
        """What is absent is no fault any more, provided that something is there."""
        if self.images or any(count for name, count in self.counts.items() if not name.endswith(_OF_NOTHING)):
            absent = set(self.absent)
            self.faults = [fault for fault in self.faults if fault not in absent]


_OF_NOTHING = ("expected", "missing")
"""Counts that say nothing of what is there."""


def _is_absent(file: Path) -> bool:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
