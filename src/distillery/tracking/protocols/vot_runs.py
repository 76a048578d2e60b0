"""Supervised VOT runs: what result files say, and the truth that they are scored against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from distillery.tracking.boxes import BoolArray, FloatArray

TRACKED, SKIPPED, STARTED, FAILED = -1, 0, 1, 2
"""What a frame of a run is; the last three are the codes in result files."""
BURN_IN = 10
"""Frames from a start on that do not count for accuracy."""
SKIP = 5
"""Frames from a failure to the next start."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run over a sequence."""

    codes: npt.NDArray[np.int8]
    """(N,) TRACKED, SKIPPED, STARTED or FAILED."""
    regions: FloatArray
    """(N, 8) where TRACKED: corners x1, y1 … x4, y4, or a box x, y, w, h and NaN."""

    @property
    def failures(self) -> npt.NDArray[np.intp]:
        """Frames of the failures."""
        return np.flatnonzero(self.codes == FAILED)

    @property
    def counts_for_accuracy(self) -> BoolArray:
        """(N,) tracked frames after the burn-in."""
        counted: BoolArray = self.codes == TRACKED
        for start in np.flatnonzero(self.codes == STARTED):
            counted[start : start + BURN_IN] = False
        return counted


@dataclass(frozen=True, eq=False)
class Case:
    """A sequence and a tracker's runs over it."""

    name: str
    truth: FloatArray
    """(N, 8) corners, or (N, 4) boxes x, y, w, h."""
    image_size: tuple[int, int]
    """Width and height in pixels."""
    runs: tuple[Run, ...]
    """The repetitions, at least one."""
    tags: Mapping[str, BoolArray] = field(default_factory=dict)
    """Difficulty -> (N,) frames that show it."""

    def __len__(self) -> int:
        return len(self.truth)
