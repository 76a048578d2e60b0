"""What a network says of a search region: its score map, and the response map that the STR loss compares."""

from __future__ import annotations

from matplotlib.figure import Figure

from distillery.config.paper_job import Part
from distillery.paper.figures.contact import outline
from distillery.paper.figures.style import TRUTH, WIDTH, new_figure, show_image
from distillery.paper.maps import ResponseMaps

_MAP = "magma"
_COLUMNS = 8
"""Networks shown at most."""


def response_maps(part: Part, maps: ResponseMaps) -> tuple[Figure, str]:
    """Frames in pairs of rows, networks in columns, the search region on the left; returns figure and caption."""
    labels = {variant.key: variant.label for variant in part.variants}
    frames, networks = len(maps.frames), min(_COLUMNS, len(maps.networks))
    side = WIDTH / (networks + 1)
    figure = new_figure(WIDTH, 2 * frames * (side + 0.08) + 0.35)
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.01, hspace=0.02)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(2 * frames, networks + 1, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for index, name in enumerate(maps.frames):
        score, target = grid[2 * index], grid[2 * index + 1]
        show_image(score[0], maps.search[index])
        outline(score[0], maps.box[index], TRUTH, width=1.2)
        score[0].set_title(name, fontsize=6.5, pad=2)
        target[0].text(
            1.0, 0.75, "score\n(above)\n\ntarget\nresponse\n(right)", ha="right", va="center", fontsize=6.5,
            transform=target[0].transAxes,
        )  # fmt: skip
        for column in range(networks):
            for axes, stack in ((score[column + 1], maps.score), (target[column + 1], maps.target)):
                axes.imshow(stack[column, index], cmap=_MAP, interpolation="nearest")
                axes.set_axis_on()
                axes.set_xticks([])
                axes.set_yticks([])
                axes.grid(False)
    for column, network in enumerate(maps.networks[:networks]):
        grid[0, column + 1].set_title(labels.get(network, network).replace(", ", ",\n"), fontsize=6.8, pad=2)
    caption = (
        f"{frames} search regions of OTB-100 chosen by a rule, not by eye: sequences at even distances in the "
        "benchmark's order, the frame in the middle, with the exemplar of the first frame; the region is centred where "
        f"the target was {maps.gap} frames before, as a tracker that lags would see it. White: the annotated box. "
        "Upper row of each: the network's scores; lower row: the correlation-weighted activation of layer "
        f"{maps.layer} that the Siamese Target Response loss compares. Every map has its own colour range from its "
        f"lowest (dark) to its highest value, so only shapes compare. One seed ({maps.seed}); {frames} regions "
        "illustrate, they prove nothing."
    )
    if networks < len(maps.networks):
        caption += f" Of {len(maps.networks)} networks the first {networks} are drawn."
    return figure, caption
