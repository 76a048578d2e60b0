"""The tracking half of the config: tracker, pairs, distillation, and the runs of the first paper.

Defaults are the published or reference settings; marks follow `docs/decisions.md`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.training import Compute, Fraction, Name, NonNegative, Optimisation, Positive

Ratio = Annotated[float, Field(gt=0, le=1)]


class SiamFCArchitecture(Section):
    """Channel numbers of a SiamFC backbone, as shrinkage of the published AlexNet (96-256-384-384-256)."""

    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on all channels; 1 gives the published 2,336,320 parameters."""
    ratios: tuple[Ratio, Ratio, Ratio, Ratio, Ratio] = (1.0, 1.0, 1.0, 1.0, 1.0)
    """Shrinkage of each layer's channels on top of `width`, as the layer-shrinkage actions of the paper."""


class SiamFCGeometry(Section):
    """Sizes of crops and response (SiamFC, section 3; siamfc-pytorch)."""

    exemplar: Positive = 127
    """Side of the exemplar crop in pixels."""
    search: Positive = 255
    """Side of the search region at test time in pixels."""
    train_search: Positive = 239
    """Side of the search region in training (255 - 16: the random crop's margin)."""
    context: NonNegative = 0.5
    """Context around the target: s = sqrt((w+p)(h+p)), p = context * (w+h)."""
    response_scale: Annotated[float, Field(gt=0)] = 1e-3
    """Factor on the cross-correlation (reference: 0.001)."""

    @model_validator(mode="after")
    def _fits_the_stride(self) -> SiamFCGeometry:
        # Without padding a crop of 87 + 8k pixels ends exactly on a position of the last map.
        for name, side in (("exemplar", self.exemplar), ("search", self.search), ("train_search", self.train_search)):
            if side < 87 or side % 8 != 7:
                raise ValueError(f"{name} must be 87, 95, 103 and so on: AlexNet's stride is 8 and it has no padding")
        if min(self.search, self.train_search) < self.exemplar:
            raise ValueError("the search region must not be smaller than the exemplar")
        return self


class TrackerInference(Section):
    """Test-time settings of the three-scale tracker (siamfc-pytorch, 3-scale values)."""

    scales: Positive = 3
    """Number of search scales."""
    scale_step: Annotated[float, Field(ge=1)] = 1.0375
    """Ratio of neighbouring scales."""
    scale_penalty: Fraction = 0.9745
    """Factor on the peak of a changed scale."""
    scale_rate: Fraction = 0.59
    """Learning rate of the scale."""
    window: Fraction = 0.176
    """Influence of the cosine window."""
    response_up: Positive = 16
    """Bicubic upsampling of the response."""


class Pairs(Section):
    """How training pairs are drawn and augmented (siamfc-pytorch)."""

    epoch: Positive
    """Pairs in an epoch; pair i takes clip i modulo the number of clips, its frames are drawn anew in each epoch."""
    max_gap: Positive = 100
    """Largest distance in frames between exemplar and search frame."""
    stretch: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Largest relative random stretch."""
    shift: Annotated[int, Field(ge=0)] = 4
    """Largest random shift of the target in the search crop, in pixels either way (reference: 247 to 239 by chance)."""
    colour: NonNegative = 0.0
    """Largest random brightness and contrast change, as a fraction; 0 is the reference."""


class Sharing(Section):
    """Student-student sharing with the conditional suppressing weight (TSsKD)."""

    beta: NonNegative = 0.5
    """Factor on the sharing term of every student but the first."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """f(e) = decay ** e, with e the epoch."""
    threshold: NonNegative = 0.005
    """h: a student's knowledge is shared while its ground-truth loss exceeds the teacher's by less than h."""
    gate: Literal["other", "own"] = "other"
    """Whose reliability opens the gate: the giving student's (`other`, the paper as recalled) or one's own (CFKD)."""
    granularity: Literal["sample", "batch"] = "batch"
    """Whether the gate is one scalar a batch (CFKD) or one a sample."""


class Distillation(Section):
    """Weights and forms of the distillation losses (TSKD; defaults found in the public CFKD code)."""

    eta: NonNegative = 1.0
    """Weight of the Teacher Soft loss."""
    lam: NonNegative = 0.1
    """Weight of the Adaptive Hard loss (lambda)."""
    omega: NonNegative = 100.0
    """Weight of the Siamese Target Response loss."""
    margin: NonNegative = 0.005
    """m of the Adaptive Hard gate; it acts on box regression, so SiamFC does not feel it."""
    soft: Literal["softmax", "bernoulli"] = "softmax"
    """Teacher Soft as one softmax over the response map, or one Bernoulli a location."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Temperature of Teacher Soft."""
    direction: Literal["forward", "reverse"] = "forward"
    """`forward` is KL(teacher || student), `reverse` KL(student || teacher); the paper's direction is not certain."""
    layers: tuple[Annotated[int, Field(ge=1, le=5)], ...] = (3, 4, 5)
    """tau: the convolution layers whose target responses are compared (the paper's set is unknown)."""
    template: Annotated[int, Field(ge=1)] = 3
    """Odd side to which the target branch's map is pooled before it weighs the search branch."""
    sharing: Sharing | None = None
    """Student-student sharing; absent for plain TSKD."""

    @model_validator(mode="after")
    def _odd(self) -> Distillation:
        if self.template % 2 == 0:
            raise ValueError("template must be odd, so that the weight map has the search map's size")
        return self


class TrackerRun(Section):
    """One training job: the networks that are trained together, and how."""

    networks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of `architectures`; the first is the paper's s1 (dim)."""
    teacher: str | None = None
    """The run whose (single) network teaches; absent means training from ground truth alone."""
    distillation: Distillation | None = None
    """Distillation losses; required with a teacher."""
    optimisation: Optimisation
    """Optimiser and schedule."""

    @model_validator(mode="after")
    def _consistent(self) -> TrackerRun:
        if (self.teacher is None) != (self.distillation is None):
            raise ValueError("teacher and distillation go together")
        if self.distillation and self.distillation.sharing and len(self.networks) < 2:
            raise ValueError("sharing needs at least two networks")
        return self


class Tracking(Section):
    """The first paper."""

    geometry: SiamFCGeometry = SiamFCGeometry()
    """Crop and response sizes."""
    inference: TrackerInference = TrackerInference()
    """Test-time settings, the same for every network."""
    pairs: Pairs
    """Training pairs, the same for every run and network of a seed."""
    architectures: Annotated[dict[Name, SiamFCArchitecture], Field(min_length=1)]
    """Networks by name."""
    runs: Annotated[dict[Name, TrackerRun], Field(min_length=1)]
    """Training jobs by name."""
    baselines: tuple[Literal["static", "ncc"], ...] = ("static", "ncc")
    """Trivial trackers that stand in the tables."""
    benchmarks: tuple[Literal["otb100"], ...] = ("otb100",)
    """Benchmarks to run on."""

    @model_validator(mode="after")
    def _names(self) -> Tracking:
        for name, run in self.runs.items():
            for network in run.networks:
                if network not in self.architectures:
                    raise ValueError(f"run {name!r} names the unknown architecture {network!r}")
            if run.teacher is not None:
                teacher = self.runs.get(run.teacher)
                if teacher is None or teacher.teacher is not None or len(teacher.networks) != 1:
                    raise ValueError(f"run {name!r} needs a teacher run with one network, not {run.teacher!r}")
        return self


class TrackerTraining(Section):
    """Resolved parameters of one tracker training job."""

    seed: int
    """Seed of the job."""
    compute: Compute
    """Where it computes."""
    geometry: SiamFCGeometry
    """Crop and response sizes."""
    pairs: Pairs
    """Training pairs."""
    architectures: Annotated[dict[Name, SiamFCArchitecture], Field(min_length=1)]
    """The networks of this job, in the run's order."""
    distillation: Distillation | None
    """Distillation losses, absent for ground truth alone."""
    optimisation: Optimisation
    """Optimiser and schedule."""

    @model_validator(mode="after")
    def _sharing(self) -> TrackerTraining:
        if self.distillation and self.distillation.sharing and len(self.architectures) < 2:
            raise ValueError("sharing needs at least two networks")
        return self


class TrackJob(Section):
    """Resolved parameters of one benchmark run of one tracker."""

    compute: Compute = Compute()
    """Where it computes."""
    inference: TrackerInference = TrackerInference()
    """Test-time settings."""
