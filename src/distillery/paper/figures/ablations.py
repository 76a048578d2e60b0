"""Every run of every network with its interval, the variations beside what they vary."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distillery.config.paper_job import MODEL_LABELS, Part, Variant
from distillery.errors import UserError
from distillery.paper.figures.panels import short_label
from distillery.paper.figures.style import WIDTH, Face, faces, new_figure
from distillery.paper.measures import MEASURES, Measure, benchmark_label, first_measure, headline
from distillery.paper.records import Results

_COLUMNS = 5
"""Benchmarks side by side; with more the figure gets wider rather than its panels narrower."""
_LABELS = 1.75
"""Width of the names, in inches."""


def ablations(part: Part, results: Results) -> tuple[Figure, str]:
    """A row a family, a column a benchmark, a line a run; returns figure and caption."""
    figure = _figure(part, results, [(name, first_measure(name)) for name in results.benchmarks(part)])
    caption = (
        "Mean and 95 % interval over seeds (Student's t) of every run, small dots are the seeds; axes do not begin at "
        "0. Filled: the headline's runs; hollow: variations, of which the table of ablations lists the changes and the "
        "paired differences. Vertical lines: the mean of the teacher (solid) and, beside the runs of a network, of the "
        "same network trained from ground truth alone (dashed). Intervals of single runs overlap more than those of "
        "paired differences do, which the table tests. TrackingNet: the held-out part."
    )
    return figure, caption


def search_ablations(part: Part, results: Results) -> tuple[Figure, str]:
    """The same for person search: search and detection, a column each, on every benchmark with a variation."""
    varied = {variant.key for variant in part.variants if variant.changes}
    columns = [
        (name, MEASURES[key])
        for name in results.benchmarks(part)
        if any(results.of(name, key) for key in varied)
        for key in headline(name)
        if key in ("map", "ap")
    ]
    networks = {(variant.model, variant.network) for variant in part.variants if variant.key in varied}
    kept = [variant for variant in part.variants if (variant.model, variant.network) in networks]
    figure = _figure(part.model_copy(update={"variants": tuple(kept)}), results, columns)
    caption = (
        "Mean and 95 % interval over seeds (Student's t) of every network, in percent; small dots are the seeds; axes "
        "do not begin at 0. Filled: the headline's; hollow: variations, of which the table lists the changes and the "
        "paired differences. Dashed: the mean of the same network without a teacher, as the headline trains it. "
        "Intervals of single networks overlap more than those of paired differences do, which the table tests."
    )
    return figure, caption


def _figure(part: Part, results: Results, columns: list[tuple[str, Measure]]) -> Figure:
    """A row a family, and a column for each benchmark and measure."""
    rows = {family: _lines(part, results, columns, family) for family in part.families}
    rows = {family: lines for family, lines in rows.items() if len(lines) > 1}
    if not rows or not columns:
        raise UserError("the metrics hold no two runs of one family", remedy="run `snakemake ablations`")
    heights = [0.55 + 0.15 * len(lines) for lines in rows.values()]
    names = {family: [short_label(variant, family) for variant in lines] for family, lines in rows.items()}
    # Names that are longer than a tracker's runs take the room of the panels.
    room = max(_LABELS, 0.047 * max(len(name) for mine in names.values() for name in mine))
    width = _LABELS + (WIDTH - _LABELS) * max(1.0, len(columns) / _COLUMNS)
    figure = new_figure(max(width, room + 1.1 * len(columns)), sum(heights))
    grid = figure.subplots(len(rows), len(columns), squeeze=False, height_ratios=heights, sharey="row")
    for panels, (family, lines) in zip(grid, rows.items(), strict=True):
        look = faces([variant for variant in part.variants if variant.model == family])
        for axes, (benchmark, measure) in zip(panels, columns, strict=True):
            _panel(axes, lines, look, results, benchmark, measure)
            _references(axes, part, lines, results, benchmark, measure, family)
            axes.set_title(benchmark_label(benchmark).partition(" (")[0], fontsize=7.5)
            axes.set_xlabel(measure.label, labelpad=1, fontsize=7)
            axes.tick_params(axis="x", labelsize=6.3)
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(lines)), names[family], fontsize=6.4)
        panels[0].set_ylim(-0.7, len(lines) - 0.3)
        panels[0].set_ylabel(MODEL_LABELS.get(family, family), fontweight="bold")
    return figure


def _lines(part: Part, results: Results, columns: list[tuple[str, Measure]], family: str) -> list[Variant]:
    """The family's students with any result, from bottom to top."""
    return [
        variant
        for variant in reversed(part.variants)
        if variant.model == family
        and variant.role in ("reference", "distilled")
        and any(results.values(name, variant.key, measure.key) for name, measure in columns)
    ]


def _panel(
    axes: Axes, lines: list[Variant], look: dict[str, Face], results: Results, benchmark: str, measure: Measure
) -> None:
    scale = measure.scale
    for place, variant in enumerate(lines):
        colour = look[variant.key].colour
        seeds = [scale * value for value in results.values(benchmark, variant.key, measure.key).values()]
        axes.plot(seeds, [place] * len(seeds), ".", color=colour, markersize=2.2, alpha=0.6, zorder=2)
        value = results.estimate(benchmark, variant.key, measure.key)
        if value:
            half = None if value.half_width is None else scale * value.half_width
            axes.errorbar(
                scale * value.mean, place, xerr=half, fmt="o", color=colour, markersize=4, elinewidth=1,
                capsize=1.8, markerfacecolor="white" if variant.changes else colour, zorder=3,
            )  # fmt: skip
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=4)
    for place in range(1, len(lines)):
        if lines[place].network != lines[place - 1].network:
            axes.axhline(place - 0.5, color="#c4c4c4", linewidth=0.6, zorder=1)


def _references(
    axes: Axes, part: Part, lines: list[Variant], results: Results, benchmark: str, measure: Measure, family: str
) -> None:
    """The teacher's mean, and for each network that of ground truth alone."""
    key, scale = measure.key, measure.scale
    teacher = next((v for v in part.variants if v.model == family and v.role == "teacher"), None)
    value = results.estimate(benchmark, teacher.key, key) if teacher else None
    if value:
        axes.axvline(scale * value.mean, color="#111111", linewidth=0.8, zorder=1)
    for network in dict.fromkeys(variant.network for variant in lines):
        places = [place for place, variant in enumerate(lines) if variant.network == network]
        # The headline's: the first of the network that learns without a teacher.
        truth = next((lines[place] for place in reversed(places) if lines[place].role == "reference"), None)
        value = results.estimate(benchmark, truth.key, key) if truth else None
        if value:
            axes.vlines(
                scale * value.mean,
                min(places) - 0.5,
                max(places) + 0.5,
                color="#111111",
                linewidth=0.8,
                linestyle="--",
                zorder=1,
            )
