"""Training curves: every loss term of every run, mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from distillery.config.paper_job import Part, Variant
from distillery.errors import UserError
from distillery.paper.figures.style import WIDTH, faces, new_figure
from distillery.paper.logs import NOT_LOSSES, Curve
from distillery.paper.origin import Origin

_POINTS = 60
"""A curve is drawn as the means of about this many pieces."""
_COLUMNS = 3


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
    keys = {origin.key for origin in mine}
    variants = [variant for variant in part.variants if variant.key in keys]
    listed = {variant.key for variant in variants}
    variants += [
        Variant(model=key.split("/")[0], variant=key.split("/")[1], label=key, role="reference")
        for key in sorted(keys - listed)
    ]
    networks = {variant.network for variant in variants}
    panels: dict[str, list[tuple[Variant, list[Curve], str]]] = {}
    for variant in variants:
        seeds = [mine[origin] for origin in sorted(mine, key=lambda o: o.seed) if origin.key == variant.key]
        for column in seeds[0]:
            term = _own_term(column, variant.network, networks)
            if term is not None and column not in NOT_LOSSES and all(column in curve for curve in seeds):
                panels.setdefault(term, []).append((variant, seeds, column))
    terms = sorted(panels, key=lambda term: (term != "loss", -len(panels[term])))
    look = faces(variants)
    rows = math.ceil(len(terms) / _COLUMNS)
    figure = new_figure(WIDTH, 1.75 * rows + 0.17 * math.ceil(len(variants) / _COLUMNS) + 0.3)
    grid = figure.subplots(rows, min(_COLUMNS, len(terms)), squeeze=False)
    handles = {}
    for axes, term in zip(grid.flat, terms, strict=False):
        values: list[float] = []
        for variant, seeds, column in panels[term]:
            steps, low, mean, high = _summary(seeds, column)
            label = variant.short if family else variant.label
            (handles[label],) = axes.plot(steps, mean, **{**look[variant.key].line, "linewidth": 1.3})
            axes.fill_between(steps, low, high, color=look[variant.key].colour, alpha=0.13, linewidth=0)
            values += list(mean)
        axes.set_title("total loss" if term == "loss" else term.replace("_", " "), fontsize=8)
        # Losses fall by orders of magnitude; signed or gated ones keep a linear axis.
        if min(values) > 0 and max(values) / min(values) > 20:
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(left=0)
    for axes in grid.flat[len(terms) :]:
        axes.set_visible(False)
    for axes in list(grid.flat)[max(0, len(terms) - _COLUMNS) : len(terms)]:
        axes.set_xlabel("step")
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=_COLUMNS)
    caption = (
        "Mean over seeds, bands from the lowest to the highest seed; each point is the mean over a piece "
        f"of the training (about {_POINTS} pieces). “Total loss” sums the weighted terms of everything trained in one "
        "job, so its level is comparable only between jobs with the same terms; the other terms are drawn without "
        "their weights. Axes are logarithmic where a term falls by more than a factor of 20. “Gate”, where drawn, is "
        "no loss but the share of samples whose knowledge is shared. Dashed: trained without a teacher."
    )
    return figure, caption


def _own_term(column: str, network: str, networks: set[str]) -> str | None:
    """The term's name without its network; None if it is another network's."""
    owner, _, term = column.replace(".", "/").partition("/")
    if term and owner in networks:
        return term if owner == network else None
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
