"""Differences of networks as tables of seeds by test units, from metrics files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from distillery.paper.measures import Measure, headline, measure_of
from distillery.paper.records import Result, Results, read_metrics
from distillery.paper.resampling import Matrix

_EQUAL = 1e-9
"""Within this a number is the mean of its sequences' or queries' values."""
WHOLE = "whole test set"


@dataclass(frozen=True)
class Metrics:
    """Results, and the file that each stands in."""

    results: Results
    files: Mapping[tuple[str, str, int], str]
    """Benchmark, `model/variant` and seed -> file."""

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Metrics:
        """Reads metrics files; faults as `read_metrics`."""
        results = read_metrics(paths)
        found = zip(results.results, paths, strict=True)
        return cls(results, {(one.benchmark, one.key, one.seed): path.as_posix() for one, path in found})

    def of(self, benchmark: str, key: str) -> dict[int, Result]:
        """Results of a network on a benchmark, by seed."""
        return {result.seed: result for result in self.results.of(benchmark, key)}


@dataclass(frozen=True)
class Difference:
    """A contrast on a benchmark: the sum of some networks' values minus the sum of others', the better side above 0."""

    benchmark: str
    measure: Measure
    matrix: Matrix
    """Differences, shape (seeds, units); one column where only the whole test set has a value."""
    seeds: tuple[int, ...]
    """Seeds of the rows, those that all networks have."""
    unit: str
    """What the columns are: sequences, queries, or the whole test set."""
    names: tuple[str, ...]
    """Names of the columns."""
    means: Mapping[str, float]
    """Mean of each network over the seeds."""
    files: tuple[str, ...]
    """Metrics files that it was computed from."""
    lacking: tuple[int, ...] = field(default=())
    """Seeds that some network has and another lacks."""

    @property
    def mean(self) -> float:
        """Mean over seeds and units."""
        return float(self.matrix.mean(axis=1).mean())


def difference(
    metrics: Metrics, benchmark: str, key: str, plus: Sequence[str], minus: Sequence[str]
) -> Difference | str:
    """The difference of networks on a benchmark, or why there is none.

    Args:
        metrics: All metrics.
        benchmark: The benchmark.
        key: The measure.
        plus: Networks whose values are added, as `model/variant`.
        minus: Networks whose values are subtracted.
    """
    arms = {arm: metrics.of(benchmark, arm) for arm in (*plus, *minus)}
    if absent := [arm for arm, results in arms.items() if not results]:
        return f"no result of {' and '.join(absent)}"
    seeds = sorted(set.intersection(*(set(results) for results in arms.values())))
    if not seeds:
        return "no seed that all networks have"
    if len({_asked(result) for results in arms.values() for result in results.values()}) > 1:
        return "the networks were not given the same queries and galleries"
    units = {(arm, seed): unit_values(arms[arm][seed], key) for arm in arms for seed in seeds}
    names = {tuple(values) if values else None for values in units.values()}
    if len(names) > 1 or names == {None}:
        wholes = {place: arms[place[0]][place[1]].value(key) for place in units}
        if any(value is None for value in wholes.values()):
            return f"no value of {key}"
        units = {place: {WHOLE: float(value)} for place, value in wholes.items() if value is not None}
    values = {place: np.array(list(found.values())) for place, found in units.items() if found is not None}
    matrix = np.array([sum(values[a, s] for a in plus) - sum(values[a, s] for a in minus) for s in seeds])
    measure = measure_of(benchmark, key)
    columns = tuple(next(found for found in units.values() if found is not None))
    every = set().union(*arms.values())
    return Difference(
        benchmark=benchmark,
        measure=measure,
        matrix=-matrix if measure.lower_is_better else matrix,
        seeds=tuple(seeds),
        unit=_unit(arms[plus[0]][seeds[0]], columns),
        names=columns,
        means={arm: float(np.mean([values[arm, seed].mean() for seed in seeds])) for arm in arms},
        files=tuple(metrics.files[benchmark, arm, seed] for arm in arms for seed in seeds),
        lacking=tuple(sorted(every - set(seeds))),
    )


def measures(benchmark: str, wanted: str | None) -> list[str]:
    """The measure of a claim on a benchmark: its first, or the one wanted where the benchmark prints it."""
    known = headline(benchmark)
    return [known[0]] if wanted is None else [wanted] if wanted in known else []


def unit_values(result: Result, key: str) -> dict[str, float] | None:
    """The values of which a result's number is the mean, by sequence or query.

    None where the number is no such mean: VOT's expected overlap and detection AP are of the whole set, and some
    protocols leave out sequences.
    """
    found: dict[str, float] | None = None
    if result.per_sequence:
        values = {name: numbers.get(key) for name, numbers in sorted(result.per_sequence.items())}
        known = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
        found = known if len(known) == len(values) else None
    elif key == "map" and isinstance(result.per_query, dict):
        precisions = result.per_query.get("ap")
        if isinstance(precisions, list):
            numbers = ((str(place), value) for place, value in enumerate(precisions))
            # Queries that were not run have none.
            found = {name: float(value) for name, value in numbers if isinstance(value, int | float)}
    whole = result.numbers.get(key)
    if not found or whole is None or abs(sum(found.values()) / len(found) - whole) > _EQUAL:
        return None
    return found


def _asked(result: Result) -> tuple[object, ...]:
    """What was asked of a network: how many sequences or queries, and galleries of which size."""
    return (result.gallery_size, result.counts.get("queries"), result.counts.get("sequences"))


def _unit(result: Result, columns: tuple[str, ...]) -> str:
    if columns == (WHOLE,):
        return WHOLE
    return "sequences" if result.per_sequence else "queries"
