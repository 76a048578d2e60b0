"""Training curves: every loss term of every run, mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from distillery.config.paper_job import Part, Variant
from distillery.errors import UserError
from distillery.paper.figures.style import WIDTH, Face, faces, new_figure
from distillery.paper.logs import NOT_LOSSES, Curve
from distillery.paper.measures import benchmark_label
from distillery.paper.origin import Origin

_POINTS = 60
"""A curve is drawn as the means of about this many pieces."""
_COLUMNS, _SEARCH_COLUMNS = 3, 4


_Lines = list[tuple[Variant, list[Curve], str]]
"""What a panel draws: a variant, the curves of its seeds, and the column of the term in them."""


def training(paper: str, part: Part, curves: Mapping[Origin, Curve], family: str | None = None) -> tuple[Figure, str]:
    """One panel a loss term, one line a variant; returns figure and caption.

    A job that trains several networks writes the same file for each: terms `<network>/<term>` are drawn for their own
    network, the terms without a network for every variant of the job.

    Args:
        paper: "tracking" or "person_search", as in the paths of the curves.
        part: Order and labels.
        curves: All training metrics.
        family: Draw this model alone.
    """
    mine = {o: curve for o, curve in curves.items() if o.paper == paper and family in (None, o.model)}
    if not mine:
        raise UserError(
            f"no training metrics of {family or paper} were given", remedy="pass the .jsonl files of its trainings"
        )
    variants = _variants(part, mine)
    panels = _panels(variants, mine)
    terms = _order(panels)
    look = faces(variants)
    rows = math.ceil(len(terms) / _COLUMNS)
    figure = new_figure(WIDTH, 1.75 * rows + 0.17 * math.ceil(len(variants) / _COLUMNS) + 0.3)
    grid = figure.subplots(rows, min(_COLUMNS, len(terms)), squeeze=False)
    handles: dict[str, Artist] = {}
    for axes, term in zip(grid.flat, terms, strict=False):
        handles |= _draw(axes, term, panels[term], look, short=family is not None)
    _finish(list(grid.flat), len(terms), _COLUMNS)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=_COLUMNS)
    caption = (
        "Mean over seeds, bands from the lowest to the highest seed; each point is the mean over a piece "
        f"of the training (about {_POINTS} pieces). “Total loss” sums the weighted terms of everything trained in one "
        "job, so its level is comparable only between jobs with the same terms; the other terms are drawn without "
        "their weights. Axes are logarithmic where a term falls by more than a factor of 20. “Gate”, where drawn, is "
        "no loss but the share of samples whose knowledge is shared. Dashed: trained without a teacher."
    )
    return figure, caption


def search_training(part: Part, curves: Mapping[Origin, Curve], models: Sequence[str]) -> tuple[Figure, str]:
    """The same for person search: a block of panels for each training set, with the terms `<variant>/<term>` of each
    variant; the total loss of a job, which sums over its students, is left out.

    Args:
        part: Order, labels and training sets.
        curves: All training metrics.
        models: Methods to draw, those of the job alone.
    """
    listed = {variant.key for variant in part.variants}
    mine = {o: curve for o, curve in curves.items() if o.trained_on and o.model in models and o.key in listed}
    if not mine:
        raise UserError(
            f"no training metrics of {' or '.join(models)} were given", remedy="pass the .jsonl files of its trainings"
        )
    variants = _variants(part, mine)
    look = faces([variant for variant in part.variants if variant.role != "baseline"])
    sets = [name for name in part.training_sets if any(origin.trained_on == name for origin in mine)]
    blocks = {}
    for trained_on in sets:
        here = {origin: curve for origin, curve in mine.items() if origin.trained_on == trained_on}
        panels = _panels([variant for variant in variants if any(o.key == variant.key for o in here)], here)
        blocks[trained_on] = {term: lines for term, lines in panels.items() if term != "loss"}
    most = max(map(len, blocks.values()))
    columns = max(2, math.ceil(most / math.ceil(most / _SEARCH_COLUMNS)))  # rows of about equal length
    rows = {name: math.ceil(len(panels) / columns) for name, panels in blocks.items()}
    legend = min(len(variants), 3)
    heights = [1.45 * count + 0.3 for count in rows.values()]
    figure = new_figure(WIDTH, sum(heights) + 0.17 * math.ceil(len(variants) / legend) + 0.15)
    handles: dict[str, Artist] = {}
    parts = figure.subfigures(len(sets), 1, squeeze=False, height_ratios=heights)[:, 0]
    for block, (trained_on, panels) in zip(parts, blocks.items(), strict=True):
        if len(sets) > 1:
            block.suptitle(f"trained on {benchmark_label(trained_on)}", fontsize=8.5, x=0.01, ha="left")
        grid = block.subplots(rows[trained_on], columns, squeeze=False)
        for axes, (term, lines) in zip(grid.flat, panels.items(), strict=False):
            handles |= _draw(axes, term, lines, look, short=False)
            axes.tick_params(labelsize=6.3)
        _finish(list(grid.flat), len(panels), columns)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=legend)
    caption = (
        "Every loss term, without its weight: mean over seeds, bands from the lowest to the highest seed; each point "
        f"is the mean over a piece of the training (about {_POINTS} pieces). Axes are logarithmic where a term falls "
        "by more than a factor of 20. Terms of distillation are drawn for the networks that have them. Dashed: trained "
        "without a teacher. The identity loss of a network with a table and that of one without are no measure of each "
        "other: their targets differ."
    )
    return figure, caption


def _variants(part: Part, mine: Mapping[Origin, Curve]) -> list[Variant]:
    """The part's variants with curves, then the others by name."""
    keys = {origin.key for origin in mine}
    variants = [variant for variant in part.variants if variant.key in keys]
    listed = {variant.key for variant in variants}
    return variants + [
        Variant(model=key.split("/")[0], variant=key.split("/")[1], label=key, role="reference")
        for key in sorted(keys - listed)
    ]


def _panels(variants: list[Variant], mine: Mapping[Origin, Curve]) -> dict[str, _Lines]:
    """Term -> what is drawn of it."""
    # A job of person search trains one network in several ways, so its terms are named after the variants.
    by_variant = any(origin.trained_on for origin in mine)
    owners = None if by_variant else {variant.network for variant in variants}
    panels: dict[str, _Lines] = {}
    for variant in variants:
        seeds = [mine[origin] for origin in sorted(mine, key=lambda o: o.seed) if origin.key == variant.key]
        owner = variant.variant if by_variant else variant.network
        for column in seeds[0]:
            term = _own_term(column, owner, owners)
            if term is not None and column not in NOT_LOSSES and all(column in curve for curve in seeds):
                panels.setdefault(term, []).append((variant, seeds, column))
    return panels


def _order(panels: Mapping[str, _Lines]) -> list[str]:
    return sorted(panels, key=lambda term: (term != "loss", -len(panels[term])))


def _draw(axes: Axes, term: str, lines: _Lines, look: Mapping[str, Face], *, short: bool) -> dict[str, Artist]:
    """Draws a panel; returns its lines by label."""
    handles: dict[str, Artist] = {}
    values: list[float] = []
    for variant, seeds, column in lines:
        steps, low, mean, high = _summary(seeds, column)
        label = variant.short if short else variant.label
        (handles[label],) = axes.plot(steps, mean, **{**look[variant.key].line, "linewidth": 1.3})
        axes.fill_between(steps, low, high, color=look[variant.key].colour, alpha=0.13, linewidth=0)
        values += list(mean)
    axes.set_title("total loss" if term == "loss" else term.replace("_", " "), fontsize=8)
    # Losses fall by orders of magnitude; signed or gated ones keep a linear axis.
    if min(values) > 0 and max(values) / min(values) > 20:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(left=0)
    return handles


def _finish(grid: Sequence[Axes], used: int, columns: int) -> None:
    """Hides the panels that are not used and names the axis of the lowest."""
    for axes in grid[used:]:
        axes.set_visible(False)
    for axes in grid[max(0, used - columns) : used]:
        axes.set_xlabel("step")


def _own_term(column: str, mine: str, owners: set[str] | None) -> str | None:
    """The term's name without its owner; None if it is another one's. Without `owners` every prefix is one."""
    owner, _, term = column.replace(".", "/").partition("/")
    if term and (owners is None or owner in owners):
        return term if owner == mine else None
    return column


def _summary(seeds: list[Curve], column: str) -> tuple[npt.NDArray[np.float64], ...]:
    """Steps, and over the seeds the lowest, mean and highest of the smoothed term."""
    return smoothed([curve["step"] for curve in seeds], [curve[column] for curve in seeds])


def smoothed(steps: list[list[float]], values: list[list[float]]) -> tuple[npt.NDArray[np.float64], ...]:
    """Steps, lowest, mean and highest over the seeds, as means of about `_POINTS` pieces of equal length."""
    length = min(map(len, values))
    pieces = np.array_split(np.arange(length), min(_POINTS, length))
    places = np.array([np.mean(np.asarray(steps[0])[piece]) for piece in pieces])
    data = np.array([[np.mean(np.asarray(curve)[piece]) for piece in pieces] for curve in values])
    return places, data.min(axis=0), data.mean(axis=0), data.max(axis=0)
