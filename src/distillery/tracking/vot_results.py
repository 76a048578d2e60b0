"""Result files of the supervised VOT runs: a line is a code (0 skipped, 1 started, 2 failed) or a region."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence, listing
from distillery.tracking.benchmarks.text_files import number_in, read_bytes, text_lines
from distillery.tracking.boxes import FloatArray
from distillery.tracking.protocols.vot_runs import FAILED, SKIPPED, STARTED, TRACKED, Run
from distillery.tracking.results import find_repetitions

EXPERIMENT = "baseline"
_REMEDY = "run the tracker on this sequence again"
_WIDTHS = (1, 4, 8)
_NAMES = {TRACKED: "a region", SKIPPED: "a skipped frame (0)", STARTED: "a start (1)", FAILED: "a failure (2)"}


def require_runs(folder: Path, sequences: list[Sequence], *, allow_partial: bool = False) -> dict[str, list[Path]]:
    """Finds the result files of every sequence, `NAME/NAME_001.txt` and on.

    They lie in `folder/baseline` (as VOT's toolkits and pysot have it for a tracker's folder), in `folder` itself, or
    in the `baseline` of the one tracker whose folder lies in `folder`.

    Raises:
        UserError: If a sequence has none, unless `allow_partial`; none at all always is an error.
    """
    place = _experiment(Path(folder))
    found = find_repetitions(place, sequences)
    missing = [sequence.name for sequence in sequences if sequence.name not in found]
    if missing and (not allow_partial or not found):
        raise UserError(
            f"the result files of {listing(missing)} of {len(sequences)} sequences are missing",
            file=place,
            remedy="run the tracker on them (NAME/NAME_001.txt)"
            + (", or pass --allow-partial to score the others" if found else ""),
        )
    return found


def _experiment(folder: Path) -> Path:
    if folder.is_dir() and not (folder / EXPERIMENT).is_dir():
        trackers = [path for path in sorted(folder.iterdir()) if (path / EXPERIMENT).is_dir()]
        if len(trackers) > 1:
            raise UserError(
                f"holds the results of {len(trackers)} trackers ({trackers[0].name}, {trackers[1].name} …)",
                file=folder,
                remedy="pass the folder of one of them",
            )
        return trackers[0] / EXPERIMENT if trackers else folder
    return folder / EXPERIMENT if folder.is_dir() else folder


def read_run(path: Path, sequence: Sequence) -> Run:
    """Reads one run.

    Args:
        path: The file: a line is 0, 1 or 2, a box x, y, w, h, or the corners x1, y1 … x4, y4.
        sequence: Over which it went.

    Raises:
        UserError: If the file is malformed, does not have a line for each frame, or is no supervised run: that begins
            with a start, and passes over the frames from a failure to the next start and no others.
    """
    rows = [line.split() for line in text_lines(read_bytes(path, _REMEDY), path, _REMEDY)]
    widths = np.fromiter(map(len, rows), np.int64, count=len(rows))
    strange = np.flatnonzero(~np.isin(widths, _WIDTHS))
    if len(strange):
        raise _fault(f"has {widths[strange[0]]} values, a code or 4 or 8 numbers are expected", path, strange[0])
    if len(rows) != len(sequence):
        raise UserError(
            f"has {len(rows)} rows, the sequence {sequence.name} has {len(sequence)} frames", file=path, remedy=_REMEDY
        )
    values = _numbers(rows, widths, path)
    return _run(values, widths, path)


def _numbers(rows: list[list[bytes]], widths: npt.NDArray[np.int64], path: Path) -> FloatArray:
    tokens = list(chain.from_iterable(rows))
    values = np.fromiter(map(number_in, tokens), np.float64, count=len(tokens))
    faulty = np.flatnonzero(~np.isfinite(values))
    if len(faulty):
        token = tokens[faulty[0]][:20].decode(errors="replace")
        line = int(np.searchsorted(np.cumsum(widths), faulty[0], side="right"))
        raise _fault(f"holds {token!r} where a finite number must stand", path, line)
    return values


def _run(values: FloatArray, widths: npt.NDArray[np.int64], path: Path) -> Run:
    begins = np.cumsum(widths) - widths
    codes = np.full(len(widths), TRACKED, dtype=np.int8)
    special = np.flatnonzero(widths == 1)
    found = values[begins[special]]
    unknown = np.flatnonzero(~np.isin(found, (SKIPPED, STARTED, FAILED)))
    if len(unknown):
        raise _fault(f"holds the code {found[unknown[0]]:g}, there are 0, 1 and 2", path, special[unknown[0]])
    codes[special] = found
    if codes[0] != STARTED:
        raise UserError(
            "does not begin with the code 1 of a start, so it is no run with resets",
            file=path,
            place="line 1",
            remedy="run the tracker by VOT's supervised protocol",
        )
    _require_order(codes, path)
    regions = np.full((len(widths), 8), np.nan)
    for width in _WIDTHS[1:]:
        lines = np.flatnonzero(widths == width)
        regions[lines, :width] = values[begins[lines, None] + np.arange(width)]
    return Run(codes, regions)


def _require_order(codes: npt.NDArray[np.int8], path: Path) -> None:
    """From a failure on frames are skipped up to the next start; nowhere else is a frame skipped or a start."""
    before, now = codes[:-1], codes[1:]
    waiting = np.isin(before, (FAILED, SKIPPED))
    wrong = np.flatnonzero(waiting != np.isin(now, (SKIPPED, STARTED)))
    if len(wrong):
        found, last = _NAMES[int(now[wrong[0]])], _NAMES[int(before[wrong[0]])]
        allowed = "a skipped frame (0) or a start (1)" if waiting[wrong[0]] else "a region or a failure (2)"
        raise _fault(f"holds {found} after {last}, where only {allowed} can stand", path, wrong[0] + 1)


def _fault(problem: str, path: Path, line: int) -> UserError:
    return UserError(problem, file=path, place=f"line {line + 1}", remedy=_REMEDY)
