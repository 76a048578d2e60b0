"""What a smaller network loses, with and without a teacher."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distillery.config.paper_job import MODEL_LABELS, TEACHING_LABELS, Part, Teaching, Variant
from distillery.errors import UserError
from distillery.paper.figures.style import WIDTH, new_figure
from distillery.paper.measures import MEASURES, MINUS, benchmark_label
from distillery.paper.records import Results
from distillery.paper.statistics import Estimate, paired_difference

_LOOK: dict[Teaching, tuple[str, str]] = {
    "plain": ("#6b6b6b", "o"),
    "detector": ("#e69f00", "s"),
    "table": ("#0072b2", "^"),
    "both": ("#009e73", "D"),
}
"""What a network learns from -> colour and marker."""

_Pair = tuple[Variant, Variant]


def compression(part: Part, results: Results) -> tuple[Figure, str]:
    """A row a benchmark: mAP of the large and the small network, and the paired difference, by what they learn from.

    Returns:
        The figure and its caption.
    """
    shown = {benchmark: _pairs(part, results, benchmark) for benchmark in results.benchmarks(part)}
    shown = {benchmark: pairs for benchmark, pairs in shown.items() if pairs}
    if not shown:
        raise UserError(
            "the metrics hold no two networks that learnt alike", remedy="train OIM with two networks of the config"
        )
    figure = new_figure(WIDTH, 2.3 * len(shown))
    grid = figure.subplots(len(shown), 2, squeeze=False, width_ratios=[1, 1.15])
    for (left, right), (benchmark, pairs) in zip(grid, shown.items(), strict=True):
        _levels(left, results, benchmark, pairs)
        _gaps(right, results, benchmark, pairs)
    caption = (
        "Left: search mAP of the large and the small network by what they learn from, mean and 95 % interval over "
        "seeds (Student's t). Right: the gap, small minus large, of equal seeds: mean, 95 % interval of the paired "
        "differences, and one dot a seed. A gap whose interval holds 0 is not shown to be there, which does not prove "
        "the networks equal; whether a table narrows the gap shows in the difference between the lines, not in one of "
        "them."
    )
    return figure, caption


def _pairs(part: Part, results: Results, benchmark: str) -> list[_Pair]:
    """(large, small) of each way of teaching, in the order of the variants; the first method with two networks."""
    by_key = {variant.key: variant for variant in results.variants(part, benchmark)}
    pairs = [
        (by_key[variant.compared_with], variant)
        for variant in by_key.values()
        if variant.teaching
        and variant.counterpart
        and variant.compared_with in by_key
        and variant.compared_with != variant.key
        and _gap(results, benchmark, (by_key[variant.compared_with], variant))
    ]
    return [pair for pair in pairs if pair[1].model == pairs[0][1].model]


def _gap(results: Results, benchmark: str, pair: _Pair) -> Estimate | None:
    large, small = (results.values(benchmark, variant.key, "map") for variant in pair)
    return paired_difference(small, large)


def _levels(axes: Axes, results: Results, benchmark: str, pairs: list[_Pair]) -> None:
    for order, pair in enumerate(pairs):
        teaching = pair[1].teaching
        assert teaching is not None
        colour, marker = _LOOK[teaching]
        offset = 0.04 * (order - (len(pairs) - 1) / 2)
        values = [results.estimate(benchmark, variant.key, "map") for variant in pair]
        means = [100 * value.mean for value in values if value]
        half = [100 * (value.half_width or 0) for value in values if value]
        places = [offset, 1 + offset]
        dash = "--" if teaching == "plain" else "-"
        axes.plot(places, means, marker=marker, markersize=5, color=colour, linestyle=dash, label=_name(pair[1]))
        axes.errorbar(
            places, means, yerr=half if any(half) else None, fmt="none", ecolor=colour, elinewidth=1, capsize=2.5
        )
    axes.set_xticks([0, 1], [pairs[0][0].network, pairs[0][1].network])
    axes.set(xlim=(-0.35, 1.35), ylabel="search mAP, %")
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)
    axes.set_title(f"{MODEL_LABELS.get(pairs[0][0].model, '')}, {benchmark_label(benchmark)}")


def _gaps(axes: Axes, results: Results, benchmark: str, pairs: list[_Pair]) -> None:
    measure = MEASURES["map"]
    labels = []
    for place, pair in enumerate(reversed(pairs)):
        teaching = pair[1].teaching
        assert teaching is not None
        colour, marker = _LOOK[teaching]
        gap = _gap(results, benchmark, pair)
        assert gap is not None
        large, small = (results.values(benchmark, variant.key, "map") for variant in pair)
        seeds = [100 * (small[seed] - large[seed]) for seed in sorted(small.keys() & large.keys())]
        axes.plot(seeds, [place] * len(seeds), "o", color="#1a1a1a", markersize=2.4, zorder=4)
        half = None if gap.half_width is None else 100 * gap.half_width
        axes.errorbar(
            100 * gap.mean, place, xerr=half, fmt=marker, color=colour, markersize=5, elinewidth=1.2, capsize=2.5
        )
        labels.append(f"{_name(pair[1])}\n{measure.text(gap.mean, sign=True)}")
    axes.axvline(0, color="#111111", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set(ylim=(-0.6, len(labels) - 0.4), xlabel=f"small {MINUS} large, search mAP in points")
    axes.grid(axis="y", visible=False)
    axes.set_title("Gap")


def _name(variant: Variant) -> str:
    assert variant.teaching is not None
    return TEACHING_LABELS[variant.teaching]
