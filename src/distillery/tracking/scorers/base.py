"""What a scorer is given and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery.tracking.benchmarks.base import Sequence


@dataclass(frozen=True, eq=False)
class Truth:
    """A benchmark's ground truth, read once for all trackers that are scored on it."""

    benchmark: str
    root: Path
    sequences: list[Sequence]
    expected: list[str]
    """Names of all sequences that the benchmark has, also of absent ones."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What a scorer found; everything is JSON-able but the paths."""

    numbers: dict[str, float | None]
    """The benchmark's numbers, fractions unless the protocol says otherwise; None is undefined."""
    curves: dict[str, list[float]]
    per_sequence: dict[str, dict[str, Any]]
    by_attribute: dict[str, dict[str, Any]]
    files: dict[str, list[Path]]
    """Sequence -> its result files, in the benchmark's order; sequences without one are missing."""
    counts: dict[str, int] = field(default_factory=dict)
    """Beside sequences, frames and missing."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further keys of the metrics (`interval`, `note`)."""


def without_attributes(sequences: list[Sequence]) -> int:
    """How many sequences have no attributes."""
    return sum(not sequence.attributes for sequence in sequences)


def by_attribute(sequences: list[Sequence]) -> dict[str, list[Sequence]]:
    """Attribute -> the sequences that have it, sorted by attribute."""
    names = sorted({attribute for sequence in sequences for attribute in sequence.attributes})
    return {name: [sequence for sequence in sequences if name in sequence.attributes] for name in names}
