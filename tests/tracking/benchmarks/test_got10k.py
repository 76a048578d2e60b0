from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery import datasets
from distillery.errors import UserError
from distillery.tracking.benchmarks import got10k


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in got10k.SPLITS:
        names = [f"GOT-10k_{split.capitalize()}_{number:06d}" for number in (1, 2)]
        for name in names:
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(1, 4):
                cv2.imwrite(str(folder / f"{number:08d}.jpg"), np.zeros((8, 8, 3), np.uint8))
            (folder / "groundtruth.txt").write_text("1.5000,2.0000,3.0000,4.0000\n" * 3)
            (folder / "absence.label").write_text("0\n0\n1\n")
            (folder / "cover.label").write_text("8\n3\n0\n")
        (tmp_path / split / "list.txt").write_text("\n".join(names) + "\n")
    return tmp_path


def test_sequences_have_boxes_frames_and_labels(root: Path) -> None:
    sequences = got10k.load(root, "val")
    assert [sequence.name for sequence in sequences] == ["GOT-10k_Val_000001", "GOT-10k_Val_000002"]
    first = sequences[0]
    assert first.truth.tolist() == [[1.5, 2, 3, 4]] * 3
    assert [frame.name for frame in first.frames] == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
    assert first.absence.tolist() == [False, False, True]
    assert first.cover.tolist() == [8, 3, 0]
    assert datasets.check("got10k", root).ok
    assert datasets.check("got10k", root).counts["train_frames"] == 6


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("cover.label", "8\n3\n", "has 2 values, the sequence has 3 annotated frames"),
        ("cover.label", "8\n9\n0\n", "line 2: holds 9, not a whole number from 0 to 8"),
        ("absence.label", "0\n0.5\n0\n", "line 2: holds 0.5"),
        ("groundtruth.txt", "1,2,3,4\n" * 2, "has 2 rows"),
        ("groundtruth.txt", "1,2,3,4\n1,nan,3,4\n1,2,3,4\n", "line 2: holds 'nan'"),
    ],
)
def test_malformed_labels_are_named(root: Path, file: str, text: str, words: str) -> None:
    faulty = root / "val" / "GOT-10k_Val_000002" / file
    faulty.write_text(text)
    with pytest.raises(UserError, match="GOT-10k_Val_000002") as caught:
        got10k.load(root, "val")
    assert words in str(caught.value)
    assert len(datasets.check("got10k", root).faults) == 1


def test_missing_parts(root: Path) -> None:
    (root / "train" / "GOT-10k_Train_000001" / "00000002.jpg").unlink()
    with pytest.raises(UserError, match="has 2 images"):
        got10k.load(root, "train")
    assert len(got10k.load(root, "train", need_frames=False)) == 2
    (root / "val" / "list.txt").write_text("GOT-10k_Val_000001\nGOT-10k_Val_000009\n")
    with pytest.raises(UserError, match="GOT-10k_Val_000009 of GOT-10k val's 2 sequences"):
        got10k.load(root, "val")
    assert len(got10k.load(root, "val", allow_partial=True)) == 1
    with pytest.raises(UserError, match="use train or val"):
        got10k.load(root, "test")
    assert got10k.expected(root) == ["GOT-10k_Val_000001", "GOT-10k_Val_000009"]
    assert [sequence.name for sequence in got10k.load(root, allow_partial=True)] == ["GOT-10k_Val_000001"]
    with pytest.raises(UserError, match="does not exist"):
        got10k.load(root / "val", "val")


def test_the_size_of_the_frames_is_known_for_scoring(root: Path) -> None:
    assert got10k.load(root, need_frames=False)[0].image_size == (8, 8)
    folder = root / "val" / "GOT-10k_Val_000001"
    for image in folder.glob("*.jpg"):
        image.unlink()
    assert got10k.load(root, need_frames=False)[0].image_size is None
    (folder / "meta_info.ini").write_text("[METAINFO]\nurl: x\nresolution: (1920, 1080)\n")
    assert got10k.load(root, need_frames=False)[0].image_size == (1920, 1080)


def test_the_test_split_has_one_box_and_all_frames(root: Path) -> None:
    (root / "val").rename(root / "test")
    for file in (root / "test").glob("*/groundtruth.txt"):
        file.write_text("1,2,3,4\n")
    (sequence, _) = got10k.load_test(root)
    assert (len(sequence), len(sequence.frames)) == (1, 3)
    file.write_text("1,2,3,4\n1,2,3,4\n")
    with pytest.raises(UserError, match="has 2 rows, a test set's file has the first box alone"):
        got10k.load_test(root)


def test_gaps_and_damage_in_the_test_split(root: Path) -> None:
    (root / "train").rename(root / "test")
    for file in (root / "test").glob("*/groundtruth.txt"):
        file.write_text("1,2,3,4\n")
    report = datasets.check("got10k", root)
    assert report.ok
    assert (report.counts["test_frames"], report.notes) == (6, ["no train split, so no tracker can be trained on it"])
    (file.parent / "00000002.jpg").rename(file.parent / "00000004.jpg")
    with pytest.raises(UserError, match=r"has 3 images, the last is 00000004\.jpg: 00000002\.jpg is missing"):
        got10k.load_test(root)
    (fault,) = datasets.check("got10k", root).faults
    assert "00000002.jpg is missing" in fault
    (file.parent / "00000004.jpg").rename(file.parent / "00000002.jpg")
    (file.parent / "00000003.jpg").write_bytes(b"no image")
    (fault,) = datasets.check("got10k", root).faults
    assert "00000003.jpg: is not a JPEG or PNG image" in fault


def test_a_test_sequence_without_numbered_images(root: Path) -> None:
    (root / "val").rename(root / "test")
    for file in (root / "test").glob("*/groundtruth.txt"):
        file.write_text("1,2,3,4\n")
        for image in file.parent.glob("*.jpg"):
            image.unlink()
        (file.parent / "thumb.jpg").touch()
    with pytest.raises(UserError, match=r"has 1 images, the last is thumb\.jpg: thumb\.jpg is not expected;"):
        got10k.load_test(root)


def test_the_splits_that_may_be_absent(root: Path) -> None:
    (root / "train").rename(root / "away")
    report = datasets.check("got10k", root)
    assert report.ok
    assert report.notes == [
        "no train split, so no tracker can be trained on it",
        "no test split, so nothing can be sent to the evaluation server",
    ]
    assert report.counts["val_sequences"] == 2
    with pytest.raises(UserError, match=r"train: does not exist; pass the folder that holds GOT-10k's train split"):
        got10k.load(root, "train")
    (root / "val").rename(root / "train")
    assert len(datasets.check("got10k", root).faults) == 1  # the evaluation set


def test_first_boxes_of_training_need_not_be_startable(root: Path) -> None:
    file = root / "train" / "GOT-10k_Train_000001" / "groundtruth.txt"
    file.write_text("50,50,2,2\n" + "1,2,3,4\n" * 2)
    assert datasets.check("got10k", root).ok
    (root / "val" / "GOT-10k_Val_000001" / "groundtruth.txt").write_text(file.read_text())
    (fault,) = datasets.check("got10k", root).faults
    assert "GOT-10k_Val_000001" in fault and "lies outside the image of 8 x 8 pixels" in fault


def test_a_resolution_of_nothing(root: Path) -> None:
    folder = root / "val" / "GOT-10k_Val_000001"
    (folder / "meta_info.ini").write_text("[METAINFO]\nresolution: (0, 0)\n")
    assert got10k.load(root, need_frames=False)[0].image_size == (8, 8)  # the image knows better
    for image in folder.glob("*.jpg"):
        image.unlink()
    with pytest.raises(UserError, match=r"meta_info\.ini: says that the images have 0 x 0 pixels"):
        got10k.load(root, need_frames=False)
