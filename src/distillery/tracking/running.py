"""The command `distillery track`: a trained or trivial tracker over a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from distillery.config.tracking import TrackJob
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.tracking.benchmarks import otb100
from distillery.tracking.runner import Tracker, run_benchmark
from distillery.tracking.trivial import NCCTracker, StaticTracker

BASELINES: dict[str, Callable[[], Tracker]] = {"static": StaticTracker, "ncc": NCCTracker}


def track(
    benchmark: str,
    root: Path,
    results: Path,
    job: TrackJob,
    *,
    checkpoint: Path | None = None,
    baseline: str | None = None,
    allow_partial: bool = False,
) -> dict[str, Any]:
    """Runs a tracker over every sequence of a benchmark.

    Args:
        benchmark: "otb100".
        root: The benchmark in its official layout.
        results: Folder of result files; its index is the same path with `.json` appended.
        job: Resolved parameters.
        checkpoint: A trained tracker, or
        baseline: a trivial one.
        allow_partial: Run on the sequences that are there.

    Returns:
        The index.
    """
    if benchmark != otb100.NAME:
        raise UserError(f"unknown tracking benchmark {benchmark!r}", remedy=f"choose {otb100.NAME}")
    sequences = otb100.load(root, allow_partial=allow_partial)
    factory, identity = _tracker(job, checkpoint, baseline)
    index = results.with_name(results.name + ".json")
    frames = sum(len(sequence) for sequence in sequences)
    with Progress(f"track {benchmark} with {identity['tracker']}", frames) as progress:
        return run_benchmark(
            factory,
            sequences,
            results,
            index,
            benchmark=benchmark,
            identity=identity,
            on_frame=progress.update,
        )


def _tracker(
    job: TrackJob, checkpoint: Path | None, baseline: str | None
) -> tuple[Callable[[], Tracker], dict[str, Any]]:
    if checkpoint is None:
        if baseline not in BASELINES:
            raise UserError(f"unknown baseline {baseline!r}", remedy=f"choose one of {', '.join(BASELINES)}")
        return BASELINES[baseline], {"tracker": baseline}
    from distillery.tracking.tracker import from_checkpoint

    tracker = from_checkpoint(checkpoint, job.compute, job.inference)
    return lambda: tracker, {
        "tracker": checkpoint.stem,
        "checkpoint": sha256_of_file(checkpoint),
        "inference": tracker.inference.model_dump(mode="json"),
    }
