"""List scheduling against cases worked by hand, and against what holds for every schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.errors import UserError
from distillery.planning.simulation import Pool, Task, critical_path, simulate


def task(number: int, seconds: float, *needs: int, cores: int = 1, gpu: bool = False, priority: int = 0) -> Task:
    return Task(number, frozenset(needs), cores, 100.0, gpu, priority, lambda speed: seconds / (speed or 1.0))


def pool(cores: int = 2, *speeds: float, wait: float = 0.0) -> Pool:
    return Pool(cores, 1e6, speeds, wait)


def spans(tasks: list[Task], machines: Pool) -> dict[int, tuple[float, float]]:
    return {number: (span.start, span.end) for number, span in simulate(tasks, machines).spans.items()}


class TestByHand:
    def test_a_diamond_on_two_cores(self) -> None:
        diamond = [task(0, 2), task(1, 3, 0), task(2, 5, 0), task(3, 1, 1, 2)]
        assert spans(diamond, pool(2)) == {0: (0, 2), 1: (2, 5), 2: (2, 7), 3: (7, 8)}
        assert spans(diamond, pool(1)) == {0: (0, 2), 1: (2, 5), 2: (5, 10), 3: (10, 11)}
        assert simulate(diamond, pool(2)).path == [0, 2, 3]
        assert simulate(diamond, pool(2)).path_seconds == 8
        assert simulate(diamond, pool(2)).core_seconds == 11

    def test_grahams_example(self) -> None:
        """Nine jobs on three machines take 12 units, on four 15 (Graham, 1969: anomalies of list scheduling)."""
        lengths = [3, 2, 2, 2, 4, 4, 4, 4, 9]
        needs: dict[int, tuple[int, ...]] = {8: (0,), 4: (3,), 5: (3,), 6: (3,), 7: (3,)}
        tasks = [task(number, length, *needs.get(number, ())) for number, length in enumerate(lengths)]
        assert simulate(tasks, pool(3)).makespan == 12
        assert simulate(tasks, pool(4)).makespan == 15

    def test_a_wide_job_waits_and_a_narrow_one_goes_before_it(self) -> None:
        assert spans([task(0, 4), task(1, 1, cores=2), task(2, 2)], pool(2)) == {0: (0, 4), 2: (0, 2), 1: (4, 5)}

    def test_more_cores_than_there_are_take_all(self) -> None:
        assert spans([task(0, 4, cores=8), task(1, 1)], pool(2)) == {0: (0, 4), 1: (4, 5)}

    def test_priority_goes_before_place(self) -> None:
        assert spans([task(0, 1), task(1, 1, priority=3)], pool(1)) == {1: (0, 1), 0: (1, 2)}

    def test_gpus_are_shared_out_fastest_first(self) -> None:
        tasks = [task(number, 8, gpu=True) for number in range(3)]
        assert spans(tasks, pool(8, 1.0, 4.0)) == {0: (0, 2), 1: (0, 8), 2: (2, 4)}
        outcome = simulate(tasks, pool(8, 1.0, 4.0))
        assert (outcome.makespan, outcome.gpu_seconds, outcome.path_seconds) == (8, 12, 2)

    def test_without_gpus_their_jobs_take_cores(self) -> None:
        assert spans([task(0, 8, gpu=True), task(1, 8, gpu=True)], pool(1)) == {0: (0, 8), 1: (8, 16)}

    def test_each_job_waits_after_what_it_needs(self) -> None:
        assert spans([task(0, 2), task(1, 3, 0)], pool(2, wait=10)) == {0: (0, 2), 1: (12, 15)}

    def test_a_job_for_which_no_memory_is_there(self) -> None:
        with pytest.raises(UserError, match=r"needs 0\.1 GB of memory"):
            simulate([task(0, 1)], Pool(1, 50, ()))

    def test_a_circle(self) -> None:
        with pytest.raises(UserError, match="in a circle"):
            simulate([task(0, 1, 1), task(1, 1, 0)], pool(1))

    def test_nothing(self) -> None:
        assert simulate([], pool(1)).makespan == 0


@st.composite
def graphs(draw: st.DrawFn) -> list[Task]:
    """Jobs of one core, each needing some of those before it."""
    count = draw(st.integers(1, 12))
    made = []
    for number in range(count):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        made.append(task(number, draw(st.integers(1, 20)), *needs, priority=draw(st.integers(0, 2))))
    return made


@given(graphs(), st.integers(1, 4))
def test_what_holds_for_every_list_schedule(tasks: list[Task], cores: int) -> None:
    outcome = simulate(tasks, pool(cores))
    work = sum(one.seconds(None) for one in tasks)
    _, longest = critical_path(tasks, lambda one: one.seconds(None))
    assert max(longest, work / cores) <= outcome.makespan + 1e-9
    assert outcome.makespan <= work / cores + (1 - 1 / cores) * longest + 1e-9, "Graham's bound"
    for one in tasks:
        assert all(outcome.spans[need].end <= outcome.spans[one.number].start for need in one.needs)
    for moment in {span.start for span in outcome.spans.values()}:
        assert sum(span.start <= moment < span.end for span in outcome.spans.values()) <= cores
