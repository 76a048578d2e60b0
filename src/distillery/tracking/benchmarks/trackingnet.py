"""TrackingNet (Müller et al., ECCV 2018): `PART/frames/NAME/0.jpg …`, `PART/anno/NAME.txt`, boxes x,y,w,h from 0.

Of the part `TEST` only the first boxes are public: its results go to the benchmark's server. A training part that is
held out (`TRAIN_11`) has all boxes and is scored on this machine by the server's definition; so is a folder or a zip
archive of `NAME.txt` alone, which is how the server itself keeps its ground truth.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from distillery.errors import UserError
from distillery.tracking.benchmarks.archives import text_members
from distillery.tracking.benchmarks.base import (
    RESTORE,
    Sequence,
    SequenceSet,
    collect,
    first_box,
    numbered_frames,
    require_folder,
    unlabelled_frames,
)
from distillery.tracking.benchmarks.text_files import parse_boxes, read_boxes

NAME = "trackingnet"
HELD_OUT = "TRAIN_11"
TEST = "TEST"


def load(root: Path, part: str = HELD_OUT, *, need_frames: bool = True, allow_partial: bool = False) -> list[Sequence]:
    """Reads a part with all boxes.

    Args:
        root: The folder of the parts; without frames also a folder of `NAME.txt`, or a zip archive of them.
        part: Name of the part's folder.
        need_frames: Whether the images must be there; scoring does without.
        allow_partial: Whether sequences with boxes but without frames are left out.

    Returns:
        The sequences in the order of their names.

    Raises:
        UserError: Naming what is absent, or the file and row that is malformed.
    """
    return collect(_set(Path(root), part, need_frames), allow_partial=allow_partial)


def load_test(root: Path, *, need_frames: bool = True, allow_partial: bool = False) -> list[Sequence]:
    """Reads the test part: frames and the first box of each sequence."""
    return collect(_set(Path(root), TEST, need_frames), allow_partial=allow_partial)


def expected(root: Path, part: str = HELD_OUT) -> list[str]:
    """Names of the sequences that have boxes under `root`: the benchmark has no list apart from them."""
    return list(_set(Path(root), part, False).names)


def wanted(root: Path, part: str) -> SequenceSet:
    """A part with its frames, before it is read: what `distillery check` looks at one by one."""
    return _set(Path(root), part, True)


def _set(root: Path, part: str, need_frames: bool) -> SequenceSet:
    if root.suffix == ".zip" and not need_frames:
        members = text_members(root)
        return SequenceSet("TrackingNet", root, tuple(members), partial(_read_member, root, members))
    require_folder(root, "TrackingNet")
    annotations = root / part / "anno"
    if not need_frames and not (root / part).exists():
        annotations = root
    elif not (root / part).exists():
        raise _absent(root, part)
    require_folder(annotations, f"TrackingNet's {part} part")
    names = tuple(sorted(file.stem for file in annotations.glob("*.txt") if not file.name.startswith(".")))
    if not names:
        if annotations == root and any(path.is_dir() for path in root.iterdir()):
            raise _absent(root, part)
        raise UserError("holds no NAME.txt with boxes", file=annotations, remedy=RESTORE)
    read = partial(_read, annotations, root / part / "frames", part == TEST, need_frames)
    return SequenceSet(f"TrackingNet {part}", root / part, names, read)


def _absent(root: Path, part: str) -> UserError:
    """Says which part is needed, and what can be done with the one that is there instead."""
    what = f"the held-out part {part}" if part == HELD_OUT else f"the part {part}"
    remedy = f"put {part}/frames and {part}/anno there"
    if part != TEST and (root / TEST).is_dir():
        remedy += (
            f"; {TEST} is tracked as the benchmark trackingnet_test, and `distillery submission` packs its results for "
            "the evaluation server"
        )
    return UserError(f"does not hold {what}", file=root, remedy=remedy)


def _read(annotations: Path, frames: Path, first_only: bool, need_frames: bool, name: str) -> Sequence | None:
    file, folder = annotations / f"{name}.txt", frames / name
    if need_frames and not folder.is_dir():
        return None
    truth = first_box(file) if first_only else read_boxes(file, remedy=RESTORE)
    images: tuple[Path, ...] = ()
    rows = len(truth)
    if need_frames:
        images = unlabelled_frames(folder, first=0) if first_only else numbered_frames(folder, rows, file, first=0)
    return Sequence(name=name, frames=images, truth=truth, truth_file=file, first_pixel=0)


def _read_member(archive: Path, members: dict[str, bytes], name: str) -> Sequence:
    truth = parse_boxes(members[name], archive / f"{name}.txt", remedy=RESTORE)
    return Sequence(name=name, frames=(), truth=truth, truth_file=archive, first_pixel=0)
