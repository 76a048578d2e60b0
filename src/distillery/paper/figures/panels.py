"""What panels share: one a benchmark and family, legends ranked by a measure, estimates as words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes

from distillery.config.paper_job import FAMILY_LABELS, Part, Variant
from distillery.paper.measures import NONE, Measure, benchmark_label
from distillery.paper.records import Results
from distillery.paper.statistics import Estimate

LEGEND = 6.6
"""Font size of a ranked legend, in points."""
LINE = 0.128
"""Height of a line of it, in inches."""


def families_on(part: Part, results: Results, benchmarks: Iterable[str]) -> list[str]:
    """Families with results on any of the benchmarks, in the part's order; what the part does not list comes last."""
    present = {result.model for name in benchmarks for result in results.results if result.benchmark == name} - {
        v.model for v in part.variants if v.role == "baseline"
    }
    listed = [family for family in part.families if family in present]
    return listed + sorted(present - set(listed) - {"baseline"})


def panel_title(benchmark: str, family: str, families: Iterable[str]) -> str:
    """The benchmark, and the family where there are several."""
    label = benchmark_label(benchmark)
    return f"{FAMILY_LABELS.get(family, family)}, {label}" if len(list(families)) > 1 else label


def short_label(variant: Variant, family: str) -> str:
    """The label without the family that the panel's title says."""
    return variant.short if variant.model == family else variant.label


def told(measure: Measure, value: Estimate | None) -> str:
    """ "0.633 ± 0.015", or a dash."""
    if value is None:
        return NONE
    text = measure.text(value.mean)
    return text if value.half_width is None else f"{text} ± {measure.text(value.half_width)}"


def ranked_legend(axes: Axes, entries: list[tuple[float, Any, str]], title: str, *, below: bool) -> None:
    """A legend from the best to the worst, below the panel or right of it.

    Args:
        axes: The panel.
        entries: Rank value (the largest comes first), artist and text.
        title: What ranks.
        below: Where.
    """
    ranked = sorted(entries, key=lambda entry: -entry[0])
    axes.legend(
        [artist for _, artist, _ in ranked],
        [text for _, _, text in ranked],
        title=title,
        alignment="left",
        fontsize=LEGEND,
        title_fontsize=LEGEND,
        labelspacing=0.25,
        borderaxespad=0.2,
        loc="upper left" if below else "center left",
        bbox_to_anchor=(-0.02, -0.2) if below else (1.01, 0.5),
    )
