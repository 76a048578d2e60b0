"""The crops of a training set in one file, made once for all jobs that draw pairs from it (pysot's `par_crop.py`).

A training job opens the file instead of decoding frames; it maps the pages that it needs, which jobs of one machine
share. What a pair holds does not change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence as Sequences
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from distillery.config.pairs import Pairs
from distillery.config.tracking import CropJob
from distillery.data.manifest import dataset_root
from distillery.engine.checkpoint import save_tensors
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking.augmentation import margin
from distillery.tracking.benchmarks import got10k
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.crops import Surroundings
from distillery.tracking.pairs import Geometry, usable_clips, wide_crop_of

MOST_BYTES = 8_000_000_000
"""Crops of more bytes than this are not kept: they must fit into the page cache to be of use."""
_REMEDY = "make the crops again"


class CropStore:
    """The crops of a file, looked up by clip and frame.

    Args:
        path: What `crop_clips` wrote.
        key: `crop_key` of the job that reads it.

    Raises:
        UserError: If the file is missing, damaged, or of other data or sizes.
    """

    def __init__(self, path: Path, key: str) -> None:
        if not path.is_file():
            raise UserError("does not exist", file=path, remedy=_REMEDY)
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                about = json.loads((file.metadata() or {})["crops"])
                if about["key"] != key:
                    raise UserError("holds crops of other data or other sizes", file=path, remedy=_REMEDY)
                names = about["clips"]
                # Not read but mapped: a page is loaded when a crop on it is asked for.
                self._pixels: npt.NDArray[np.uint8] = file.get_tensor("pixels").numpy()
                places, sides, views = (file.get_tensor(name).tolist() for name in ("place", "side", "view"))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"is truncated or not a file of crops ({error})", file=path, remedy=_REMEDY) from error
        self._rows: dict[tuple[str, int], tuple[int, int, list[float]]] = {}
        begin = 0
        for (clip, frame), side, view in zip(places, sides, views, strict=True):
            self._rows[names[clip], frame] = begin, side, view
            begin += 3 * side * side

    def get(self, clip: str, frame: int) -> Surroundings | None:
        """The target of a frame with its margin, or None if the file does not hold it."""
        row = self._rows.get((clip, frame))
        if row is None:
            return None
        begin, side, (x, y, scale) = row
        return Surroundings(self._pixels[begin : begin + 3 * side * side].reshape(side, side, 3), (x, y), scale)


def crop_key(pairs: Pairs, geometry: Geometry, manifest: Path) -> str:
    """Hash of all that the crops depend on: their scale and size, and the data."""
    size = margin(pairs, geometry.exemplar, geometry.train_search)
    return sha256_of(
        {"exemplar": geometry.exemplar, "context": geometry.context, "size": size, "data": sha256_of_file(manifest)}
    )


def crop_clips(job: CropJob, manifest: Path, out: Path, *, workers: int = 1) -> int:
    """Makes the crops of every usable frame of a training set.

    Args:
        job: Resolved parameters.
        manifest: Of the GOT-10k training set; the data lie in the folder of the same name.
        out: File to write.
        workers: Threads that read and crop; their number does not change the file.

    Returns:
        The number of crops.

    Raises:
        UserError: If no frame can be used, one is damaged, or the crops are too many to be kept.
    """
    clips = usable_clips(got10k.load(dataset_root(manifest), "train"))
    made = _cut(clips, job, out, workers)
    save_tensors(
        out,
        {
            "pixels": torch.from_numpy(np.concatenate([crop.image.reshape(-1) for crop in made])),
            "place": torch.tensor([(clip, frame) for clip, (_, frames) in enumerate(clips) for frame in frames]),
            "side": torch.tensor([len(crop.image) for crop in made]),
            "view": torch.tensor([(*crop.centre, crop.scale) for crop in made], dtype=torch.float64),
        },
        # One entry: safetensors writes several in any order.
        {"crops": json.dumps({"key": crop_key(job.pairs, job, manifest), "clips": [clip.name for clip, _ in clips]})},
    )
    return len(made)


def _cut(
    clips: Sequences[tuple[Sequence, npt.NDArray[np.int64]]], job: CropJob, out: Path, workers: int
) -> list[Surroundings]:
    """The crops of all usable frames, clip by clip."""
    wanted = [(clip, int(frame)) for clip, frames in clips for frame in frames]
    size, total = margin(job.pairs, job.exemplar, job.train_search), 0
    made: list[Surroundings] = []
    cv2.setNumThreads(1)  # the threads are ours; OpenCV would start as many as there are cores for each
    with ThreadPoolExecutor(workers) as pool, Progress(f"crop {job.family} pairs", len(wanted)) as progress:
        for crop in pool.map(lambda one: wide_crop_of(one[0], one[1], size, job), wanted):
            made.append(crop)
            total += crop.image.nbytes
            if total > MOST_BYTES:
                raise UserError(
                    f"the crops take more than {MOST_BYTES / 1e9:g} GB, too much to be kept",
                    file=out,
                    remedy=f"set tracking.{job.family}.stored_crops to false",
                )
            progress.update()
    return made
