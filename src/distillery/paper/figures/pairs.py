"""Two methods to show examples of, and the rule that chooses the examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distillery.config.paper_job import Part, Variant
from distillery.errors import UserError
from distillery.paper.records import Result, Results

Files = Mapping[tuple[str, str, int], Path]

RULE = "the best, the median and the worst"


def compared_pair(
    part: Part, benchmark: str, results: Results, files: Files, seed: int, family: str | None = None
) -> tuple[Variant, Variant]:
    """(with, without teacher): the last gain over ground truth of the first student whose results and predictions of a
    seed are there, which is the one with everything that the paper adds.

    Args:
        part: Comparisons and labels.
        benchmark: Where both must have results.
        results: All metrics.
        files: Predictions.
        seed: Seed that both must have.
        family: Model that both must be of.

    Raises:
        UserError: If there is no such comparison.
    """
    by_key = {variant.key: variant for variant in part.variants}
    found: list[tuple[Variant, Variant]] = []
    for comparison in part.comparisons:
        keys = (comparison.minuend, comparison.subtrahend)
        if (
            comparison.question == "gain"
            and all(key in by_key for key in keys)
            and by_key[keys[1]].role == "reference"
            and family in (None, by_key[keys[0]].model)
            and all((benchmark, key, seed) in files and result_of(results, benchmark, key, seed) for key in keys)
        ):
            found.append((by_key[keys[0]], by_key[keys[1]]))
    if not found:
        raise UserError(
            f"no comparison of {family or benchmark} has metrics and predictions of seed {seed} on {benchmark} for "
            "both sides",
            remedy="pass the predictions and metrics of the runs that the config compares",
        )
    return [pair for pair in found if pair[1] == found[0][1]][-1]


def result_of(results: Results, benchmark: str, key: str, seed: int) -> Result | None:
    """The result of one seed."""
    return next((result for result in results.of(benchmark, key) if result.seed == seed), None)


def required_result(results: Results, benchmark: str, key: str, seed: int) -> Result:
    """`result_of`, where its absence is an error."""
    result = result_of(results, benchmark, key, seed)
    if result is None:
        raise UserError(f"no metrics of {key} on {benchmark}, seed {seed}", remedy="score its predictions first")
    return result
