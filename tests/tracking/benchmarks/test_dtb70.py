from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery import datasets
from distillery.errors import UserError
from distillery.tracking.benchmarks import dtb70


def folder(root: Path, name: str, images: int, text: str) -> Path:
    (root / name / "img").mkdir(parents=True)
    for number in range(1, images + 1):
        cv2.imwrite(str(root / name / "img" / f"{number:05d}.jpg"), np.zeros((8, 8, 3), np.uint8))
    (root / name / "groundtruth_rect.txt").write_text(text)
    return root


def own(root: Path, *names: str) -> Path:
    (root / "sequences.txt").write_text("\n".join(names) + "\n")
    return root


def test_real_annotations_are_the_official_seventy(real_data: Path) -> None:
    sequences = dtb70.load(real_data / "anno" / "DTB70", need_frames=False)
    assert len(sequences) == 70
    assert {sequence.name: len(sequence) for sequence in sequences} == dtb70.SEQUENCES
    assert sum(map(len, sequences)) == 15777
    car = next(sequence for sequence in sequences if sequence.name == "Car6")
    assert (car.truth[273:292] == 0).all()  # the target is away, within the sequence: those rows stay
    counts = Counter(attribute for sequence in sequences for attribute in sequence.attributes)
    assert [counts[short] for short in dtb70.ATTRIBUTES] == [22, 25, 17, 18, 41, 47, 6, 7, 13, 27, 27]


def test_real_annotations_cannot_be_tracked(real_data: Path) -> None:
    with pytest.raises(UserError, match=r"67 more \(70\) of DTB70's 70 sequences are not there"):
        dtb70.load(real_data / "anno" / "DTB70")


def test_folders_with_frames(tmp_path: Path) -> None:
    root = own(folder(tmp_path, "Boat1", 3, "1,2,3,4\n5,6,7,8\n9,8,7,6\n"), "Boat1")
    (root / "att").mkdir()
    (root / "att" / "Boat1.txt").write_text("1,0,0,0,1,0,0,0,0,0\n")  # ten flags, as the toolkit names them
    (boat,) = dtb70.load(root)
    assert [frame.name for frame in boat.frames] == ["00001.jpg", "00002.jpg", "00003.jpg"]
    assert boat.truth[1].tolist() == [5, 6, 7, 8]
    assert boat.attributes == {"SV", "FCM"}
    assert boat.first_pixel == 1
    report = datasets.check("dtb70", root)
    assert report.ok
    assert report.counts == {"expected": 1, "sequences": 1, "frames": 3, "missing": 0}


def test_surplus_rows_of_zeros_at_the_end_are_no_frames(tmp_path: Path) -> None:
    root = own(folder(tmp_path, "Boat1", 2, "1,2,3,4\n5,6,7,8\n0,0,0,0\n0,0,0,0\n"), "Boat1")
    assert len(dtb70.load(root)[0]) == 2
    (root / "Boat1" / "groundtruth_rect.txt").write_text("1,2,3,4\n5,6,7,8\n0,0,0,0\n1,1,1,1\n")
    with pytest.raises(UserError, match=r"has 2 images, .* has 4 rows"):
        dtb70.load(root)
    # Of an official sequence the number of frames is known without its images.
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "Car2.txt").write_text("1,2,3,4\n" * 74 + "0,0,0,0\n" * 3)
    assert [len(car) for car in dtb70.load(tmp_path / "flat", need_frames=False, allow_partial=True)] == [74]
    (tmp_path / "flat" / "Car2.txt").write_text("1,2,3,4\n" * 73)
    with pytest.raises(UserError, match=r"Car2\.txt: has 73 rows, the sequence Car2 has 74 frames"):
        dtb70.load(tmp_path / "flat", need_frames=False, allow_partial=True)


def test_check_names_every_fault(tmp_path: Path) -> None:
    root = own(folder(tmp_path, "Boat1", 2, "1,2,3,4\n5,6,7,8\n"), "Boat1", "Boat2", "Boat3")
    folder(tmp_path, "Boat2", 1, "1,2,3,x\n")
    (root / "Boat1" / "img" / "00002.jpg").write_text("not an image")
    report = datasets.check("dtb70", root)
    assert report.counts == {"expected": 3, "sequences": 1, "frames": 2, "missing": 1}
    assert len(report.faults) == 3
    for words in ("00002.jpg: is not", "Boat2", "sequence Boat3 is missing"):
        assert any(words in fault for fault in report.faults)
    assert report.notes == ["1 sequences have no attributes (no att/NAME.txt)"]


def test_a_gap_is_named_even_with_an_extra_frame(tmp_path: Path) -> None:
    root = own(folder(tmp_path, "Boat1", 3, "1,2,3,4\n5,6,7,8\n9,8,7,6\n"), "Boat1")
    (root / "Boat1" / "img" / "00001.jpg").rename(root / "Boat1" / "img" / "00004.jpg")
    with pytest.raises(UserError, match=r"00001\.jpg is missing, 00004\.jpg is not expected"):
        dtb70.load(root)


def test_an_absent_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; pass the folder that holds DTB70"):
        dtb70.load(tmp_path / "none")
