"""Cost of a tracker with region proposals: what one frame takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillery.config.siamrpn import RPNInference
from distillery.config.training import Compute
from distillery.engine import cost
from distillery.engine.randomness import numpy_generator
from distillery.tracking.rpn_tracker import from_checkpoint


def prepare(checkpoint: Path, compute: Compute, inference: RPNInference | None = None) -> cost.Step:
    """One `update` on a target of ordinary size: crop, network, best anchor; absent settings are the published ones.

    The target takes 0.9 % of the frame; the search region is that which the settings give to such a one.
    """
    # Rate 0 keeps the box's size, so that every call is the same work whatever the network answers.
    settings = (inference or RPNInference()).model_copy(update={"rate": 0.0})
    tracker = from_checkpoint(checkpoint, compute, settings)
    image = numpy_generator(0, "cost").integers(0, 256, (360, 480, 3), dtype=np.uint8)
    tracker.init(image, np.array([220.0, 160.0, 40.0, 40.0]))
    return cost.Step(lambda: tracker.update(image), f"one frame: 1 crop of {tracker.search_side} px")
