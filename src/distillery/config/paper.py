"""What a profile has the paper stage write: the rows, the comparisons, and the names of all tables and figures."""

from __future__ import annotations

from collections.abc import Callable

from distillery.config.families import Family, Target, TrackerRun
from distillery.config.paper_job import PaperJob, variant_name
from distillery.config.paper_search import search_part
from distillery.config.paper_tracking import tracking_part
from distillery.config.profile import Profile

__all__ = ["figures", "from_profile", "tables", "variant_name"]

Condition = Callable[[Profile, Target], bool]


def _on(*benchmarks: str) -> Condition:
    return lambda profile, target: bool(set(benchmarks) & set(profile.tracking.benchmarks))


def _shown_runs(profile: Profile, target: Target) -> list[tuple[Family, TrackerRun]]:
    """The runs that a target shows; the ablations stand beside the headline."""
    return [
        (family, run)
        for family in profile.tracking.families.values()
        for run in family.runs.values()
        if target == "ablations" or run.target == "headline"
    ]


def _searched(profile: Profile, target: Target) -> bool:
    return any(set(run.networks) & set(family.searched) for family, run in _shown_runs(profile, target))


def _shares(profile: Profile, target: Target) -> bool:
    runs = (run for _, run in _shown_runs(profile, target))
    return any(run.distillation is not None and run.distillation.sharing is not None for run in runs)


def _trained_on(training_set: str) -> Condition:
    """Headline figures of a training set's images."""
    return lambda profile, target: training_set in profile.person_search.benchmarks


def _method(*methods: str) -> Condition:
    """Whether a target trains networks of any of these methods of person search."""
    return lambda profile, target: any(
        run.method in methods and run.target == target for run in profile.person_search.runs.values()
    )


def _tabled(profile: Profile, target: Target) -> bool:
    """Whether there is a student with a table and one without, to be shown side by side."""
    runs = [run for run in profile.person_search.runs.values() if run.method == "oim" and run.target == "headline"]
    students = [student for run in runs for student in run.students.values()]
    return any(student.table for student in students) and any(not student.table for student in students)


def _tabled_on_prw(profile: Profile, target: Target) -> bool:
    return "prw" in profile.person_search.benchmarks and _tabled(profile, target)


def _compressed(profile: Profile, target: Target) -> bool:
    runs = [run for run in profile.person_search.runs.values() if run.method == "oim" and run.target == "headline"]
    return len({network for run in runs for network in run.networks}) > 1


def _varied(profile: Profile, target: Target) -> bool:
    return any(run.target == "ablations" for run in profile.person_search.runs.values())


def _has_tables(profile: Profile, target: Target) -> bool:
    return bool(profile.person_search.tables)


def _always(profile: Profile, target: Target) -> bool:
    return True


_OTB_LIKE = ("otb100", "dtb70", "lasot")
_ONE_PASS = (*_OTB_LIKE, "trackingnet")
_VOT = ("vot2018", "vot2019")

_TABLES: dict[Target, dict[str, Condition]] = {
    "headline": {
        "tracking": _always,
        "benchmarks": _always,
        "differences": _always,
        "attributes": _on(*_OTB_LIKE, *_VOT),
        "selection": _searched,
        "person_search": _always,
        "galleries": _trained_on("cuhk_sysu"),
        "lookup_tables": _has_tables,
        "compute": _always,
        "published": _always,
    },
    "ablations": {
        "ablations": _always,
        "search_ablations": _varied,
        "lookup_tables": _varied,
        "differences": _always,
        "selection": _searched,
        "compute": _always,
    },
}
"""Target -> tables and when a profile has them, in the order of the report."""

_FIGURES: dict[Target, dict[str, Condition]] = {
    "headline": {
        "success": _on(*_ONE_PASS, "got10k"),
        "precision": _on(*_ONE_PASS),
        "normalized_precision": _on("lasot", "trackingnet"),
        "expected_overlap": _on(*_VOT),
        "attributes": _on(*_OTB_LIKE),
        "response_maps": _on("otb100"),
        "selection": _searched,
        "map_over_gallery": _trained_on("cuhk_sysu"),
        "detection_and_search": _method("oim"),
        "compression": _compressed,
        "ranked_galleries": _tabled,
        "ranked_galleries_prw": _tabled_on_prw,
        "feature_space": _tabled,
        "training_oim": _method("oim"),
        "training_qeeps": _method("qeeps"),
        "training_teachers": _always,
        "bubbles": _always,
        "contact_sheet_tracking": _always,
        "contact_sheet_person_search": _trained_on("cuhk_sysu"),
        "contact_sheet_prw": _trained_on("prw"),
    },
    "ablations": {
        "ablations": _always,
        "search_ablations": _varied,
        "gates": _shares,
        "selection": _searched,
        "response_maps": _on("otb100"),
    },
}
"""Target -> figures and when a profile has them; figures of single families are added."""


def tables(profile: Profile, target: Target = "headline") -> tuple[str, ...]:
    """Names of the tables that `distillery tables` writes (`<name>.{csv,md,tex}`)."""
    return tuple(name for name, wanted in _TABLES[target].items() if wanted(profile, target))


def figures(profile: Profile, target: Target = "headline") -> tuple[str, ...]:
    """Names of the figures that `distillery figures` draws (`<name>.{svg,png}`)."""
    shared = [name for name, wanted in _FIGURES[target].items() if wanted(profile, target)]
    one_pass = _on(*_ONE_PASS)(profile, target)
    part = tracking_part(profile.tracking, target)
    taught_by_none = {variant.key for variant in part.variants if variant.role == "reference"}
    families = part.families
    # Examples show what a student gains over ground truth alone, so that must have been trained.
    gaining = {c.minuend.partition("/")[0] for c in part.comparisons if c.subtrahend in taught_by_none}
    own = [f"qualitative_{family}" for family in families if one_pass and family in gaining]
    own += [f"training_{family}" for family in families]
    return tuple(shared + (own if target == "headline" else []))


def from_profile(profile: Profile, *, target: Target = "headline", with_config: bool = False) -> PaperJob:
    """Derives the order, the labels, the comparisons and the outputs from a profile.

    Args:
        profile: The whole config.
        target: `headline`, or `ablations` (the variations beside what they vary); of both papers.
        with_config: Whether the job carries the profile, to be printed.
    """
    return PaperJob(
        profile=profile.profile,
        target=target,
        seeds=profile.seeds,
        tables=tables(profile, target),
        figures=figures(profile, target),
        tracking=tracking_part(profile.tracking, target),
        person_search=search_part(profile.person_search, target),
        config=profile.model_dump(mode="json") if with_config else None,
    )
