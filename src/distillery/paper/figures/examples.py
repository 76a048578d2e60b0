"""Examples that a stated rule chooses: tracked sequences, and galleries ranked by similarity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, Normal, Stroke
from PIL import Image

from distillery.config.paper import Part, Variant
from distillery.errors import UserError
from distillery.paper import samples
from distillery.paper.figures.contact import outline, reduced
from distillery.paper.figures.style import HIT, MISS, ON_PHOTO, TRUTH, WIDTH, new_figure, show_image
from distillery.paper.measures import MINUS
from distillery.paper.records import Result, Results

Files = Mapping[tuple[str, str, int], Path]

_FRAMES, _TOP = 5, 5
_CROP = (64, 128)
_RULE = "the best, the median and the worst"


def _pair(part: Part, benchmark: str, results: Results, files: Files, seed: int) -> tuple[Variant, Variant]:
    """The two variants of the first gain whose results and predictions are there: (with, without teacher)."""
    by_key = {variant.key: variant for variant in part.variants}
    for comparison in part.comparisons:
        keys = (comparison.minuend, comparison.subtrahend)
        if comparison.question == "gain" and all(
            (benchmark, key, seed) in files and _result(results, benchmark, key, seed) for key in keys
        ):
            return by_key[keys[0]], by_key[keys[1]]
    raise UserError(
        f"no comparison of {benchmark} has metrics and predictions of seed {seed} for both sides",
        remedy="pass the predictions and metrics of the runs that the config compares",
    )


def _result(results: Results, benchmark: str, key: str, seed: int) -> Result | None:
    return next((result for result in results.of(benchmark, key) if result.seed == seed), None)


def _required(results: Results, benchmark: str, key: str, seed: int) -> Result:
    result = _result(results, benchmark, key, seed)
    if result is None:
        raise UserError(f"no metrics of {key} on {benchmark}, seed {seed}", remedy="score its predictions first")
    return result


def qualitative(
    part: Part, benchmark: str, results: Results, root: Path, files: Files, seed: int
) -> tuple[Figure, str]:
    """Sequences in rows, frames in columns, with the boxes of truth, teacher and both students.

    Args:
        part: Order, labels and comparisons.
        benchmark: Tracking benchmark.
        results: Metrics; the sequences are chosen by the difference of AUC between the compared variants.
        root: The benchmark's folder.
        files: Index files of predictions.
        seed: Seed whose predictions are drawn.

    Returns:
        The figure and its caption, which states the rule.
    """
    ours, other = _pair(part, benchmark, results, files, seed)
    differences = _auc_differences(results, benchmark, ours, other, seed)
    by_name = {video.name: video for video in samples.videos(root)}
    chosen = [(what, by_name[name]) for what, name in samples.extremes(differences) if name in by_name]
    if not chosen:
        raise UserError("holds none of the sequences of the metrics", file=root, remedy="score its own predictions")
    teachers = [v for v in part.variants if v.role == "teacher" and (benchmark, v.key, seed) in files]
    drawn = [*teachers[:1], other, ours]
    colours = dict(zip([variant.key for variant in drawn], ON_PHOTO[-len(drawn) :], strict=True))
    boxes = {v.key: samples.tracks(files[benchmark, v.key, seed], [video for _, video in chosen]) for v in drawn}

    width = WIDTH / _FRAMES
    shape = samples.read_image(chosen[0][1].frames[0]).shape
    figure = new_figure(WIDTH, len(chosen) * (width * shape[0] / shape[1] + 0.24) + 0.3)
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.01, hspace=0.02)  # type: ignore[union-attr, call-arg]
    for row, (what, video) in zip(figure.subplots(len(chosen), _FRAMES, squeeze=False), chosen, strict=True):
        annotated = samples.truth(video)
        for axes in row:
            axes.set_axis_off()
        # The first frame is given to every tracker, so the strip begins after it.
        for axes, frame in zip(row, samples.spread(range(1, len(video)), _FRAMES), strict=False):
            pixels, factor = reduced(samples.read_image(video.frames[frame]), width)
            show_image(axes, pixels)
            outline(axes, annotated[frame] * factor, TRUTH, width=1.6)
            for variant in drawn:
                box = boxes[variant.key][video.name][frame]
                if np.isfinite(box).all():
                    outline(axes, box * factor, colours[variant.key], width=1.1)
            axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
            axes.set_ylim(pixels.shape[0] - 0.5, -0.5)
            axes.text(
                0.02, 0.03, f"{frame + 1}", transform=axes.transAxes, fontsize=5.5, color="white",
                bbox={"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
        difference = f"{differences[video.name]:+.3f}".replace("-", MINUS)
        row[0].set_title(f"{what}: {video.name}, {difference}", fontsize=7, pad=2)
    shades = {"annotated": TRUTH} | {variant.label: colours[variant.key] for variant in drawn}
    handles = [
        Line2D([], [], color=shade, linewidth=2, path_effects=_halo(), label=label) for label, shade in shades.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    caption = (
        f"Examples chosen by a rule, not by eye: the sequences with {_RULE} difference in AUC between "
        f"“{ours.label}” and “{other.label}” among {len(differences)} sequences, seed {seed}; frames at even distances "
        "from the second to the last, numbered. The difference stands beside the name."
    )
    return figure, caption


def _halo() -> list[AbstractPathEffect]:
    return [Stroke(linewidth=3.2, foreground="black"), Normal()]


def _auc_differences(results: Results, benchmark: str, ours: Variant, other: Variant, seed: int) -> dict[str, float]:
    first = _required(results, benchmark, ours.key, seed).per_sequence
    second = _required(results, benchmark, other.key, seed).per_sequence
    names = [name for name in first if name in second and {"auc"} <= first[name].keys() & second[name].keys()]
    if not names:
        raise UserError(
            f"the metrics of {ours.key} and {other.key} share no sequence with an AUC", remedy="score both again"
        )
    return {name: float(first[name]["auc"]) - float(second[name]["auc"]) for name in names}


def ranked_galleries(
    part: Part, benchmark: str, results: Results, root: Path, files: Files, seed: int
) -> tuple[Figure, str]:
    """Query and its most similar detections for both compared variants; returns figure and caption with the rule."""
    ours, other = _pair(part, benchmark, results, files, seed)
    galleries = samples.protocol(root)
    differences = _ap_differences(results, benchmark, ours, other, seed)
    chosen = [(what, int(name)) for what, name in samples.extremes(differences)]
    predictions = {v.key: samples.search_predictions(files[benchmark, v.key, seed]) for v in (ours, other)}
    rows = [(what, query, variant) for what, query in chosen for variant in (ours, other)]
    figure = new_figure(WIDTH * 0.86, 1.34 * len(rows) + 0.1)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.035, wspace=0.02, hspace=0.03)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(len(rows), _TOP + 2, squeeze=False, width_ratios=[1.5, 1] + [1] * _TOP)
    for line, (what, query, variant) in zip(grid, rows, strict=True):
        for axes in line:
            axes.set_axis_off()
        first = variant is ours
        if first:
            asked = galleries.queries[query]
            _person(line[1], root, asked.image, np.asarray(asked.box, np.float64), "query", "#111111")
        values = _ap(_required(results, benchmark, variant.key, seed))
        note = f"{what}: query {query + 1}\n" if first else ""
        line[0].text(0.0, 0.98, note, va="top", fontsize=7.5, fontweight="bold", transform=line[0].transAxes)
        text = f"{variant.label}\nAP {100 * (values[query] or 0):.1f} %"
        line[0].text(0.0, 0.8 if first else 0.98, text, va="top", fontsize=7.5, transform=line[0].transAxes)
        matches = samples.ranking(galleries, predictions[variant.key], query, _TOP)
        for axes, match in zip(line[2:], matches, strict=False):
            sign = "✓" if match.hit else "✗"
            title = f"{sign} {match.similarity:.2f}".replace("-", MINUS)
            _person(axes, root, match.image, match.box, title, HIT if match.hit else MISS)
    caption = (
        f"Examples chosen by a rule, not by eye: the queries with {_RULE} difference in average precision between "
        f"“{ours.label}” and “{other.label}” among {len(differences)} queries, seed {seed}. Left the query, then the "
        f"{_TOP} most similar detections of its gallery ({galleries.name}) with their cosine similarity; ✓ and green: "
        "the person asked for, ✗ and orange: somebody else or no person."
    )
    return figure, caption


def _ap(result: Result) -> list[float | None]:
    values = result.per_query.get("ap") if isinstance(result.per_query, dict) else None
    if not isinstance(values, list):
        raise UserError(
            f"the metrics of {result.key} on {result.benchmark}, seed {result.seed} hold no per_query.ap",
            remedy="score the predictions again",
        )
    return values


def _ap_differences(results: Results, benchmark: str, ours: Variant, other: Variant, seed: int) -> dict[str, float]:
    first, second = (_ap(_required(results, benchmark, variant.key, seed)) for variant in (ours, other))
    pairs = enumerate(zip(first, second, strict=False))
    # Names of equal length, so that queries of equal difference keep the protocol's order.
    found = {f"{query:06d}": a - b for query, (a, b) in pairs if a is not None and b is not None}
    if not found:
        raise UserError(f"{ours.key} and {other.key} share no query on {benchmark}", remedy="score both again")
    return found


def _person(axes: Axes, root: Path, image: str, box: samples.Box, title: str, colour: str) -> None:
    """The person in `box` (x1, y1, x2, y2) with some surroundings, framed."""
    pixels = samples.read_image(samples.image_path(root, image))
    # A window of the crop's shape around the box, so that nobody is stretched; black beyond the image's border.
    centre, size = (box[:2] + box[2:]) / 2, 1.12 * (box[2:] - box[:2])
    window = np.maximum(size, size[::-1] * (_CROP[0] / _CROP[1], _CROP[1] / _CROP[0]))
    corners = (*(centre - window / 2), *(centre + window / 2))
    crop = Image.fromarray(pixels).transform(_CROP, Image.Transform.EXTENT, corners, Image.Resampling.BICUBIC)
    show_image(axes, np.asarray(crop))
    axes.set_axis_on()
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.2)
    axes.set_title(title, fontsize=7, fontweight="bold", color=colour, loc="center", pad=2.5)
