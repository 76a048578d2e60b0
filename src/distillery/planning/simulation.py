"""List scheduling: jobs of a DAG on a pool of cores, memory and GPUs, as Snakemake would start them.

Whenever something is free, the ready job of the highest priority that fits is started, of equal ones the first in the
list. Graham's bound holds: the makespan is at most twice the best possible one where jobs need one
resource each.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from distillery.errors import UserError


class Task(NamedTuple):
    """A job as the simulation sees it.

    Attributes:
        number: Of the job.
        needs: Numbers of jobs that come before.
        cores: Cores that it takes.
        memory_mb: Main memory that it takes.
        gpu: Whether it takes a GPU.
        priority: Higher goes first.
        seconds: Time on a GPU of a speed; None is without one.
    """

    number: int
    needs: frozenset[int]
    cores: int
    memory_mb: float
    gpu: bool
    priority: int
    seconds: Callable[[float | None], float]


class Pool(NamedTuple):
    """What tasks run on.

    Attributes:
        cores: Number of cores.
        memory_mb: Main memory.
        speeds: Speed of every GPU.
        wait: Seconds between a task's being ready and its start.
    """

    cores: int
    memory_mb: float
    speeds: Sequence[float]
    wait: float = 0.0


class Span(NamedTuple):
    """When a task ran, in seconds from the start, and on a GPU of which speed."""

    start: float
    end: float
    speed: float | None


class Outcome(NamedTuple):
    """A simulated run.

    Attributes:
        makespan: Seconds from the start to the last end.
        spans: By number of the task.
        gpu_seconds: Seconds of GPUs in use.
        core_seconds: Seconds of cores in use.
        path: Numbers of the tasks of the critical path, in order: no pool of this kind is done before their end.
        path_seconds: Its length, each task on the fastest GPU.
    """

    makespan: float
    spans: Mapping[int, Span]
    gpu_seconds: float
    core_seconds: float
    path: Sequence[int]
    path_seconds: float


def simulate(tasks: Sequence[Task], pool: Pool) -> Outcome:
    """Runs tasks on a pool.

    Args:
        tasks: Earlier ones go first where priorities are equal; needs that are not among them are met.
        pool: The pool.

    Raises:
        UserError: If a task needs more than the whole pool has; tasks take the cores that there are.
    """
    _check(tasks, pool)
    known = {task.number for task in tasks}
    place = {task.number: index for index, task in enumerate(tasks)}
    by_number = {task.number: task for task in tasks}
    waiting = {task.number: len(task.needs & known) for task in tasks}
    users: dict[int, list[int]] = {}
    for task in tasks:
        for need in task.needs & known:
            users.setdefault(need, []).append(task.number)
    arriving = [(0.0, number) for number, count in waiting.items() if not count]
    heapq.heapify(arriving)
    ready: list[tuple[int, int, int]] = []
    running: list[tuple[float, int]] = []
    free_cores, free_memory, free_gpus = pool.cores, pool.memory_mb, sorted(pool.speeds)
    spans: dict[int, Span] = {}
    now = 0.0
    while arriving or ready or running:
        while arriving and arriving[0][0] <= now:
            _, number = heapq.heappop(arriving)
            heapq.heappush(ready, (-by_number[number].priority, place[number], number))
        left = []
        while ready:
            entry = heapq.heappop(ready)
            task = by_number[entry[2]]
            cores = min(task.cores, pool.cores)
            if cores > free_cores or task.memory_mb > free_memory or (task.gpu and pool.speeds and not free_gpus):
                left.append(entry)
                continue
            speed = free_gpus.pop() if task.gpu and pool.speeds else None  # the fastest
            free_cores, free_memory = free_cores - cores, free_memory - task.memory_mb
            spans[task.number] = Span(now, now + task.seconds(speed), speed)
            heapq.heappush(running, (spans[task.number].end, task.number))
        ready = left
        heapq.heapify(ready)
        nexts = [queue[0][0] for queue in (running, arriving) if queue]
        if not nexts:
            break
        now = max(now, min(nexts))
        while running and running[0][0] <= now:
            _, number = heapq.heappop(running)
            task, span = by_number[number], spans[number]
            free_cores, free_memory = free_cores + min(task.cores, pool.cores), free_memory + task.memory_mb
            if span.speed is not None:
                free_gpus = sorted([*free_gpus, span.speed])
            for user in users.get(number, ()):
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(arriving, (now + pool.wait, user))
    if len(spans) < len(tasks):
        raise UserError("the jobs wait for each other in a circle", remedy="list them with Snakemake")
    fastest = max(pool.speeds, default=None)
    path, length = critical_path(tasks, lambda task: task.seconds(fastest if task.gpu else None) + pool.wait)
    return Outcome(
        makespan=max((span.end for span in spans.values()), default=0.0),
        spans=spans,
        gpu_seconds=sum(span.end - span.start for span in spans.values() if span.speed is not None),
        core_seconds=sum(
            (span.end - span.start) * min(by_number[number].cores, pool.cores) for number, span in spans.items()
        ),
        path=path,
        path_seconds=max(0.0, length - pool.wait),  # what nothing comes before does not wait
    )


def critical_path(tasks: Sequence[Task], length: Callable[[Task], float]) -> tuple[list[int], float]:
    """The chain of tasks, each needing the one before, with the largest sum of lengths; the sum."""
    by_number = {task.number: task for task in tasks}
    done: dict[int, tuple[float, int | None]] = {}

    def visit(number: int) -> None:
        pending = [number]
        while pending:
            task = by_number[pending[-1]]
            missing = [need for need in task.needs if need in by_number and need not in done]
            if missing:
                pending += missing
                continue
            pending.pop()
            before = max(((done[need][0], need) for need in task.needs if need in by_number), default=(0.0, None))
            done[task.number] = before[0] + length(task), before[1]

    for task in tasks:
        if task.number not in done:
            visit(task.number)
    if not done:
        return [], 0.0
    number: int | None = max(done, key=lambda one: done[one][0])
    total, path = done[number][0] if number is not None else 0.0, []
    while number is not None:
        path.append(number)
        number = done[number][1]
    return path[::-1], total


def _check(tasks: Sequence[Task], pool: Pool) -> None:
    for task in tasks:
        if task.memory_mb > pool.memory_mb:
            raise UserError(
                f"a job needs {task.memory_mb / 1000:.1f} GB of memory, the cluster has {pool.memory_mb / 1000:.1f}",
                place="memory_gb",
                remedy="describe a larger one",
            )
