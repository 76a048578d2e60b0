"""What one job works on: operations, passes, data read, memory and files, before any machine is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from distillery.planning.estimates import Estimates

Wildcards = Mapping[str, str]
"""Values of a job's wildcards."""


class Work(NamedTuple):
    """The work of one job.

    Attributes:
        kind: Row of the tables (`train_trackers`, `track`, `score`).
        amounts: What is counted, for the reader: steps, pairs, frames, images, queries.
        gpu: Whether it computes with torch, so on a GPU where there is one.
        macs: Multiply-adds, those of gradients included.
        calls: Passes through networks.
        core_seconds: Seconds of one core for reading data.
        overlapped: Whether data are read while the network computes, by all threads of the job.
        seconds: Seconds that depend on nothing.
        memory_mb: Megabytes of main memory.
        gpu_memory_mb: Megabytes of a GPU's memory.
        disk_mb: Megabytes of the files that it leaves.
    """

    kind: str
    amounts: Mapping[str, float] = {}
    gpu: bool = False
    macs: float = 0.0
    calls: float = 0.0
    core_seconds: float = 0.0
    overlapped: bool = False
    seconds: float = 0.0
    memory_mb: float = 0.0
    gpu_memory_mb: float = 0.0
    disk_mb: float = 0.0


def small(estimates: Estimates, kind: str, units: float = 0.0, *, gpu: bool = False, disk_mb: float = 1.0) -> Work:
    """A job of the table `small`.

    Args:
        estimates: The table.
        kind: Its row; one that is not there is `other`.
        units: What it works on, in units of the row.
        gpu: Whether it computes with torch.
        disk_mb: Megabytes of the files that it leaves.
    """
    row = estimates.small.get(kind, estimates.small["other"])
    amounts = {"units": units} if units else {}
    return Work(
        kind,
        amounts,
        gpu,
        core_seconds=units * row.unit,
        seconds=row.seconds,
        memory_mb=row.memory_mb,
        gpu_memory_mb=4000.0 if gpu else 0.0,
        disk_mb=disk_mb,
    )


def checkpoint_mb(parameters: float) -> float:
    """Megabytes of a float32 checkpoint."""
    return 4e-6 * parameters


def training_mb(parameters: float, activations_mb: float, examples: float) -> float:
    """Megabytes of a training on a GPU: weights, gradients, two numbers an optimiser keeps, and what gradients need."""
    return 4 * checkpoint_mb(parameters) + activations_mb * examples
