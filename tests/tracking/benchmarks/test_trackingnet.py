from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery import datasets
from distillery.errors import UserError
from distillery.tracking.benchmarks import trackingnet


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, name, rows in (("TEST", "0A-b_c_0", 1), ("TRAIN_11", "-3TIfnTSM6c_2", 12), ("TRAIN_11", "a1qo_0", 12)):
        frames = tmp_path / part / "frames" / name
        frames.mkdir(parents=True)
        for number in range(12):
            cv2.imwrite(str(frames / f"{number}.jpg"), np.zeros((8, 8, 3), np.uint8))
        (tmp_path / part / "anno").mkdir(exist_ok=True)
        (tmp_path / part / "anno" / f"{name}.txt").write_text("1.00,2.00,3.00,4.00\n" * rows)
    return tmp_path


def test_the_held_out_part_has_all_boxes(root: Path) -> None:
    sequences = trackingnet.load(root)
    assert [sequence.name for sequence in sequences] == trackingnet.expected(root) == ["-3TIfnTSM6c_2", "a1qo_0"]
    assert [frame.name for frame in sequences[0].frames] == [f"{number}.jpg" for number in range(12)]
    assert (len(sequences[0]), sequences[0].first_pixel) == (12, 0)
    report = datasets.check("trackingnet", root)
    assert report.ok
    assert (report.counts["test_frames"], report.counts["train_11_frames"]) == (12, 24)


def test_the_test_part_has_the_first_box_and_all_frames(root: Path) -> None:
    (video,) = trackingnet.load_test(root)
    assert (video.name, len(video), len(video.frames)) == ("0A-b_c_0", 1, 12)
    (root / "TEST" / "anno" / "0A-b_c_0.txt").write_text("1,2,3,4\n" * 12)
    with pytest.raises(UserError, match="has 12 rows, a test set's file has the first box alone"):
        trackingnet.load_test(root)


def test_missing_frames(root: Path) -> None:
    (root / "TRAIN_11" / "frames" / "a1qo_0").rename(root / "away")
    with pytest.raises(UserError, match="a1qo_0 of TrackingNet TRAIN_11's 2 sequences are not there"):
        trackingnet.load(root)
    assert len(trackingnet.load(root, allow_partial=True)) == 1
    assert len(trackingnet.load(root, need_frames=False)) == 2
    (root / "TRAIN_11" / "frames" / "-3TIfnTSM6c_2" / "5.jpg").unlink()
    with pytest.raises(UserError, match="has 11 images"):
        trackingnet.load(root, allow_partial=True)
    assert len(datasets.check("trackingnet", root).faults) == 2


def test_a_folder_and_an_archive_of_boxes_alone(root: Path, tmp_path: Path) -> None:
    annotations = root / "TRAIN_11" / "anno"
    (root / "TRAIN_11" / "anno").rename(tmp_path / "flat")
    annotations = tmp_path / "flat"
    assert len(trackingnet.load(annotations, need_frames=False)) == 2
    with zipfile.ZipFile(tmp_path / "gt.zip", "w") as archive:
        for file in annotations.iterdir():
            archive.write(file, f"gt/{file.name}")
        archive.writestr("__MACOSX/gt/._a1qo_0.txt", b"\x00")
        archive.writestr("gt/readme.md", b"hello")
    sequences = trackingnet.load(tmp_path / "gt.zip", need_frames=False)
    assert [sequence.name for sequence in sequences] == ["-3TIfnTSM6c_2", "a1qo_0"]
    assert sequences[0].truth_file == tmp_path / "gt.zip"
    with pytest.raises(UserError, match="is not a folder"):
        trackingnet.load(tmp_path / "gt.zip")
    with zipfile.ZipFile(tmp_path / "gt.zip", "w") as archive:
        archive.writestr("a.txt", "1,2,3,4\n1,2,3\n")
    with pytest.raises(UserError, match=r"gt\.zip/a\.txt, line 2: has 3 values"):
        trackingnet.load(tmp_path / "gt.zip", need_frames=False)


def test_the_real_archive(real_data: Path) -> None:
    sequences = trackingnet.load(real_data / "trackingnet" / "dummy_GT.zip", need_frames=False)
    assert len(sequences) == 9
    assert sequences[0].name == "-3TIfnTSM6c_2"
    assert next(len(sequence) for sequence in sequences if sequence.name == "a1qoB1eERn0_0") == 540


def test_absent_parts(root: Path, tmp_path: Path) -> None:
    (root / "TEST").rename(root / "away")
    report = datasets.check("trackingnet", root)
    assert report.ok
    assert report.notes == ["no TEST part, so nothing can be sent to the evaluation server"]
    (root / "TRAIN_11").rename(root / "away too")
    assert [fault.split(": ")[1] for fault in datasets.check("trackingnet", root).faults] == [
        "does not hold the held-out part TRAIN_11; put TRAIN_11/frames and TRAIN_11/anno there."
    ]
    with pytest.raises(UserError, match="does not hold the part TRAIN_0; put TRAIN_0/frames and TRAIN_0/anno there"):
        trackingnet.load(root, "TRAIN_0")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no NAME\.txt with boxes"):
        trackingnet.load(tmp_path / "empty", need_frames=False)


@pytest.mark.parametrize("need_frames", [True, False])
def test_a_root_with_another_part_alone(root: Path, need_frames: bool) -> None:
    held_out = (root / "TRAIN_11").rename(root.parent / f"{root.name} TRAIN_11")
    sentence = (
        r"does not hold the held-out part TRAIN_11; put TRAIN_11/frames and TRAIN_11/anno there; TEST is tracked as "
        r"the benchmark trackingnet_test, and `distillery submission` packs its results for the evaluation server\.$"
    )
    with pytest.raises(UserError, match=sentence):
        trackingnet.load(root, need_frames=need_frames)
    assert len(trackingnet.load_test(root)) == 1
    (root / "TEST").rename(root.parent / f"{root.name} TEST")
    held_out.rename(root / "TRAIN_0")
    with pytest.raises(UserError, match=r"does not hold the held-out part TRAIN_11; .*TRAIN_11/anno there\.$"):
        trackingnet.load(root, need_frames=need_frames)
    with pytest.raises(UserError, match=r"does not hold the part TEST"):
        trackingnet.load_test(root)


@pytest.mark.parametrize(
    ("lost", "extra", "words"),
    [
        ("5.jpg", None, r"has 11 images, the last is 11\.jpg: 5\.jpg is missing"),
        ("0.jpg", None, r"0\.jpg is missing"),
        ("5.jpg", "12.jpg", r"5\.jpg is missing"),
        (None, f"{'9' * 17}.jpg", r"12\.jpg, 13\.jpg, 14\.jpg and \d+ more \(\d+\) are missing"),
        (None, "5.png", r"5\.png is not expected"),
        (None, "thumb.jpg", r"thumb\.jpg is not expected"),
    ],
)
def test_gaps_in_the_test_part(root: Path, lost: str | None, extra: str | None, words: str) -> None:
    folder = root / "TEST" / "frames" / "0A-b_c_0"
    if extra:
        (folder / extra).write_bytes((folder / "1.jpg").read_bytes())
    if lost:
        (folder / lost).unlink()
    with pytest.raises(UserError, match=rf"frames/0A-b_c_0: .*{words}"):
        trackingnet.load_test(root)
    assert len(datasets.check("trackingnet", root).faults) == 1
