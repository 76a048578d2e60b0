"""Cost of a tracker: what one frame takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillery.config.siamfc import SiamFCInference
from distillery.config.training import Compute
from distillery.engine import cost
from distillery.engine.randomness import numpy_generator
from distillery.tracking.tracker import from_checkpoint


def prepare(checkpoint: Path, compute: Compute, inference: SiamFCInference | None = None) -> cost.Step:
    """One `update`: crops, all scales through the network, peak; absent settings are the published ones."""
    inference = inference or SiamFCInference()
    tracker = from_checkpoint(checkpoint, compute, inference)
    # A still image: the target stays where it is, so every call is the same work.
    image = numpy_generator(0, "cost").integers(0, 256, (360, 480, 3), dtype=np.uint8)
    tracker.init(image, np.array([220.0, 160.0, 40.0, 40.0]))
    scales = f"{inference.scales} scale{'s' * (inference.scales > 1)}"
    return cost.Step(lambda: tracker.update(image), f"one frame: {scales} of {tracker.geometry.search} px")
