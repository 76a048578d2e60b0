"""Contact sheets: what the test data of both papers look like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from PIL import Image

from distillery.paper import samples
from distillery.paper.figures.style import DPI, TRUTH, WIDTH, new_figure, show_image
from distillery.paper.measures import benchmark_label

_ROWS, _FRAMES = 8, 6
_STREETS, _SHOTS = 9, 4


def outline(axes: Axes, box: Any, colour: str, *, width: float = 1.2, dash: Any = "-", halo: bool = True) -> None:
    """Draws a box (left, top, width, height in array indices) so that it shows on any ground."""
    corner = (box[0] - 0.5, box[1] - 0.5)  # a pixel's index is its centre, its edge half a pixel before
    if halo:
        axes.add_patch(Rectangle(corner, box[2], box[3], fill=False, edgecolor="black", linewidth=width + 1.1))
    axes.add_patch(Rectangle(corner, box[2], box[3], fill=False, edgecolor=colour, linewidth=width, linestyle=dash))


def _outline_polygon(axes: Axes, corners: Any, colour: str, width: float) -> None:
    """Draws a polygon (4, 2) of array indices."""
    for shade, thickness in (("black", width + 1.1), (colour, width)):
        axes.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=shade, linewidth=thickness))


def reduced(pixels: samples.Pixels, inches: float) -> tuple[samples.Pixels, float]:
    """The image with no more pixels than a print of this width can show, and the factor on its coordinates."""
    wanted = math.ceil(inches * DPI * 1.6)
    if pixels.shape[1] <= wanted:
        return pixels, 1.0
    factor = wanted / pixels.shape[1]
    size = (wanted, max(1, round(pixels.shape[0] * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)), factor


def tracking_sheet(roots: Mapping[str, Path]) -> tuple[Figure, str]:
    """Sequences in rows, frames in columns, with the annotated box or polygon.

    Args:
        roots: Folder by benchmark; of several each gets two rows.

    Returns:
        The figure and its caption.
    """
    chosen: list[tuple[str, samples.Video]] = []
    told = []
    for name, root in roots.items():
        videos = samples.videos(name, root)
        mine = samples.spread(videos, _ROWS if len(roots) == 1 else 2)
        chosen += [(name, video) for video in mine]
        told.append(f"{benchmark_label(name)} {len(mine)} of {len(videos)}")
    width = WIDTH / _FRAMES
    heights = [width * min(1.3, _aspect(video.frames[0])) + 0.22 for _, video in chosen]
    figure = new_figure(WIDTH, sum(heights))
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.01, hspace=0.02)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(len(chosen), _FRAMES, squeeze=False, height_ratios=heights)
    for row, (name, video) in zip(grid, chosen, strict=True):
        for axes in row:
            axes.set_axis_off()
        for axes, frame in zip(row, samples.spread(range(len(video)), _FRAMES), strict=False):
            _frame(axes, video, frame, width)
        head = f"{benchmark_label(name)}: {video.name}" if len(roots) > 1 else video.name
        row[0].set_title(" ", fontsize=7, pad=2)  # keeps the height; the words may be wider than the frame
        for axes, words, style in (
            (row[0], head, {"fontweight": "bold"}),
            (row[-1], " ".join(sorted(video.attributes)), {"color": "#6b6b6b", "ha": "right"}),
        ):
            across = 1.0 if style.get("ha") else 0.0
            note = axes.annotate(
                words,
                (across, 1),
                (0, 2),
                "axes fraction",
                "offset points",
                fontsize=6.8,
                annotation_clip=False,
                **style,
            )
            note.set_in_layout(False)
    caption = (
        f"Test sequences at even distances in each benchmark's order ({', '.join(told)}), {_FRAMES} frames each at "
        "even distances from first to last. White: the annotated box, or polygon where the benchmark has polygons; a "
        "frame without one shows no target. On the right: the sequence's attributes in the benchmark's "
        "abbreviations."
    )
    return figure, caption


def _frame(axes: Axes, video: samples.Video, frame: int, width: float) -> None:
    pixels, factor = reduced(samples.read_image(video.frames[frame]), width)
    show_image(axes, pixels)
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)
    polygon, box = samples.polygon(video, frame), samples.truth(video)[frame]
    if polygon is not None:
        _outline_polygon(axes, polygon * factor, TRUTH, 0.9)
    elif samples.visible(video, frame):
        outline(axes, box * factor, TRUTH, width=0.9)
    else:
        axes.text(
            0.5, 0.06, "absent", transform=axes.transAxes, ha="center", fontsize=6, color="white",
            bbox={"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "pad": 1},
        )  # fmt: skip


def street_sheet(benchmark: str, root: Path) -> tuple[Figure, str]:
    """Test images of person search with all annotated people; returns figure and caption."""
    pool = samples.search_pool(benchmark, root)
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
        _people(axes, image, width)
    return (
        figure,
        f"{len(chosen)} of the {len(pool)} images of the test pool, at even distances by name. {_known(pool)}",
    )


def camera_sheet(benchmark: str, root: Path) -> tuple[Figure, str]:
    """The same for a set whose images are named after their cameras, a row a camera; returns figure and caption."""
    pool = samples.search_pool(benchmark, root)
    cameras: dict[int, list[samples.SearchImage]] = {}
    for image in pool:
        cameras.setdefault(samples.camera(image.name), []).append(image)
    width = WIDTH / _SHOTS
    heights = [width * _aspect(cameras[number][0].path) + 0.2 for number in sorted(cameras)]
    figure = new_figure(WIDTH, sum(heights))
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.02, wspace=0.01, hspace=0.02)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(len(cameras), _SHOTS, squeeze=False, height_ratios=heights)
    told = []
    for row, number in zip(grid, sorted(cameras), strict=True):
        for axes in row:
            axes.set_axis_off()
        for axes, image in zip(row, samples.spread(cameras[number], _SHOTS), strict=False):
            _people(axes, image, width)
        height, across, _ = samples.read_image(cameras[number][0].path).shape
        told.append(f"{number}: {len(cameras[number])} images of {across} x {height} px")
    return figure, (
        f"Test images at even distances by name, a row a camera ({'; '.join(told)}). {_known(pool)} Cameras differ in "
        "light, colour and resolution, so the same person looks different in them."
    )


def _people(axes: Axes, image: samples.SearchImage, width: float) -> None:
    """An image with its name and its people; `width` of the print in inches."""
    pixels, factor = reduced(samples.read_image(image.path), width)
    show_image(axes, pixels)
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)
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


def _known(pool: list[samples.SearchImage]) -> str:
    labelled = sum(int((image.ids >= 0).sum()) for image in pool)
    people = sum(len(image.ids) for image in pool)
    return (
        f"White boxes with a number: people with an identity ({labelled} boxes in the pool); yellow, dashed: people "
        f"without one ({people - labelled})."
    )


def _aspect(path: Path) -> float:
    height, width, _ = samples.read_image(path).shape
    return float(height / width)
