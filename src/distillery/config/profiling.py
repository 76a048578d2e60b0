"""Parameters of the job that measures what networks cost."""

from __future__ import annotations

from distillery.config.base import Section
from distillery.config.siamfc import SiamFCInference
from distillery.config.siamrpn import RPNInference
from distillery.config.siamrpnpp import PYSOT_INFERENCE
from distillery.config.training import Compute


class Inference(Section):
    """Test-time settings by family of trackers; they are part of what a frame takes."""

    siamfc: SiamFCInference = SiamFCInference()
    """SiamFC: every scale is one more pass through the network."""
    siamrpn: RPNInference = RPNInference()
    """SiamRPN."""
    siamrpnpp: RPNInference = PYSOT_INFERENCE
    """SiamRPN++."""


class Profiling(Compute):
    """Resolved parameters of `distillery profile-networks`: where it measures, and what a tracker does in a frame."""

    inference: Inference = Inference()
    """Test-time settings of the trackers."""
