"""The tracking half of the config: families of trackers, their runs, and the job parameters cut from them.

Defaults are the published or reference settings; marks follow `docs/decisions.md`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section, parse_tagged
from distillery.config.distillation import Distillation
from distillery.config.pairs import Pairs
from distillery.config.selection import Selection
from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.config.siamrpn import RPNInference, RPNLabels, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.siamrpnpp import SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.config.training import Compute, Name, Optimisation

BenchmarkName = Literal["otb100", "dtb70", "vot2018", "vot2019", "lasot", "trackingnet", "got10k"]
Target = Literal["headline", "ablations"]


class TrackerRun(Section):
    """One training job: the networks that are trained together, and how."""

    networks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of `architectures` or `searched`; with sharing the first is the paper's s1 (dim)."""
    teacher: str | None = None
    """The run whose (single) network teaches; absent means training from ground truth alone."""
    teacher_seed: Annotated[int, Field(ge=0)] | None = None
    """Seed of the teacher; absent means the run's own, so that intervals hold the teacher's variation too."""
    recorded: bool = False
    """Learn from a recording of the teacher, made once for all runs of a seed that say so; the bytes do not change."""
    distillation: Distillation | None = None
    """Distillation losses; required with a teacher."""
    control: Literal["label_map"] | None = None
    """Without a teacher: `label_map` adds a softmax cross-entropy to the label map, weighed by 1, the logistic loss by
    `lam` of the distillation defaults: Teacher Soft's form with the ground truth as teacher (SiamFC)."""
    optimisation: Optimisation
    """Optimiser and schedule."""
    target: Target = "headline"
    """Who asks for it: `snakemake` (`headline`) or `snakemake ablations`."""

    @model_validator(mode="after")
    def _consistent(self) -> TrackerRun:
        if (self.teacher is None) != (self.distillation is None):
            raise ValueError("teacher and distillation go together")
        if self.teacher is None and (self.recorded or self.teacher_seed is not None):
            raise ValueError("recorded and teacher_seed need a teacher")
        if self.recorded and self.teacher_seed is not None:
            raise ValueError("a recording is of the teacher of the run's own seed")
        if self.control and self.teacher is not None:
            raise ValueError("a control has no teacher")
        if self.distillation and self.distillation.sharing and len(self.networks) < 2:
            raise ValueError("sharing needs at least two networks")
        return self


class Family(Section):
    """What every family of trackers has; each gives the first fields their types."""

    geometry: Any
    """Crop sizes."""
    inference: Any
    """Test-time settings."""
    architectures: Any
    """Networks by name."""
    pairs: Pairs
    """Training pairs, the same for every run and network of a seed."""
    searched: dict[Name, Literal["policy", "random", "uniform"]] = Field(default_factory=dict)
    """Networks whose channels are found by `selection`, with the strategy that finds them."""
    selection: Selection | None = None
    """The search for students; required where `searched` names one."""
    runs: Annotated[dict[Name, TrackerRun], Field(min_length=1)]
    """Training jobs by name."""

    @model_validator(mode="after")
    def _names(self) -> Family:
        if both := set(self.architectures) & set(self.searched):
            raise ValueError(f"{min(both)!r} is an architecture and searched as well")
        if self.searched and self.selection is None:
            raise ValueError("searched networks need a selection")
        for name, run in self.runs.items():
            for network in run.networks:
                if network not in self.architectures and network not in self.searched:
                    raise ValueError(f"run {name!r} names the unknown architecture {network!r}")
            if run.teacher is not None:
                teacher = self.runs.get(run.teacher)
                if teacher is None or teacher.teacher is not None or len(teacher.networks) != 1:
                    raise ValueError(f"run {name!r} needs a teacher run with one network, not {run.teacher!r}")
        return self

    @model_validator(mode="after")
    def _recordings(self) -> Family:
        for teacher in {run.teacher for run in self.runs.values() if run.recorded}:
            asked = {name: recording_of(run) for name, run in self.recorded(str(teacher)).items()}
            if any(one != next(iter(asked.values())) for one in asked.values()):
                raise ValueError(
                    f"the runs {', '.join(asked)} share a recording of {teacher!r}, so they need the same steps, "
                    "batch, layers and template"
                )
        return self

    def recorded(self, teacher: str) -> dict[str, TrackerRun]:
        """The runs that learn from a recording of a teacher."""
        return {name: run for name, run in self.runs.items() if run.recorded and run.teacher == teacher}


def recording_of(run: TrackerRun) -> dict[str, Any]:
    """What a recording for this run must hold."""
    assert run.distillation is not None
    return {
        "steps": run.optimisation.steps,
        "batch": run.optimisation.batch,
        "layers": run.distillation.layers,
        "template": run.distillation.template,
    }


class SiamFCFamily(Family):
    """SiamFC teachers and students."""

    geometry: SiamFCGeometry = SiamFCGeometry()
    """Crop and response sizes."""
    inference: SiamFCInference = SiamFCInference()
    """Test-time settings, the same for every network."""
    architectures: Annotated[dict[Name, SiamFCArchitecture], Field(min_length=1)]
    """Networks by name."""


class SiamRPNFamily(Family):
    """SiamRPN teachers and students."""

    geometry: SiamRPNGeometry = SiamRPNGeometry()
    """Crop sizes and anchors."""
    labels: RPNLabels = RPNLabels()
    """Which anchors are trained on, and how the ground-truth losses are weighed."""
    inference: RPNInference = RPNInference()
    """Test-time settings, the same for every network."""
    architectures: Annotated[dict[Name, SiamRPNArchitecture], Field(min_length=1)]
    """Networks by name."""


class SiamRPNPPFamily(Family):
    """SiamRPN++ teachers and students; their depth differs, so nothing is searched."""

    geometry: SiamRPNPPGeometry = SiamRPNPPGeometry()
    """Crop sizes and anchors."""
    labels: RPNLabels = RPNLabels()
    """Which anchors are trained on, and how the ground-truth losses are weighed."""
    inference: RPNInference = RPNInference()
    """Test-time settings, the same for every network."""
    architectures: Annotated[dict[Name, SiamRPNPPArchitecture], Field(min_length=1)]
    """Networks by name."""

    @model_validator(mode="after")
    def _no_search(self) -> SiamRPNPPFamily:
        if self.searched:
            raise ValueError("SiamRPN++ students differ in depth, there is no search for them")
        return self


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
    """One job runs a tracker over all benchmarks, which saves start-up where each takes seconds; else one job each."""

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
