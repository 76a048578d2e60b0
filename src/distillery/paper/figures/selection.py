"""The searches for students: what was tried in which order, and what size and accuracy it had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distillery.config.paper_job import FAMILY_LABELS
from distillery.errors import UserError
from distillery.paper.figures.style import WIDTH, new_figure
from distillery.paper.measures import TIMES
from distillery.paper.searches import Search

_LOOK = {"policy": ("#0072b2", "o"), "random": ("#d55e00", "s"), "uniform": ("#009e73", "D")}
"""Strategy -> colour and marker."""


def selection(searches: Sequence[Search]) -> tuple[Figure, str]:
    """Rewards in the order of the updates, and accuracy over size; a row a family. Returns figure and caption."""
    families = list(dict.fromkeys(search.kind for search in searches))
    if not families:
        raise UserError("no search for students was given", remedy="pass the results of `distillery select-students`")
    figure = new_figure(WIDTH, 2.75 * len(families) + 0.25)
    grid = figure.subplots(len(families), 2, squeeze=False)
    handles: dict[str, Artist] = {}
    for (rewards, sizes), family in zip(grid, families, strict=True):
        mine = [search for search in searches if search.kind == family]
        handles |= _rewards(rewards, mine) | _sizes(sizes, mine)
        label = FAMILY_LABELS.get(family, family)
        rewards.set_title(f"{label}: reward")
        sizes.set_title(f"{label}: size and accuracy")
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
    caption = (
        "One search a strategy with the first seed. Left: the reward of every architecture in the update that proposed "
        "it, and the running mean over all that came before; architectures over the size budget are not trained and "
        "get a negative reward. Right: every trained architecture by its size and by its accuracy on the proxy task "
        "after a short training; stars: what each strategy chose; dotted: the size budget; dashed: the teacher's "
        "accuracy on the same pairs. The proxy is not tracking accuracy: what the students are worth is measured on "
        "the benchmarks."
    )
    return figure, caption


def _rewards(axes: Axes, searches: list[Search]) -> dict[str, Artist]:
    handles: dict[str, Artist] = {}
    for search in searches:
        colour, marker = _LOOK[search.strategy]
        if search.strategy == "uniform" or not search.visited:  # one architecture, computed and not searched for
            handles["uniform"] = axes.axhline(search.reward, color=colour, linewidth=1.1, linestyle="-.", zorder=2)
            continue
        updates = np.array([visit.update for visit in search.visited])
        rewards = np.array([visit.reward for visit in search.visited])
        handles[search.strategy] = axes.scatter(
            updates, rewards, s=13, marker=marker, color=colour, alpha=0.45, linewidths=0, zorder=3
        )
        means = np.cumsum(rewards) / np.arange(1, len(rewards) + 1)
        last = np.flatnonzero(np.append(np.diff(updates) > 0, True))
        (line,) = axes.plot(updates[last], means[last], color=colour, linewidth=1.5, zorder=4)
        handles[f"{search.strategy}, running mean"] = line
    axes.set(xlabel="update", ylabel="reward")
    return handles


def _sizes(axes: Axes, searches: list[Search]) -> dict[str, Artist]:
    handles: dict[str, Artist] = {}
    for search in searches:
        colour, marker = _LOOK[search.strategy]
        trained = [v for v in search.visited if v.accuracy is not None and v.parameters]
        axes.scatter(
            [search.teacher_parameters / (v.parameters or 1) for v in trained],
            [v.accuracy or 0.0 for v in trained],
            s=13, marker=marker, color=colour, alpha=0.45, linewidths=0, zorder=3,
        )  # fmt: skip
        handles[f"{search.strategy}, chosen"] = axes.scatter(
            search.size_ratio,
            search.accuracy,
            s=95,
            marker="*",
            color=colour,
            edgecolor="black",
            linewidth=0.6,
            zorder=5,
        )
    handles["budget"] = axes.axvline(searches[0].budget, color="#111111", linewidth=1, linestyle=":")
    handles["teacher"] = axes.axhline(searches[0].teacher_accuracy, color="#111111", linewidth=1, linestyle="--")
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in (2, 3, 5, 8, 10, 13, 18, 25, 40, 60, 100, 200, 400) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick}{TIMES}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set(xlabel="times smaller than the teacher", ylabel="accuracy on the proxy task")
    return handles
