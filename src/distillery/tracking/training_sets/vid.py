"""ImageNet VID (ILSVRC2015): `{Annotations,Data}/VID/train/ILSVRC2015_VID_train_0000/SNIPPET/000000.{xml,JPEG}`.

Layout and labels: readme of the ILSVRC2015 development kit, sections 1.2, 1.4 and 4.2. Of the official sets only the
training part is read (3862 snippets), as pysot trains on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from distillery.data.checking import CheckReport
from distillery.errors import UserError
from distillery.tracking.training_sets.base import (
    RESTORE,
    Track,
    TrainingSet,
    Video,
    require_folders,
    survey,
    track,
)
from distillery.tracking.training_sets.voc_xml import Object, read_objects

NAME = "vid"
TITLE = "ImageNet VID"
ANNOTATIONS, IMAGES = Path("Annotations/VID/train"), Path("Data/VID/train")
_PART = re.compile(r"ILSVRC2015_VID_train_\d{4}")
_FRAME = re.compile(r"(\d{6})\.xml")


def load(root: Path) -> TrainingSet:
    """The training part below the folder that holds `Annotations` and `Data`.

    Raises:
        UserError: If there is no snippet.
    """
    require_folders(root, TITLE, str(ANNOTATIONS), str(IMAGES))
    # Links beside the official folders (pysot's a, b, c …) are the same snippets again.
    parts = sorted(folder for folder in (root / ANNOTATIONS).iterdir() if _PART.fullmatch(folder.name))
    snippets = [snippet for part in parts for snippet in sorted(part.iterdir()) if snippet.is_dir()]
    if not snippets:
        raise UserError(
            "has no folder ILSVRC2015_VID_train_0000 with snippets", file=root / ANNOTATIONS, remedy=RESTORE
        )
    return TrainingSet(TITLE, root, len(snippets), partial(_videos, root, snippets))


def check(root: Path) -> CheckReport:
    """Reads every annotation; the images are decoded by the caller."""
    return survey(NAME, load, Path(root), {})


def _videos(root: Path, snippets: list[Path]) -> Iterator[Video]:
    for snippet in snippets:
        yield _video(root, snippet)


def _video(root: Path, snippet: Path) -> Video:
    files = sorted(file for file in snippet.iterdir() if _FRAME.fullmatch(file.name))
    if not files:
        raise UserError("has no annotation like 000000.xml", file=snippet, remedy=RESTORE)
    name = f"{snippet.parent.name}/{snippet.name}"
    labels = [read_objects(file) for file in files]
    return Video(
        name=name,
        images=tuple(str(IMAGES / name / f"{file.stem}.JPEG") for file in files),
        frames=np.array([int(file.stem) for file in files], np.int64),
        tracks=tuple(_tracks(labels)),
    )


def _tracks(labels: list[list[Object]]) -> Iterator[Track]:
    """The runs of frames of every object; single frames are left out (pysot `gen_json.py`).

    pysot keeps the last run of each object alone: a later one overwrites it under the same name. Here all are kept.
    """
    seen: dict[int, dict[int, Object]] = {}
    for row, objects in enumerate(labels):
        for one in objects:
            seen.setdefault(one.track, {})[row] = one
    for number in sorted(seen):
        rows = np.array(sorted(seen[number]), np.int64)
        for run, part in enumerate(np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)):
            if len(part) < 2:
                continue
            chosen = [seen[number][row] for row in part.tolist()]
            yield track(
                f"{number:02d}" if run == 0 else f"{number:02d}.{run}",
                part,
                [one.box for one in chosen],
                [one.occluded for one in chosen],
                [one.generated for one in chosen],
            )
