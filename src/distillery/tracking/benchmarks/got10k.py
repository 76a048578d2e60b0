"""GOT-10k (Huang, Zhao, Huang, TPAMI 2019): `SPLIT/list.txt`, `SPLIT/NAME/{00000001.jpg, groundtruth.txt, …}`.

`train` is for training, `val` for choices and, as an evaluation set, for scores on this machine. Of `test` only the
first boxes are public; its results go to the benchmark's server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import (
    RESTORE,
    Sequence,
    SequenceSet,
    collect,
    first_box,
    header_size,
    numbered_frames,
    require_folder,
    unlabelled_frames,
)
from distillery.tracking.benchmarks.text_files import read_absence, read_boxes, read_flags, read_names
from distillery.tracking.boxes import BoolArray

NAME = "got10k"
SPLITS = ("train", "val")
MAX_COVER = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class GOT10kSequence(Sequence):
    """A sequence with GOT-10k's visibility labels."""

    absence: BoolArray
    """(N,) whether the target is absent from the frame."""
    cover: npt.NDArray[np.int64]
    """(N,) level of visibility, 0..8: 0 hidden, 1 at most 15 % visible, 2 at most 30 % … 7 below 100 %, 8 entirely."""


def load(
    root: Path, split: str = "val", *, need_frames: bool = True, allow_partial: bool = False
) -> list[GOT10kSequence]:
    """Reads one split.

    Args:
        root: The folder of the splits.
        split: "val", the evaluation set, or "train" (whose image sizes are not looked up: nobody needs them).
        need_frames: Whether the images must be there.
        allow_partial: Whether absent sequences are left out.

    Returns:
        The sequences in the order of the list.

    Raises:
        UserError: Naming what is absent, or the file and row that is malformed.
    """
    if split not in SPLITS:
        raise UserError(f"{split!r} is not a split of GOT-10k with public boxes", file=root, remedy="use train or val")
    sequences = collect(_split(Path(root), split, need_frames), allow_partial=allow_partial)
    return [sequence for sequence in sequences if isinstance(sequence, GOT10kSequence)]


def load_test(root: Path, *, need_frames: bool = True, allow_partial: bool = False) -> list[Sequence]:
    """Reads the test split: frames and the first box of each sequence."""
    return collect(_split(Path(root), "test", need_frames), allow_partial=allow_partial)


def expected(root: Path) -> list[str]:
    """Names of the sequences of the evaluation set that `root` must hold."""
    return list(_split(Path(root), "val", False).names)


def wanted(root: Path, split: str) -> SequenceSet:
    """A split with its frames, before it is read: what `distillery check` looks at one by one."""
    return _split(Path(root), split, True)


def _split(root: Path, split: str, need_frames: bool) -> SequenceSet:
    require_folder(root, "GOT-10k")
    folder = root / split
    require_folder(folder, f"GOT-10k's {split} split")
    names = tuple(read_names(folder / "list.txt", remedy=RESTORE))
    if split == "test":
        return SequenceSet("GOT-10k test", folder, names, partial(_read_test, folder, need_frames=need_frames))
    read = partial(_read, folder, need_frames=need_frames, sized=split == "val")
    return SequenceSet(f"GOT-10k {split}", folder, names, read)


def _read(split: Path, name: str, *, need_frames: bool, sized: bool) -> GOT10kSequence | None:
    folder = split / name
    if not folder.is_dir():
        return None
    file = folder / "groundtruth.txt"
    truth = read_boxes(file, remedy=RESTORE)
    return GOT10kSequence(
        name=name,
        frames=numbered_frames(folder, len(truth), file) if need_frames else (),
        truth=truth,
        truth_file=file,
        image_size=_image_size(folder) if sized else None,
        absence=read_absence(folder / "absence.label", len(truth), remedy=RESTORE),
        cover=read_flags(folder / "cover.label", len(truth), highest=MAX_COVER, remedy=RESTORE),
    )


def _read_test(split: Path, name: str, *, need_frames: bool) -> Sequence | None:
    folder = split / name
    if not folder.is_dir():
        return None
    file = folder / "groundtruth.txt"
    return Sequence(
        name=name,
        frames=unlabelled_frames(folder) if need_frames else (),
        truth=first_box(file),
        truth_file=file,
    )


def _image_size(folder: Path) -> tuple[int, int] | None:
    """Of the first image, or where the images are not there as `meta_info.ini` has it ("resolution: (1920, 1080)")."""
    first = next((folder / name for name in ("00000001.jpg", "00000001.png") if (folder / name).is_file()), None)
    if first is not None:
        return header_size(first)
    try:
        said = re.search(r"resolution:\s*\((\d{1,5}),\s*(\d{1,5})\)", (folder / "meta_info.ini").read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    size = (int(said[1]), int(said[2])) if said else None
    if size and min(size) < 1:  # boxes would be cut to nothing
        problem = f"says that the images have {size[0]} x {size[1]} pixels"
        raise UserError(problem, file=folder / "meta_info.ini", remedy=RESTORE)
    return size
