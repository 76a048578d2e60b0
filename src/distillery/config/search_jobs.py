"""Resolved parameters of the second paper's jobs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distillery.config.base import Section
from distillery.config.person_search import Method
from distillery.config.search_distillation import DetectorDistillation, LookUp, QueryGuidance, ReIDTeacher
from distillery.config.search_network import Identification, LossWeights, Proposals, Regions, Resize, ResNetShape
from distillery.config.training import Compute, Optimisation, Positive

Variant = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


class ReIDTraining(Section):
    """Resolved parameters of a re-ID teacher's training job."""

    seed: int
    """Seed of the job."""
    compute: Compute
    """Where it computes."""
    dimension: Positive
    """Length of the feature, equal to the student's."""
    teacher: ReIDTeacher
    """Network, crops and optimisation."""


class LookUpJob(Section):
    """Resolved parameters of a look-up-table job."""

    seed: int
    """Seed (for the random control)."""
    compute: Compute
    """Where it computes."""
    table: LookUp
    """Construction."""
    dimension: Positive | None = None
    """Length of the rows; absent takes the teacher's. Random rows need either this or a teacher."""


class StudentJob(Section):
    """One network of a training job."""

    shape: ResNetShape
    """Backbone."""
    identification: Identification | None = None
    """Id feature and OIM loss; absent is a detector alone."""
    frozen: bool = True
    """Whether a given table stays as it is; otherwise it is where the online table starts."""
    identities: Positive | None = None
    """Labelled identities to learn from, the first of the training set; the others count as unlabelled."""
    detector: DetectorDistillation | None = None
    """What it learns from a detection teacher."""


class SearchTraining(Section):
    """Resolved parameters of one job that trains person-search networks on the same batches."""

    seed: int
    """Seed of the job; runs of equal seed share initialisation and data order, so differences are paired."""
    compute: Compute
    """Where it computes."""
    method: Method
    """What is trained."""
    resize: Resize
    """Input size."""
    proposals: Proposals
    """Region proposal network."""
    regions: Regions
    """Regions of interest and detection head."""
    weights: LossWeights
    """Loss weights."""
    query: QueryGuidance | None = None
    """What `qeeps` adds."""
    students: Annotated[dict[Variant, StudentJob], Field(min_length=1)]
    """The networks by the name of their variant."""
    optimisation: Optimisation
    """Optimiser and schedule."""


class SearchJob(Section):
    """Resolved parameters of running a person-search network over a benchmark."""

    compute: Compute = Compute()
    """Where it computes."""
    true_boxes: bool = False
    """Describe the annotated boxes instead of detecting, to measure re-identification alone."""
    beside: bool = True
    """Describe the annotated boxes beside the detections, for a second number; QEEPS looks at pairs and does not."""
    queries: Positive | None = None
    """Run the first queries alone; the others count as not run (`score --allow-partial`). Absent runs all."""
    gallery_size: Positive | None = None
    """Galleries of CUHK-SYSU in which QEEPS searches, which looks at every pair of query and gallery image; absent is
    the smallest of the protocols. PRW has one gallery alone."""
