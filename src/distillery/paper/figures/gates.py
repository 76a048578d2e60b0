"""How often the gate of student-student sharing was open."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from distillery.config.paper_job import FAMILY_LABELS, Part, Variant
from distillery.errors import UserError
from distillery.paper.figures.panels import LEGEND
from distillery.paper.figures.style import WIDTH, Face, faces, new_figure
from distillery.paper.figures.training import smoothed
from distillery.paper.logs import Curve
from distillery.paper.origin import Origin


def gates(part: Part, curves: Mapping[Origin, Curve]) -> tuple[Figure, str]:
    """Share of open gates over the training of every run with sharing, a panel a family; returns figure and caption."""
    families = [f for f in part.families if any(_shared(part, curves, f))]
    if not families:
        raise UserError(
            "no training metrics hold a gate", remedy="pass the .jsonl files of the runs with sharing among --curves"
        )
    heights = [max(2.0, 0.7 + 0.15 * len(_shared(part, curves, family))) for family in families]
    figure = new_figure(WIDTH, sum(heights))
    grid = figure.subplots(len(families), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, family in zip(grid, families, strict=True):
        found = _shared(part, curves, family)
        look: dict[str, Face] = faces([variant for variant, _ in found])
        for variant, seeds in found:
            gate = f"{variant.network}/gate"
            steps, low, mean, high = smoothed([s["step"] for s in seeds], [s[gate] for s in seeds])
            total = sum(float(sum(s[gate]) / len(s[gate])) for s in seeds) / len(seeds)
            label = f"{100 * total:.0f} %  {variant.short}"
            face = look[variant.key]
            axes.plot(steps, 100 * mean, **{**face.line, "linewidth": 1.3}, label=label)
            axes.fill_between(steps, 100 * low, 100 * high, color=face.colour, alpha=0.1, linewidth=0)
        axes.set(xlabel="step", ylabel="open gates, %", ylim=(0, None))
        axes.set_xlim(left=0)
        axes.set_title(f"{FAMILY_LABELS.get(family, family)}: who is given knowledge")
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            fontsize=LEGEND,
            title_fontsize=LEGEND,
            title="over the training",
            alignment="left",
        )
    caption = (
        "Share of samples at which the gate of student-student sharing let knowledge through to a student, mean over "
        "seeds and pieces of the training, bands from the lowest to the highest seed. Where it is 0, sharing does "
        "nothing and TSsKD is plain TSKD."
    )
    return figure, caption


def _shared(part: Part, curves: Mapping[Origin, Curve], family: str) -> list[tuple[Variant, list[Curve]]]:
    found = []
    for variant in part.variants:
        mine = [c for o, c in sorted(curves.items(), key=lambda item: item[0].seed) if o.key == variant.key]
        if variant.model == family and mine and all(f"{variant.network}/gate" in curve for curve in mine):
            found.append((variant, mine))
    return found
