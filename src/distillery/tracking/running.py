"""The command `distillery track`: a trained or trivial tracker over one benchmark or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distillery.config.siamfc import SiamFCInference
from distillery.config.siamrpn import RPNInference
from distillery.config.siamrpnpp import PYSOT_INFERENCE
from distillery.config.tracking import TrackJob
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.tracking import destinations, families
from distillery.tracking.benchmarks import registry
from distillery.tracking.indices import absolute, index_of
from distillery.tracking.parts import Part
from distillery.tracking.runner import FORMS, ONE_FILE, Tracker, run_benchmark
from distillery.tracking.trivial import NCCTracker, StaticTracker

BASELINES: dict[str, Callable[[], Tracker]] = {"static": StaticTracker, "ncc": NCCTracker}
PUBLISHED: dict[str, SiamFCInference | RPNInference] = {
    "siamfc": SiamFCInference(),
    "siamrpn": RPNInference(),
    "siamrpnpp": PYSOT_INFERENCE,
}
"""Family -> the test-time settings that it was published with (SiamRPN's are DaSiamRPN's, SiamRPN++'s pysot's)."""


def track(
    benchmark: str,
    root: Path,
    results: Path,
    job: TrackJob,
    *,
    checkpoint: Path | None = None,
    baseline: str | None = None,
    allow_partial: bool = False,
    repetitions: int = 1,
    replace: bool = False,
) -> dict[str, Any]:
    """`track_all` over one benchmark; returns its index."""
    indices = track_all(
        {benchmark: (root, results)},
        job,
        checkpoint=checkpoint,
        baseline=baseline,
        allow_partial=allow_partial,
        repetitions=repetitions,
        replace=replace,
    )
    return indices[benchmark]


def track_all(
    targets: Mapping[str, tuple[Path, Path]],
    job: TrackJob,
    *,
    checkpoint: Path | None = None,
    baseline: str | None = None,
    allow_partial: bool = False,
    repetitions: int = 1,
    replace: bool = False,
    part: Part | None = None,
) -> dict[str, dict[str, Any]]:
    """Runs one tracker over every sequence of several benchmarks.

    Args:
        targets: Benchmark (a key of `registry.BENCHMARKS` or `SERVER_SETS`) -> its root in the official layout, and the
            folder of result files; the index gets the latter's path with `.json` appended.
        job: Resolved parameters.
        checkpoint: A trained tracker of any family, or
        baseline: a trivial one.
        allow_partial: Run on the sequences that are there.
        repetitions: Runs of a stochastic tracker, where a benchmark has a place for them; others are run once.
        replace: Whether an existing results folder may be replaced though no index says that it holds results.
        part: Run on this part of each benchmark alone; `parts.join` puts the parts together.

    Returns:
        The indices by benchmark.

    Raises:
        UserError: Before anything is run if a name is unknown, a benchmark or the checkpoint cannot be read, or
            anything but an earlier run's results would be lost.
    """
    destinations.check(targets, keep=[checkpoint] if checkpoint else [], replace=replace)
    loaded = {name: registry.load(name, root, allow_partial=allow_partial) for name, (root, _) in targets.items()}
    if part:
        loaded = {name: part.of(sequences) for name, sequences in loaded.items()}
        for name, sequences in loaded.items():  # of a part that fails, however it does, its log names what is missing
            print(f"part {part} of {name}: {', '.join(one.name for one in sequences) or 'no sequence'}", flush=True)
    factory, identity = _tracker(job, checkpoint, baseline)
    indices = {}
    for name, sequences in loaded.items():
        results = absolute(targets[name][1])
        times = min(repetitions, FORMS.get(name, ONE_FILE).repetitions)
        frames = times * sum(len(sequence.frames) for sequence in sequences)
        with Progress(f"track {name} with {identity['tracker']}", frames) as progress:
            indices[name] = run_benchmark(
                factory,
                sequences,
                results,
                index_of(results),
                benchmark=name,
                identity=identity,
                repetitions=times,
                part=str(part) if part else None,
                on_frame=progress.update,
            )
    return indices


def _tracker(
    job: TrackJob, checkpoint: Path | None, baseline: str | None
) -> tuple[Callable[[], Tracker], dict[str, Any]]:
    if checkpoint is None:
        if baseline not in BASELINES:
            raise UserError(f"unknown baseline {baseline!r}", remedy=f"choose one of {', '.join(BASELINES)}")
        return BASELINES[baseline], {"tracker": baseline}
    from distillery.engine.checkpoint import load_sidecar

    family = load_sidecar(checkpoint, kind=tuple(families.FAMILIES))["kind"]
    inference = job.inference or PUBLISHED[family]
    if not isinstance(inference, type(PUBLISHED[family])):
        raise UserError(
            f"is a {family} tracker, the test-time settings are {type(inference).__name__}",
            file=checkpoint,
            remedy="pass the settings of its family",
        )
    tracker: Tracker = families.tracker_module(family).from_checkpoint(checkpoint, job.compute, inference)
    return lambda: tracker, {
        "tracker": checkpoint.stem,
        "checkpoint": sha256_of_file(checkpoint),
        "inference": inference.model_dump(mode="json"),
    }
