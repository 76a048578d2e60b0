from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.supervised import run_supervised
from distillery.tracking.trivial import StaticTracker
from distillery.tracking.vot_results import read_run, require_runs

SEQUENCES = [Sequence(name, (), np.ones((4, 4)), Path("groundtruth.txt")) for name in ("bag", "ants1")]
GOOD = "1\n1.5,2,3,4\n0,0,9,0,9,9,0,9\n2\n"


def write(folder: Path, name: str = "bag", text: str = GOOD, number: int = 1) -> Path:
    path = folder / name / f"{name}_{number:03d}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [GOOD, GOOD.replace("\n", "\r\n"), GOOD.rstrip().replace(",", "\t"), "1.0000" + GOOD[1:], "\ufeff" + GOOD],
)
def test_codes_boxes_and_polygons(tmp_path: Path, text: str) -> None:
    run = read_run(write(tmp_path, text=text), SEQUENCES[0])
    assert run.codes.tolist() == [1, -1, -1, 2]
    assert run.regions[1, :4].tolist() == [1.5, 2, 3, 4]
    assert np.isnan(run.regions[1, 4:]).all()
    assert run.regions[2].tolist() == [0, 0, 9, 0, 9, 9, 0, 9]
    assert np.isnan(run.regions[[0, 3]]).all()
    assert run.failures.tolist() == [3]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1\n1,2,3,4\n2\n", r"has 3 rows, the sequence bag has 4 frames"),
        ("1\n1,2,3\n0\n0\n", r"line 2: has 3 values"),
        ("1\n3\n0\n0\n", r"line 2: holds the code 3, there are 0, 1 and 2"),
        ("1\n0.5\n0\n0\n", r"line 2: holds the code 0\.5"),
        ("1\n1,2,nan,4\n0\n0\n", r"line 2: holds 'nan' where a finite number must stand"),
        ("1\n0\n1,2,x,4\n0\n", r"line 3: holds 'x' where a finite number must stand"),
        ("1\n0\n1,2,inf,4\n0\n", r"line 3: holds 'inf'"),
        ("1\n\n0\n0\n", r"line 2: has 0 values"),
        ("1,2,3,4\n" * 4, r"line 1: does not begin with the code 1 of a start, so it is no run with resets"),
        ("m3,4,5,6,7,8,9\n" * 4, r"line 1: has 7 values"),
        ("", r"is empty"),
        ("1\n1_0,1_0,10,10\n2\n0\n", r"line 2: holds '1_0' where a finite number must stand"),
        ("1\n1,2,3,4\n0\n0\n", r"line 3: holds a skipped frame \(0\) after a region, where only a region or a failure"),
        ("1\n0\n0\n0\n", r"line 2: holds a skipped frame \(0\) after a start \(1\), where only a region or a failure"),
        ("1\n1,2,3,4\n1\n1,2,3,4\n", r"line 3: holds a start \(1\) after a region, where only"),
        ("1\n2\n1,2,3,4\n0\n", r"line 3: holds a region after a failure \(2\), where only a skipped frame \(0\) or a"),
        ("1\n2\n0\n1,2,3,4\n", r"line 4: holds a region after a skipped frame \(0\), where only"),
        ("1\n2\n2\n0\n", r"line 3: holds a failure \(2\) after a failure \(2\), where only"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(UserError, match=r"bag_001\.txt.*" + fault):
        read_run(write(tmp_path, text=text), SEQUENCES[0])


@pytest.mark.parametrize(
    "text", ["1\n2\n0\n1\n", "1\n2\n0\n0\n", "1\n1,2,3,4\n1,2,3,4\n2\n", "1\n1,2,3,4\n2\n0\n", "1\n2\n1\n2\n"]
)
def test_orders_that_a_run_with_resets_can_have(tmp_path: Path, text: str) -> None:
    run = read_run(write(tmp_path, text=text), SEQUENCES[0])
    assert run.codes.tolist() == [int(line) if len(line) == 1 else -1 for line in text.split()]


@pytest.mark.parametrize("frames", range(2, 20))
def test_what_the_supervised_run_writes_is_read(
    tmp_path: Path, video: list[tuple[np.ndarray, list[float]]], frames: int
) -> None:
    """A box that stays where it was loses this target again and again, at some length within the last five frames."""
    (tmp_path / "frame.png").write_bytes(cv2.imencode(".png", video[0][0])[1].tobytes())
    truth = np.array([[1.0 + 12 * index, 5, 20, 16] for index in range(frames)])
    sequence = Sequence("bag", (tmp_path / "frame.png",) * frames, truth, Path("groundtruth.txt"), first_pixel=0)
    rows, _ = run_supervised(StaticTracker(), sequence)
    run = read_run(write(tmp_path, text="\n".join(rows) + "\n"), sequence)
    assert (run.codes == 2).sum() == rows.count("2")


@pytest.mark.parametrize("place", ["baseline", ".", "Tracker/baseline"])
def test_where_results_lie(tmp_path: Path, place: str) -> None:
    for name in ("bag", "ants1"):
        for number in (1, 2, 11):
            write(tmp_path / place, name, number=number)
    (tmp_path / place / "bag" / "bag_time.txt").write_text("0.1\n")
    found = require_runs(tmp_path, SEQUENCES)
    assert [file.name for file in found["bag"]] == ["bag_001.txt", "bag_002.txt", "bag_011.txt"]


def test_missing_results(tmp_path: Path) -> None:
    write(tmp_path / "baseline")
    with pytest.raises(UserError, match="the result files of ants1 of 2 sequences are missing"):
        require_runs(tmp_path, SEQUENCES)
    assert list(require_runs(tmp_path, SEQUENCES, allow_partial=True)) == ["bag"]
    with pytest.raises(UserError, match="bag, ants1 of 2"):
        require_runs(tmp_path / "baseline" / "bag", SEQUENCES, allow_partial=True)
    with pytest.raises(UserError, match="nowhere"):
        require_runs(tmp_path / "nowhere", SEQUENCES)


def test_two_trackers_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "A" / "baseline")
    write(tmp_path / "B" / "baseline")
    with pytest.raises(UserError, match="holds the results of 2 trackers"):
        require_runs(tmp_path, SEQUENCES)
