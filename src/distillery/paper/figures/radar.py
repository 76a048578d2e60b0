"""Attributes of a benchmark around a circle: where a tracker is strong and where weak."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distillery.config.paper_job import Part, Variant
from distillery.paper.figures.panels import families_on, panel_title, short_label
from distillery.paper.figures.style import WIDTH, faces, new_figure
from distillery.paper.measures import measure_of
from distillery.paper.records import Results, over_seeds
from distillery.paper.tables.breakdowns import attribute_values

_KEY = "auc"
_FEWEST = 3
"""Spokes below which a circle says nothing."""


def attributes(part: Part, results: Results) -> tuple[Figure, str]:
    """A circle a benchmark and family, a spoke an attribute; returns figure and caption.

    Drawn are the teacher and all runs of the first student: more lines cannot be told apart.
    """
    spokes = {name: _names(results, name) for name in results.benchmarks(part)}
    names = [name for name, found in spokes.items() if len(found) >= _FEWEST]
    if not names:
        return _nothing(), f"No benchmark of this run has sequences with {_FEWEST} attributes or more."
    families = families_on(part, results, names)
    columns = max(2, len(families))
    panels = [(name, family) for name in names for family in families]
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(WIDTH, 0.35 + rows * (WIDTH / columns + 0.1))
    handles: dict[str, Line2D] = {}
    for index, (benchmark, family) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1, projection="polar")
        angles = np.linspace(0, 2 * np.pi, len(spokes[benchmark]), endpoint=False)
        drawn = _drawn(results.variants(part, benchmark, family))
        look, top = faces(drawn), 0.0
        for variant in drawn:
            mine = results.of(benchmark, variant.key)
            means = [over_seeds(attribute_values(mine, name, _KEY)) for name in spokes[benchmark]]
            values = [value.mean if value else math.nan for value in means]
            closed = [*values, values[0]]
            face = look[variant.key]
            (line,) = axes.plot(
                [*angles, angles[0]], closed, **{**face.line, "linewidth": 1.4}, marker=face.marker, markersize=2.8
            )
            handles.setdefault(short_label(variant, family), line)
            top = max(top, np.nanmax(values, initial=0.0))
        axes.set_xticks(angles, spokes[benchmark], fontsize=7)
        axes.set_ylim(0, min(1.0, math.ceil(10 * top) / 10 if top else 1.0))
        axes.tick_params(axis="y", labelsize=5.5)
        axes.set_rlabel_position(90 / max(1, len(angles)))  # type: ignore[attr-defined]
        axes.set_theta_offset(np.pi / 2)  # type: ignore[attr-defined]
        axes.set_theta_direction(-1)  # type: ignore[attr-defined]
        axes.set_title(panel_title(benchmark, family, families), loc="center", pad=14)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(4, len(handles)))
    caption = (
        f"{measure_of(names[0], _KEY).label} over the sequences that carry each attribute, mean over seeds, in the "
        "benchmark's abbreviations; zero is the centre, the outer circle differs between panels. Shown are the teacher "
        "and every run of the first student, others stand in the table of attributes. Few sequences carry some "
        "attributes, so single spokes are uncertain; no intervals are drawn. Dashed: trained without a teacher."
    )
    return figure, caption


def _nothing() -> Figure:
    figure = new_figure(WIDTH, 0.8)
    figure.text(0.5, 0.5, "too few attributes are labelled", ha="center", va="center")
    return figure


def _names(results: Results, benchmark: str) -> list[str]:
    every = [result.by_attribute for result in results.results if result.benchmark == benchmark]
    return list(dict.fromkeys(name for found in every for name, values in found.items() if _KEY in values))


def _drawn(variants: list[Variant]) -> list[Variant]:
    students = [variant for variant in variants if variant.role in ("reference", "distilled")]
    first = students[0].network if students else None
    return [v for v in variants if v.role == "teacher" or (v in students and v.network == first)]
