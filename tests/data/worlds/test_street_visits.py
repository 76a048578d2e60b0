"""The plan of the frames of six cameras: who passes where, and for how long."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distillery.config.data import EmbeddedPRW
from distillery.data.worlds.street_looks import Look
from distillery.data.worlds.street_views import VIEWS
from distillery.data.worlds.street_visits import Watch, camera_frames, plan_watches


def spec(**changes: object) -> EmbeddedPRW:
    base = EmbeddedPRW(
        source="embedded",
        seed=3,
        train_frames=200,
        train_identities=40,
        test_frames=120,
        test_identities=30,
        queries=60,
    )
    return base.model_copy(update=changes)


def frames_of(watch: Watch) -> dict[int, Counter[str]]:
    """identity -> frame name -> times; only of those who are who their label says (the look tells)."""
    looks: dict[int, Counter[Look]] = defaultdict(Counter)
    for frame in watch.frames:
        for passer in frame.passers:
            looks[passer.identity][passer.look] += 1
    true = {identity: found.most_common(1)[0][0] for identity, found in looks.items()}
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    for frame in watch.frames:
        for passer in frame.passers:
            if passer.identity >= 0 and passer.look == true[passer.identity]:
                seen[passer.identity][frame.name] += 1
    return seen


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), frames=st.integers(12, 80), share=st.floats(0.0, 1.0))
@example(seed=8, frames=12, share=1.0)  # a camera is full before everyone has passed two: another one takes them
@example(seed=18, frames=14, share=1.0)
def test_plan_holds_its_promises_for_any_size(seed: int, frames: int, share: float) -> None:
    identities = max(2, int(share * frames * 1.3))
    plan = spec(
        seed=seed, train_frames=frames, train_identities=identities, test_frames=frames, test_identities=identities
    )
    for watch in plan_watches(plan):
        assert len({frame.name for frame in watch.frames}) == frames
        assert [frame.name for frame in watch.frames] == sorted(frame.name for frame in watch.frames)
        assert all(1 <= len(frame.passers) <= 6 for frame in watch.frames)
        seen = frames_of(watch)
        assert set(seen) == set(range(identities))
        for times in seen.values():
            assert max(times.values()) == 1, "a person is not twice in one frame"
            assert len({name[1] for name in times}) >= 2
        ids = [[p.identity for p in frame.passers if p.identity >= 0] for frame in watch.frames]
        assert sum(len(found) - len(set(found)) for found in ids) <= 1, "one wrong label at most"


@given(st.integers(12, 20000))
def test_cameras_share_the_frames_as_in_prw(total: int) -> None:
    counts = camera_frames(total)
    assert sum(counts) == total and min(counts) >= 2
    exact = np.array([view.frames for view in VIEWS]) * total / 5704
    assert np.abs(counts - exact).max() <= 3


def test_crowd_is_that_of_prw() -> None:
    for watch, frames in zip(plan_watches(spec()), (200, 120), strict=True):
        people = [passer for frame in watch.frames for passer in frame.passers]
        labelled = sum(passer.identity >= 0 for passer in people)
        assert len(people) / frames == pytest.approx(3.16, abs=0.05)  # 18,048 boxes in 5,704 frames
        assert labelled / frames == pytest.approx(2.61, abs=0.05)  # 14,907 of them labelled


def test_people_pass_several_cameras_and_stay_for_several_frames() -> None:
    train, test = plan_watches(spec())
    for watch in (train, test):
        visits = [Counter(name[:2] for name in times) for times in frames_of(watch).values()]
        assert 3.5 < np.mean([len(visit) for visit in visits]) < 5  # PRW: 4.4
        stays = [stay for visit in visits for stay in visit.values()]
        assert np.mean(stays) > 2 and max(stays) >= 5


def test_one_visit_is_a_walk_in_consecutive_frames() -> None:
    train, _ = plan_watches(spec())
    place = {frame.name: index for index, frame in enumerate(train.frames)}
    passing = {(p.identity, p.look, frame.name): p for frame in train.frames for p in frame.passers if p.identity >= 0}
    for identity, times in frames_of(train).items():
        look = Counter(key[1] for key in passing if key[0] == identity).most_common(1)[0][0]
        for camera in {name[:2] for name in times}:
            run = sorted(name for name in times if name[:2] == camera)
            assert len({name[:4] for name in run}) == 1, "one session"
            assert [place[name] for name in run] == list(range(place[run[0]], place[run[0]] + len(run)))
            steps = [passing[identity, look, name] for name in run]
            turns = [(a.yaw - b.yaw + 128) % 256 - 128 for a in steps for b in steps]
            assert max(turns) <= 20, "seen from nearly the same side"
            assert all(0 <= step.x <= 1000 for step in steps)
            moves = np.diff([step.x for step in steps])
            assert (moves >= 0).all() or (moves <= 0).all(), "straight on"


def test_splits_share_cameras_but_nobody_and_no_session() -> None:
    train, test = plan_watches(spec())
    looks = [{passer.look for frame in watch.frames for passer in frame.passers} for watch in (train, test)]
    assert not looks[0] & looks[1]
    sessions = [{frame.name[:4] for frame in watch.frames} for watch in (train, test)]
    assert not sessions[0] & sessions[1]
    assert {name[1] for name in sessions[0]} == {name[1] for name in sessions[1]} == set("123456")


def test_seed_decides_everything() -> None:
    assert plan_watches(spec()) == plan_watches(spec())
    assert plan_watches(spec(seed=4))[0].frames[0] != plan_watches(spec())[0].frames[0]
