"""Success and precision plots, and search mAP over the size of the gallery."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from distillery.config.paper import Part
from distillery.errors import UserError
from distillery.paper.figures.style import WIDTH, faces, new_figure
from distillery.paper.measures import MEASURES, NONE
from distillery.paper.records import Results
from distillery.paper.statistics import Estimate, estimate

_PLOTS: dict[str, tuple[str, str, str, Any]] = {
    "success": ("auc", "overlap threshold", "share of frames above it", np.linspace(0, 1, 21)),
    "precision": ("precision", "centre error threshold, pixels", "share of frames within it", np.arange(51)),
}
"""Curve -> measure that ranks the legend, axis labels, thresholds."""

_BENCHMARKS = {"otb100": "OTB-100 layout", "cuhk_sysu": "CUHK-SYSU layout"}


def benchmark_label(name: str) -> str:
    """How readers see a benchmark; which data filled the layout is in the report's config."""
    return _BENCHMARKS.get(name, name)


def one_pass(curve: str, part: Part, results: Results) -> tuple[Figure, str]:
    """The success or precision plot of one-pass evaluation, one panel a benchmark.

    Args:
        curve: "success" (21 overlap thresholds, 0..1) or "precision" (51 thresholds, 0..50 pixels).
        part: Order and labels.
        results: All metrics.

    Returns:
        The figure and its caption.
    """
    measure, xlabel, ylabel, thresholds = _PLOTS[curve]
    benchmarks = [name for name in results.benchmarks(part) if _with_curve(results, name, curve)]
    if not benchmarks:
        raise UserError(f"no metrics hold a {curve} curve", remedy="score the trackers with `distillery score` again")
    figure = new_figure(WIDTH, 3.1 * len(benchmarks))
    panels = figure.subplots(len(benchmarks), 1, squeeze=False)[:, 0]
    for axes, benchmark in zip(panels, benchmarks, strict=True):
        ranked = []
        look = faces(results.variants(part, benchmark))
        for variant in results.variants(part, benchmark):
            stack = [r.curves[curve] for r in results.of(benchmark, variant.key) if curve in r.curves]
            if not stack:
                continue
            if any(len(values) != len(thresholds) for values in stack):
                raise UserError(
                    f"the {curve} curve of {variant.key} does not have {len(thresholds)} points",
                    remedy="score its predictions again",
                )
            data = np.asarray(stack)
            (line,) = axes.plot(thresholds, data.mean(axis=0), **look[variant.key].line, zorder=3)
            axes.fill_between(
                thresholds, data.min(axis=0), data.max(axis=0), color=look[variant.key].colour, alpha=0.13, linewidth=0
            )
            number = results.values(benchmark, variant.key, measure)
            value = estimate(list(number.values())) if number else None
            ranked.append((value.mean if value else -1.0, line, f"{_number(measure, value)}  {variant.label}"))
        ranked.sort(key=lambda entry: -entry[0])
        axes.legend(
            [line for _, line, _ in ranked],
            [text for _, _, text in ranked],
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            title=f"{MEASURES[measure].label}, ranked",
            alignment="left",
        )
        axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(thresholds[0], thresholds[-1]), ylim=(0, 1))
        axes.set_title(f"{curve.capitalize()}, {benchmark_label(benchmark)}")
    caption = (
        "One-pass evaluation, mean over sequences. Lines: mean over seeds; bands: from the "
        f"lowest to the highest seed. The legend is ranked by {MEASURES[measure].label} ± half the 95 % interval over "
        "seeds; a single number has one seed. Dashed: trained without a teacher. Grey: trivial trackers."
    )
    return figure, caption


def _with_curve(results: Results, benchmark: str, curve: str) -> bool:
    return any(result.benchmark == benchmark and curve in result.curves for result in results.results)


def _number(measure: str, value: Estimate | None) -> str:
    if value is None:
        return NONE
    text = MEASURES[measure].text(value.mean)
    return text if value.half_width is None else f"{text} ± {MEASURES[measure].text(value.half_width)}"


def over_gallery(part: Part, results: Results) -> tuple[Figure, str]:
    """Search mAP by gallery size with intervals over seeds, one panel a benchmark; returns figure and caption."""
    benchmarks = [name for name in results.benchmarks(part) if results.gallery_sizes(name)]
    if not benchmarks:
        raise UserError(
            "no metrics hold by_gallery_size", remedy="score the search results with `distillery score` again"
        )
    figure = new_figure(WIDTH, 3.1 * len(benchmarks))
    panels = figure.subplots(len(benchmarks), 1, squeeze=False)[:, 0]
    measure = MEASURES["map"]
    for axes, benchmark in zip(panels, benchmarks, strict=True):
        variants, sizes = results.variants(part, benchmark), results.gallery_sizes(benchmark)
        look, ranked = faces(variants), []
        for order, variant in enumerate(variants):
            points = []
            for place, size in enumerate(sizes):
                values = results.at_gallery(benchmark, variant.key, size, "map")
                if values:
                    # A few points aside, so that intervals at one size do not cover each other.
                    offset = 0.045 * (order - (len(variants) - 1) / 2)
                    points.append((place + offset, estimate(list(values.values()))))
            if not points:
                continue
            x = [place for place, _ in points]
            y = [100 * value.mean for _, value in points]
            half = [100 * (value.half_width or 0) for _, value in points]
            face = look[variant.key]
            (line,) = axes.plot(x, y, marker=face.marker, markersize=5, **face.line, zorder=3)
            bars = [half if any(half) else None]
            axes.errorbar(x, y, yerr=bars[0], fmt="none", ecolor=face.colour, elinewidth=1, capsize=2.5, alpha=0.75)
            ranked.append((y[-1], line, f"{_number('map', points[-1][1])}  {variant.label}"))
        ranked.sort(key=lambda entry: -entry[0])
        axes.legend(
            [line for _, line, _ in ranked],
            [text for _, _, text in ranked],
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            title=f"{measure.label} at {_size_label(sizes[-1])}, ranked",
            alignment="left",
        )
        axes.set_xticks(range(len(sizes)), [_size_label(size) for size in sizes])
        axes.set(xlabel="gallery", ylabel="search mAP, %", xlim=(-0.4, len(sizes) - 0.6))
        axes.set_ylim(bottom=0)
        axes.grid(axis="x", visible=False)
        axes.set_title(f"Search mAP over gallery size, {benchmark_label(benchmark)}")
    caption = (
        "By the number of gallery images in which each query is searched: mean and 95 % interval over seeds "
        "(Student's t). Points of one gallery size are set apart sideways to keep intervals readable. Dashed: trained "
        "without a look-up table. Methods on true boxes do not detect and are no competitors."
    )
    return figure, caption


def _size_label(size: str) -> str:
    return "all images" if size == "full" else f"{size} images"
