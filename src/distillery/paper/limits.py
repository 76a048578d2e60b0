"""What a run does not show, whatever its numbers: limits of its data, of its intervals, and methods that trivial ones
come up to."""

from __future__ import annotations

from distillery.config.paper_job import PaperJob
from distillery.paper.baselines import above, best_trivial, clearly
from distillery.paper.figures.panels import told
from distillery.paper.measures import benchmark_label, first_measure
from distillery.paper.records import Results, require_seeds


def not_shown(job: PaperJob, results: Results) -> list[str]:
    """Sentences on what no such run could show, on methods that are not clearly above the best trivial one, and on
    results that are missing."""
    notes = _limits(job) + _not_above_baselines(job, results)
    return notes + [f"{_capital(note)}." for note in require_seeds(job, results)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _limits(job: PaperJob) -> list[str]:
    """What no run of the profile could show."""
    notes: list[str] = []
    data = (job.config or {}).get("data", {})
    # PRW-mini is a part of PRW, so its data are the training set's.
    scored = {name: part.trained_on.get(name, name) for part in job.parts.values() for name in part.benchmarks}
    embedded = [benchmark_label(n) for n, kept in scored.items() if (data.get(kept) or {}).get("source") == "embedded"]
    if embedded:
        notes.append(
            f"Nothing about the real benchmarks: {', '.join(embedded)} are embedded, synthetic worlds in the official "
            "layouts, so absolute values are not comparable with published ones."
        )
    if "trackingnet" in job.tracking.benchmarks:
        notes.append(
            "Nothing about TrackingNet's test split, which its server alone can score: the numbers here are on a part "
            "of the training set that no tracker was trained on."
        )
    notes.append(
        "Intervals of tables and figures cover the variation over seeds on one fixed test set, and are not corrected "
        "for the number of comparisons. Those of the claims cover sequences and queries too, where a measure is a mean "
        "over these."
    )
    return notes


def _not_above_baselines(job: PaperJob, results: Results) -> list[str]:
    """One sentence a method for all benchmarks on which it does not clearly beat the best trivial method."""
    below: dict[str, list[str]] = {}
    for part in job.parts.values():
        labels = {variant.key: variant.label for variant in part.variants if variant.role == "baseline"}
        for benchmark in results.benchmarks(part):
            measure = first_measure(benchmark)
            for variant in results.variants(part, benchmark):
                trivial = best_trivial(results, benchmark, labels, results.of(benchmark, variant.key)[0])
                value = results.estimate(benchmark, variant.key, measure.key)
                if variant.role == "baseline" or trivial is None or value is None:
                    continue
                if not clearly(above(results.values(benchmark, variant.key, measure.key), trivial.value)):
                    below.setdefault(variant.label, []).append(
                        f"{benchmark_label(benchmark)} ({measure.label} {told(measure, value)}, {labels[trivial.key]} "
                        f"{measure.text(trivial.value)})"
                    )
    return [
        f"{_capital(label)} is not clearly above the best trivial method on {', '.join(places)}."
        for label, places in below.items()
    ]
