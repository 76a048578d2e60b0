"""The lines that `distillery score` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DERIVED = (
    "the EAO interval is derived from the lengths of these sequences, it is not the challenge's; "
    "such an EAO compares with those of the same sequences alone"
)


def lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Numbers, counts, the interval of VOT's expected average overlap, and notes of a benchmark's metrics."""
    for name, value in metrics["numbers"].items():
        yield f"{name}: {value:.4f}" if value is not None else f"{name}: not defined"
    for name, value in metrics["counts"].items():
        yield f"{name}: {value}"
    interval = metrics.get("interval")
    if interval:
        yield f"eao interval: {interval['low']} to {interval['high']} frames ({interval['source']})"
        if interval["source"] == "derived":
            yield f"note: {_DERIVED}"
    if metrics.get("note"):
        yield f"note: {metrics['note']}"
