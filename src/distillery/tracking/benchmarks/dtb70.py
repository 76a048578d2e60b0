"""DTB70 (Li, Yeung, AAAI 2017): `NAME/img/00001.jpg …`, `NAME/groundtruth_rect.txt`, boxes x,y,w,h from 1.

Annotations alone are read as well, from a flat folder of `NAME.txt` (the authors' flyers/drone-tracking,
`experiments/anno`). A folder with a `sequences.txt` holds another set in the same layout (the embedded benchmark).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import (
    RESTORE,
    Sequence,
    SequenceSet,
    collect,
    image_files,
    numbered_frames,
    require_folder,
)
from distillery.tracking.benchmarks.text_files import read_attributes, read_boxes, read_names
from distillery.tracking.boxes import FloatArray

NAME = "dtb70"
ATTRIBUTES = {
    "SV": "scale variation",
    "ARV": "aspect ratio variation",
    "OCC": "occlusion",
    "DEF": "deformation",
    "FCM": "fast camera motion",
    "IPR": "in-plane rotation",
    "OPR": "out-of-plane rotation",
    "OV": "out of view",
    "BC": "background clutter",
    "SOA": "similar objects around",
    "MB": "motion blur",
}
"""Short and full names in the order of the flags in `att/NAME.txt`: the toolkit's `perfPlot.m` names the first ten,
the paper's list ends with motion blur."""
NAMED_BY_THE_TOOLKIT = 10

_TABLE = """
Animal1 147, Animal2 149, Animal3 309, Animal4 167, BMX2 160, BMX3 121, BMX4 364, BMX5 277, Basketball 427, Car2 74,
Car4 217, Car5 84, Car6 381, Car8 319, ChasingDrones 212, Girl1 218, Girl2 626, Gull1 120, Gull2 237, Horse1 149,
Horse2 126, Kiting 129, ManRunning1 619, ManRunning2 260, Motor1 78, Motor2 68, MountainBike1 109, MountainBike5 107,
MountainBike6 81, Paragliding3 211, Paragliding5 220, RaceCar 80, RaceCar1 249, RcCar3 202, RcCar4 699, RcCar5 330,
RcCar6 210, RcCar7 287, RcCar8 211, RcCar9 208, SUP2 133, SUP4 295, SUP5 222, Sheep1 391, Sheep2 251,
SkateBoarding4 201, Skiing1 87, Skiing2 178, SnowBoarding2 117, SnowBoarding4 109, SnowBoarding6 100, Soccer1 613,
Soccer2 233, SpeedCar2 308, SpeedCar4 164, StreetBasketball1 241, StreetBasketball2 114, StreetBasketball3 501,
Surfing03 117, Surfing04 158, Surfing06 106, Surfing10 165, Surfing12 135, Vaulting 171, Wakeboarding1 77,
Wakeboarding2 76, Walking 395, Yacht2 239, Yacht4 461, Zebra 177
"""
SEQUENCES = {name: int(frames) for name, frames in (entry.split() for entry in _TABLE.split(","))}
"""The official 70 and their frames (the toolkit's `configDTBSeqs.m`)."""


def load(root: Path, *, need_frames: bool = True, allow_partial: bool = False) -> list[Sequence]:
    """Reads DTB70, or a set in its layout.

    Args:
        root: The folder of the sequences' folders; without frames also of the annotation files alone.
        need_frames: Whether the images must be there; scoring does without.
        allow_partial: Whether absent sequences are left out.

    Returns:
        The sequences in the benchmark's order, N frames each. `truth` (N, 4) is left, top, width, height in pixels, the
        image's first pixel being number 1; `frames` are N images, none without `need_frames`; `attributes` are keys of
        `ATTRIBUTES`, none where nobody labelled them.

    Raises:
        UserError: If `root` is not a folder, a sequence is absent that is not left out (or all are), or its files are
            malformed or do not have the rows and images that they should; it names the file and the place.
    """
    return collect(_set(Path(root), need_frames), allow_partial=allow_partial)


def expected(root: Path) -> list[str]:
    """Names of the sequences that `root` must hold: those of its `sequences.txt`, else the official 70."""
    return list(_names(Path(root)))


def wanted(root: Path) -> SequenceSet:
    """The set with its frames, before it is read: what `distillery check` looks at one by one."""
    return _set(Path(root), True)


def _set(root: Path, need_frames: bool) -> SequenceSet:
    require_folder(root, "DTB70")
    return SequenceSet("DTB70", root, _names(root), partial(_read, root, need_frames=need_frames))


def _names(root: Path) -> tuple[str, ...]:
    own = root / "sequences.txt"
    return tuple(read_names(own, remedy=RESTORE)) if own.exists() else tuple(SEQUENCES)


def _read(root: Path, name: str, *, need_frames: bool) -> Sequence | None:
    folder = root / name
    candidates = [folder / "groundtruth_rect.txt", root / "anno" / f"{name}.txt", root / f"{name}.txt"]
    file = next((path for path in candidates if path.is_file()), None)
    if file is None or (need_frames and not folder.is_dir()):
        return None
    official = None if (root / "sequences.txt").exists() else SEQUENCES[name]
    images = folder / "img" if (folder / "img").is_dir() else folder
    rows = official or (len(image_files(images)) if need_frames else None)
    truth = _without_surplus(read_boxes(file, remedy=RESTORE), rows)
    if official and len(truth) != official:
        raise UserError(f"has {len(truth)} rows, the sequence {name} has {official} frames", file=file, remedy=RESTORE)
    return Sequence(
        name=name,
        frames=numbered_frames(images, len(truth), file) if need_frames else (),
        truth=truth,
        truth_file=file,
        attributes=_attributes(root, name),
    )


def _without_surplus(truth: FloatArray, rows: int | None) -> FloatArray:
    """Some copies' files go on with rows 0,0,0,0 after the last frame."""
    if rows and len(truth) > rows and not truth[rows:].any():
        return truth[:rows]
    return truth


def attribute_file(root: Path, name: str) -> Path | None:
    """The file of a sequence's flags, if there is one."""
    files = (folder / f"{name}.txt" for folder in (root / "att", root / "anno" / "att"))
    return next((path for path in files if path.is_file()), None)


def _attributes(root: Path, name: str) -> frozenset[str]:
    file = attribute_file(root, name)
    if file is None:
        return frozenset()
    return read_attributes(file, tuple(ATTRIBUTES), needed=NAMED_BY_THE_TOOLKIT, remedy=RESTORE)
