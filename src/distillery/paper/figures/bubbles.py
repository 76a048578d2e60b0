"""Accuracy, speed and size of every network in one view."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from distillery.config.paper import PaperJob, Part
from distillery.errors import UserError
from distillery.paper.figures.style import WIDTH, faces, new_figure
from distillery.paper.measures import HEADLINE, MEASURES
from distillery.paper.records import Compute, ComputeProfile, Results
from distillery.paper.statistics import Estimate, estimate

_LARGEST = 900.0
"""Area of the largest bubble in square points."""


def bubbles(job: PaperJob, results: Results, profile: ComputeProfile) -> tuple[Figure, str]:
    """Accuracy over speed, the area being the size; one panel a paper. Returns figure and caption."""
    compute = profile.networks
    panels: list[tuple[str, Part, str]] = []
    for paper, part in (("tracking", job.tracking), ("person_search", job.person_search)):
        panels += [
            (paper, part, benchmark)
            for benchmark in results.benchmarks(part)[:1]
            if any(variant.key in compute for variant in results.variants(part, benchmark))
        ]
    if not panels:
        raise UserError(
            "compute.json and the metrics share no network", remedy="run `distillery profile-networks` again"
        )
    figure = new_figure(WIDTH, 4.5)
    for axes, (paper, part, benchmark) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, paper, part, benchmark, results, compute)
    caption = (
        f"Accuracy (mean and 95 % interval over seeds) over speed at batch size 1 on {profile.place}; the area of a "
        "bubble is proportional to the size of its network within a panel. Hollow: trained without a "
        "teacher. Dotted lines: trivial methods, for which no speed is measured. Networks on true boxes do not detect, "
        "so their speed is not comparable."
    )
    return figure, caption


def _panel(
    axes: Axes, paper: str, part: Part, benchmark: str, results: Results, compute: Mapping[str, Compute]
) -> None:
    measure = MEASURES[HEADLINE[paper][0]]
    variants = results.variants(part, benchmark)
    look = faces(variants)
    drawn = [
        v
        for v in variants
        if v.key in compute and compute[v.key].fps and _value(results, benchmark, v.key, measure.key)
    ]
    largest = max((compute[variant.key].bytes for variant in drawn), default=1)
    handles, labels = [], []
    for variant in sorted(drawn, key=lambda variant: -compute[variant.key].bytes):
        cost, face = compute[variant.key], look[variant.key]
        value = _value(results, benchmark, variant.key, measure.key)
        assert value is not None and cost.fps is not None
        y = value.mean * measure.scale
        half = (value.half_width or 0) * measure.scale
        hollow = variant.role == "reference"
        axes.errorbar(
            cost.fps, y, yerr=half or None, fmt="none", ecolor=face.colour, elinewidth=1, capsize=2.5, zorder=4
        )
        axes.scatter(
            cost.fps,
            y,
            s=_LARGEST * cost.bytes / largest,
            facecolor="none" if hollow else to_rgba(face.colour, 0.35),
            edgecolor=face.colour,
            linewidth=1.3,
            zorder=3,
        )
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker="o",
                markersize=6,
                markerfacecolor="none" if hollow else to_rgba(face.colour, 0.35),
                markeredgecolor=face.colour,
            )
        )
        labels.append(f"{variant.label}: {cost.bytes / 1e3:,.0f} kB, {cost.fps:,.0f} FPS")
    for variant in (v for v in variants if v.role == "baseline"):
        value = _value(results, benchmark, variant.key, measure.key)
        if value is not None:
            line = axes.axhline(value.mean * measure.scale, **look[variant.key].line, zorder=1)
            handles.append(line)
            labels.append(f"{variant.label}: {measure.text(value.mean)}")
    axes.margins(0.18)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="frames or images a second", ylabel=f"{measure.label}{', %' if measure.scale == 100 else ''}")
    axes.set_title({"tracking": "Tracking", "person_search": "Person search"}[paper])
    axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(-0.12, -0.16), fontsize=7)


def _value(results: Results, benchmark: str, key: str, measure: str) -> Estimate | None:
    values = results.values(benchmark, key, measure)
    return estimate(list(values.values())) if values else None
