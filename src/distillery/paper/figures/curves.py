"""Success, precision and normalised precision plots: a panel a benchmark and family, with ranked legends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distillery.config.paper_job import Part
from distillery.errors import UserError
from distillery.paper.figures.panels import LINE, families_on, panel_title, ranked_legend, short_label, told
from distillery.paper.figures.style import WIDTH, Face, faces, new_figure
from distillery.paper.measures import headline, measure_of
from distillery.paper.records import Result, Results


class _Plot(NamedTuple):
    measures: tuple[str, ...]
    """What ranks the legend: the first that a benchmark has."""
    title: str
    xlabel: str
    ylabel: str
    end: float
    """Largest threshold; the thresholds are even from 0."""
    points: tuple[int, ...]
    """Numbers of thresholds that protocols use."""


_PLOTS = {
    "success": _Plot(("auc", "ao"), "Success", "overlap threshold", "share of frames above it", 1.0, (21, 101)),
    "precision": _Plot(
        ("precision",), "Precision", "centre error threshold, pixels", "share of frames within it", 50.0, (51, 21)
    ),
    "normalized_precision": _Plot(
        ("normalized_precision",), "Normalised precision", "centre error threshold over target size",
        "share of frames within it", 0.5, (51, 21),
    ),
}  # fmt: skip


def one_pass(curve: str, part: Part, results: Results) -> tuple[Figure, str]:
    """A plot of one-pass evaluation.

    Args:
        curve: "success" (overlap thresholds 0..1), "precision" (0..50 pixels) or "normalized_precision" (0..0.5).
        part: Order and labels.
        results: All metrics.

    Returns:
        The figure and its caption.
    """
    plot = _PLOTS[curve]
    names = results.with_curve(part, curve)
    if curve == "normalized_precision":  # where it is a headline measure of the benchmark, or the server's
        names = [name for name in names if curve in headline(name) or name == "trackingnet"]
    if not names:
        raise UserError(f"no metrics hold a {curve} curve", remedy="score the trackers with `distillery score` again")
    families = families_on(part, results, names)
    lines = max(len(results.variants(part, name, family)) for name in names for family in families)
    below = len(families) > 1
    height = 2.0 + (0.5 + LINE * (lines + 1) if below else max(0.0, LINE * (lines - 12)))
    figure = new_figure(WIDTH, (height if below else max(height, 2.4)) * len(names))
    grid = figure.subplots(len(names), len(families), squeeze=False)
    for row, benchmark in zip(grid, names, strict=True):
        for axes, family in zip(row, families, strict=True):
            _panel(axes, plot, curve, benchmark, family, part, results, below=below)
            title = panel_title(benchmark, family, families)
            axes.set_title(title if len(families) > 1 else f"{plot.title}, {title}")
    caption = (
        "Mean over sequences. Lines: mean over seeds; bands: from the lowest to the highest seed. Legends are ranked "
        "by the protocol's number (mean ± half the 95 % interval over seeds; a single number has one seed), which only "
        "for the success plot is the area under the curve. Dashed: trained without a teacher. Grey: trivial trackers."
    )
    return figure, caption


def _panel(
    axes: Axes, plot: _Plot, curve: str, benchmark: str, family: str, part: Part, results: Results, *, below: bool
) -> None:
    variants = results.variants(part, benchmark, family)
    look = faces(variants)
    every = [result.numbers for result in results.results if result.benchmark == benchmark]
    key = next((key for key in plot.measures if any(key in numbers for numbers in every)), plot.measures[0])
    measure = measure_of(benchmark, key)
    entries = []
    for variant in variants:
        stack = [result for result in results.of(benchmark, variant.key) if curve in result.curves]
        if not stack:
            continue
        thresholds, values = _stacked(stack, curve, plot)
        face: Face = look[variant.key]
        (line,) = axes.plot(thresholds, values.mean(axis=0), **face.line, zorder=3)
        axes.fill_between(thresholds, values.min(axis=0), values.max(axis=0), color=face.colour, alpha=0.1, linewidth=0)
        value = results.estimate(benchmark, variant.key, key)
        text = f"{told(measure, value)}  {short_label(variant, family)}"
        entries.append((value.mean if value else -1.0, line, text))
    ranked_legend(axes, entries, f"{measure.label}, ranked", below=below)
    axes.set(xlabel=plot.xlabel, ylabel=plot.ylabel, xlim=(0, plot.end), ylim=(0, 1))


def _stacked(stack: list[Result], curve: str, plot: _Plot) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Thresholds (T,) and the curves of all seeds (seeds, T)."""
    lengths = {len(result.curves[curve]) for result in stack}
    if len(lengths) > 1 or not lengths <= set(plot.points):
        wanted = " or ".join(map(str, plot.points))
        raise UserError(
            f"the {curve} curve of {stack[0].key} on {stack[0].benchmark} does not have {wanted} points",
            remedy="score its predictions again",
        )
    return np.linspace(0, plot.end, lengths.pop()), np.asarray([result.curves[curve] for result in stack])
