from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.config.siamfc import SiamFCInference
from distillery.config.tracking import TrackJob
from distillery.config.training import Compute
from distillery.errors import UserError
from distillery.tracking.indices import index_of
from distillery.tracking.parts import Part, join
from distillery.tracking.running import track, track_all

JOB = TrackJob(compute=Compute(device="cpu"), inference=SiamFCInference(scales=1))
WriteOTB = Callable[..., Path]


def lengths_of_parts(lengths: list[int], count: int) -> list[int]:
    """Frames of each part of sequences of these lengths."""
    sequences: Any = [SimpleNamespace(name=f"s{k}", frames=[None] * n) for k, n in enumerate(lengths)]
    parts = [Part(number, count).of(sequences) for number in range(1, count + 1)]
    names = [sequence.name for part in parts for sequence in part]
    assert sorted(names) == sorted(sequence.name for sequence in sequences), "each sequence is in one part"
    for part in parts:
        assert part == [sequence for sequence in sequences if sequence in part], "in the benchmark's order"
    return [sum(len(sequence.frames) for sequence in part) for part in parts]


def test_the_parts_of_a_hand_worked_division() -> None:
    """The classic example of the rule: 7, 6 and 5 open a part each, then every next one goes to the shortest."""
    assert sorted(lengths_of_parts([5, 7, 4, 6, 3], 3)) == [7, 9, 9]
    assert lengths_of_parts([4, 4], 3) == [4, 4, 0]


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=7), count=st.integers(1, 3))
def test_no_part_is_much_longer_than_it_must_be(lengths: list[int], count: int) -> None:
    """Graham's bound, against the best of all divisions."""
    best = min(
        max(sum(n for n, part in zip(lengths, division, strict=True) if part == k) for k in range(count))
        for division in itertools.product(range(count), repeat=len(lengths))
    )
    assert max(lengths_of_parts(lengths, count)) <= best * (4 / 3 - 1 / (3 * count)) + 1e-9


@pytest.mark.parametrize(
    "text", ["", "0-of-2", "3-of-2", "1-of-", "-1-of-2", "1/2", "1-of-2-of-3", "1-of-99999", "²-of-3"]
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="write it like 2-of-8"):
        Part.parse(text)


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture
def root(tmp_path: Path, write_otb: WriteOTB) -> Path:
    return write_otb(tmp_path / "root")


def tracked(root: Path, folder: Path, count: int, baseline: str = "ncc") -> list[Path]:
    """Results folders of all parts."""
    for number in range(1, count + 1):
        track_all({"otb100": (root, folder / str(number))}, JOB, baseline=baseline, part=Part(number, count))
    return [folder / str(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_joined_parts_are_what_one_run_writes(
    count: int, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three parts of a benchmark of two sequences one is empty."""
    whole = track("otb100", root, tmp_path / "whole" / "seed0", JOB, baseline="ncc")
    index = join(tracked(root, tmp_path / "parts", count), tmp_path / "joined" / "seed0")
    assert files(tmp_path / "joined" / "seed0") == files(tmp_path / "whole" / "seed0")
    assert index == json.loads((tmp_path / "joined" / "seed0.json").read_text())
    for one in (whole, index):
        one["speed"].pop("frames_per_second")
        for entry in one["sequences"].values():
            entry.pop("seconds")
    assert index == whole
    said = capsys.readouterr().out
    for number in range(1, count + 1):
        assert f"part {number}-of-{count} of otb100: " in said


def test_a_part_that_fails_names_its_sequences_and_leaves_the_others(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "1", tmp_path / "2"
    track_all({"otb100": (root, good)}, JOB, baseline="ncc", part=Part(1, 2))
    (name,) = (file.stem for file in good.iterdir())
    (other,) = {"First001", "Second002"} - {name}
    frame = sorted((root / other / "img").iterdir())[-1]
    frame.write_bytes(b"no image")
    with pytest.raises(UserError, match=str(frame)):
        track_all({"otb100": (root, bad)}, JOB, baseline="ncc", part=Part(2, 2))
    assert f"part 2-of-2 of otb100: {other}\n" in capsys.readouterr().out
    assert files(good).keys() == {f"{name}.txt"}
    assert not bad.exists()
    assert not index_of(bad).exists()


def edit(folder: Path, **changes: Any) -> None:
    index = json.loads(index_of(folder).read_text())
    index_of(folder).write_text(json.dumps({**index, **changes}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one, two: index_of(two).unlink(), "does not exist"),
        (lambda one, two: index_of(two).write_text("{"), "not valid JSON"),
        (lambda one, two: index_of(two).write_text("[]"), "not the index of a part"),
        (lambda one, two: edit(two, part="1-of-2"), "1-of-2, 1-of-2 are not all parts of one whole"),
        (lambda one, two: edit(two, part="2-of-3"), "are not all parts"),
        (lambda one, two: edit(two, tracker={"tracker": "static"}), "is of another tracker"),
        (lambda one, two: edit(two, benchmark="lasot"), "is of another benchmark"),
        (lambda one, two: next(two.iterdir()).write_text("1,1,1,1\n"), "is not what the tracker wrote"),
        (lambda one, two: next(two.iterdir()).unlink(), "is not what the tracker wrote"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    spoil: Callable[[Path, Path], None], message: str, root: Path, tmp_path: Path
) -> None:
    one, two = tracked(root, tmp_path / "parts", 2)
    spoil(one, two)
    with pytest.raises(UserError, match=message):
        join([one, two], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
    assert not index_of(tmp_path / "joined").exists()


def test_a_part_alone_is_not_the_whole(root: Path, tmp_path: Path) -> None:
    one, _ = tracked(root, tmp_path / "parts", 2)
    with pytest.raises(UserError, match="give the results of all parts"):
        join([one], tmp_path / "joined")
    whole = tmp_path / "whole"
    track("otb100", root, whole, JOB, baseline="ncc")
    with pytest.raises(UserError, match="not the index of a part"):
        join([whole], tmp_path / "joined")
