"""Tracked sequences that a stated rule chooses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, Normal, Stroke

from distillery.config.paper_job import Part, Variant
from distillery.errors import UserError
from distillery.paper import samples
from distillery.paper.figures.contact import outline, reduced
from distillery.paper.figures.pairs import RULE, Files, compared_pair, required_result
from distillery.paper.figures.style import ON_PHOTO, TRUTH, WIDTH, new_figure, show_image
from distillery.paper.measures import MINUS, benchmark_label
from distillery.paper.records import Results

_FRAMES = 5


def qualitative(
    part: Part, family: str, benchmark: str, results: Results, root: Path, files: Files, seed: int
) -> tuple[Figure, str]:
    """Sequences in rows, frames in columns, with the boxes of truth, teacher and both students.

    Args:
        part: Order, labels and comparisons.
        family: Whose trackers.
        benchmark: Tracking benchmark with an AUC for each sequence.
        results: Metrics; the sequences are chosen by the difference of AUC between the compared variants.
        root: The benchmark's folder.
        files: Index files of predictions.
        seed: Seed whose predictions are drawn.

    Returns:
        The figure and its caption, which states the rule.
    """
    ours, other = compared_pair(part, benchmark, results, files, seed, family)
    differences = _auc_differences(results, benchmark, ours, other, seed)
    by_name = {video.name: video for video in samples.videos(benchmark, root)}
    chosen = [(what, by_name[name]) for what, name in samples.extremes(differences) if name in by_name]
    if not chosen:
        raise UserError("holds none of the sequences of the metrics", file=root, remedy="score its own predictions")
    teachers = [
        v for v in part.variants if v.role == "teacher" and v.model == family and (benchmark, v.key, seed) in files
    ]
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
        f"Examples chosen by a rule, not by eye: the sequences with {RULE} difference in AUC between "
        f"“{ours.label}” and “{other.label}” among {len(differences)} sequences of {benchmark_label(benchmark)}, seed "
        f"{seed}; frames at even distances from the second to the last, numbered. The difference stands beside the "
        "name."
    )
    return figure, caption


def _halo() -> list[AbstractPathEffect]:
    return [Stroke(linewidth=3.2, foreground="black"), Normal()]


def _auc_differences(results: Results, benchmark: str, ours: Variant, other: Variant, seed: int) -> dict[str, float]:
    first = required_result(results, benchmark, ours.key, seed).per_sequence
    second = required_result(results, benchmark, other.key, seed).per_sequence
    names = [name for name in first if name in second and {"auc"} <= first[name].keys() & second[name].keys()]
    if not names:
        raise UserError(
            f"the metrics of {ours.key} and {other.key} share no sequence with an AUC", remedy="score both again"
        )
    return {name: float(first[name]["auc"]) - float(second[name]["auc"]) for name in names}
