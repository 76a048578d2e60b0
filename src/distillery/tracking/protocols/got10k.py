"""GOT-10k's protocol (Huang, Zhao, Huang, TPAMI 2019): average overlap and success rates over all frames at once.

As `got10k/experiments/got10k.py` of got-10k/toolkit has it: the first frame does not count, nor do frames in which the
target is hidden; boxes are cut to the image; the frames of all sequences and repetitions are one pool.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distillery.tracking.boxes import FloatArray, iou

THRESHOLDS: FloatArray = np.linspace(0, 1, 101)

VARIANTS = {"got10k": "got-10k/toolkit"}
DEFAULT = "got10k"


def overlaps(
    boxes: FloatArray, truth: FloatArray, cover: npt.NDArray[np.int64], image_size: tuple[int, int] | None
) -> FloatArray:
    """Overlaps of the frames of one run that count.

    Args:
        boxes: (N, 4) predicted left, top, width, height.
        truth: (N, 4) ground truth in the same numbering.
        cover: (N,) level of visibility, 0 where the target is hidden.
        image_size: Width and height at which boxes are cut; None leaves them whole.
    """
    found, real = (_cut(array[1:], image_size) for array in (boxes, truth))
    return iou(found, real)[cover[1:] > 0]


def numbers(overlap: FloatArray) -> dict[str, float | None]:
    """Average overlap, and shares of frames with an overlap above 0.50 and 0.75; None where no frame counts."""
    if not len(overlap):
        return {"ao": None, "sr_50": None, "sr_75": None}
    return {
        "ao": float(overlap.mean()),
        "sr_50": float((overlap > 0.5).mean()),
        "sr_75": float((overlap > 0.75).mean()),
    }


def curve(overlap: FloatArray) -> FloatArray:
    """(101,) share of frames with an overlap above each threshold."""
    counts = np.searchsorted(np.sort(overlap), THRESHOLDS, side="right")
    return (len(overlap) - counts) / max(len(overlap), 1)


def _cut(boxes: FloatArray, image_size: tuple[int, int] | None) -> FloatArray:
    if image_size is None:
        return boxes
    size = np.asarray(image_size, dtype=np.float64)
    low = np.clip(boxes[:, :2], 0, size)
    return np.concatenate([low, np.clip(boxes[:, 2:], 0, size - low)], axis=1)
