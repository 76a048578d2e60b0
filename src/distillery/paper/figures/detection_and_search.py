"""Detection quality against search quality: where a teacher helps."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distillery.config.paper_job import Part, Variant
from distillery.errors import UserError
from distillery.paper.figures.style import WIDTH, Face, faces, new_figure
from distillery.paper.measures import benchmark_label, headline
from distillery.paper.records import Results


def detection_and_search(part: Part, results: Results) -> tuple[Figure, str]:
    """Search mAP over detection AP, a panel a benchmark; one small mark a variant and seed, a large one for the mean.

    Returns:
        The figure and its caption.
    """
    shown = {
        benchmark: [v for v in results.variants(part, benchmark) if v.teaching and _points(results, benchmark, v)]
        for benchmark in results.benchmarks(part)
        if "ap" in headline(benchmark)
    }
    shown = {benchmark: variants for benchmark, variants in shown.items() if variants}
    if not shown:
        raise UserError("no metrics hold both search mAP and detection AP", remedy="score the search results again")
    look = faces([variant for variant in part.variants if variant.role != "baseline"])
    figure = new_figure(WIDTH, 3.5)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    handles: dict[str, Line2D] = {}
    for axes, (benchmark, variants) in zip(panels, shown.items(), strict=True):
        _teacher(axes, part, results, benchmark, handles)
        for variant in variants:
            face, points = look[variant.key], _points(results, benchmark, variant)
            mean = tuple(sum(values) / len(values) for values in zip(*points, strict=True))
            axes.plot(*zip(*points, strict=True), face.marker, color=face.colour, markersize=2.8, alpha=0.55, zorder=3)
            axes.plot(*mean, **_mark(face, hollow=variant.teaching == "plain"), zorder=4)
            handles[variant.label] = Line2D([], [], **_mark(face, hollow=variant.teaching == "plain"))
            base = next((v for v in variants if v.key == variant.ground_truth), None)
            if base is not None:
                start = _points(results, benchmark, base)
                origin = tuple(sum(values) / len(values) for values in zip(*start, strict=True))
                axes.annotate(
                    "", mean, origin, zorder=2,
                    arrowprops={"arrowstyle": "-", "color": face.colour, "linewidth": 0.8, "alpha": 0.6,
                                "shrinkA": 4, "shrinkB": 4},
                )  # fmt: skip
        axes.set(xlabel="detection AP, %", ylabel="search mAP, %")
        axes.set_title(benchmark_label(benchmark))
        axes.margins(0.1)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3)
    caption = (
        "Search mAP over detection AP, both in percent: a small mark is one seed, a large one the mean over seeds. "
        "Colour: method and network; hollow circles: without a teacher, from which a line leads to each way of "
        "teaching the same network. Up: people are told apart better; to the right: they are found better. Vertical: "
        "the detection teacher's AP. Axes do not begin at 0."
    )
    return figure, caption


def _mark(face: Face, *, hollow: bool) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": face.marker,
        "markersize": 7,
        "markeredgecolor": face.colour,
        "markeredgewidth": 1.3,
        "markerfacecolor": "white" if hollow else face.colour,
    }


def _points(results: Results, benchmark: str, variant: Variant) -> list[tuple[float, float]]:
    """(detection AP, search mAP) in percent of each seed that has both."""
    ap, search = (results.values(benchmark, variant.key, key) for key in ("ap", "map"))
    return [(100 * ap[seed], 100 * search[seed]) for seed in sorted(ap.keys() & search.keys())]


def _teacher(axes: Axes, part: Part, results: Results, benchmark: str, handles: dict[str, Line2D]) -> None:
    for variant in (v for v in part.variants if v.role == "teacher" and not v.true_boxes):
        value = results.estimate(benchmark, variant.key, "ap")
        if value is not None:
            handles[variant.label] = axes.axvline(100 * value.mean, color="#111111", linewidth=0.8, zorder=1)
