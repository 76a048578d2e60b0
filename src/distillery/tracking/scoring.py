"""From a folder of result files to the metrics of a benchmark; anyone's results can be scored."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking.benchmarks import registry
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.scorers.base import Scored, Truth

_ROOM = "distillery.tracking.scorers"
SCORERS = {
    "otb100": f"{_ROOM}.one_pass",
    "dtb70": f"{_ROOM}.one_pass",
    "vot2018": f"{_ROOM}.vot",
    "vot2019": f"{_ROOM}.vot",
    "lasot": f"{_ROOM}.lasot",
    "trackingnet": f"{_ROOM}.trackingnet",
    "got10k": f"{_ROOM}.got10k",
}
"""Benchmark -> the module that scores it; named, not imported, as in the registry of the benchmarks."""


class Scorer(Protocol):
    """What a module of `SCORERS` offers."""

    ROOM: str
    """Name of its protocols, the part before the slash in the metrics."""
    VARIANTS: Mapping[str, Any]
    """The protocols by the name that `--protocol` takes."""
    DEFAULT: str
    """The variant that is taken where none is named."""

    def score(self, truth: Truth, results: Path, protocol: str, *, allow_partial: bool = False) -> Scored:
        """Scores one tracker's results."""


def modules(benchmark: str) -> list[str]:
    """Modules that read and score a benchmark, for the inputs of a rule."""
    return sorted({*registry.modules(benchmark), SCORERS[benchmark]})


def score(
    benchmark: str, root: Path, results: Path, *, protocol: str | None = None, allow_partial: bool = False
) -> dict[str, Any]:
    """Scores one tracker's results.

    Args:
        benchmark: A key of `SCORERS`.
        root: The benchmark in its official layout; of its images only VOT's are needed, each sequence's first.
        results: The tracker's folder: NAME.txt (OTB-100, DTB70, LaSOT, TrackingNet, which may also be a zip archive),
            NAME/NAME_001.txt (GOT-10k), or the same in `baseline` (VOT).
        protocol: Whose definition: a variant of the benchmark's protocol, its default where None.
        allow_partial: Score the sequences that are there, and count those that are not.

    Returns:
        A JSON-able dict: benchmark, protocol, numbers, curves, per_sequence, by_attribute, counts, missing, inputs; VOT
        adds the `interval` of its expected overlap, and a `note` says what else matters.

    Raises:
        UserError: Naming the file, the place in it, and the remedy.
    """
    return score_many(benchmark, root, [results], protocol=protocol, allow_partial=allow_partial)[Path(results)]


def score_many(
    benchmark: str,
    root: Path,
    results: Iterable[Path],
    *,
    protocol: str | None = None,
    allow_partial: bool = False,
) -> dict[Path, dict[str, Any]]:
    """`score` for many trackers; the ground truth is read once. Returns each one's metrics by its folder."""
    scorer = _scorer(benchmark)
    name = _variant(scorer, benchmark, protocol)
    root = Path(root)
    truth = Truth(
        benchmark=benchmark,
        root=root,
        sequences=registry.load(benchmark, root, need_frames=False, allow_partial=allow_partial),
        expected=registry.expected(benchmark, root),
    )
    digest = cache(sha256_of_file)  # many sequences may share one annotation file
    return {
        Path(folder): _metrics(
            truth, scorer.score(truth, Path(folder), name, allow_partial=allow_partial), f"{scorer.ROOM}/{name}", digest
        )
        for folder in results
    }


def _scorer(benchmark: str) -> Scorer:
    if benchmark not in SCORERS:
        raise UserError(f"unknown tracking benchmark {benchmark!r}", remedy=f"choose one of {', '.join(SCORERS)}")
    return cast(Scorer, import_module(SCORERS[benchmark]))


def _variant(scorer: Scorer, benchmark: str, protocol: str | None) -> str:
    if protocol is None:
        return scorer.DEFAULT
    if protocol not in scorer.VARIANTS:
        near = difflib.get_close_matches(protocol, scorer.VARIANTS, n=1, cutoff=0.0)[0]
        raise UserError(
            f"unknown protocol {protocol!r} of {benchmark}",
            remedy=f"did you mean `{near}` (there are {', '.join(sorted(scorer.VARIANTS))})",
        )
    return protocol


def _metrics(truth: Truth, scored: Scored, protocol: str, digest: Any) -> dict[str, Any]:
    by_name = {sequence.name: sequence for sequence in truth.sequences}
    taken = [by_name[name] for name in scored.per_sequence]
    missing = [name for name in truth.expected if name not in scored.files]
    return {
        "benchmark": truth.benchmark,
        "protocol": protocol,
        "numbers": scored.numbers,
        "curves": scored.curves,
        "per_sequence": scored.per_sequence,
        "by_attribute": scored.by_attribute,
        "counts": {"sequences": len(taken), "frames": sum(map(len, taken)), "missing": len(missing)} | scored.counts,
        "missing": missing,
        "inputs": {"truth": _truth_digest(taken, digest), "results": _results_digest(scored, digest)},
    } | scored.extra


def _truth_digest(sequences: list[Sequence], digest: Any) -> str:
    """One SHA-256 of the JSON object that maps each sequence to the SHA-256 of the file with its truth."""
    return sha256_of({sequence.name: digest(sequence.truth_file) for sequence in sequences})


def _results_digest(scored: Scored, digest: Any) -> str:
    """The same of the result files: a sequence with repetitions has the list of theirs."""
    hashes = {name: [digest(file) for file in files] for name, files in scored.files.items()}
    return sha256_of({name: found[0] if len(found) == 1 else found for name, found in hashes.items()})
