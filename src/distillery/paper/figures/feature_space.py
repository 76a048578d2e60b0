"""Features of a few people and the rows of the table that they were trained towards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distillery.config.paper_job import Part
from distillery.paper.features import FeatureSpace
from distillery.paper.figures.style import WIDTH, new_figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#4d4d4d")
_OWN, _OTHER = "#0072b2", "#d55e00"
_BINS = np.linspace(-0.2, 1.0, 37)


def feature_space(part: Part, space: FeatureSpace) -> tuple[Figure, str]:
    """A column a network: features and rows on two principal axes of the rows, and how near they are in truth.

    Returns:
        The figure and its caption.
    """
    labels = {variant.key: variant.label for variant in part.variants}
    figure = new_figure(WIDTH, 5.4)
    grid = figure.subplots(2, len(space.networks), squeeze=False, height_ratios=[1.5, 1], sharex="row", sharey="row")
    for place, name in enumerate(space.networks):
        above, below = grid[0][place], grid[1][place]
        kind = "rows of the given table" if space.given[place] else "rows of its own table"
        _map(above, space, place)
        above.set_title(f"{labels.get(name, name)}\n{kind}", fontsize=8.5)
        _cosines(below, space, place)
        below.set_xlabel("cosine")
    grid[1][0].set_ylabel("share of features")
    handles = [
        Line2D([], [], linestyle="none", marker="*", markersize=10, color="#555555", label="row of a person"),
        Line2D([], [], linestyle="none", marker="o", markersize=4, color="#555555", label="feature of a box"),
        Line2D([], [], linewidth=4, color=_OWN, alpha=0.6, label="with the own row"),
        Line2D([], [], linewidth=4, color=_OTHER, alpha=0.6, label="with the nearest other row"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    caption = (
        f"Above: the {len(space.identities)} people with the most boxes in the training set, a colour each: the rows "
        "that the networks were trained towards (stars) and their features of all annotated boxes of these people "
        "(dots), projected on the two principal axes of the rows shown; the share of the rows' variance that a picture "
        "keeps stands on its axes, so that distances in it are not those of the space. Below: the cosines in the whole "
        f"space, of all {space.own.shape[1]} features of people with an identity in the same images, with their own "
        f"row and with the nearest of all others. Seed {space.seed}. These are training people: the picture shows what "
        "the training reached, not how well unseen people are told apart."
    )
    return figure, caption


def principal_axes(rows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(2, D) axes of the largest variance, each with its largest entry positive, and their share of the variance (2,).

    Args:
        rows: (K, D), K > 1.
    """
    centred = rows.astype(np.float64) - rows.mean(0)
    _, scale, axes = np.linalg.svd(centred, full_matrices=False)
    chosen = np.zeros((2, rows.shape[1]))
    chosen[: min(2, len(axes))] = axes[:2]
    signs = np.sign(chosen[np.arange(2), np.abs(chosen).argmax(1)])
    share = np.zeros(2)
    share[: min(2, len(scale))] = (scale**2)[:2] / max(float((scale**2).sum()), 1e-12)
    return chosen * np.where(signs == 0, 1, signs)[:, None], share


def _map(axes: Axes, space: FeatureSpace, place: int) -> None:
    rows, features = space.rows[place], space.features[place]
    directions, share = principal_axes(rows)
    centre = rows.mean(0)
    stars, dots = (rows - centre) @ directions.T, (features - centre) @ directions.T
    for person in range(len(stars)):
        colour = _COLOURS[person % len(_COLOURS)]
        mine = dots[space.ids == person]
        for x, y in mine:
            axes.plot([x, stars[person, 0]], [y, stars[person, 1]], color=colour, linewidth=0.5, alpha=0.45, zorder=1)
        axes.plot(mine[:, 0], mine[:, 1], "o", color=colour, markersize=3.6, zorder=2)
        axes.plot(
            *stars[person], "*", color=colour, markersize=12, markeredgecolor="white", markeredgewidth=0.8, zorder=3
        )
    axes.set_xlabel(f"first axis, {100 * share[0]:.0f} % of the rows' variance")
    axes.set_ylabel(f"second axis, {100 * share[1]:.0f} %")
    axes.set_box_aspect(1)


def _cosines(axes: Axes, space: FeatureSpace, place: int) -> None:
    own, other = space.own[place], space.other[place]
    for values, colour in ((own, _OWN), (other, _OTHER)):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(np.clip(values, _BINS[0], _BINS[-1]), list(_BINS), weights=weights, color=colour, alpha=0.55)
        axes.axvline(float(values.mean()), color=colour, linewidth=1, linestyle="--")
    nearer = 100 * float((own > other).mean())
    axes.set_title(f"own row nearer than all others: {nearer:.0f} %", fontsize=7.5, fontweight="normal")
