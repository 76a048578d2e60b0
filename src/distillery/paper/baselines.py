"""The best trivial method on a benchmark, which whoever claims anything must clearly beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from distillery.paper.measures import first_measure
from distillery.paper.records import FULL, Result, Results, over_seeds
from distillery.paper.statistics import Estimate


class Trivial(NamedTuple):
    """A trivial method on a benchmark."""

    key: str
    """`model/variant`."""
    seed: int
    """Seed of its result; it draws nothing, so that it has one."""
    value: float
    """Its first measure of the benchmark."""


def best_trivial(results: Results, benchmark: str, keys: Iterable[str], beside: Result) -> Trivial | None:
    """The best trivial method by a benchmark's first measure; None without any.

    Those of person search are given the true boxes, which favours them, and are taken in galleries of the size that a
    network was given.

    Args:
        results: All results.
        benchmark: The benchmark.
        keys: Trivial methods, as `model/variant`.
        beside: A result of the network that it stands beside.
    """
    measure = first_measure(benchmark).key
    size = FULL if beside.gallery_size in (None, -1) else str(beside.gallery_size)
    found = []
    for rival in (result for key in keys for result in results.of(benchmark, key)):
        value = rival.by_gallery_size.get(size, {}).get(measure, rival.numbers.get(measure))
        if value is not None:
            found.append(Trivial(rival.key, rival.seed, value))
    return max(found, key=lambda trivial: trivial.value, default=None)


def above(values: dict[int, float], trivial: float) -> Estimate | None:
    """What values by seed have above a trivial method, with Student's t interval; None without any."""
    return over_seeds({seed: value - trivial for seed, value in values.items()})


def clearly(excess: Estimate | None) -> bool:
    """Whether it is above with its whole interval; a single seed has none and counts as it is."""
    return excess is not None and (excess.mean if excess.low is None else excess.low) > 0
