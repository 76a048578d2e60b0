"""What tables, figures and report are told of a profile: names, labels, order, and the pairs to compare."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from distillery.config.base import Section
from distillery.config.families import Target

MARGIN = 0.02
"""Difference of AUC within which a student counts as being as accurate as its teacher; stated before any run."""

FAMILY_LABELS = {"siamfc": "SiamFC", "siamrpn": "SiamRPN", "siamrpnpp": "SiamRPN++"}
"""Family of trackers -> how readers see it."""

METHOD_LABELS = {"oim": "OIM", "qeeps": "QEEPS", "detector": "detector", "reid": "re-ID network"}
"""Method of person search -> how readers see it."""

MODEL_LABELS = FAMILY_LABELS | METHOD_LABELS
"""Model, as in the paths of its results -> how readers see it."""

TRUE_BOXES = frozenset({"reid/teacher", "baseline/histogram"})
"""`model/variant` of what is given the annotated boxes, so that its search numbers bound rather than compete."""

Teaching = Literal["plain", "detector", "table", "both"]
"""What a person-search network learns from: annotations alone, a detection teacher, a table of ID features, or both."""

TEACHING_LABELS: dict[Teaching, str] = {
    "plain": "no teacher",
    "detector": "detector KD",
    "table": "ID table",
    "both": "both",
}
"""Teaching -> how readers see it."""

RUN_LABELS = {
    "ground_truth": "ground truth",
    "tskd": "TSKD",
    "tsskd": "TSsKD",
    "soft": "TS alone",
    "hard": "AH alone",
    "response": "STR alone",
    "soft_hard": "TS + AH",
    "label_map": "label map, no teacher",
    "bernoulli": "TSKD, Bernoulli TS",
    "gate_own": "TSsKD, own gate",
    "three_students": "TSsKD, 3 students",
    "four_students": "TSsKD, 4 students",
    "shapes": "TSKD",
    "one_teacher": "TSKD, one teacher for all",
    "ground_truth_long": "ground truth, longer",
    "tskd_long": "TSKD, longer",
}
"""Run -> how readers see it; others are shown by their name."""

BASELINE_LABELS = {"static": "static box", "ncc": "NCC", "histogram": "colour histogram, true boxes"}
"""Trivial method -> how readers see it."""

Question = Literal["gain", "gap", "effect"]


class Variant(Section):
    """One row of the tables and one line of the figures."""

    model: str
    """Model, as in the paths of its results; for trackers their family."""
    variant: str
    """Variant, as in the paths of its results."""
    label: str
    """How readers see it."""
    role: Literal["teacher", "reference", "distilled", "baseline"]
    """`distilled` has learnt from a teacher, `reference` the same without one; `baseline` is trivial."""
    compared_with: str | None = None
    """`model/variant` that sizes and speeds are divided by; absent where a ratio has no meaning."""
    true_boxes: bool = False
    """Whether it is given the annotated boxes, so that its search numbers bound rather than compete."""
    ground_truth: str | None = None
    """`model/variant` of the same network trained as long without a teacher, for what has one."""
    teaching: Teaching | None = None
    """Person search: what it learns from."""
    counterpart: str | None = None
    """Person search: `method/size/teaching`, under which published values are quoted."""
    benchmarks: tuple[str, ...] | None = None
    """Benchmarks that it is tested with; absent is all of its paper."""
    varies: str | None = None
    """Ablations: `model/variant` of the headline run of which this one is a variation."""
    changes: str | None = None
    """Ablations: the settings in which it differs from that run."""

    @property
    def key(self) -> str:
        """`model/variant`, as in compute.json."""
        return f"{self.model}/{self.variant}"

    @property
    def network(self) -> str:
        """Name of its network."""
        return self.variant.split("-")[0]

    @property
    def short(self) -> str:
        """The label without the family, for places that say the family themselves."""
        return self.label.removeprefix(f"{MODEL_LABELS.get(self.model, self.model)} ")


class Comparison(Section):
    """A difference that is taken seed by seed, which cancels what a seed does to both."""

    minuend: str
    """`model/variant` to which the claim is favourable."""
    subtrahend: str
    """`model/variant` it is compared with."""
    question: Question
    """`gain`: the claim is that the first is better; `gap`: how far it is from its teacher or the larger network;
    `effect`: what a change does, with no claim about its direction."""
    statement: str
    """The claim in words, for the report."""
    measures: tuple[str, ...] | None = None
    """Measures it is about, the first of which speaks for it; absent is all that a benchmark is ranked by."""


class Part(Section):
    """One of the two papers."""

    benchmarks: tuple[str, ...] = ()
    """Benchmarks in the order of the tables."""
    variants: tuple[Variant, ...] = ()
    """Variants in the order of the tables; what else the metrics hold follows after them."""
    comparisons: tuple[Comparison, ...] = ()
    """Differences to report."""
    trained_on: dict[str, str] = Field(default_factory=dict)
    """Person search: benchmark -> training set of the networks that it tests."""
    tables: dict[str, str] = Field(default_factory=dict)
    """Person search: look-up table -> how readers see it."""

    def network_of(self, benchmark: str, key: str) -> str:
        """What the network behind a row is called where networks of several training sets stand side by side:
        `training set/method/variant`, or `model/variant` where there is but one."""
        trained_on = self.trained_on.get(benchmark)
        return f"{trained_on}/{key}" if trained_on else key

    @property
    def training_sets(self) -> tuple[str, ...]:
        """Training sets, in the order of the benchmarks that they belong to."""
        return tuple(dict.fromkeys(self.trained_on.values()))

    @property
    def families(self) -> tuple[str, ...]:
        """The models of its trained variants, in order."""
        return tuple(dict.fromkeys(variant.model for variant in self.variants if variant.role != "baseline"))


class PaperJob(Section):
    """Parameters of `distillery tables`, `figures` and `report`."""

    profile: str
    """Name of the profile."""
    target: Target = "headline"
    """Whether the headline or the ablations are written up."""
    seeds: tuple[int, ...]
    """Seeds that every trained variant should have."""
    tables: tuple[str, ...]
    """Tables to make, in the order of the report."""
    figures: tuple[str, ...]
    """Figures to draw, in the order of the report."""
    margin: float = MARGIN
    """Equivalence margin of a gap, as a difference of AUC."""
    tracking: Part = Part()
    """First paper."""
    person_search: Part = Part()
    """Second paper."""
    config: dict[str, Any] | None = None
    """The whole profile, printed in the report; tables and figures do without."""

    @property
    def parts(self) -> dict[str, Part]:
        """The papers by name."""
        return {"tracking": self.tracking, "person_search": self.person_search}


def run_label(run: str) -> str:
    """How readers see a run."""
    return RUN_LABELS.get(run, run.replace("_", " "))


def variant_name(network: str, run: str) -> str:
    """The variant of `network` trained in `run`: `dim-tsskd`, or `teacher` where both names are equal."""
    return run if network == run else f"{network}-{run}"


def baseline(name: str) -> Variant:
    """The row of a trivial method."""
    return Variant(
        model="baseline",
        variant=name,
        label=BASELINE_LABELS.get(name, name.replace("_", " ")),
        role="baseline",
        true_boxes=f"baseline/{name}" in TRUE_BOXES,
    )
