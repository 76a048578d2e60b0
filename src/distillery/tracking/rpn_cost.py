"""Cost of a tracker with region proposals: what one frame takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillery.config.siamrpn import RPNInference
from distillery.config.training import Compute
from distillery.engine import cost
from distillery.engine.randomness import numpy_generator
from distillery.tracking.rpn_tracker import from_checkpoint


def prepare(checkpoint: Path, compute: Compute) -> cost.Step:
    """One `update` with the published settings on a target of ordinary size: crop, network, best anchor."""
    # Rate 0 keeps the box's size, so that every call is the same work whatever the network answers.
    tracker = from_checkpoint(checkpoint, compute, RPNInference(rate=0.0, adaptive=False))
    image = numpy_generator(0, "cost").integers(0, 256, (360, 480, 3), dtype=np.uint8)
    tracker.init(image, np.array([220.0, 160.0, 40.0, 40.0]))
    return cost.Step(lambda: tracker.update(image), f"one frame: 1 crop of {tracker.geometry.search} px")
