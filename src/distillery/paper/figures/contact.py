"""Contact sheets: what the test data of both papers look like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from distillery.paper import samples
from distillery.paper.figures.style import DPI, TRUTH, WIDTH, new_figure, show_image

_ROWS, _FRAMES = 8, 6
_STREETS = 9


def outline(axes: Axes, box: Any, colour: str, *, width: float = 1.2, dash: Any = "-", halo: bool = True) -> None:
    """Draws a box (left, top, width, height in array indices) so that it shows on any ground."""
    corner = (box[0] - 0.5, box[1] - 0.5)  # a pixel's index is its centre, its edge half a pixel before
    if halo:
        axes.add_patch(Rectangle(corner, box[2], box[3], fill=False, edgecolor="black", linewidth=width + 1.1))
    axes.add_patch(Rectangle(corner, box[2], box[3], fill=False, edgecolor=colour, linewidth=width, linestyle=dash))


def reduced(pixels: samples.Pixels, inches: float) -> tuple[samples.Pixels, float]:
    """The image with no more pixels than a print of this width can show, and the factor on its coordinates."""
    wanted = math.ceil(inches * DPI * 1.6)
    if pixels.shape[1] <= wanted:
        return pixels, 1.0
    factor = wanted / pixels.shape[1]
    size = (wanted, max(1, round(pixels.shape[0] * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)), factor


def tracking_sheet(root: Path) -> tuple[Figure, str]:
    """Sequences in rows, frames in columns, with the annotated box; returns figure and caption."""
    all_videos = samples.videos(root)
    chosen = samples.spread(all_videos, _ROWS)
    aspect = _aspect(chosen[0].frames[0])
    width = WIDTH / _FRAMES
    figure = new_figure(WIDTH, len(chosen) * (width * aspect + 0.22))
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.01, hspace=0.02)  # type: ignore[union-attr, call-arg]
    for row, video in zip(figure.subplots(len(chosen), _FRAMES, squeeze=False), chosen, strict=True):
        boxes = samples.truth(video)
        for axes, frame in zip(row, samples.spread(range(len(video)), _FRAMES), strict=False):
            pixels, factor = reduced(samples.read_image(video.frames[frame]), width)
            show_image(axes, pixels)
            outline(axes, boxes[frame] * factor, TRUTH, width=0.9)
        for axes in row:
            axes.set_axis_off()
        row[0].set_title(f"{video.name}   ", fontsize=7, pad=2)
        names = " ".join(sorted(video.attributes))
        row[1].set_title(names, fontsize=6.5, fontweight="normal", color="#6b6b6b", pad=2)
    caption = (
        f"{len(chosen)} of the {len(all_videos)} test sequences, at even distances in the benchmark's order, "
        f"{_FRAMES} frames each at even distances from first to last. White: the annotated box. Beside the name: the "
        "sequence's attributes in the benchmark's abbreviations."
    )
    return figure, caption


def street_sheet(root: Path) -> tuple[Figure, str]:
    """Test images of person search with all annotated people; returns figure and caption."""
    pool = samples.search_pool(root)
    chosen = samples.spread(pool, _STREETS)
    columns = 3
    width = WIDTH / columns
    rows = math.ceil(len(chosen) / columns)
    figure = new_figure(WIDTH, rows * (width * _aspect(chosen[0].path) + 0.18))
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.02, wspace=0.01, hspace=0.02)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image in zip(grid.flat, chosen, strict=False):
        pixels, factor = reduced(samples.read_image(image.path), width)
        show_image(axes, pixels)
        axes.set_title(image.name, fontsize=6.5, fontweight="normal", pad=2)
        for box, identity in zip(image.boxes * factor, image.ids, strict=True):
            known = identity >= 0
            size = (box[0], box[1], box[2] - box[0], box[3] - box[1])
            outline(axes, size, TRUTH if known else "#f0c808", width=1.0, dash="-" if known else (0, (2, 1.5)))
            if known:
                axes.text(
                    box[0] + 1.5,
                    box[1] - 1,
                    str(int(identity)),
                    fontsize=5.5,
                    color="black",
                    va="bottom",
                    clip_on=True,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.7},
                )
    labelled = sum(int((image.ids >= 0).sum()) for image in pool)
    people = sum(len(image.ids) for image in pool)
    caption = (
        f"{len(chosen)} of the {len(pool)} images of the test pool, at even distances by name. White boxes with a "
        f"number: people with an identity ({labelled} boxes in the pool); yellow, dashed: people without one "
        f"({people - labelled})."
    )
    return figure, caption


def _aspect(path: Path) -> float:
    height, width, _ = samples.read_image(path).shape
    return float(height / width)
