from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery import datasets
from distillery.data.archives import unpack
from distillery.errors import UserError
from distillery.tracking.benchmarks import lasot
from distillery.tracking.benchmarks.lasot_table import ATTRIBUTES, SEQUENCES


def write(folder: Path, images: int = 4, rows: int = 4) -> None:
    (folder / "img").mkdir(parents=True)
    for number in range(1, images + 1):
        cv2.imwrite(str(folder / "img" / f"{number:08d}.jpg"), np.zeros((8, 8, 3), np.uint8))
    (folder / "groundtruth.txt").write_text("1,2,3,4\n" * rows)
    (folder / "full_occlusion.txt").write_text(",".join(["0", "1", "1", *"0" * (rows - 3)]))
    (folder / "out_of_view.txt").write_text(",".join([*"0" * (rows - 2), "1", "0"]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "airplane" / "airplane-1")
    write(tmp_path / "zebra-2")
    (tmp_path / "testing_set.txt").write_text("airplane-1\nzebra-2\n")
    (tmp_path / "att").mkdir()
    (tmp_path / "att" / "zebra-2.txt").write_text("1,0,0,0,0,0,0,0,0,1,0,0,0,0\n")
    return tmp_path


def test_sequences_with_and_without_the_folder_of_their_class(root: Path) -> None:
    airplane, zebra = lasot.load(root)
    assert (airplane.name, len(airplane.frames), airplane.truth.tolist()) == ("airplane-1", 4, [[1, 2, 3, 4]] * 4)
    assert airplane.full_occlusion is not None and airplane.full_occlusion.tolist() == [False, True, True, False]
    assert airplane.out_of_view is not None and airplane.out_of_view.tolist() == [False, False, True, False]
    assert airplane.absent.tolist() == [False, True, True, False]
    assert (airplane.attributes, zebra.attributes) == (frozenset(), {"IV", "FOC"})
    assert airplane.first_pixel == 1
    report = datasets.check("lasot", root)
    assert report.ok
    assert report.counts == {"expected": 2, "sequences": 2, "frames": 8, "missing": 0}


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("full_occlusion.txt", "0,1,1", "has 3 values, the sequence has 4 annotated frames"),
        ("out_of_view.txt", "0,1,1,2", "value 4: holds 2"),
        ("groundtruth.txt", "1,2,3,4\n" * 3, "has 4 images"),
    ],
)
def test_faults(root: Path, file: str, text: str, words: str) -> None:
    folder = root / "airplane" / "airplane-1"
    (folder / file).write_text(text)
    if file == "groundtruth.txt":
        (folder / "full_occlusion.txt").write_text("0,0,0")
        (folder / "out_of_view.txt").write_text("0,0,0")
    with pytest.raises(UserError, match="airplane-1") as caught:
        lasot.load(root)
    assert words in str(caught.value)
    assert len(datasets.check("lasot", root).faults) == 1


def test_a_gap_is_named_even_with_an_extra_frame(root: Path) -> None:
    images = root / "zebra-2" / "img"
    (images / "00000002.jpg").rename(images / "00000005.jpg")
    with pytest.raises(UserError, match=r"4 rows: 00000002\.jpg is missing, 00000005\.jpg is not expected"):
        lasot.load(root)
    assert len(datasets.check("lasot", root).faults) == 1


def test_absent_labels_are_no_zeros(root: Path) -> None:
    (root / "zebra-2" / "out_of_view.txt").unlink()
    with pytest.raises(UserError, match=r"out_of_view\.txt: does not exist"):
        lasot.load(root, need_frames=False)


def test_partial_data(root: Path) -> None:
    (root / "testing_set.txt").unlink()
    with pytest.raises(UserError, match=r"airplane-9, airplane-13, airplane-15 and 276 more \(279\) of LaSOT's 280"):
        lasot.load(root)
    assert [sequence.name for sequence in lasot.load(root, allow_partial=True)] == ["airplane-1"]
    assert lasot.expected(root) == list(SEQUENCES)


def test_monkey_17_has_more_images_than_boxes(tmp_path: Path) -> None:
    write(tmp_path / "monkey" / "monkey-17", images=5)
    (monkey,) = lasot.load(tmp_path, allow_partial=True)
    assert (len(monkey.frames), len(monkey), monkey.runs_on) == (4, 4, True)


def test_the_real_annotations_of_the_toolkit(real_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "LaSOT"
    unpack(real_data / "anno" / "LaSOT_test280_annos.tar.gz", root)
    names = (real_data / "anno" / "lasot_testing_set.txt").read_text().split()
    assert list(SEQUENCES) == names
    sequences = lasot.load(root, need_frames=False)
    assert [sequence.name for sequence in sequences] == names
    assert sum(map(len, sequences)) == 685360
    assert sum(int(sequence.absent.sum()) for sequence in sequences) == 18346
    (root / "annos" / "testing_set.txt").write_text("bear-2\n")
    (bear,) = lasot.load(root / "annos", need_frames=False)  # the folder itself does, too
    assert bear.truth_file == next(sequence.truth_file for sequence in sequences if sequence.name == "bear-2")
    with pytest.raises(UserError, match="of LaSOT's 280 sequences are not there"):
        lasot.load(root)


def test_there_are_fourteen_attributes() -> None:
    assert len(ATTRIBUTES) == 14
    assert len(SEQUENCES) == len(set(SEQUENCES)) == 280
