"""The figures of both papers: every one a pure function of files, in one look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from distillery.config.base import parse
from distillery.config.paper_job import FAMILY_LABELS, PaperJob, Part
from distillery.errors import UserError
from distillery.paper import samples
from distillery.paper.costs import ComputeProfile, read_compute
from distillery.paper.features import FeatureSpace, read_features
from distillery.paper.figures import (
    ablations,
    bubbles,
    compression,
    contact,
    curves,
    detection_and_search,
    expected_overlap,
    feature_space,
    gallery_size,
    gates,
    qualitative,
    radar,
    ranked_galleries,
    response_maps,
    selection,
    training,
)
from distillery.paper.figures.style import Picture, house_style, render
from distillery.paper.logs import Curve, read_curves
from distillery.paper.maps import ResponseMaps, read_maps
from distillery.paper.origin import Origin
from distillery.paper.records import Results, read_metrics
from distillery.paper.searches import Search, read_searches

Drawn = tuple[Figure, str]


@dataclass(frozen=True)
class Inputs:
    """Everything that figures are drawn from."""

    job: PaperJob
    results: Results
    compute: ComputeProfile
    curves: Mapping[Origin, Curve]
    datasets: Mapping[str, Path]
    predictions: Mapping[tuple[str, str, int], Path]
    searches: Sequence[Search]
    maps: ResponseMaps | None
    features: FeatureSpace | None = None

    @property
    def seed(self) -> int:
        """Whose examples are shown."""
        return self.job.seeds[0]


def _one_pass(curve: str) -> Callable[[Inputs], Drawn]:
    return lambda inputs: curves.one_pass(curve, inputs.job.tracking, inputs.results)


def _tracking_sheet(inputs: Inputs) -> Drawn:
    roots = {name: samples.require_root(inputs.datasets, name) for name in inputs.job.tracking.benchmarks}
    return contact.tracking_sheet(roots)


def _ranked_galleries(name: str) -> Callable[[Inputs], Drawn]:
    return lambda inputs: ranked_galleries.ranked_galleries(
        inputs.job.person_search,
        name,
        inputs.results,
        samples.require_root(inputs.datasets, name),
        inputs.predictions,
        inputs.seed,
    )


def _feature_space(inputs: Inputs) -> Drawn:
    if inputs.features is None:
        raise UserError("no features were given", remedy="pass what `distillery feature-space` wrote as --features")
    return feature_space.feature_space(inputs.job.person_search, inputs.features)


def _search_training(*models: str) -> Callable[[Inputs], Drawn]:
    return lambda inputs: training.search_training(inputs.job.person_search, inputs.curves, models)


def _on_search(draw: Callable[[Part, Results], Drawn]) -> Callable[[Inputs], Drawn]:
    return lambda inputs: draw(inputs.job.person_search, inputs.results)


def _response_maps(inputs: Inputs) -> Drawn:
    if inputs.maps is None:
        raise UserError("no response maps were given", remedy="pass what `distillery response-maps` wrote as --maps")
    return response_maps.response_maps(inputs.job.tracking, inputs.maps)


def _qualitative(family: str) -> Callable[[Inputs], Drawn]:
    def draw(inputs: Inputs) -> Drawn:
        part = inputs.job.tracking
        name = next(iter(inputs.results.with_curve(part, "precision")), part.benchmarks[0])
        root = samples.require_root(inputs.datasets, name)
        return qualitative.qualitative(part, family, name, inputs.results, root, inputs.predictions, inputs.seed)

    return draw


def _training(family: str) -> Callable[[Inputs], Drawn]:
    return lambda inputs: training.training("tracking", inputs.job.tracking, inputs.curves, family)


FIGURES: dict[str, tuple[str, Callable[[Inputs], Drawn]]] = {
    "success": ("Success plots", _one_pass("success")),
    "precision": ("Precision plots", _one_pass("precision")),
    "normalized_precision": ("Normalised precision plots", _one_pass("normalized_precision")),
    "expected_overlap": (
        "Expected average overlap",
        lambda inputs: expected_overlap.expected_overlap(inputs.job.tracking, inputs.results),
    ),
    "attributes": ("AUC by attribute", lambda inputs: radar.attributes(inputs.job.tracking, inputs.results)),
    "ablations": ("Ablations", lambda inputs: ablations.ablations(inputs.job.tracking, inputs.results)),
    "gates": ("Gates of sharing", lambda inputs: gates.gates(inputs.job.tracking, inputs.curves)),
    "selection": ("Student selection", lambda inputs: selection.selection(inputs.searches)),
    "response_maps": ("Response maps", _response_maps),
    "search_ablations": ("Ablations of person search", _on_search(ablations.search_ablations)),
    "map_over_gallery": ("Search mAP over gallery size", _on_search(gallery_size.over_gallery)),
    "detection_and_search": (
        "Detection quality against search quality",
        _on_search(detection_and_search.detection_and_search),
    ),
    "compression": ("What a smaller network loses", _on_search(compression.compression)),
    "ranked_galleries": ("Ranked galleries, CUHK-SYSU", _ranked_galleries("cuhk_sysu")),
    "ranked_galleries_prw": ("Ranked galleries, PRW", _ranked_galleries("prw")),
    "feature_space": ("Features and the rows of their table", _feature_space),
    "training_oim": ("Training of OIM", _search_training("oim")),
    "training_qeeps": ("Training of QEEPS", _search_training("qeeps")),
    "training_teachers": ("Training of the teachers of person search", _search_training("detector", "reid")),
    "bubbles": (
        "Accuracy, speed and size",
        lambda inputs: bubbles.bubbles(inputs.job, inputs.results, inputs.compute),
    ),
    "contact_sheet_tracking": ("The tracking test sets", _tracking_sheet),
    "contact_sheet_person_search": (
        "The test images of CUHK-SYSU",
        lambda inputs: contact.street_sheet("cuhk_sysu", samples.require_root(inputs.datasets, "cuhk_sysu")),
    ),
    "contact_sheet_prw": (
        "The test images of PRW by camera",
        lambda inputs: contact.camera_sheet("prw", samples.require_root(inputs.datasets, "prw")),
    ),
} | {
    f"{name}_{family}": (title.format(label), draw(family))
    for family, label in FAMILY_LABELS.items()
    for name, title, draw in (
        ("qualitative", "Tracked sequences, {}", _qualitative),
        ("training", "Training of the {} trackers", _training),
    )
}
"""Every figure by name: its title, and who draws it; which of them a job draws stands in its `figures`."""


def title_of(name: str) -> str:
    """A figure's title.

    Raises:
        UserError: If there is no such figure.
    """
    if name not in FIGURES:
        raise UserError(
            f"unknown figure {name!r}", file="--params", place="figures", remedy=f"choose of {', '.join(FIGURES)}"
        )
    return FIGURES[name][0]


def write_figures(
    params: Mapping[str, Any],
    metrics: Sequence[Path],
    curve_files: Sequence[Path],
    compute: Path,
    data: Sequence[Path],
    predictions: Sequence[Path],
    out_dir: Path,
    *,
    searches: Sequence[Path] = (),
    maps: Path | None = None,
    features: Path | None = None,
    workers: int = 1,
) -> None:
    """Draws the job's figures as SVG and PNG, with their captions in the metadata.

    Args:
        params: `PaperJob` as plain data.
        metrics: Metrics files of `distillery score`.
        curve_files: Training metrics (JSON lines) of every checkpoint.
        compute: compute.json of `distillery profile-networks`.
        data: Manifests of the test benchmarks.
        predictions: Index files of predictions (a person-search .npz itself will do).
        out_dir: Where to.
        searches: Results of `distillery select-students`, for `selection`.
        maps: What `distillery response-maps` wrote, for `response_maps`.
        features: What `distillery feature-space` wrote, for `feature_space`.
        workers: Processes that draw; the files do not depend on it.

    Raises:
        UserError: If an input is missing, malformed, or does not belong to the others.
    """
    job = parse(PaperJob, dict(params), source="--params")
    for name in job.figures:
        title_of(name)
    inputs = Inputs(
        job,
        read_metrics(metrics),
        read_compute(compute),
        read_curves(curve_files),
        samples.roots(data),
        samples.prediction_files(predictions),
        read_searches(searches),
        read_maps(maps) if maps else None,
        read_features(features) if features else None,
    )
    # All are drawn before the first is written: a fault in one input leaves no half-new set behind.
    for name, picture in zip(job.figures, _pictures(job.figures, inputs, workers), strict=True):
        picture.write(out_dir, name)


def _picture(inputs: Inputs, name: str) -> Picture:
    with house_style():
        title, draw = FIGURES[name]
        figure, caption = draw(inputs)
        return render(figure, title, caption)


def _pictures(names: Sequence[str], inputs: Inputs, workers: int) -> list[Picture]:
    if workers <= 1:
        return [_picture(inputs, name) for name in names]
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            return list(pool.map(partial(_picture, inputs), names))
    except BrokenProcessPool as error:
        raise UserError(
            "a process that draws figures died",
            file="--workers",
            remedy="free some memory or use fewer processes and run the same command again",
        ) from error
