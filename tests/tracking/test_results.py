from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.results import (
    find_repetitions,
    find_results,
    format_boxes,
    read_result,
    require_results,
    write_results,
)


def sequence(name: str, rows: int = 2, omitted: int = 0, aliases: tuple[str, ...] = ()) -> Sequence:
    return Sequence(name, (), np.ones((rows, 4)), Path("truth.txt"), omitted=omitted, aliases=aliases)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(boxes=arrays(float, (3, 4), elements=st.floats(-1e4, 1e4)))
def test_what_is_written_is_read(tmp_path: Path, boxes: np.ndarray) -> None:
    write_results(tmp_path / "results", {"A": boxes})
    read = read_result(tmp_path / "results" / "A.txt", sequence("A", 3))
    assert read == pytest.approx(boxes, abs=0.51e-4)


def test_the_text_is_the_common_format() -> None:
    text = format_boxes([[1, 2.00004, 3.5, -0.00001], [4, 5, 6, 7.12345]], "A.txt")
    assert text == "1.0000,2.0000,3.5000,0.0000\n4.0000,5.0000,6.0000,7.1234\n"


def test_the_folder_is_whole_or_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    write_results(folder, {"A": [[1, 2, 3, 4]]})
    with pytest.raises(UserError, match=r"B\.txt, line 2: .*not finite"):
        write_results(folder, {"A": [[9, 9, 9, 9]], "B": [[1, 2, 3, 4], [1, np.nan, 3, 4]]})
    assert [file.name for file in tmp_path.rglob("*")] == ["results", "A.txt"]
    assert (folder / "A.txt").read_text().startswith("1.0000")


def test_a_full_disk_leaves_the_old_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = tmp_path / "results"
    write_results(folder, {"A": [[1, 2, 3, 4]]})
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="no space left on the disk"):
        write_results(folder, {"A": [[9, 9, 9, 9]]})
    monkeypatch.undo()
    assert [file.name for file in tmp_path.rglob("*")] == ["results", "A.txt"]


@pytest.mark.parametrize("file", ["Jogging-1", "Jogging.1", "jogging_1", "Jogging1", "JOGGING-1"])
def test_spellings(tmp_path: Path, file: str) -> None:
    (tmp_path / f"{file}.txt").touch()
    (tmp_path / "Jogging-1_time.txt").touch()
    assert find_results(tmp_path, [sequence("Jogging-1"), sequence("Jogging-2")]) == {
        "Jogging-1": tmp_path / f"{file}.txt"
    }


def test_an_alias_is_the_last_resort(tmp_path: Path) -> None:
    human = sequence("Human4-2", aliases=("Human4",))
    (tmp_path / "Human4.txt").touch()
    assert find_results(tmp_path, [human])["Human4-2"].name == "Human4.txt"
    (tmp_path / "human4_2.txt").touch()
    assert find_results(tmp_path, [human])["Human4-2"].name == "human4_2.txt"


def test_two_files_for_one_sequence(tmp_path: Path) -> None:
    (tmp_path / "Jogging.1.txt").touch()
    (tmp_path / "jogging_1.txt").touch()
    with pytest.raises(UserError, match=r"Jogging\.1\.txt and jogging_1\.txt both are results of Jogging-1"):
        find_results(tmp_path, [sequence("Jogging-1")])
    (tmp_path / "Jogging-1.txt").touch()  # the exact name decides
    assert find_results(tmp_path, [sequence("Jogging-1")])["Jogging-1"].name == "Jogging-1.txt"


def test_names_that_differ_in_spelling_alone_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "-3TIfnTSM6c_2.txt").touch()
    videos = [sequence("-3TIfnTSM6c_2"), sequence("3TIFNTSM6c_2")]
    assert list(find_results(tmp_path, videos)) == ["-3TIfnTSM6c_2"]


def test_repetitions(tmp_path: Path) -> None:
    for name in ("A_001.txt", "A_002.txt", "A_time.txt", "B_001.txt", "A_01.txt"):
        (tmp_path / "A").mkdir(exist_ok=True)
        (tmp_path / "A" / name).touch()
    assert find_repetitions(tmp_path, [sequence("A"), sequence("B")]) == {
        "A": [tmp_path / "A" / "A_001.txt", tmp_path / "A" / "A_002.txt"]
    }
    with pytest.raises(UserError, match="is not a folder"):
        find_repetitions(tmp_path / "none", [])


def test_missing_results(tmp_path: Path) -> None:
    wanted = [sequence(name) for name in ("A", "B", "C", "D", "E")]
    (tmp_path / "A.txt").touch()
    with pytest.raises(UserError, match=r"B, C, D and 1 more \(4\) of 5 sequences are missing.*--allow-partial"):
        require_results(tmp_path, wanted)
    assert list(require_results(tmp_path, wanted, allow_partial=True)) == ["A"]
    (tmp_path / "A.txt").unlink()
    with pytest.raises(UserError, match="are missing"):
        require_results(tmp_path, wanted, allow_partial=True)
    with pytest.raises(UserError, match="does not exist"):
        require_results(tmp_path / "none", wanted)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a folder"):
        require_results(tmp_path / "file", wanted)


def test_wrong_length(tmp_path: Path) -> None:
    file = tmp_path / "Crossing.txt"
    file.write_text("1,2,3,4\n" * 119)
    with pytest.raises(UserError, match=r"Crossing.txt: has 119 rows, the sequence Crossing has 120 frames; run"):
        read_result(file, sequence("Crossing", 120))


def test_rows_before_the_first_scored_frame_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "Tiger1.txt"
    file.write_text("".join(f"{row},2,3,4\n" for row in range(1, 355)))
    boxes = read_result(file, sequence("Tiger1", 349, omitted=5))
    assert (len(boxes), boxes[0, 0], boxes[-1, 0]) == (349, 6, 354)
    file.write_text("1,2,3,4\n" * 349)
    assert len(read_result(file, sequence("Tiger1", 349, omitted=5))) == 349
    file.write_text("1,2,3,4\n" * 350)
    with pytest.raises(UserError, match="has 350 rows"):
        read_result(file, sequence("Tiger1", 349, omitted=5))


def test_nan_rows(tmp_path: Path) -> None:
    file = tmp_path / "A.txt"
    file.write_text("1,2,3,4\nNaN,NaN,NaN,NaN\n")
    with pytest.raises(UserError, match="line 2: holds 'NaN'"):
        read_result(file, sequence("A"))
    assert np.isnan(read_result(file, sequence("A"), allow_nan=True)[1]).all()


def test_rows_after_the_last_annotated_frame_are_dropped_where_the_toolkits_do(tmp_path: Path) -> None:
    file = tmp_path / "monkey-17.txt"
    file.write_text("1,2,3,4\n" * 5)
    longer = Sequence("monkey-17", (), np.ones((4, 4)), Path("truth.txt"), runs_on=True)
    assert len(read_result(file, longer)) == 4
    file.write_text("1,2,3,4\n" * 3)
    with pytest.raises(UserError, match="has 3 rows, the sequence monkey-17 has 4 frames"):
        read_result(file, longer)


def test_a_servers_test_set_has_more_frames_than_boxes(tmp_path: Path) -> None:
    file = tmp_path / "A.txt"
    file.write_text("1,2,3,4\n" * 3)
    video = Sequence("A", (Path("0.jpg"), Path("1.jpg"), Path("2.jpg")), np.ones((1, 4)), Path("truth.txt"))
    assert len(read_result(file, video)) == 3
