"""Every run of every network with its interval, the variations beside what they vary."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distillery.config.paper_job import FAMILY_LABELS, Part, Variant
from distillery.errors import UserError
from distillery.paper.figures.panels import short_label
from distillery.paper.figures.style import WIDTH, Face, faces, new_figure
from distillery.paper.measures import benchmark_label, first_measure
from distillery.paper.records import Results

_COLUMNS = 5
"""Benchmarks side by side; with more the figure gets wider rather than its panels narrower."""
_LABELS = 1.75
"""Width of the names, in inches."""


def ablations(part: Part, results: Results) -> tuple[Figure, str]:
    """A row a family, a column a benchmark, a line a run; returns figure and caption."""
    names = results.benchmarks(part)
    rows = {family: _lines(part, results, names, family) for family in part.families}
    rows = {family: lines for family, lines in rows.items() if len(lines) > 1}
    if not rows:
        raise UserError("the metrics hold no two runs of one family", remedy="run `snakemake ablations`")
    heights = [0.55 + 0.15 * len(lines) for lines in rows.values()]
    width = _LABELS + (WIDTH - _LABELS) * max(1.0, len(names) / _COLUMNS)
    figure = new_figure(width, sum(heights))
    grid = figure.subplots(len(rows), len(names), squeeze=False, height_ratios=heights, sharey="row")
    for panels, (family, lines) in zip(grid, rows.items(), strict=True):
        look = faces([variant for variant in part.variants if variant.model == family])
        for axes, benchmark in zip(panels, names, strict=True):
            _panel(axes, lines, look, results, benchmark)
            _references(axes, part, lines, results, benchmark, family)
            axes.set_title(benchmark_label(benchmark).partition(" (")[0], fontsize=7.5)
            axes.set_xlabel(first_measure(benchmark).label, labelpad=1, fontsize=7)
            axes.tick_params(axis="x", labelsize=6.3)
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(lines)), [short_label(variant, family) for variant in lines], fontsize=6.4)
        panels[0].set_ylim(-0.7, len(lines) - 0.3)
        panels[0].set_ylabel(FAMILY_LABELS.get(family, family), fontweight="bold")
    caption = (
        "Mean and 95 % interval over seeds (Student's t) of every run, small dots are the seeds; axes do not begin at "
        "0. Filled: the headline's runs; hollow: variations, of which the table of ablations lists the changes and the "
        "paired differences. Vertical lines: the mean of the teacher (solid) and, beside the runs of a network, of the "
        "same network trained from ground truth alone (dashed). Intervals of single runs overlap more than those of "
        "paired differences do, which the table tests. TrackingNet: the held-out part."
    )
    return figure, caption


def _lines(part: Part, results: Results, names: list[str], family: str) -> list[Variant]:
    """The family's students with any result, from bottom to top."""
    return [
        variant
        for variant in reversed(part.variants)
        if variant.model == family
        and variant.role in ("reference", "distilled")
        and any(results.values(name, variant.key, first_measure(name).key) for name in names)
    ]


def _panel(axes: Axes, lines: list[Variant], look: dict[str, Face], results: Results, benchmark: str) -> None:
    key = first_measure(benchmark).key
    for place, variant in enumerate(lines):
        colour = look[variant.key].colour
        seeds = list(results.values(benchmark, variant.key, key).values())
        axes.plot(seeds, [place] * len(seeds), ".", color=colour, markersize=2.2, alpha=0.6, zorder=2)
        value = results.estimate(benchmark, variant.key, key)
        if value:
            axes.errorbar(
                value.mean, place, xerr=value.half_width, fmt="o", color=colour, markersize=4, elinewidth=1,
                capsize=1.8, markerfacecolor="white" if variant.changes else colour, zorder=3,
            )  # fmt: skip
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=4)
    for place in range(1, len(lines)):
        if lines[place].network != lines[place - 1].network:
            axes.axhline(place - 0.5, color="#c4c4c4", linewidth=0.6, zorder=1)


def _references(axes: Axes, part: Part, lines: list[Variant], results: Results, benchmark: str, family: str) -> None:
    """The teacher's mean, and for each network that of ground truth alone."""
    key = first_measure(benchmark).key
    teacher = next((v for v in part.variants if v.model == family and v.role == "teacher"), None)
    value = results.estimate(benchmark, teacher.key, key) if teacher else None
    if value:
        axes.axvline(value.mean, color="#111111", linewidth=0.8, zorder=1)
    for network in dict.fromkeys(variant.network for variant in lines):
        places = [place for place, variant in enumerate(lines) if variant.network == network]
        # The headline's: the first of the network that learns without a teacher.
        truth = next((lines[place] for place in reversed(places) if lines[place].role == "reference"), None)
        value = results.estimate(benchmark, truth.key, key) if truth else None
        if value:
            axes.vlines(
                value.mean,
                min(places) - 0.5,
                max(places) + 0.5,
                color="#111111",
                linewidth=0.8,
                linestyle="--",
                zorder=1,
            )
