"""The figures of both papers: every one a pure function of files, in one look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from distillery.config.base import parse
from distillery.config.paper import PaperJob
from distillery.paper import samples
from distillery.paper.figures import bubbles, contact, curves, examples, training
from distillery.paper.figures.style import house_style, save
from distillery.paper.logs import read_curves
from distillery.paper.records import read_compute, read_metrics

TITLES = {
    "contact_sheet_tracking": "The tracking test set",
    "contact_sheet_person_search": "The person-search test set",
    "success": "Success plot",
    "precision": "Precision plot",
    "map_over_gallery": "Search mAP over gallery size",
    "bubbles": "Accuracy, speed and size",
    "training_tracking": "Training of the trackers",
    "training_person_search": "Training of person search",
    "qualitative_tracking": "Tracked sequences",
    "ranked_galleries": "Ranked galleries",
}
"""Figure -> title, in the order of the report."""


def write_figures(
    params: Mapping[str, Any],
    metrics: list[Path],
    curve_files: list[Path],
    compute: Path,
    data: list[Path],
    predictions: list[Path],
    out_dir: Path,
) -> None:
    """Writes every figure of `TITLES` as SVG and PNG, with its caption in the metadata.

    Args:
        params: `PaperJob` as plain data.
        metrics: Metrics files of `distillery score`.
        curve_files: Training metrics (JSON lines) of every checkpoint.
        compute: compute.json of `distillery profile-networks`.
        data: Manifests of the test benchmarks.
        predictions: Index files of predictions (a person-search .npz itself will do).
        out_dir: Where to.

    Raises:
        UserError: If an input is missing, malformed, or does not belong to the others.
    """
    job = parse(PaperJob, dict(params), source="--params")
    results, costs, losses = read_metrics(metrics), read_compute(compute), read_curves(curve_files)
    datasets, files = samples.roots(data), samples.prediction_files(predictions)
    video, street = job.tracking.benchmarks[0], job.person_search.benchmarks[0]
    seed = job.seeds[0]
    draw: dict[str, Callable[[], tuple[Figure, str]]] = {
        "success": lambda: curves.one_pass("success", job.tracking, results),
        "precision": lambda: curves.one_pass("precision", job.tracking, results),
        "map_over_gallery": lambda: curves.over_gallery(job.person_search, results),
        "bubbles": lambda: bubbles.bubbles(job, results, costs),
        "training_tracking": lambda: training.training("tracking", job.tracking, losses),
        "training_person_search": lambda: training.training("person_search", job.person_search, losses),
        "contact_sheet_tracking": lambda: contact.tracking_sheet(samples.require_root(datasets, video)),
        "contact_sheet_person_search": lambda: contact.street_sheet(samples.require_root(datasets, street)),
        "qualitative_tracking": lambda: examples.qualitative(
            job.tracking, video, results, samples.require_root(datasets, video), files, seed
        ),
        "ranked_galleries": lambda: examples.ranked_galleries(
            job.person_search, street, results, samples.require_root(datasets, street), files, seed
        ),
    }
    with house_style():
        # All are drawn before the first is written: a fault in one input leaves no half-new set behind.
        drawn = {name: draw[name]() for name in TITLES}
        for name, (figure, caption) in drawn.items():
            save(figure, out_dir, name, TITLES[name], caption)
