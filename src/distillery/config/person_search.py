"""The person-search half of the config: networks, teachers, tables and the runs of the second paper."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.data import EmbeddedCUHKSYSU
from distillery.config.families import Target
from distillery.config.search_distillation import DetectorDistillation, LookUp, QueryGuidance, ReIDTeacher
from distillery.config.search_network import Identification, LossWeights, Proposals, Regions, Resize, ResNetShape
from distillery.config.training import Name, Optimisation, Positive

Method = Literal["oim", "qeeps", "detector"]
"""`oim` (Xiao et al., CVPR 2017), `qeeps` (Munjal et al., CVPR 2019), `detector`: detection alone, as a teacher."""
TrainingSet = Literal["cuhk_sysu", "prw"]
"""Datasets that have a training part; each trains networks of its own."""

TESTS: dict[str, tuple[str, ...]] = {"cuhk_sysu": ("cuhk_sysu",), "prw": ("prw", "prw_mini")}
"""Training set -> benchmarks with which its networks are tested."""


def tests(benchmark: str, method: str) -> tuple[str, ...]:
    """Benchmarks of a method's networks; QEEPS looks at every pair of query and image, which PRW-mini was made for."""
    return tuple(name for name in TESTS[benchmark] if method != "qeeps" or name != "prw")


class Student(Section):
    """One way of training a network in a run; its variant is called `<network>-<student>`."""

    table: Name | None = None
    """Look-up table that replaces the online one; absent is the plain method."""
    frozen: bool = True
    """Whether that table stays as it is (the paper's); otherwise it only starts the online table."""
    detector: DetectorDistillation | None = None
    """What it learns from the detection teacher of its seed."""
    start: Name | None = None
    """Student of an `oim` run from whose network of the same name the training starts; absent is from scratch or from
    the backbone's pre-trained weights."""
    queue: Annotated[int, Field(ge=0)] | None = None
    """Instead of `identification.queue`."""
    batch_norm: bool | None = None
    """Instead of `identification.batch_norm`."""
    identities: Positive | None = None
    """Labelled identities to learn from, the first of the training set; the others count as unlabelled."""


class SearchRun(Section):
    """One training job for each training set, network and seed: its students see the same batches, and a detection
    teacher looks at each batch once for all of them."""

    method: Method = "oim"
    """What is trained."""
    networks: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of `networks`; one job each."""
    students: Annotated[dict[Name, Student], Field(min_length=1)]
    """Ways of training it, by name; names are unique among the runs of a method and network."""
    optimisation: Optimisation
    """Optimiser and schedule."""
    benchmarks: Annotated[tuple[TrainingSet, ...], Field(min_length=1)] | None = None
    """Training sets; absent is all of the profile."""
    target: Target = "headline"
    """Who asks for it: `snakemake` (`headline`) or `snakemake ablations`."""


class Pretraining(Section):
    """Weights for backbones of which nobody publishes any: OIM networks trained on an embedded set of their own.

    They stand for ImageNet's: trained once, on other people, and the same for every seed, set and method.
    """

    data: EmbeddedCUHKSYSU
    """The set; only its training part is used, and its seed is no other set's."""
    networks: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of the `networks` that start from such weights, in `checkpoints/<profile>/person_search/pretraining`."""
    seed: int = 0
    """Seed of the training."""
    optimisation: Optimisation
    """Optimiser and schedule."""


class PersonSearch(Section):
    """The second paper."""

    benchmarks: Annotated[tuple[TrainingSet, ...], Field(min_length=1)] = ("cuhk_sysu",)
    """Training sets of the profile, in the order of the tables."""
    resize: Resize = Resize()
    """Input size of every network."""
    proposals: Proposals = Proposals()
    """Region proposal network."""
    regions: Regions = Regions()
    """Regions of interest and detection head."""
    identification: Identification = Identification()
    """Id feature and OIM loss."""
    weights: LossWeights = LossWeights()
    """Loss weights."""
    query: QueryGuidance = QueryGuidance()
    """What QEEPS adds to OIM."""
    networks: dict[Name, ResNetShape]
    """Backbones by name."""
    pretraining: Pretraining | None = None
    """How weights that backbones start from are made; absent where files of the user's are named, or none."""
    detection_teacher: str | None = None
    """Variant (`<network>-<student>`) of the `detector` run that teaches detection."""
    reid_teacher: ReIDTeacher
    """The network on crops whose features fill tables."""
    tables: dict[Name, LookUp]
    """Look-up tables by name."""
    runs: dict[Name, SearchRun]
    """Training jobs by name."""
    together: bool = True
    """Whether one job does the work of all seeds (a run's training, a table, a run's searches), which saves starting
    many short ones; otherwise each seed has a job of its own."""
    baselines: tuple[Literal["histogram"], ...] = ("histogram",)
    """Trivial methods that stand in the tables."""

    @model_validator(mode="after")
    def _names(self) -> PersonSearch:
        known = self.variants()
        for network in self.pretraining.networks if self.pretraining else ():
            if network not in self.networks:
                raise ValueError(f"pretraining names the unknown network {network!r}")
            if self.networks[network].pretrained is not None:
                raise ValueError(f"network {network!r} has a pretraining, and other weights under `pretrained`")
        for name, run in self.runs.items():
            for network in run.networks:
                if network not in self.networks:
                    raise ValueError(f"run {name!r} names the unknown network {network!r}")
            for label, student in run.students.items():
                place = f"student {label!r} of run {name!r}"
                if student.table is not None and student.table not in self.tables:
                    raise ValueError(f"{place} names the unknown table {student.table!r}")
                if student.detector and f"detector/{self.detection_teacher}" not in known:
                    raise ValueError(f"{place} needs detection_teacher, the variant of a run with method detector")
                for network in run.networks if student.start else ():
                    if f"oim/{network}-{student.start}" not in known:
                        raise ValueError(f"{place} starts from the unknown student {student.start!r} of {network!r}")
                if run.method == "detector" and (student.table or student.detector):
                    raise ValueError(f"{place} is a detector: it has no table and no teacher")
        for name, table in self.tables.items():
            if table.construction == "random" or table.teacher == "reid":
                continue
            if table.teacher not in known or str(table.teacher).startswith("detector/"):
                raise ValueError(f"table {name!r} names the unknown teacher {table.teacher!r}")
        return self

    def variants(self) -> dict[str, str]:
        """`method/variant` of every trained network -> the run that trains it.

        Raises:
            ValueError: If two runs train the same one.
        """
        found: dict[str, str] = {}
        for name, run in self.runs.items():
            for network in run.networks:
                for student in run.students:
                    key = f"{run.method}/{network}-{student}"
                    if key in found:
                        raise ValueError(f"runs {found[key]!r} and {name!r} both train {key!r}")
                    found[key] = name
        return found
