"""ImageNet DET (ILSVRC2015): `{Annotations,Data}/DET/train/FOLDER[/WNID]/NAME.{xml,JPEG}`, each object a still track.

Layout: readme of the ILSVRC2015 development kit, section 2.2. Images without an annotation (the negatives of
`ILSVRC2013_DET_train_extra*`) hold no target and are not listed. pysot trains on the training part, and so is it here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from distillery.data.checking import CheckReport
from distillery.errors import UserError
from distillery.tracking.training_sets.base import RESTORE, TrainingSet, Video, require_folders, survey, track
from distillery.tracking.training_sets.voc_xml import read_objects

NAME = "det"
TITLE = "ImageNet DET"
ANNOTATIONS, IMAGES = Path("Annotations/DET/train"), Path("Data/DET/train")
_PARTS = ("ILSVRC2013_", "ILSVRC2014_")


def load(root: Path) -> TrainingSet:
    """The training part below the folder that holds `Annotations` and `Data`.

    Raises:
        UserError: If there is no annotation.
    """
    require_folders(root, TITLE, str(ANNOTATIONS), str(IMAGES))
    names = sorted(_names(root / ANNOTATIONS))
    if not names:
        raise UserError(
            "has no annotation below ILSVRC2013_train, ILSVRC2014_…", file=root / ANNOTATIONS, remedy=RESTORE
        )
    return TrainingSet(TITLE, root, len(names), partial(_videos, root, names))


def check(root: Path) -> CheckReport:
    """Reads every annotation; the images are decoded by the caller."""
    return survey(NAME, load, Path(root), {})


def _names(folder: Path) -> Iterator[str]:
    """Annotations below the official folders, one or two levels deep, as paths without their suffix.

    Links beside the official folders (pysot's a, b, c …) are the same images again.
    """
    for part in folder.iterdir():
        if not part.name.startswith(_PARTS):
            continue
        for place, _, files in os.walk(part, followlinks=False):
            below = os.path.relpath(place, folder)
            yield from (f"{below}/{file[:-4]}" for file in files if file.endswith(".xml") and file[0] != ".")


def _videos(root: Path, names: list[str]) -> Iterator[Video]:
    for name in names:
        objects = read_objects(root / ANNOTATIONS / f"{name}.xml")
        yield Video(
            name=name,
            images=(str(IMAGES / f"{name}.JPEG"),),
            frames=np.zeros(1, np.int64),
            tracks=tuple(track(f"{number:02d}", [0], [one.box]) for number, one in enumerate(objects)),
        )
