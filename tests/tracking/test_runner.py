from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.tracking import runner, scoring
from distillery.tracking.benchmarks import otb100
from distillery.tracking.trivial import StaticTracker


class Recorder:
    """Remembers what it was given and answers with a box that moves one pixel a frame."""

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.images, self.start = [image], box
        self.box = box.copy()

    def update(self, image: np.ndarray) -> np.ndarray:
        self.images.append(image)
        self.box[:2] += 1
        return self.box


@pytest.fixture
def sequences(tmp_path: Path, write_otb: Callable[..., Path]) -> list[otb100.Sequence]:
    return otb100.load(write_otb(tmp_path / "root"))


def test_trackers_count_from_zero_and_files_from_one(sequences: list[otb100.Sequence], video: list) -> None:
    tracker = Recorder()
    boxes, seconds = runner.run(tracker, sequences[0])
    assert tracker.start.tolist() == video[0][1]
    assert sequences[0].truth[0, :2].tolist() == [tracker.start[0] + 1, tracker.start[1] + 1]
    assert boxes[0].tolist() == sequences[0].truth[0].tolist()
    assert (boxes[:, 0] - boxes[0, 0]).tolist() == list(range(8))
    assert boxes.shape == (8, 4)
    assert seconds.shape == (8,)
    assert (seconds >= 0).all()


def test_trackers_get_rgb_frames_in_order(sequences: list[otb100.Sequence], video: list) -> None:
    tracker = Recorder()
    runner.run(tracker, sequences[0])
    for seen, (frame, _) in zip(tracker.images, video, strict=True):
        assert seen.shape == frame.shape
        assert np.abs(seen.astype(int) - frame).mean() < 12  # JPEG; swapped channels differ by over 30


def test_files_and_index(tmp_path: Path, sequences: list[otb100.Sequence]) -> None:
    folder, index_path = tmp_path / "out" / "seed0", tmp_path / "out" / "seed0.json"
    frames: list[None] = []
    done: list[str] = []
    index = runner.run_benchmark(
        StaticTracker,
        sequences,
        folder,
        index_path,
        benchmark="otb100",
        identity={"model": "static"},
        on_frame=lambda: frames.append(None),
        on_sequence=lambda name, rate: done.append(f"{name} {rate > 0}"),
    )
    assert json.loads(index_path.read_text()) == index
    assert sorted(file.name for file in folder.iterdir()) == ["First001.txt", "Second002.txt"]
    entry = index["sequences"]["First001"]
    assert entry["frames"] == 8
    assert entry["sha256"] == sha256_of_file(folder / "First001.txt")
    rates = [each["frames"] / each["seconds"] for each in index["sequences"].values()]
    assert index["speed"]["frames_per_second"] == pytest.approx(np.median(rates))
    assert (index["tracker"], len(frames), done) == ({"model": "static"}, 16, ["First001 True", "Second002 True"])
    metrics = scoring.score("otb100", tmp_path / "root", folder)
    assert 0 < metrics["numbers"]["auc"] < 0.5


def test_more_frames_than_boxes(tmp_path: Path, sequences: list[otb100.Sequence]) -> None:
    """A server's test set: the tracker runs on to the last frame."""
    test = replace(sequences[0], truth=sequences[0].truth[:1], first_pixel=0)
    boxes, _ = runner.run(Recorder(), test)
    assert boxes.tolist() == [[21 + step, 31 + step, 20, 16] for step in range(8)]
    index = runner.run_benchmark(
        StaticTracker, [test], tmp_path / "o", tmp_path / "o.json", benchmark="trackingnet_test", identity={}
    )
    assert index["sequences"]["First001"]["frames"] == 8
    assert (tmp_path / "o" / "First001.txt").read_text() == "21.0000,31.0000,20.0000,16.0000\n" * 8


def test_an_absent_frame_is_named(sequences: list[otb100.Sequence]) -> None:
    sequences[0].frames[5].unlink()
    with pytest.raises(UserError, match=r"First001.*0006\.jpg: does not exist"):
        runner.run(StaticTracker(), sequences[0])


class Restless(StaticTracker):
    """Answers differently in each run, up to the given number of them."""

    runs = 0
    different = 99

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        type(self).runs += 1
        super().init(image, box + min(self.runs, self.different))


def repeated(tmp_path: Path, sequences: list[otb100.Sequence], tracker: type, repetitions: int) -> tuple[dict, list]:
    out = tmp_path / f"{tracker.__name__}{repetitions}"
    index = runner.run_benchmark(
        tracker,
        sequences[:1],
        out,
        out.with_suffix(".json"),
        benchmark="got10k",
        identity={},
        repetitions=repetitions,
    )
    return index, sorted(file.relative_to(out).as_posix() for file in out.rglob("*.txt"))


def test_repetitions_stop_after_three_equal_ones(
    tmp_path: Path, sequences: list[otb100.Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, files = repeated(tmp_path, sequences, StaticTracker, 1)
    assert (index["deterministic"], index["repetitions"], files) == (True, 1, ["First001/First001_001.txt"])
    monkeypatch.setitem(runner.FORMS, "got10k", runner.REPEATED._replace(repetitions=15))
    index, files = repeated(tmp_path, sequences, StaticTracker, 15)
    assert index["deterministic"]
    assert files == [f"First001/First001_00{number}.txt" for number in (1, 2, 3)]
    assert index["sequences"]["First001"]["frames"] == 24
    index, files = repeated(tmp_path, sequences, Restless, 15)
    assert not index["deterministic"]
    assert files[-1] == "First001/First001_015.txt"


def test_a_benchmark_without_a_place_for_repetitions(tmp_path: Path, sequences: list[otb100.Sequence]) -> None:
    for repetitions in (0, 2):
        with pytest.raises(UserError, match="the results of otb100 hold 1 to 1 repetitions"):
            runner.run_benchmark(
                StaticTracker,
                sequences,
                tmp_path / "o",
                tmp_path / "o.json",
                benchmark="otb100",
                identity={},
                repetitions=repetitions,
            )
    assert not (tmp_path / "o").exists()


def test_vot_is_run_with_resets(
    tmp_path: Path, sequences: list[otb100.Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervised run gives rows of text; the frames that it passes over are not counted."""
    rows = ["1", "2", "0", "0", "0", "0", "0", "1"]
    monkeypatch.setattr(
        "distillery.tracking.supervised.run_supervised",
        lambda tracker, sequence, on_frame: (rows, np.full(8, 0.5)),
    )
    index = runner.run_benchmark(
        StaticTracker, sequences, tmp_path / "o", tmp_path / "o.json", benchmark="vot2019", identity={}
    )
    assert (tmp_path / "o" / "baseline" / "First001" / "First001_001.txt").read_text() == "1\n2\n0\n0\n0\n0\n0\n1\n"
    assert index["sequences"]["First001"] == {
        "frames": 3,
        "seconds": 4.0,
        "sha256": sha256_of_file(tmp_path / "o" / "baseline" / "First001" / "First001_001.txt"),
    }


def test_a_broken_frame_leaves_nothing_behind(tmp_path: Path, sequences: list[otb100.Sequence]) -> None:
    frame = sequences[1].frames[3]
    frame.write_bytes(frame.read_bytes()[:300])
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"Second002.*0004\.jpg: is truncated"):
        runner.run_benchmark(
            StaticTracker, sequences, out / "seed0", out / "seed0.json", benchmark="otb100", identity={}
        )
    assert list(out.iterdir()) == []


def test_a_tracker_that_answers_nan_is_named(tmp_path: Path, sequences: list[otb100.Sequence]) -> None:
    class Lost(StaticTracker):
        def update(self, image: np.ndarray) -> np.ndarray:
            return np.full(4, np.nan)

    with pytest.raises(UserError, match=r"First001\.txt, line 2: the tracker gave a box that is not finite"):
        runner.run_benchmark(Lost, sequences, tmp_path / "o", tmp_path / "o.json", benchmark="otb100", identity={})
    assert not (tmp_path / "o").exists()


def test_an_empty_first_box_is_refused(tmp_path: Path, sequences: list[otb100.Sequence]) -> None:
    sequences[0].truth[0, 2] = 0
    with pytest.raises(UserError, match="the first box is empty"):
        runner.run(StaticTracker(), sequences[0])


def test_a_sequence_without_frames_is_the_callers_mistake(tmp_path: Path, write_otb: Callable[..., Path]) -> None:
    bare = otb100.load(write_otb(tmp_path), need_frames=False)
    with pytest.raises(ValueError, match="without its frames"):
        runner.run(StaticTracker(), bare[0])
