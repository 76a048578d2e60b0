"""The tracking half of the config, and the job parameters cut from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section, parse_tagged
from distillery.config.distillation import Distillation
from distillery.config.families import Family, SiamFCFamily, SiamRPNFamily, SiamRPNPPFamily, check_crops
from distillery.config.pairs import Pairs
from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.config.siamrpn import RPNInference, RPNLabels, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.siamrpnpp import SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.config.training import Compute, Name, NonNegative, Optimisation, Positive

BenchmarkName = Literal["otb100", "dtb70", "vot2018", "vot2019", "lasot", "trackingnet", "got10k"]


class Tracking(Section):
    """The first paper."""

    siamfc: SiamFCFamily
    """SiamFC (Bertinetto et al., 2016)."""
    siamrpn: SiamRPNFamily | None = None
    """SiamRPN (Li et al., 2018) in the layout of DaSiamRPN's large model."""
    siamrpnpp: SiamRPNPPFamily | None = None
    """SiamRPN++ (Li et al., 2019)."""
    baselines: tuple[Literal["static", "ncc"], ...] = ("static", "ncc")
    """Trivial trackers that stand in the tables."""
    benchmarks: Annotated[tuple[BenchmarkName, ...], Field(min_length=1)] = ("otb100",)
    """Benchmarks to run on, in the order of the tables."""
    protocols: dict[BenchmarkName, str] = Field(default_factory=dict)
    """Scoring protocol of a benchmark where it is not the default one (docs/decisions.md)."""
    together: bool = True
    """One job runs a tracker of all seeds over all benchmarks, which saves start-up where each takes seconds; else one
    job each."""

    @property
    def families(self) -> dict[str, Family]:
        """The families of this profile by name."""
        present = {"siamfc": self.siamfc, "siamrpn": self.siamrpn, "siamrpnpp": self.siamrpnpp}
        return {name: family for name, family in present.items() if family is not None}


class TrackerTraining(Section):
    """Resolved parameters of one tracker training job; each family gives the first fields their types."""

    family: Any
    """Family of trackers."""
    geometry: Any
    """Crop sizes."""
    architectures: Any
    """The networks that the config describes; searched ones come from files."""
    seed: int
    """Seed of the job."""
    compute: Compute
    """Where it computes."""
    pairs: Pairs
    """Training pairs."""
    networks: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of the networks in the run's order."""
    distillation: Distillation | None
    """Distillation losses, absent without a teacher."""
    control: Literal["label_map"] | None = None
    """The control loss, for a run without a teacher."""
    optimisation: Optimisation
    """Optimiser and schedule."""

    @model_validator(mode="after")
    def _crops_are_seen(self) -> TrackerTraining:
        check_crops(self.architectures, self.geometry)
        return self

    @model_validator(mode="after")
    def _sharing(self) -> TrackerTraining:
        if self.distillation and self.distillation.sharing and len(self.networks) < 2:
            raise ValueError("sharing needs at least two networks")
        return self


class SiamFCTraining(TrackerTraining):
    """A job that trains SiamFC networks."""

    family: Literal["siamfc"]
    """Family of trackers."""
    geometry: SiamFCGeometry
    """Crop and response sizes."""
    architectures: dict[Name, SiamFCArchitecture]
    """The networks that the config describes; searched ones come from files."""


class SiamRPNTraining(TrackerTraining):
    """A job that trains SiamRPN networks."""

    family: Literal["siamrpn"]
    """Family of trackers."""
    geometry: SiamRPNGeometry
    """Crop sizes and anchors."""
    labels: RPNLabels
    """Anchors and weights of the ground-truth losses."""
    architectures: dict[Name, SiamRPNArchitecture]
    """The networks that the config describes; searched ones come from files."""


class SiamRPNPPTraining(TrackerTraining):
    """A job that trains SiamRPN++ networks."""

    family: Literal["siamrpnpp"]
    """Family of trackers."""
    geometry: SiamRPNPPGeometry
    """Crop sizes and anchors."""
    labels: RPNLabels
    """Anchors and weights of the ground-truth losses."""
    architectures: dict[Name, SiamRPNPPArchitecture]
    """The networks that the config describes."""


TRAININGS: dict[str, type[TrackerTraining]] = {
    "siamfc": SiamFCTraining,
    "siamrpn": SiamRPNTraining,
    "siamrpnpp": SiamRPNPPTraining,
}
"""Family -> type of its job parameters."""


class CropJob(Section):
    """Resolved parameters of the job that makes a family's crops: what their scale and size follow from."""

    family: Name
    """Family of trackers."""
    exemplar: Positive
    """Side of the exemplar crop in pixels."""
    train_search: Positive
    """Side of the search region in training."""
    context: NonNegative
    """Context around the target."""
    pairs: Pairs
    """Training pairs, whose shifts and stretches the crops must hold."""


class TrackJob(Section):
    """Resolved parameters of benchmark runs of one tracker."""

    compute: Compute = Compute()
    """Where it computes."""
    inference: Annotated[SiamFCInference | RPNInference, Field(discriminator="kind")] | None = None
    """Test-time settings; absent means the defaults of the checkpoint's family."""


ARCHITECTURES: dict[str, type[Section]] = {
    "siamfc": SiamFCArchitecture,
    "siamrpn": SiamRPNArchitecture,
    "siamrpnpp": SiamRPNPPArchitecture,
}
"""Family -> section of an architecture, as a search's result holds it."""


def parse_training(text: str) -> TrackerTraining:
    """The parameters of a training job, of whichever family they say."""
    return parse_tagged(TRAININGS, "family", text)
