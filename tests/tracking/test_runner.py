from __future__ import annotations

import json
from collections.abc import Callable
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
