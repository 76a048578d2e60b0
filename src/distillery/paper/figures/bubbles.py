"""Accuracy, speed and size of every network in one view."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from distillery.config.paper_job import FAMILY_LABELS, PaperJob, Part
from distillery.errors import UserError
from distillery.paper.costs import ComputeProfile
from distillery.paper.figures.panels import LEGEND, LINE, families_on, short_label
from distillery.paper.figures.style import WIDTH, faces, new_figure
from distillery.paper.measures import benchmark_label, first_measure
from distillery.paper.records import Results

_LARGEST = 900.0
"""Area of the largest bubble in square points."""


def bubbles(job: PaperJob, results: Results, profile: ComputeProfile) -> tuple[Figure, str]:
    """Accuracy over speed, the area being the size; one panel a family of trackers, and one for person search.

    Returns:
        The figure and its caption.
    """
    panels: list[tuple[Part, str, str | None]] = []
    compute = profile.networks
    for paper, part in job.parts.items():
        for benchmark in results.benchmarks(part)[:1]:
            families = families_on(part, results, [benchmark]) if paper == "tracking" else [None]
            panels += [
                (part, benchmark, family)
                for family in families
                if any(part.network_of(benchmark, v.key) in compute for v in results.variants(part, benchmark, family))
            ]
    if not panels:
        raise UserError(
            "compute.json and the metrics share no network", remedy="run `distillery profile-networks` again"
        )
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    lines = max(len(results.variants(*panel)) for panel in panels)
    figure = new_figure(WIDTH, rows * (2.8 + LINE * (lines + 1)))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (part, benchmark, family) in zip(grid.flat, panels, strict=False):
        _panel(axes, part, benchmark, family, results, profile)
    caption = (
        f"Accuracy (mean and 95 % interval over seeds) over speed at batch size 1 on {profile.place}; the area of a "
        "bubble is proportional to the size of its network within a panel. Hollow: trained without a "
        "teacher. Dotted lines: trivial methods, for which no speed is measured. Networks on true boxes do not detect, "
        "so their speed is not comparable."
    )
    return figure, caption


def _panel(
    axes: Axes, part: Part, benchmark: str, family: str | None, results: Results, profile: ComputeProfile
) -> None:
    measure = first_measure(benchmark)
    variants = results.variants(part, benchmark, family)
    look = faces(variants)
    compute = {
        v.key: profile.networks[name]
        for v in variants
        if (name := part.network_of(benchmark, v.key)) in profile.networks
    }
    found = {v.key: results.estimate(benchmark, v.key, measure.key) for v in variants}
    drawn = [v for v in variants if v.key in compute and compute[v.key].fps and found[v.key]]
    largest = max((compute[variant.key].bytes for variant in drawn), default=1)
    handles: list[Line2D] = []
    labels: list[str] = []
    for variant in sorted(drawn, key=lambda variant: -compute[variant.key].bytes):
        cost, face, value = compute[variant.key], look[variant.key], found[variant.key]
        assert value is not None and cost.fps is not None
        y, half = value.mean * measure.scale, (value.half_width or 0) * measure.scale
        hollow = variant.role == "reference"
        fill = "none" if hollow else to_rgba(face.colour, 0.35)
        axes.errorbar(
            cost.fps, y, yerr=half or None, fmt="none", ecolor=face.colour, elinewidth=1, capsize=2.5, zorder=4
        )
        area = _LARGEST * cost.bytes / largest
        axes.scatter(cost.fps, y, s=area, facecolor=fill, edgecolor=face.colour, linewidth=1.3, zorder=3)
        # Small networks would be lost without a mark in the middle.
        axes.plot(cost.fps, y, marker=face.marker, markersize=3.2, color=face.colour, zorder=5)
        handles.append(
            Line2D(
                [], [], linestyle="none", marker=face.marker, markersize=5, markeredgecolor=face.colour,
                markerfacecolor="none" if hollow else face.colour,
            )
        )  # fmt: skip
        label = short_label(variant, family) if family else variant.label
        labels.append(f"{label}: {_size(cost.bytes)}, {cost.fps:,.0f} FPS")
    for variant in (v for v in variants if v.role == "baseline"):
        value = found[variant.key]
        if value is not None:
            handles.append(axes.axhline(value.mean * measure.scale, **look[variant.key].line, zorder=1))
            labels.append(f"{variant.label}: {measure.text(value.mean)}")
    axes.margins(0.18)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="frames or images a second", ylabel=f"{measure.label}{', %' if measure.scale == 100 else ''}")
    head = FAMILY_LABELS.get(family, family) if family else "Person search"
    axes.set_title(f"{head}, {benchmark_label(benchmark)}")
    axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(-0.12, -0.16), fontsize=LEGEND, labelspacing=0.25)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e7 else f"{count / 1e3:,.0f} kB"
