"""OTB-100 (Wu, Lim, Yang, TPAMI 2015): `NAME/img/0001.jpg …`, `NAME/groundtruth_rect.txt`, boxes x,y,w,h from 1.

A folder with a `sequences.txt` holds another set in the same layout (the embedded benchmark): that file names the
expected sequences then, and all their images are scored. A folder with the annotation collection of pysot or DaSiamRPN
(`OTB2015.json`, `OTB100.json`) can be scored without the sequences' own files.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from distillery.errors import UserError
from distillery.tracking.benchmarks.annotations import Annotations, find_annotations, number_rows, read_annotations
from distillery.tracking.benchmarks.base import (
    RESTORE,
    Sequence,
    SequenceSet,
    collect,
    numbered_frames,
    require_folder,
)
from distillery.tracking.benchmarks.otb100_table import ATTRIBUTES, SEQUENCES, Entry
from distillery.tracking.benchmarks.text_files import read_attributes, read_boxes, read_names
from distillery.tracking.boxes import FloatArray
from distillery.tracking.naming import plain

NAME = "otb100"
COLLECTIONS = ("OTB2015.json", "OTB100.json")
_ONLY_TARGET = frozenset({"Human4-2"})
"""OTB-100 has no other target in these folders, so their plain names and files can only mean this one."""


def load(root: Path, *, need_frames: bool = True, allow_partial: bool = False) -> list[Sequence]:
    """Reads OTB-100, or a set in its layout.

    The official set has Jogging-1, Jogging-2, Skating2-1, Skating2-2 and Human4-2; both the official folders (one
    folder, `groundtruth_rect.1.txt`) and the split ones of other toolkits (`Jogging-1`, `Jogging.1`) are read.

    Args:
        root: The folder of the sequences' folders, or of an annotation collection.
        need_frames: Whether the images must be there; scoring does without.
        allow_partial: Whether absent sequences are left out.

    Returns:
        The sequences in the benchmark's order, N frames each. `truth` (N, 4) is left, top, width, height in pixels, the
        image's first pixel being number 1; `frames` are N images, none without `need_frames`; `attributes` are keys of
        `ATTRIBUTES`. Rows and images that the benchmark does not score are left out (Tiger1's first five, David's first
        299).

    Raises:
        UserError: If `root` is not a folder, a sequence is absent that is not left out (or all are), or its files are
            malformed or do not have the rows and images that they should; it names the file and the place.
    """
    return collect(_set(Path(root), need_frames), allow_partial=allow_partial)


def expected(root: Path) -> list[str]:
    """Names of the sequences that `root` must hold: those of its `sequences.txt`, else the official 100."""
    return list(_names(Path(root)))


def wanted(root: Path) -> SequenceSet:
    """The set with its frames, before it is read: what `distillery check` looks at one by one."""
    return _set(Path(root), True)


def _set(root: Path, need_frames: bool) -> SequenceSet:
    require_folder(root, "OTB-100")
    names = _names(root)
    collection = find_annotations(root, COLLECTIONS)
    if (root / "sequences.txt").exists():
        return SequenceSet("OTB-100", root, names, partial(_read_own, root, need_frames=need_frames))
    annotations = read_annotations(collection, plain) if collection else {}
    read = partial(_read_official, _Folders(root), collection, annotations, need_frames=need_frames)
    return SequenceSet("OTB-100", root, names, read)


def _names(root: Path) -> tuple[str, ...]:
    own = root / "sequences.txt"
    return tuple(read_names(own, remedy=RESTORE)) if own.exists() else tuple(SEQUENCES)


def _read_own(root: Path, name: str, *, need_frames: bool) -> Sequence | None:
    file = root / name / "groundtruth_rect.txt"
    if not file.is_file():
        return None
    truth = read_boxes(file, remedy=RESTORE)
    frames = numbered_frames(root / name / "img", len(truth), file) if need_frames else ()
    return Sequence(name=name, frames=frames, truth=truth, truth_file=file, attributes=_attributes(root, name))


class _Folders:
    """The folders of a root by name, whatever their case and separators: CarDark is found as carDark, too."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._spelt: dict[str, list[Path]] = {}
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                self._spelt.setdefault(plain(path.name), []).append(path)

    def named(self, name: str) -> list[Path]:
        """Folders of this name, the exact spelling first, then sorted."""
        return sorted(self._spelt.get(plain(name), []), key=lambda path: path.name != name)


def _read_official(
    folders: _Folders, collection: Path | None, annotations: Annotations, name: str, *, need_frames: bool
) -> Sequence | None:
    official = SEQUENCES[name]
    file = _truth_file(folders, official)
    if file is not None:
        truth = read_boxes(file, remedy=RESTORE)
    elif collection is not None and plain(name) in annotations:
        file = collection
        truth = number_rows(annotations[plain(name)], "gt_rect", columns=(4,), file=file, name=name)
    else:
        return None
    truth = _scored_rows(truth, official, file)
    images = _image_folder(folders, None if file == collection else file.parent, official)
    if need_frames and images is None:
        return None
    return Sequence(
        name=name,
        frames=_frames(images, official, file) if need_frames and images else (),
        truth=truth,
        truth_file=file,
        attributes=_attributes(folders.root, name),
        aliases=(official.folder,) if name in _ONLY_TARGET else (),
        omitted=official.omitted,
    )


def _truth_file(folders: _Folders, official: Entry) -> Path | None:
    if official.target is None:
        candidates = [folder / "groundtruth_rect.txt" for folder in folders.named(official.name)]
    else:
        own = f"groundtruth_rect.{official.target}.txt"
        shared, split = folders.named(official.folder), folders.named(official.name)
        candidates = [folder / own for folder in shared]
        candidates += [folder / file for folder in split for file in (own, "groundtruth_rect.txt")]
        if official.name in _ONLY_TARGET:
            candidates += [folder / "groundtruth_rect.txt" for folder in shared]
    return next((path for path in candidates if path.is_file()), None)


def _scored_rows(truth: FloatArray, official: Entry, file: Path) -> FloatArray:
    if len(truth) == official.rows + official.omitted:
        return truth[official.omitted :]
    if len(truth) != official.rows:
        raise UserError(
            f"has {len(truth)} rows, the sequence {official.name} has {official.rows} frames", file=file, remedy=RESTORE
        )
    return truth


def _image_folder(folders: _Folders, truth_folder: Path | None, official: Entry) -> Path | None:
    """Beside the truth, or where the sequence's folder or that of all its targets is; None if that cannot be said."""
    own = folders.named(official.name) if truth_folder is None else [truth_folder]
    found = next((path / "img" for path in own + folders.named(official.folder) if (path / "img").is_dir()), None)
    return truth_folder / "img" if truth_folder and not found else found


def _frames(images: Path, official: Entry, truth_file: Path) -> tuple[Path, ...]:
    # The official folders of David, Diving, Football1 … hold more images than are annotated.
    return numbered_frames(images, official.rows, truth_file, first=official.first, surplus=True)


def _attributes(root: Path, name: str) -> frozenset[str]:
    folder = root / "anno" / "att"
    if folder.is_dir():
        by_name = {plain(file.stem): file for file in folder.glob("*.txt")}
        if (file := by_name.get(plain(name))) is not None:
            return read_attributes(file, tuple(ATTRIBUTES), remedy=RESTORE)
    own = (root / "sequences.txt").exists()
    return frozenset() if own else SEQUENCES[name].attributes
