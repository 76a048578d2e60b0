"""OTB-100 (Wu, Lim, Yang, TPAMI 2015): `NAME/img/0001.jpg …`, `NAME/groundtruth_rect.txt`, boxes x,y,w,h from 1.

A folder with a `sequences.txt` holds another set in the same layout (the embedded benchmark): that file names the
expected sequences then, and all their images are scored.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

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
from distillery.tracking.benchmarks.otb100_table import ATTRIBUTES, SEQUENCES, Entry
from distillery.tracking.boxes import FloatArray
from distillery.tracking.naming import plain

NAME = "otb100"
_REMEDY = "restore it from the official archive"
_ONLY_TARGET = frozenset({"Human4-2"})
"""OTB-100 has no other target in these folders, so their plain names and files can only mean this one."""


def load(root: Path, *, need_frames: bool = True, allow_partial: bool = False) -> list[Sequence]:
    """Reads OTB-100, or a set in its layout.

    The official set has Jogging-1, Jogging-2, Skating2-1, Skating2-2 and Human4-2; both the official folders (one
    folder, `groundtruth_rect.1.txt`) and the split ones of other toolkits (`Jogging-1`, `Jogging.1`) are read.

    Args:
        root: The folder of the sequences' folders.
        need_frames: Whether the images must be there; scoring does without.
        allow_partial: Whether absent sequences are left out.

    Returns:
        The sequences in the benchmark's order.

    Raises:
        UserError: Naming what is absent, or the file and row that is malformed.
    """
    root = Path(root)
    require_folder(root, "OTB-100")
    names = expected(root)
    one = partial(_load_one, root, need_frames=need_frames)
    return collect(names, one, root=root, benchmark="OTB-100", allow_partial=allow_partial)


def expected(root: Path) -> list[str]:
    """Names of the sequences that `root` must hold: those of its `sequences.txt`, else the official 100."""
    own = root / "sequences.txt"
    return read_names(own, remedy=_REMEDY) if own.exists() else list(SEQUENCES)


def check(root: Path) -> CheckReport:
    """Looks at every file: absent and malformed ground truth, absent, surplus and undecodable images."""
    root = Path(root)
    require_folder(root, "OTB-100")
    faults: list[str] = []
    counts = {"expected": 0, "sequences": 0, "frames": 0, "missing": 0}
    unlabelled = 0
    names = expected(root)
    counts["expected"] = len(names)
    for name in names:
        try:
            sequence = _load_one(root, name, need_frames=True)
        except UserError as error:
            faults.append(str(error))
            continue
        if sequence is None:
            counts["missing"] += 1
            faults.append(f"{root / name}: sequence {name} is missing; {_REMEDY}.")
            continue
        counts["sequences"] += 1
        counts["frames"] += len(sequence)
        unlabelled += not sequence.attributes
        faults += [fault for frame in sequence.frames if (fault := decode_fault(frame)) is not None]
    notes = [f"{unlabelled} sequences have no attributes (no anno/att/NAME.txt)"] if unlabelled else []
    return CheckReport(benchmark=NAME, root=root, counts=counts, faults=faults, notes=notes)


def _load_one(root: Path, name: str, *, need_frames: bool) -> Sequence | None:
    official = None if (root / "sequences.txt").exists() else SEQUENCES[name]
    found = _truth_file(root, name, official)
    if found is None:
        return None
    truth = read_boxes(found, remedy=_REMEDY)
    omitted = official.omitted if official else 0
    if official:
        truth = _scored_rows(truth, official, found)
    frames = tuple(_frames(_image_folder(root, found, official), truth, official, found)) if need_frames else ()
    return Sequence(
        name=name,
        frames=frames,
        truth=truth,
        truth_file=found,
        attributes=_attributes(root, name, official),
        aliases=(official.folder,) if official and name in _ONLY_TARGET else (),
        omitted=omitted,
    )


def _truth_file(root: Path, name: str, official: Entry | None) -> Path | None:
    if official is None or official.target is None:
        candidates = [root / name / "groundtruth_rect.txt"]
    else:
        own = f"groundtruth_rect.{official.target}.txt"
        split = [root / f"{official.folder}{mark}{official.target}" for mark in "-._"]
        candidates = [root / official.folder / own]
        candidates += [folder / file for folder in split for file in (own, "groundtruth_rect.txt")]
        if official.name in _ONLY_TARGET:
            candidates.append(root / official.folder / "groundtruth_rect.txt")
    return next((path for path in candidates if path.is_file()), None)


def _scored_rows(truth: FloatArray, official: Entry, file: Path) -> FloatArray:
    if len(truth) == official.rows + official.omitted:
        return truth[official.omitted :]
    if len(truth) != official.rows:
        raise UserError(
            f"has {len(truth)} rows, the sequence {official.name} has {official.rows} frames", file=file, remedy=_REMEDY
        )
    return truth


def _image_folder(root: Path, truth_file: Path, official: Entry | None) -> Path:
    beside = truth_file.parent / "img"
    if official and not beside.is_dir() and (root / official.folder / "img").is_dir():
        return root / official.folder / "img"
    return beside


def _frames(folder: Path, truth: FloatArray, official: Entry | None, truth_file: Path) -> list[Path]:
    images = image_files(folder)
    if official and len(images) != len(truth):
        # The official folders of David, Diving, Football1 … hold more images than are annotated.
        wanted = [f"{number:0{official.digits}d}" for number in range(official.first, official.last + 1)]
        by_stem = {image.stem: image for image in images}
        if all(stem in by_stem for stem in wanted):
            return [by_stem[stem] for stem in wanted]
    if len(images) != len(truth):
        raise UserError(f"has {len(images)} images, {truth_file} has {len(truth)} rows", file=folder, remedy=_REMEDY)
    return images


def _attributes(root: Path, name: str, official: Entry | None) -> frozenset[str]:
    folder = root / "anno" / "att"
    if folder.is_dir():
        by_name = {plain(file.stem): file for file in folder.glob("*.txt")}
        if (file := by_name.get(plain(name))) is not None:
            flags = read_boxes(file, columns=len(ATTRIBUTES), remedy=_REMEDY)
            if len(flags) != 1 or not set(flags[0]) <= {0.0, 1.0}:
                raise UserError(f"must hold one row of {len(ATTRIBUTES)} flags 0 or 1", file=file, remedy=_REMEDY)
            return frozenset(short for short, flag in zip(ATTRIBUTES, flags[0], strict=True) if flag)
    return official.attributes if official else frozenset()
