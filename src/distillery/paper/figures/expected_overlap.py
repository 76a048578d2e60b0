"""VOT: who ranks where by expected average overlap, and the curves it is the mean of."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distillery.config.paper_job import Part, Variant
from distillery.errors import UserError
from distillery.paper.figures.panels import families_on, panel_title, short_label, told
from distillery.paper.figures.style import WIDTH, Face, faces, new_figure
from distillery.paper.measures import MEASURES
from distillery.paper.records import Results

CURVE = "expected_overlap"


def expected_overlap(part: Part, results: Results) -> tuple[Figure, str]:
    """A row a benchmark and family: the ranking with intervals, and the expected-overlap curves beside it.

    Returns:
        The figure and its caption.
    """
    names = results.with_curve(part, CURVE)
    if not names:
        raise UserError("no metrics hold an expected_overlap curve", remedy="score the trackers on VOT again")
    families = families_on(part, results, names)
    rows = [(name, family) for name in names for family in families if results.variants(part, name, family)]
    heights = [0.9 + 0.15 * max(9, len(results.variants(part, *row))) for row in rows]
    figure = new_figure(WIDTH, sum(heights))
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=[1, 1.15], height_ratios=heights)
    for (ranking, curves), (benchmark, family) in zip(grid, rows, strict=True):
        variants = [v for v in results.variants(part, benchmark, family) if results.values(benchmark, v.key, "eao")]
        look = faces(variants)
        _rank(ranking, variants, look, benchmark, family, results)
        _curves(curves, variants, look, benchmark, results)
        title = panel_title(benchmark, family, families)
        ranking.set_title(title)
        curves.set_title("Expected overlap")
    caption = (
        "Left: expected average overlap, best on top, mean and 95 % interval over seeds (Student's t); small dots are "
        "the seeds. Right: expected overlap of a run of the given length, mean over seeds, in the colours of the left; "
        "the shaded lengths are those over which EAO averages. Dashed: trained without a teacher. Grey: trivial "
        "trackers."
    )
    return figure, caption


def _rank(
    axes: Axes, variants: list[Variant], look: dict[str, Face], benchmark: str, family: str, results: Results
) -> None:
    found = [(variant, results.estimate(benchmark, variant.key, "eao")) for variant in variants]
    ranked = sorted(((v, e) for v, e in found if e), key=lambda pair: (pair[1].mean, pair[0].key))
    for place, (variant, value) in enumerate(ranked):
        face = look[variant.key]
        seeds = list(results.values(benchmark, variant.key, "eao").values())
        axes.errorbar(
            value.mean, place, xerr=value.half_width, fmt=face.marker, color=face.colour, markersize=5,
            markerfacecolor="white" if variant.role == "reference" else face.colour, elinewidth=1.1, capsize=2.2,
            zorder=3,
        )  # fmt: skip
        axes.plot(seeds, [place] * len(seeds), ".", color=face.colour, markersize=2.5, alpha=0.6, zorder=2)
    axes.set_yticks(
        range(len(ranked)),
        [f"{short_label(v, family)}  {told(MEASURES['eao'], e)}" for v, e in ranked],
        fontsize=6.6,
    )
    axes.set_ylim(-0.7, len(ranked) - 0.3)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("EAO")


def _curves(axes: Axes, variants: list[Variant], look: dict[str, Face], benchmark: str, results: Results) -> None:
    longest = 1
    for variant in variants:
        stack = [r.curves[CURVE] for r in results.of(benchmark, variant.key) if CURVE in r.curves]
        if not stack:
            continue
        # Seeds fail at different places, so their curves may end at different lengths.
        length = min(map(len, stack))
        values = np.asarray([curve[:length] for curve in stack])
        axes.plot(
            np.arange(1, length + 1), values.mean(axis=0), **{**look[variant.key].line, "linewidth": 1.3}, zorder=3
        )
        longest = max(longest, length)
    spans = {(r.interval.low, r.interval.high) for r in results.results if r.benchmark == benchmark and r.interval}
    if len(spans) > 1:
        raise UserError(
            f"the results on {benchmark} average the expected overlap over different lengths: "
            + ", ".join(f"{low} to {high}" for low, high in sorted(spans)),
            remedy="score all of them again",
        )
    for low, high in spans:
        axes.axvspan(low, high, color="#56b4e9", alpha=0.16, linewidth=0, zorder=1)
    axes.set(xlabel="length of the run, frames", ylabel="expected overlap", xlim=(1, longest), ylim=(0, 1))
