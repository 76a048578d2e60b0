"""One look for all figures: a colour-blind-safe palette, one face a network, and the same bytes every time."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from distillery.config.paper_job import Variant
from distillery.files import atomic_file, write_text

WIDTH = 7.2
"""Width of a figure in inches: a page's text width."""
DPI = 150
"""Resolution of the PNG files."""
TRUTH = "#ffffff"
"""Colour of annotated boxes, drawn over black so that it shows on any ground."""
ON_PHOTO = ("#f0e442", "#e8590c", "#1aa7ff")
"""Colours of the boxes of teacher, student without and student with teacher: bright, unlike the lines on white."""
HIT, MISS = "#009e73", "#d55e00"
"""Right and wrong; a mark repeats what the colour says."""

_INK, _MUTED, _GRID = "#1a1a1a", "#6b6b6b", "#e4e4e4"
# Okabe and Ito's palette without yellow, which is lost on white paper.
_HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES: tuple[Any, ...] = ("-", (0, (6, 1.5, 1.2, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.2, 1.2, 1.2, 1.2, 1.2)))
_REFERENCE_DASH = (0, (4, 2))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_GREYS = ("#8a8a8a", "#b3b3b3", "#6b6b6b")

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.6,
    "text.color": _INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "distillery",
    "svg.fonttype": "path",
    "image.composite_image": False,
}


@dataclass(frozen=True)
class Face:
    """How one variant looks in every figure."""

    colour: str
    dash: Any
    marker: str
    width: float = 1.6

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments of a line."""
        return {"color": self.colour, "linestyle": self.dash, "linewidth": self.width}


_TAUGHT: dict[str, tuple[Any, str]] = {
    "plain": (_REFERENCE_DASH, "o"),
    "detector": (_DASHES[1], "s"),
    "table": (_DASHES[0], "^"),
    "both": (_DASHES[2], "D"),
}
"""What a person-search network learns from -> dash and marker."""


def faces(variants: Sequence[Variant]) -> dict[str, Face]:
    """A face for each `model/variant`: the network gives the colour, the way of training the dash and the marker.

    Teachers are black and baselines grey; a run without distillation is dashed. Each family of trackers begins with the
    first colour, since panels hold one family; methods of person search share panels, so that none shares a colour.
    """
    hues: dict[str, dict[str, str]] = {}
    found: dict[str, Face] = {}
    runs: dict[str, int] = {}
    baselines = 0
    for variant in variants:
        if variant.role == "baseline":
            found[variant.key] = Face(_GREYS[baselines % len(_GREYS)], ":", "x", 1.3)
            baselines += 1
            continue
        if variant.role == "teacher":
            found[variant.key] = Face("#111111", ":" if variant.true_boxes else "-", "P" if variant.true_boxes else "*")
            continue
        network = f"{variant.model}/{variant.network}"
        mine = hues.setdefault("" if variant.teaching else variant.model, {})
        colour = mine.setdefault(network, _HUES[len(mine) % len(_HUES)])
        if variant.teaching:
            found[variant.key] = Face(colour, *_TAUGHT[variant.teaching])
            continue
        order = runs[network] = runs.get(network, -1) + 1
        distilled = variant.role == "distilled"
        ordinal = sum(1 for key in found if key.startswith(f"{network}-") and found[key].dash != _REFERENCE_DASH)
        dash = _DASHES[ordinal % len(_DASHES)] if distilled else _REFERENCE_DASH
        found[variant.key] = Face(colour, dash, _MARKERS[order % len(_MARKERS)])
    return found


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults with ours on top, whatever matplotlibrc the machine has."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in _RC.items():
            mpl.rcParams[name] = value  # type: ignore[index]
        yield


def new_figure(width: float, height: float, **layout: Any) -> Figure:
    """A figure of the given size in inches that belongs to no window system."""
    figure = Figure(figsize=(width, height), layout="constrained", **layout)
    FigureCanvasAgg(figure)
    return figure


def show_image(axes: Axes, pixels: Any, **extent: Any) -> None:
    """An image without axes; `pixels` is (H, W, 3) uint8."""
    axes.imshow(pixels, **extent)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


@dataclass(frozen=True)
class Picture:
    """A figure as it is stored."""

    svg: str
    png: bytes

    def write(self, out_dir: Path, name: str) -> None:
        """Writes `<name>.svg` and `<name>.png`."""
        write_text(out_dir / f"{name}.svg", self.svg)
        with atomic_file(out_dir / f"{name}.png") as temporary:
            temporary.write_bytes(self.png)


def render(figure: Figure, title: str, caption: str) -> Picture:
    """The figure as SVG and PNG with title and caption in their metadata, without date or version.

    Photographs inside the SVG are stored as JPEG, a tenth of what matplotlib's PNG takes.
    """
    engine = figure.get_layout_engine()
    if engine is not None and figure.axes:  # once for both formats: it costs as much as the drawing
        engine.execute(figure)
        figure.set_layout_engine("none")
    svg, png = io.BytesIO(), io.BytesIO()
    metadata: dict[str, Any] = {"Title": title, "Description": caption}
    _interpolate(figure, "none")  # the SVG keeps the image's own pixels
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "Distillery", **metadata})
    _interpolate(figure, "antialiased")
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None, **metadata})
    return Picture(jpeg_images(svg.getvalue().decode("utf-8")), png.getvalue())


def _interpolate(figure: Figure, how: str) -> None:
    for axes in figure.axes:
        for image in axes.images:
            image.set_interpolation(how)


_PIXELATED = re.compile(r' style="image-rendering:[^"]*"')
_PNG = re.compile(r'xlink:href="data:image/png;base64,([^"]+)"')


def jpeg_images(svg: str, quality: int = 82) -> str:
    """The SVG with every opaque embedded PNG replaced by a JPEG of the same size, to be drawn smoothly."""

    def replace(match: re.Match[str]) -> str:
        with Image.open(io.BytesIO(base64.b64decode(match[1]))) as image:
            if image.mode in ("RGBA", "LA") and image.getchannel("A").getextrema()[0] != 255:
                return match[0]
            stream = io.BytesIO()
            image.convert("RGB").save(stream, format="JPEG", quality=quality, optimize=True)
        return f'xlink:href="data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"'

    return _PNG.sub(replace, _PIXELATED.sub("", svg))
