"""Size and speed of every network, and ratios to the one it is compared with."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from distillery.config.paper_job import Part
from distillery.paper.costs import Times
from distillery.paper.display import PUBLISHED, Body, Row, number, ratio, text, whole
from distillery.paper.published import published_values
from distillery.paper.tables.table import Inputs, Table, size_ratios


def _rows(inputs: Inputs) -> list[Row]:
    rows: list[Row] = []
    profile = inputs.compute
    for paper, part, trained_on, benchmark in _networks(inputs):
        ratios = size_ratios(part, inputs, benchmark)
        for variant in part.variants:
            name, other = (part.network_of(benchmark, key or "") for key in (variant.key, variant.compared_with))
            if name not in profile.networks:
                continue
            cost, base = profile.networks[name], profile.networks.get(other)
            published = published_values(None, variant.key)
            faster = base and base.milliseconds and cost.milliseconds
            rows.append(
                {
                    "paper": paper,
                    "trained_on": trained_on,
                    "model": variant.model,
                    "variant": variant.variant,
                    "label": variant.label,
                    "compared_with": variant.compared_with,
                    **cost.model_dump(),
                    "machine": profile.place,
                    "convention": profile.convention,
                    "size_ratio": ratios.get(variant.key),
                    "speedup": base.milliseconds / cost.milliseconds if faster else None,  # type: ignore[operator, union-attr]
                    **_on_gpu(profile.gpu, name, other),
                    "bytes_published": published.values.get("bytes") if published else None,
                    "size_ratio_published": published.values.get("ratio") if published else None,
                    "published_name": published.name if published else None,
                    "published_mark": published.mark if published else None,
                    "published_source": published.source if published else None,
                }
            )
    return rows


def _networks(inputs: Inputs) -> Iterator[tuple[str, Part, str | None, str]]:
    """Paper, its part, and of person search each training set with a benchmark that tests its networks."""
    for paper, part in inputs.job.parts.items():
        first = {trained_on: benchmark for benchmark, trained_on in reversed(part.trained_on.items())}
        for trained_on in part.training_sets or (None,):
            yield paper, part, trained_on, first[trained_on] if trained_on else ""


def _on_gpu(gpu: Times | None, key: str, compared_with: str) -> Row:
    """The same on a GPU; no columns where none was measured."""
    if gpu is None:
        return {}
    cost, base = gpu.networks.get(key), gpu.networks.get(compared_with)
    return {
        "gpu_milliseconds": cost.milliseconds if cost else None,
        "gpu_fps": cost.fps if cost else None,
        "gpu_speedup": base.milliseconds / cost.milliseconds if base and cost else None,
        "gpu_machine": gpu.place,
        "gpu_convention": gpu.convention,
    }


def _measured(frame: pd.DataFrame) -> str:
    text = f"Measured on {frame['machine'].iloc[0]}: {frame['convention'].iloc[0]}."
    if "gpu_machine" in frame:
        text += f" GPU: {frame['gpu_machine'].iloc[0]}, {frame['gpu_convention'].iloc[0].partition(';')[0]}."
    return text


def _bodies(frame: pd.DataFrame) -> list[Body]:
    # Networks of one architecture cost the same whatever they were trained on; the CSV holds them all.
    frame = frame.drop_duplicates(["paper", "model", "variant"])
    columns = [
        text(frame, "Network", "label"),
        text(frame, "One step", "step"),
        whole(frame, "Parameters", "parameters"),
        number(frame, "Size, kB", "bytes", 1, 1e3),
        ratio(frame, "Smaller by", "size_ratio"),
        number(frame, "MMACs", "macs", 1, 1e6),
        number(frame, "ms", "milliseconds", 2),
        number(frame, "FPS", "fps", 0),
        ratio(frame, "Faster by", "speedup"),
    ]
    if "gpu_machine" in frame:
        columns.append(number(frame, "GPU ms", "gpu_milliseconds", 2))
        columns.append(number(frame, "GPU FPS", "gpu_fps", 0))
        columns.append(ratio(frame, "GPU faster by", "gpu_speedup"))
    if frame["size_ratio_published"].notna().any():
        columns.append(ratio(frame, "Smaller by, publ.", "size_ratio_published"))
        columns.append(text(frame, "Evidence", "published_mark"))
    return [Body(tuple(columns))]


TABLE = Table(
    title="Compression and speed",
    caption="Size counts learnt parameters as 32-bit floats, kB = 1000 bytes; MMACs are millions of multiply-"
    "accumulate operations of one step at batch size 1, ms its median time, FPS steps a second. Ratios compare with "
    "the teacher (trackers, re-identification) or with the largest network trained in the same way (person search, "
    "printed for the first training set; one step of QEEPS is one pair of query and image). "
    f"{PUBLISHED}",
    rows=_rows,
    bodies=_bodies,
    measured=_measured,
)
