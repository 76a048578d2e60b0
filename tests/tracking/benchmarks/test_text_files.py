"""Text files of boxes, flags and names as they exist, and as they should not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import image_files
from distillery.tracking.benchmarks.text_files import read_attributes, read_boxes, read_flags, read_names

WANTED = [[1.0, 2.0, 3.0, 4.5], [5.0, -6.0, 7.0, 80.0]]


@pytest.mark.parametrize(
    "data",
    [
        b"1,2,3,4.5\n5,-6,7,80\n",
        b"1,2,3,4.5\n5,-6,7,80",
        b"1\t2\t3\t4.5\n5\t-6\t7\t80\n",
        b"1 2 3 4.5\n5 -6 7 80\n",
        b"1, 2,\t3 4.5\n  5,-6\t7;80  \n\n \n",
        b"\xef\xbb\xbf1,2,3,4.5\r\n5,-6,7,80\r\n",
        b"1,2,3,4.5\r5,-6,7,80\r",
        b"1.0e0,2e+00,3.000,4.5,\n5.,-6,7,8E1,\n",
    ],
    ids=["comma", "no-newline", "tab", "space", "mixed", "bom-crlf", "cr", "exponents"],
)
def test_all_separators_and_line_ends_are_read(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "groundtruth_rect.txt"
    file.write_bytes(data)
    assert read_boxes(file).tolist() == WANTED


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"1,2,3,4\n1,2,3\n", "line 2: has 3 values, 4 are expected"),
        (b"1,2,3,4,5\n", "line 1: has 5 values"),
        (b"1,2,3,4\n\n1,2,3,4\n", "line 2: is empty"),
        (b"1,2,,4\n", "line 1: has 3 values"),
        (b"1,2,3,4\n1,x,3,4\n", "line 2: holds 'x', not a number"),
        (b"1,2,3,4\n1,2_0,3,4\n", "line 2: holds '2_0', not a number"),
        (b"1,2,3,4\n1,nan,3,4\n", "line 2: holds 'nan'"),
        (b"1,inf,3,4\n", "line 1: holds 'inf'"),
        (b"1,1e999,3,4\n", "line 1: holds '1e999'"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\n", "is not a plain text file"),
        ("1,2,3,4\n".encode("utf-16"), "is not a plain text file"),
        (b"x,y,w,h\n1,2,3,4\n", "line 1: holds 'x', not a number"),
    ],
)
def test_a_faulty_file_is_named_with_its_line_and_a_remedy(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "groundtruth_rect.txt"
    file.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_boxes(file, remedy="restore it")
    assert str(file) in str(caught.value)
    assert words in str(caught.value)
    assert str(caught.value).endswith("restore it.")


def test_the_first_row_decides_between_widths(tmp_path: Path) -> None:
    file = tmp_path / "groundtruth.txt"
    file.write_text("1,2,3,4\n5,6,7,8\n")
    assert read_boxes(file, columns=(8, 4)).shape == (2, 4)
    file.write_text("1,2,3,4,5,6,7,8\n")
    assert read_boxes(file, columns=(8, 4)).shape == (1, 8)
    file.write_text("1,2,3,4\n1,2,3,4,5,6,7,8\n")
    with pytest.raises(UserError, match="line 2: has 8 values, 4 are expected"):
        read_boxes(file, columns=(8, 4))
    file.write_text("1,2,3\n")
    with pytest.raises(UserError, match="line 1: has 3 values, 8 or 4 are expected"):
        read_boxes(file, columns=(8, 4))


@pytest.mark.parametrize("text", ["0\n1\n1\n0\n", "0,1,1,0", "0 1 1 0\r\n", "0\t1\t1\t0\n"])
def test_flags_stand_on_one_line_or_on_many(tmp_path: Path, text: str) -> None:
    (tmp_path / "full_occlusion.txt").write_text(text)
    assert read_flags(tmp_path / "full_occlusion.txt", 4, remedy="restore it").tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0\n1\n1\n", "has 3 values, the sequence has 4 annotated frames"),
        ("0,1,1,0,0\n", "has 5 values, the sequence has 4"),
        ("0\n1\n2\n0\n", "line 3: holds 2, not a whole number from 0 to 1"),
        ("0,1,0.5,0\n", "value 3: holds 0.5"),
        ("0,-1,0,0\n", "value 2: holds -1"),
        ("0,1\n1,0\n", "line 1: has 2 values, 1 are expected"),
        ("0,yes,0,0\n", "holds 'yes', not a number"),
        ("", "is empty"),
    ],
)
def test_faulty_flags_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "occlusion.tag").write_text(text)
    with pytest.raises(UserError, match="occlusion") as caught:
        read_flags(tmp_path / "occlusion.tag", 4, remedy="restore it")
    assert words in str(caught.value)


def test_flags_may_end_early_where_that_is_the_form(tmp_path: Path) -> None:
    (tmp_path / "occlusion.tag").write_text("1\n1\n")
    assert read_flags(tmp_path / "occlusion.tag", 4, remedy="", pad=True).tolist() == [1, 1, 0, 0]


def test_attribute_flags(tmp_path: Path) -> None:
    file = tmp_path / "Car1.txt"
    file.write_text("1,0,1\n")
    assert read_attributes(file, ("SV", "OCC", "MB"), remedy="") == {"SV", "MB"}
    file.write_text("1,1\n")
    assert read_attributes(file, ("SV", "OCC", "MB"), needed=2, remedy="") == {"SV", "OCC"}
    for text in ("1,0\n", "1,0,2\n", "1,0,1\n1,0,1\n"):
        file.write_text(text)
        with pytest.raises(UserError, match="Car1"):
            read_attributes(file, ("SV", "OCC", "MB"), remedy="restore it")


def test_nan_is_a_value_only_where_the_protocol_says_so(tmp_path: Path) -> None:
    file = tmp_path / "result.txt"
    file.write_text("1,2,3,4\nNaN,nan,-nan,+NAN\n")
    assert np.isnan(read_boxes(file, allow_nan=True)[1]).all()
    file.write_text("1,2,3,4\nnan,inf,nan,nan\n")
    with pytest.raises(UserError, match="line 2: holds 'inf'"):
        read_boxes(file, allow_nan=True)


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_boxes(tmp_path / "none.txt")
    with pytest.raises(UserError, match="cannot be read"):
        read_boxes(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_give_boxes_or_a_user_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "any.txt"
    file.write_bytes(data)
    try:
        boxes = read_boxes(file)
    except UserError:
        return
    assert boxes.shape[1] == 4
    assert np.isfinite(boxes).all()


@pytest.mark.parametrize("text", ["a\nb\na\n", "../a\n", "a/b\n", "..\n", "", "\\\\host\n"])
def test_a_list_of_names_cannot_repeat_or_leave_its_folder(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UserError, match=r"list\.txt"):
        read_names(tmp_path / "list.txt", remedy="restore it")


def test_a_list_of_names_is_utf8(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfea")
    with pytest.raises(UserError, match="not a text file"):
        read_names(tmp_path / "list.txt", remedy="restore it")


def test_images_are_ordered_by_number_and_strays_are_left_out(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.jpg", "0011.png", ".DS_Store", "._9.jpg", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in image_files(tmp_path)] == ["9.jpg", "10.jpg", "0011.png"]
