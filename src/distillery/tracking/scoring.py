"""From a folder of result files to the metrics of a benchmark; anyone's results can be scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking.benchmarks import otb100
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.protocols import ope
from distillery.tracking.results import read_result, require_results

_Loader = Callable[[Path, bool], tuple[list[Sequence], list[str]]]


def _otb100(root: Path, allow_partial: bool) -> tuple[list[Sequence], list[str]]:
    sequences = otb100.load(root, need_frames=False, allow_partial=allow_partial)
    return sequences, otb100.expected(root)


OPE_BENCHMARKS: dict[str, _Loader] = {otb100.NAME: _otb100}
"""Benchmark -> its sequences under a root, and the names of all that should be there."""


def score(
    benchmark: str, root: Path, results: Path, *, protocol: str = ope.DEFAULT, allow_partial: bool = False
) -> dict[str, Any]:
    """Scores a folder of result files.

    Args:
        benchmark: Name of the benchmark ("otb100").
        root: The benchmark in its official layout; images are not needed.
        results: Folder with one text file a sequence.
        protocol: Whose definition of one-pass evaluation, a key of `ope.VARIANTS`.
        allow_partial: Score the sequences that are there, and count those that are not.

    Returns:
        A JSON-able dict: benchmark, protocol, numbers, curves, per_sequence, by_attribute, counts, missing, inputs.

    Raises:
        UserError: Naming the file, the place in it, and the remedy.
    """
    if benchmark not in OPE_BENCHMARKS:
        raise UserError(
            f"unknown benchmark {benchmark!r}", remedy=f"one-pass evaluation knows {', '.join(sorted(OPE_BENCHMARKS))}"
        )
    ope.variant(protocol)
    sequences, expected = OPE_BENCHMARKS[benchmark](Path(root), allow_partial)
    metrics = score_sequences(sequences, Path(results), protocol=protocol, allow_partial=allow_partial)
    metrics["missing"] = [name for name in expected if name not in metrics["per_sequence"]]
    metrics["counts"]["missing"] = len(metrics["missing"])
    return {"benchmark": benchmark} | metrics


def score_sequences(
    sequences: list[Sequence], results: Path, *, protocol: str = ope.DEFAULT, allow_partial: bool = False
) -> dict[str, Any]:
    """`score` for sequences at hand."""
    how = ope.variant(protocol)
    files = require_results(results, sequences, allow_partial=allow_partial)
    scored = [sequence for sequence in sequences if sequence.name in files]
    curves = {
        sequence.name: ope.evaluate(
            read_result(files[sequence.name], sequence, allow_nan=how.repeat_invalid), sequence.truth, how
        )
        for sequence in scored
    }
    mean = ope.mean(list(curves.values()), how)
    missing = [sequence.name for sequence in sequences if sequence.name not in files]
    return {
        "protocol": f"ope/{protocol}",
        "numbers": ope.numbers(mean, how),
        "curves": {
            "success": mean.success.tolist(),
            "precision": mean.precision.tolist(),
            "normalized_precision": mean.normalized_precision.tolist(),
        },
        "per_sequence": {
            sequence.name: ope.numbers(curves[sequence.name], how) | {"frames": len(sequence)} for sequence in scored
        },
        "by_attribute": _by_attribute(scored, curves, how),
        "counts": {
            "sequences": len(scored),
            "frames": sum(map(len, scored)),
            "missing": len(missing),
            "without_attributes": sum(not sequence.attributes for sequence in scored),
        },
        "missing": missing,
        "inputs": {
            "truth": _digest({sequence.name: sequence.truth_file for sequence in scored}),
            "results": _digest({sequence.name: files[sequence.name] for sequence in scored}),
        },
    }


def _by_attribute(
    sequences: list[Sequence], curves: dict[str, ope.Curves], how: ope.Variant
) -> dict[str, dict[str, float]]:
    names = sorted({attribute for sequence in sequences for attribute in sequence.attributes})
    table = {}
    for attribute in names:
        chosen = [curves[sequence.name] for sequence in sequences if attribute in sequence.attributes]
        values = ope.numbers(ope.mean(chosen, how), how)
        table[attribute] = {"auc": values["auc"], "precision": values["precision"], "sequences": len(chosen)}
    return table


def _digest(files: dict[str, Path]) -> str:
    """One SHA-256 for many files: of the JSON object that maps each sequence's name to its file's SHA-256."""
    return sha256_of({name: sha256_of_file(path) for name, path in files.items()})
