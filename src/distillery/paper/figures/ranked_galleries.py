"""Galleries ranked by similarity to queries that a stated rule chooses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from distillery.config.paper_job import Part, Variant
from distillery.errors import UserError
from distillery.paper import samples
from distillery.paper.figures.pairs import RULE, Files, compared_pair, required_result
from distillery.paper.figures.style import HIT, MISS, WIDTH, new_figure, show_image
from distillery.paper.measures import MINUS, benchmark_label
from distillery.paper.records import Result, Results

_TOP = 5
_CROP = (64, 128)


def ranked_galleries(
    part: Part, benchmark: str, results: Results, root: Path, files: Files, seed: int
) -> tuple[Figure, str]:
    """Query and its most similar detections for both compared variants; returns figure and caption with the rule."""
    ours, other = compared_pair(part, benchmark, results, files, seed)
    galleries = samples.protocol(benchmark, root)
    differences = _ap_differences(results, benchmark, ours, other, seed)
    chosen = [(what, int(name)) for what, name in samples.extremes(differences)]
    predictions = {v.key: samples.search_predictions(files[benchmark, v.key, seed]) for v in (ours, other)}
    rows = [(what, query, variant) for what, query in chosen for variant in (ours, other)]
    figure = new_figure(WIDTH * 0.86, 1.34 * len(rows) + 0.1)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.035, wspace=0.02, hspace=0.03)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(len(rows), _TOP + 2, squeeze=False, width_ratios=[1.5, 1] + [1] * _TOP)
    for line, (what, query, variant) in zip(grid, rows, strict=True):
        for axes in line:
            axes.set_axis_off()
        first = variant is ours
        if first:
            asked = galleries.queries[query]
            _person(line[1], benchmark, root, asked.image, np.asarray(asked.box, np.float64), "query", "#111111")
        values = _ap(required_result(results, benchmark, variant.key, seed))
        note = f"{what}: query {query + 1}\n" if first else ""
        line[0].text(0.0, 0.98, note, va="top", fontsize=7.5, fontweight="bold", transform=line[0].transAxes)
        text = f"{variant.label}\nAP {100 * (values[query] or 0):.1f} %"
        line[0].text(0.0, 0.8 if first else 0.98, text, va="top", fontsize=7.5, transform=line[0].transAxes)
        matches = samples.ranking(galleries, predictions[variant.key], query, _TOP)
        for axes, match in zip(line[2:], matches, strict=False):
            sign = "✓" if match.hit else "✗"
            title = f"{sign} {match.similarity:.2f}".replace("-", MINUS)
            _person(axes, benchmark, root, match.image, match.box, title, HIT if match.hit else MISS)
    caption = (
        f"Examples chosen by a rule, not by eye: the queries with {RULE} difference in average precision between "
        f"“{ours.label}” and “{other.label}” among {len(differences)} queries, seed {seed}. Left the query, then the "
        f"{_TOP} most similar detections of its gallery ({_gallery(galleries, benchmark)}) with their cosine "
        "similarity; ✓ and green: the person asked for, ✗ and orange: somebody else or no person."
    )
    return figure, caption


def _gallery(galleries: samples.Protocol, benchmark: str) -> str:
    # A gallery of PRW is the whole test set, so its name says nothing.
    return (
        galleries.name if benchmark == "cuhk_sysu" else f"all test images of {benchmark_label(benchmark)} but its own"
    )


def _ap(result: Result) -> list[float | None]:
    values = result.per_query.get("ap") if isinstance(result.per_query, dict) else None
    if not isinstance(values, list):
        raise UserError(
            f"the metrics of {result.key} on {result.benchmark}, seed {result.seed} hold no per_query.ap",
            remedy="score the predictions again",
        )
    return values


def _ap_differences(results: Results, benchmark: str, ours: Variant, other: Variant, seed: int) -> dict[str, float]:
    first, second = (_ap(required_result(results, benchmark, variant.key, seed)) for variant in (ours, other))
    pairs = enumerate(zip(first, second, strict=False))
    # Names of equal length, so that queries of equal difference keep the protocol's order.
    found = {f"{query:06d}": a - b for query, (a, b) in pairs if a is not None and b is not None}
    if not found:
        raise UserError(f"{ours.key} and {other.key} share no query on {benchmark}", remedy="score both again")
    return found


def _person(axes: Axes, benchmark: str, root: Path, image: str, box: samples.Box, title: str, colour: str) -> None:
    """The person in `box` (x1, y1, x2, y2) with some surroundings, framed."""
    pixels = samples.read_image(samples.image_path(benchmark, root, image))
    # A window of the crop's shape around the box, so that nobody is stretched; black beyond the image's border.
    centre, size = (box[:2] + box[2:]) / 2, 1.12 * (box[2:] - box[:2])
    window = np.maximum(size, size[::-1] * (_CROP[0] / _CROP[1], _CROP[1] / _CROP[0]))
    corners = (*(centre - window / 2), *(centre + window / 2))
    crop = Image.fromarray(pixels).transform(_CROP, Image.Transform.EXTENT, corners, Image.Resampling.BICUBIC)
    show_image(axes, np.asarray(crop))
    axes.set_axis_on()
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.2)
    axes.set_title(title, fontsize=7, fontweight="bold", color=colour, loc="center", pad=2.5)
