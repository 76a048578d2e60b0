"""LaSOT (Fan et al., CVPR 2019), test split: `CLASS/NAME/img/00000001.jpg …`, `groundtruth.txt` (x,y,w,h from 1),
`full_occlusion.txt` and `out_of_view.txt` (a flag for each frame, on one line).

`NAME/` without the class is read as well, and so are the evaluation toolkit's annotations alone: `annos/NAME.txt`,
`annos/absent/NAME.txt`, `annos/att/NAME.txt`. A `testing_set.txt` names the sequences; without one the official 280 are
expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from distillery.tracking.benchmarks.base import (
    RESTORE,
    Sequence,
    SequenceSet,
    collect,
    numbered_frames,
    require_folder,
)
from distillery.tracking.benchmarks.lasot_table import ATTRIBUTES, SEQUENCES
from distillery.tracking.benchmarks.text_files import read_absence, read_attributes, read_boxes, read_names
from distillery.tracking.boxes import BoolArray

NAME = "lasot"
LISTS = ("testing_set.txt", "lasot_testing_set.txt", "sequence_evaluation_config/testing_set.txt")
_LONGER = frozenset({"monkey-17"})
"""Official sequences with more images than boxes: the toolkits cut results to the boxes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LaSOTSequence(Sequence):
    """A sequence with LaSOT's labels of absence."""

    absent: BoolArray
    """(N,) whether the target cannot be seen: fully occluded or out of view."""
    full_occlusion: BoolArray | None
    """(N,) whether it is fully occluded; None where only the toolkit's `absent` is there."""
    out_of_view: BoolArray | None
    """(N,) whether it has left the image; None as before."""


def load(root: Path, *, need_frames: bool = True, allow_partial: bool = False) -> list[LaSOTSequence]:
    """Reads the test split, or a set in its layout.

    Args:
        root: The dataset's folder; without frames also the toolkit's, or its `annos`.
        need_frames: Whether the images must be there; scoring does without.
        allow_partial: Whether absent sequences are left out.

    Returns:
        The sequences in the order of the list, N frames each. `truth` (N, 4) is left, top, width, height in pixels, the
        image's first pixel being number 1; `frames` are N images, none without `need_frames`; `absent` (N,) and the
        labels that it is made of say where the target cannot be seen; `attributes` are keys of `ATTRIBUTES`, none where
        nobody labelled them.

    Raises:
        UserError: If `root` is not a folder, a sequence is absent that is not left out (or all are), or its files are
            malformed or do not have the rows and images that they should; it names the file and the place.
    """
    sequences = collect(_set(Path(root), need_frames), allow_partial=allow_partial)
    return [sequence for sequence in sequences if isinstance(sequence, LaSOTSequence)]


def expected(root: Path) -> list[str]:
    """Names of the sequences that `root` must hold: those of its `testing_set.txt`, else the official 280."""
    return list(_names(Path(root)))


def wanted(root: Path) -> SequenceSet:
    """The set with its frames, before it is read: what `distillery check` looks at one by one."""
    return _set(Path(root), True)


def _set(root: Path, need_frames: bool) -> SequenceSet:
    require_folder(root, "LaSOT")
    return SequenceSet("LaSOT", root, _names(root), partial(_read, root, need_frames=need_frames))


def _names(root: Path) -> tuple[str, ...]:
    own = next((root / name for name in LISTS if (root / name).is_file()), None)
    return tuple(read_names(own, remedy=RESTORE)) if own else SEQUENCES


def _read(root: Path, name: str, *, need_frames: bool) -> LaSOTSequence | None:
    folders = (root / name.rpartition("-")[0] / name, root / name)
    folder = next((path for path in folders if (path / "groundtruth.txt").is_file()), None)
    if folder is not None:
        return _from_folder(root, folder, need_frames)
    annos = next((path for path in (root / "annos", root) if (path / f"{name}.txt").is_file()), None)
    return None if annos is None or need_frames else _from_toolkit(root, annos, name)


def _from_folder(root: Path, folder: Path, need_frames: bool) -> LaSOTSequence:
    file = folder / "groundtruth.txt"
    truth = read_boxes(file, remedy=RESTORE)
    occluded = read_absence(folder / "full_occlusion.txt", len(truth), remedy=RESTORE)
    outside = read_absence(folder / "out_of_view.txt", len(truth), remedy=RESTORE)
    return LaSOTSequence(
        name=folder.name,
        frames=_frames(folder, len(truth), file) if need_frames else (),
        truth=truth,
        truth_file=file,
        attributes=_attributes(root, folder.name),
        runs_on=folder.name in _LONGER,
        absent=occluded | outside,
        full_occlusion=occluded,
        out_of_view=outside,
    )


def _from_toolkit(root: Path, annos: Path, name: str) -> LaSOTSequence:
    file = annos / f"{name}.txt"
    truth = read_boxes(file, remedy=RESTORE)
    return LaSOTSequence(
        name=name,
        frames=(),
        truth=truth,
        truth_file=file,
        attributes=_attributes(root, name),
        runs_on=name in _LONGER,
        absent=read_absence(annos / "absent" / f"{name}.txt", len(truth), remedy=RESTORE),
        full_occlusion=None,
        out_of_view=None,
    )


def _frames(folder: Path, rows: int, truth_file: Path) -> tuple[Path, ...]:
    return numbered_frames(folder / "img", rows, truth_file, surplus=folder.name in _LONGER)


def _attributes(root: Path, name: str) -> frozenset[str]:
    files = (folder / "att" / f"{name}.txt" for folder in (root, root / "annos"))
    file = next((path for path in files if path.is_file()), None)
    return read_attributes(file, tuple(ATTRIBUTES), remedy=RESTORE) if file else frozenset()
