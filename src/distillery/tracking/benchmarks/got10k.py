"""GOT-10k (Huang, Zhao, Huang, TPAMI 2019): `SPLIT/list.txt`, `SPLIT/NAME/{00000001.jpg, groundtruth.txt, …}`.

Only the splits with public boxes are read: `train` and `val`. The test split's boxes are on the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.data.checking import CheckReport, decode_fault
from distillery.errors import UserError
from distillery.tracking.benchmarks.base import (
    Sequence,
    collect,
    image_files,
    read_boxes,
    read_names,
    require_folder,
)
from distillery.tracking.boxes import BoolArray, FloatArray

NAME = "got10k"
SPLITS = ("train", "val")
MAX_COVER = 8
_REMEDY = "restore it from the official archive"


@dataclass(frozen=True, eq=False, kw_only=True)
class GOT10kSequence(Sequence):
    """A sequence with GOT-10k's visibility labels."""

    absence: BoolArray
    """(N,) whether the target is absent from the frame."""
    cover: npt.NDArray[np.int64]
    """(N,) level of visibility, 0..8: 0 hidden, 1 at most 15 % visible, 2 at most 30 % … 7 below 100 %, 8 entirely."""


def load(root: Path, split: str, *, need_frames: bool = True, allow_partial: bool = False) -> list[GOT10kSequence]:
    """Reads one split.

    Args:
        root: The folder that holds `train` and `val`.
        split: "train" or "val".
        need_frames: Whether the images must be there.
        allow_partial: Whether absent sequences are left out.

    Raises:
        UserError: Naming what is absent, or the file and row that is malformed.
    """
    folder = _split_folder(Path(root), split)
    names = read_names(folder / "list.txt", remedy=_REMEDY)
    one = partial(_load_one, folder, need_frames=need_frames)
    sequences = collect(names, one, root=folder, benchmark=f"GOT-10k {split}", allow_partial=allow_partial)
    return [sequence for sequence in sequences if isinstance(sequence, GOT10kSequence)]


def check(root: Path) -> CheckReport:
    """Looks at every file of both splits: absent and malformed labels, absent and undecodable images."""
    root = Path(root)
    require_folder(root, "GOT-10k")
    counts: dict[str, int] = {"missing": 0}
    faults: list[str] = []
    for split in SPLITS:
        counts[f"{split}_sequences"] = counts[f"{split}_frames"] = 0
        try:
            folder = _split_folder(root, split)
            names = read_names(folder / "list.txt", remedy=_REMEDY)
        except UserError as error:
            faults.append(str(error))
            continue
        for name in names:
            try:
                sequence = _load_one(folder, name, need_frames=True)
            except UserError as error:
                faults.append(str(error))
                continue
            if sequence is None:
                counts["missing"] += 1
                faults.append(f"{folder / name}: sequence {name} is missing; {_REMEDY}.")
                continue
            counts[f"{split}_sequences"] += 1
            counts[f"{split}_frames"] += len(sequence)
            faults += [fault for frame in sequence.frames if (fault := decode_fault(frame)) is not None]
    return CheckReport(benchmark=NAME, root=root, counts=counts, faults=faults, notes=[])


def _split_folder(root: Path, split: str) -> Path:
    if split not in SPLITS:
        raise UserError(f"{split!r} is not a split of GOT-10k with public boxes", file=root, remedy="use train or val")
    require_folder(root, "GOT-10k")
    require_folder(root / split, f"GOT-10k's {split} split")
    return root / split


def _load_one(split: Path, name: str, *, need_frames: bool) -> GOT10kSequence | None:
    folder = split / name
    if not folder.is_dir():
        return None
    file = folder / "groundtruth.txt"
    truth = read_boxes(file, remedy=_REMEDY)
    frames = image_files(folder) if need_frames else []
    if need_frames and len(frames) != len(truth):
        raise UserError(f"has {len(frames)} images, {file} has {len(truth)} rows", file=folder, remedy=_REMEDY)
    absence = _labels(folder / "absence.label", len(truth), highest=1)
    cover = _labels(folder / "cover.label", len(truth), highest=MAX_COVER)
    return GOT10kSequence(
        name=name,
        frames=tuple(frames),
        truth=truth,
        truth_file=file,
        absence=absence.astype(np.bool_),
        cover=cover.astype(np.int64),
    )


def _labels(file: Path, rows: int, *, highest: int) -> FloatArray:
    labels = read_boxes(file, columns=1, remedy=_REMEDY)[:, 0]
    if len(labels) != rows:
        raise UserError(f"has {len(labels)} rows, groundtruth.txt has {rows}", file=file, remedy=_REMEDY)
    faulty = np.flatnonzero((labels < 0) | (labels > highest) | (labels != np.round(labels)))
    if faulty.size:
        raise UserError(
            f"holds {labels[faulty[0]]:g}, not a whole number from 0 to {highest}",
            file=file,
            place=f"line {faulty[0] + 1}",
            remedy=_REMEDY,
        )
    return labels
