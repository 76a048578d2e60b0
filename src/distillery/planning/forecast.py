"""Work into time: how long a job takes on a GPU of some speed, or without one, and what it is to be given."""

from __future__ import annotations

import math

from distillery.planning.estimates import Estimates
from distillery.planning.work import Work

SHORTEST_LIMIT = 30
"""Minutes that any job is given: a first use of a slow file system takes long."""
MEMORY_MARGIN = 1.5
"""Memory that a job is given over what is estimated; each retry gets that much more again."""
MEMORY_STEP = 500
"""Megabytes are given in steps of this."""


def seconds(work: Work, estimates: Estimates, *, threads: int, speed: float | None) -> float:
    """Time of a job in seconds.

    Args:
        work: What it does.
        estimates: The table.
        threads: Cores that it has.
        speed: Of its GPU, where 1 is the unit of the table; None computes on the cores.
    """
    devices = estimates.devices
    if not work.macs:
        computing = 0.0
    elif speed is None:
        computing = work.macs / (devices.core_macs.value * threads)
    else:
        # Launches cost the same on a fast GPU.
        computing = work.macs / (devices.gpu_macs.value * speed) + work.calls * devices.gpu_call.value
    reading = work.core_seconds / (threads if work.overlapped else 1)
    both = max(computing, reading) if work.overlapped else computing + reading
    start = devices.start.value if work.gpu else 0.0
    return start + work.seconds + both


def limit_minutes(work: Work, estimates: Estimates, *, threads: int, speed: float | None, attempt: int = 1) -> int:
    """Minutes after which a cluster may stop a job: the estimate with its margin, more with each attempt."""
    expected = seconds(work, estimates, threads=threads, speed=speed) / 60
    return max(SHORTEST_LIMIT * attempt, math.ceil(expected * estimates.devices.margin.value * attempt))


def memory_mb(work: Work, *, attempt: int = 1) -> int:
    """Main memory that a job is given, in megabytes."""
    return MEMORY_STEP * math.ceil(work.memory_mb * MEMORY_MARGIN * attempt / MEMORY_STEP)
