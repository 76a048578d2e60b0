"""Which frames a tracker may learn from."""

from __future__ import annotations

from collections.abc import Sequence as Sequences

import numpy as np
import numpy.typing as npt

from distillery.data.images import image_size
from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence


def usable_clips(clips: Sequences[Sequence]) -> list[tuple[Sequence, npt.NDArray[np.int64]]]:
    """The clips with two or more usable frames, and those frames.

    Raises:
        UserError: If there is none.
    """
    usable = [(clip, usable_frames(clip)) for clip in clips]
    found = [(clip, frames) for clip, frames in usable if len(frames) >= 2]
    if not found:
        raise UserError(
            "no training clip has two frames with a usable box",
            file=clips[0].truth_file.parent.parent if clips else None,
            remedy="check the dataset with `distillery check`",
        )
    return found


def usable_frames(clip: Sequence) -> npt.NDArray[np.int64]:
    """Frames whose box can be learnt from (siamfc-pytorch `Pair._filter`).

    Sides 20..500 px and 1..50 % of the image's sides, aspect 1/4..4, and, where the clip is labelled, a level of
    visibility (0..8) above 1 and above 30 % of the clip's best.
    """
    width, height = clip.truth[:, 2], clip.truth[:, 3]
    across, down = clip.image_size or image_size(clip.frames[0])
    shares = width / across, height / down
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = width / height
    fits = (
        (np.minimum(width, height) >= 20)
        & (np.maximum(width, height) <= 500)
        & (np.minimum(*shares) >= 0.01)
        & (np.maximum(*shares) <= 0.5)
        & (aspect >= 0.25)
        & (aspect <= 4)
    )
    cover = getattr(clip, "cover", None)
    if cover is not None:
        fits &= cover > max(1, 0.3 * float(cover.max()))  # levels 0..8
    return np.flatnonzero(fits)
