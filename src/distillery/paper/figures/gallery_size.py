"""Search mAP over the size of the gallery."""

from __future__ import annotations

from matplotlib.figure import Figure

from distillery.config.paper_job import Part
from distillery.errors import UserError
from distillery.paper.figures.panels import ranked_legend, told
from distillery.paper.figures.style import WIDTH, faces, new_figure
from distillery.paper.measures import MEASURES, benchmark_label
from distillery.paper.records import Results, over_seeds
from distillery.paper.tables.breakdowns import size_label


def over_gallery(part: Part, results: Results) -> tuple[Figure, str]:
    """Search mAP by gallery size with intervals over seeds, one panel a benchmark; returns figure and caption."""
    sized = {name: len(results.gallery_sizes(name)) for name in results.benchmarks(part)}
    # A set with a single gallery has nothing to be drawn over, beside one that has several.
    benchmarks = [name for name, sizes in sized.items() if sizes > (1 if max(sized.values()) > 1 else 0)]
    if not benchmarks:
        raise UserError(
            "no metrics hold by_gallery_size", remedy="score the search results with `distillery score` again"
        )
    figure = new_figure(WIDTH, 3.6 * len(benchmarks))
    panels = figure.subplots(len(benchmarks), 1, squeeze=False)[:, 0]
    measure = MEASURES["map"]
    for axes, benchmark in zip(panels, benchmarks, strict=True):
        variants, sizes = results.variants(part, benchmark), results.gallery_sizes(benchmark)
        look, entries = faces(variants), []
        for order, variant in enumerate(variants):
            points, shown = [], []
            for place, size in enumerate(sizes):
                value = over_seeds(results.at_gallery(benchmark, variant.key, size, "map"))
                if value:
                    # A few points aside, so that intervals at one size do not cover each other.
                    offset = min(0.045, 0.4 / len(variants)) * (order - (len(variants) - 1) / 2)
                    points.append((place + offset, value))
                    shown.append(size)
            if not points:
                continue
            x = [place for place, _ in points]
            y = [100 * value.mean for _, value in points]
            half = [100 * (value.half_width or 0) for _, value in points]
            face = look[variant.key]
            (line,) = axes.plot(x, y, marker=face.marker, markersize=5, **face.line, zorder=3)
            axes.errorbar(
                x, y, yerr=half if any(half) else None, fmt="none", ecolor=face.colour, elinewidth=1, capsize=2.5,
                alpha=0.75,
            )  # fmt: skip
            # Whoever was not run on the largest gallery must not be read as if.
            where = "" if sizes[-1] in shown else f", {size_label(shown[-1])}"
            entries.append((y[-1], line, f"{told(measure, points[-1][1])}  {variant.label}{where}"))
        ranked_legend(axes, entries, f"{measure.label} at the largest gallery, ranked", below=False)
        axes.set_xticks(range(len(sizes)), [size_label(size) for size in sizes])
        axes.set(xlabel="gallery", ylabel="search mAP, %", xlim=(-0.4, len(sizes) - 0.6))
        axes.set_ylim(bottom=0)
        axes.grid(axis="x", visible=False)
        axes.set_title(f"Search mAP over gallery size, {benchmark_label(benchmark)}")
    caption = (
        "By the number of gallery images in which each query is searched: mean and 95 % interval over seeds "
        "(Student's t). Points of one gallery size are set apart sideways to keep intervals readable. Dashed: trained "
        "without a teacher. QEEPS, which looks at every pair of query and image, is run on one size. "
        "Methods on true boxes do not detect and are no competitors."
    )
    return figure, caption
