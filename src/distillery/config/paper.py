"""What tables, figures and report need to know of a profile: names, labels, order, and the pairs to compare."""

from __future__ import annotations

from typing import Any, Literal

from distillery.config.base import Section
from distillery.config.person_search import PersonSearch
from distillery.config.profile import Profile
from distillery.config.tracking import TrackerRun, Tracking


class Variant(Section):
    """One row of the tables and one colour of the figures."""

    model: str
    """Model, as in the paths of its results."""
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

    @property
    def key(self) -> str:
        """`model/variant`, as in compute.json."""
        return f"{self.model}/{self.variant}"


class Comparison(Section):
    """A difference that is taken seed by seed, which cancels what a seed does to both."""

    minuend: str
    """`model/variant` to which the claim is favourable."""
    subtrahend: str
    """`model/variant` it is compared with."""
    question: Literal["gain", "gap"]
    """`gain`: the claim is that the difference is positive; `gap`: how far from the teacher or the larger network."""
    statement: str
    """The claim in words, for the report."""


class Part(Section):
    """One of the two papers."""

    benchmarks: tuple[str, ...]
    """Benchmarks in the order of the tables."""
    variants: tuple[Variant, ...]
    """Variants in the order of the tables; what else the metrics hold follows after them."""
    comparisons: tuple[Comparison, ...]
    """Differences to report."""


class PaperJob(Section):
    """Parameters of `distillery tables`, `figures` and `report`."""

    profile: str
    """Name of the profile."""
    seeds: tuple[int, ...]
    """Seeds that every trained variant should have."""
    tracking: Part
    """First paper."""
    person_search: Part
    """Second paper."""
    config: dict[str, Any] | None = None
    """The whole profile, printed in the report; tables and figures do without."""


_RUN_LABELS = {
    "ground_truth": "ground truth",
    "tskd": "TSKD",
    "tsskd": "TSsKD",
    "oim": "OIM",
    "oim_table": "OIM + table",
}
_BASELINE_LABELS = {"static": "static box", "ncc": "NCC", "histogram": "colour histogram, true boxes"}


def _run_label(run: str) -> str:
    return _RUN_LABELS.get(run, run.replace("_", " "))


def variant_name(network: str, run: str) -> str:
    """The variant of `network` trained in `run`: `dim-tsskd`, or `teacher` where both names are equal."""
    return run if network == run else f"{network}-{run}"


def from_profile(profile: Profile, *, with_config: bool = False) -> PaperJob:
    """Derives the order, the labels and the comparisons from a profile.

    Every distilled network is compared with the same network in the first run that trains it (gain), and with its
    teacher (gap); a person-search network with its own first run (gain) and, where it learns from a table, with the
    first network in the same run (gap).
    """
    return PaperJob(
        profile=profile.profile,
        seeds=profile.seeds,
        tracking=_tracking(profile.tracking),
        person_search=_person_search(profile.person_search),
        config=profile.model_dump(mode="json") if with_config else None,
    )


def _tracking(tracking: Tracking) -> Part:
    variants: list[Variant] = []
    comparisons: list[Comparison] = []
    teachers = {run.teacher for run in tracking.runs.values() if run.teacher}
    first_run: dict[str, str] = {}
    for name, run in tracking.runs.items():
        for network in run.networks:
            variant = variant_name(network, name)
            teacher = _teacher_of(tracking, network, name, run)
            role: Literal["teacher", "distilled", "reference"] = (
                "teacher" if name in teachers else "distilled" if run.teacher else "reference"
            )
            label = "SiamFC teacher" if variant == "teacher" else f"SiamFC {network}, {_run_label(name)}"
            variants.append(
                Variant(model="siamfc", variant=variant, label=label, role=role, compared_with=f"siamfc/{teacher}")
            )
            if network in first_run:
                comparisons.append(
                    Comparison(
                        minuend=f"siamfc/{variant}",
                        subtrahend=f"siamfc/{variant_name(network, first_run[network])}",
                        question="gain",
                        statement=f"{_run_label(name)} trains a better {network} student than "
                        f"{_run_label(first_run[network])}",
                    )
                )
            first_run.setdefault(network, name)
            if run.teacher:
                comparisons.append(
                    Comparison(
                        minuend=f"siamfc/{variant}",
                        subtrahend=f"siamfc/{teacher}",
                        question="gap",
                        statement=f"the {network} student ({_run_label(name)}) is as accurate as its teacher",
                    )
                )
    baselines = [_baseline(name) for name in tracking.baselines]
    return Part(benchmarks=tracking.benchmarks, variants=(*variants, *baselines), comparisons=tuple(comparisons))


def _teacher_of(tracking: Tracking, network: str, name: str, run: TrackerRun) -> str:
    """The variant that sizes are divided by: the run's teacher, or the one of another run with this network."""
    teacher = run.teacher or next(
        (r.teacher for r in tracking.runs.values() if r.teacher and network in r.networks), None
    )
    return variant_name(network, name) if teacher is None else variant_name(tracking.runs[teacher].networks[0], teacher)


def _person_search(search: PersonSearch) -> Part:
    variants = [
        Variant(
            model="reid",
            variant="teacher",
            label="re-ID teacher, true boxes",
            role="teacher",
            compared_with="reid/teacher",
            true_boxes=True,
        )
    ]
    comparisons: list[Comparison] = []
    networks, runs = tuple(search.networks), tuple(search.runs)
    for network in networks:
        for run in runs:
            variant = variant_name(network, run)
            variants.append(
                Variant(
                    model="oim",
                    variant=variant,
                    label=f"{network}, {_run_label(run)}",
                    role="reference" if search.runs[run].table is None else "distilled",
                    compared_with=f"oim/{variant_name(networks[0], run)}",
                )
            )
            if run != runs[0]:
                comparisons.append(
                    Comparison(
                        minuend=f"oim/{variant}",
                        subtrahend=f"oim/{variant_name(network, runs[0])}",
                        question="gain",
                        statement=f"{_run_label(run)} is better than {_run_label(runs[0])} for the {network} network",
                    )
                )
            if network != networks[0] and search.runs[run].table is not None:
                comparisons.append(
                    Comparison(
                        minuend=f"oim/{variant}",
                        subtrahend=f"oim/{variant_name(networks[0], run)}",
                        question="gap",
                        statement=f"with {_run_label(run)} the {network} network is as accurate as the "
                        f"{networks[0]} one",
                    )
                )
    variants += [_baseline(name) for name in search.baselines]
    return Part(benchmarks=("cuhk_sysu",), variants=tuple(variants), comparisons=tuple(comparisons))


def _baseline(name: str) -> Variant:
    return Variant(
        model="baseline",
        variant=name,
        label=_BASELINE_LABELS.get(name, name.replace("_", " ")),
        role="baseline",
        true_boxes=name == "histogram",
    )
