"""Families of trackers: their geometry, their networks, and the runs that train these.

Defaults are the published or reference settings; marks follow `docs/decisions.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section, fault_at
from distillery.config.distillation import Distillation
from distillery.config.pairs import Pairs
from distillery.config.selection import Selection
from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.config.siamrpn import RPNInference, RPNLabels, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.siamrpnpp import PYSOT_INFERENCE, SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.config.training import Name, Optimisation
from distillery.config.weights import weights_file

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
    stored_crops: bool = False
    """Keep the crops of the training set in one file for all jobs of the family, rather than decode its frames in each;
    for sets whose crops take a few gigabytes. Pairs do not change."""
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
    def _one_kind_of_crops(self) -> Family:
        if self.stored_crops and self.pairs.sources:
            raise ValueError("stored_crops are those of GOT-10k's clips; pairs with sources have shards")
        return self

    @model_validator(mode="after")
    def _crops_are_seen(self) -> Family:
        check_crops(self.architectures, self.geometry)
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

    def pretrained(self, run: str) -> dict[str, str]:
        """Network of a run -> local file of the weights that it begins with."""
        return pretrained_files({name: self.architectures.get(name) for name in self.runs[run].networks})


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
    inference: RPNInference = PYSOT_INFERENCE
    """Test-time settings, the same for every network."""
    architectures: Annotated[dict[Name, SiamRPNPPArchitecture], Field(min_length=1)]
    """Networks by name."""

    @model_validator(mode="after")
    def _no_search(self) -> SiamRPNPPFamily:
        if self.searched:
            raise ValueError("SiamRPN++ students differ in depth, there is no search for them")
        return self


def pretrained_files(architectures: Mapping[str, Any]) -> dict[str, str]:
    """Network -> local file of the weights that it begins with.

    Args:
        architectures: Sections by name; None for a network that is searched.
    """
    begun = {name: one for name, one in architectures.items() if getattr(one, "pretraining", None)}
    return {name: weights_file(one.pretraining.weights, one.backbone) for name, one in begun.items()}


def check_crops(architectures: Mapping[str, Any], geometry: Any) -> None:
    """Refuses, as a validator does, an architecture that cannot see the crops.

    Args:
        architectures: Sections by name, below the key `architectures`; a searched one has the layout of its teacher.
        geometry: Section of the crops, below `geometry`.

    Raises:
        ValidationError: Naming the architecture.
    """
    for name, architecture in architectures.items():
        if fault := geometry.misfit(architecture.layout):
            found = {"layout": architecture.layout}
            raise fault_at(("architectures", name), f"cannot see the crops of `geometry`: {fault}", found)
