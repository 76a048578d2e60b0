"""GOT-10k's training split as a set of crops: one track a sequence, of the frames that trackers may learn from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from distillery.tracking.benchmarks import got10k
from distillery.tracking.boxes import to_pixels
from distillery.tracking.training_sets.base import TrainingSet, Video, track
from distillery.tracking.usable import usable_frames

NAME = "got10k"
TITLE = "GOT-10k"


def load(root: Path) -> TrainingSet:
    """The training split, read by the benchmark's reader; frames are chosen as in siamfc-pytorch (`usable_frames`)."""
    clips = got10k.load(root, "train")
    return TrainingSet(TITLE, root, len(clips), partial(_videos, root, clips))


def _videos(root: Path, clips: list[got10k.GOT10kSequence]) -> Iterator[Video]:
    for clip in clips:
        usable = usable_frames(clip)
        hidden = clip.cover[usable] < got10k.MAX_COVER
        yield Video(
            name=clip.name,
            images=tuple(str(file.relative_to(root)) for file in clip.frames),
            frames=np.arange(1, len(clip) + 1, dtype=np.int64),
            tracks=(track("00", usable, to_pixels(clip.truth, clip.first_pixel)[usable], hidden),),
        )
