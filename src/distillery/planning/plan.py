"""The plan of a run: what its jobs take, by rule and in all, and how long a cluster would need."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distillery.config.profile import Profile
from distillery.errors import UserError
from distillery.planning.cluster import Cluster
from distillery.planning.datasets import gigabytes_of
from distillery.planning.estimates import Estimates
from distillery.planning.forecast import seconds
from distillery.planning.listing import Job
from distillery.planning.rules import Table, rule_table, work_of
from distillery.planning.simulation import Outcome, Pool, Task, simulate
from distillery.planning.work import Work

STORED = {
    "train_trackers": "checkpoints",
    "train_search": "checkpoints",
    "train_reid": "checkpoints",
    "pretrain": "checkpoints",
    "lookup": "checkpoints",
    "crop_clips": "crops",
    "crop_shards": "crops",
    "record_teacher": "crops",
    "track": "predictions",
    "search": "predictions",
}
"""Kind of job -> what its files are."""


class Planned(NamedTuple):
    """A job with its work.

    Attributes:
        job: As Snakemake lists it.
        work: As the table sees it.
        measured: Seconds that it took before, where that is known.
    """

    job: Job
    work: Work
    measured: float | None

    def seconds(self, estimates: Estimates, speed: float | None) -> float:
        """Its time: as it was measured, or as it is estimated on a GPU of a speed (None: without one)."""
        if self.measured is not None:
            return self.measured
        return seconds(self.work, estimates, threads=self.job.threads, speed=speed)


def planned(
    profile: Profile, estimates: Estimates, jobs: Sequence[Job], benchmarks: Mapping[str, float] | None = None
) -> list[Planned]:
    """Jobs with their work; rules without a command (`all`) are left out.

    Args:
        profile: The profile of the run.
        estimates: The table.
        jobs: As Snakemake lists them.
        benchmarks: Measured seconds by the path of the rule's benchmark file.
    """
    table: Table = rule_table(profile, estimates)
    found = benchmarks or {}
    made = [
        Planned(job, work_of(table, estimates, job.rule, job.wildcards), found.get(job.benchmark or ""))
        for job in jobs
        if job.rule not in ("all", "ablations")
    ]
    # Snakemake lists equal jobs in an order that changes from call to call.
    return sorted(made, key=lambda one: (one.job.rule, sorted(one.job.wildcards.items())))


def measured_seconds(folder: Path) -> dict[str, float]:
    """Seconds of the jobs of a finished run by the path that its rules give to their benchmark files.

    Args:
        folder: `results/<profile>/benchmarks` of the run, wherever it lies.

    Raises:
        UserError: If there is none, or a file of it cannot be read.
    """
    files = sorted(folder.rglob("*.jsonl"))
    if not files:
        raise UserError(
            "holds no measured jobs", file=folder, remedy="name results/<profile>/benchmarks of a finished run"
        )
    profile = folder.resolve().parent.name
    times = {}
    for file in files:
        try:
            line = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
            times[f"results/{profile}/benchmarks/{file.relative_to(folder).as_posix()}"] = float(line["s"])
        except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
            raise UserError("is no benchmark of Snakemake", file=file, remedy="delete it") from error
    return times


def summary(profile: Profile, estimates: Estimates, jobs: Sequence[Planned]) -> dict[str, Any]:
    """What jobs take on GPUs of speed 1, or without any if the profile computes on the processor.

    Returns:
        `rules`: for each rule `jobs`, `gpu_hours`, `core_hours`, `longest_hours`, `memory_gb`, `gpu_memory_gb`,
        `disk_gb`, `measured` (jobs whose time was measured); `total`: the same for all; `disk_gb`: by what is stored.
    """
    speed = None if profile.compute.device == "cpu" else 1.0
    rules: dict[str, dict[str, float]] = {}
    for one in jobs:
        on_gpu = speed is not None and one.work.gpu
        hours = one.seconds(estimates, speed if on_gpu else None) / 3600
        for row in (rules.setdefault(one.job.rule, _empty()), rules.setdefault("", _empty())):
            row["jobs"] += 1
            row["gpu_hours"] += hours if on_gpu else 0.0
            row["core_hours"] += hours * one.job.threads
            row["longest_hours"] = max(row["longest_hours"], hours)
            row["memory_gb"] = max(row["memory_gb"], one.work.memory_mb / 1000)
            row["gpu_memory_gb"] = max(row["gpu_memory_gb"], one.work.gpu_memory_mb / 1000 if on_gpu else 0.0)
            row["disk_gb"] += one.work.disk_mb / 1000
            row["measured"] += one.measured is not None
    total = rules.pop("", _empty())
    return {"rules": rules, "total": total, "disk_gb": _disk(profile, estimates, jobs), "speed": speed}


def on_cluster(estimates: Estimates, jobs: Sequence[Planned], cluster: Cluster) -> tuple[Outcome, dict[str, Any]]:
    """The run on a cluster, and what is to be said about it: hours, busy GPUs, the critical path, cards too small."""
    pool = Pool(cluster.cores, 1000 * cluster.memory_gb, cluster.speeds, cluster.wait)
    tasks = [
        Task(
            number=one.job.number,
            needs=one.job.needs,
            cores=one.job.threads,
            memory_mb=one.work.memory_mb,
            gpu=one.work.gpu and bool(cluster.gpus),
            priority=one.job.priority,
            seconds=lambda speed, one=one: one.seconds(estimates, speed),  # type: ignore[misc]
        )
        for one in jobs
    ]
    outcome = simulate(tasks, pool)
    names = {one.job.number: one for one in jobs}
    largest = max((cards.memory_gb for cards in cluster.gpus), default=0.0)
    count = len(pool.speeds)
    said = {
        "makespan_hours": outcome.makespan / 3600,
        "gpu_hours": outcome.gpu_seconds / 3600,
        "core_hours": outcome.core_seconds / 3600,
        "gpus": count,
        "gpu_use": outcome.gpu_seconds / (count * outcome.makespan) if count and outcome.makespan else 0.0,
        "critical_hours": outcome.path_seconds / 3600,
        "critical_path": [_called(names[number]) for number in outcome.path],
        "too_large": sorted(
            {one.job.rule for one in jobs if count and one.work.gpu and one.work.gpu_memory_mb > 1000 * largest}
        ),
    }
    return outcome, said


def _called(one: Planned) -> str:
    return " ".join([one.job.rule, *(f"{name}={value}" for name, value in sorted(one.job.wildcards.items()))])


def _empty() -> dict[str, float]:
    names = ("jobs", "gpu_hours", "core_hours", "longest_hours", "memory_gb", "gpu_memory_gb", "disk_gb", "measured")
    return dict.fromkeys(names, 0.0)


def _disk(profile: Profile, estimates: Estimates, jobs: Sequence[Planned]) -> dict[str, float]:
    found = {"datasets": sum(gigabytes_of(profile, estimates, name) for name in profile.data.names)}
    for one in jobs:
        part = STORED.get(one.work.kind, "other")
        found[part] = found.get(part, 0.0) + one.work.disk_mb / 1000
    return found
