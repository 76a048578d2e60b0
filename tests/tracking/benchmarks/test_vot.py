from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery import datasets
from distillery.errors import UserError
from distillery.tracking.benchmarks import vot
from distillery.tracking.benchmarks.vot_table import SEQUENCES

SQUARE = "10,10,30,10,30,20,10,20"
DIAMOND = "20,10,30,20,20,30,10,20"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences: images in `color` and polygons; images in the folder itself and boxes."""
    for name, images, row in (("ants1", "ants1/color", SQUARE), ("ball1", "ball1", "10,20,30,40")):
        (tmp_path / images).mkdir(parents=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(tmp_path / images / f"{number:08d}.jpg"), np.zeros((24, 32, 3), np.uint8))
        (tmp_path / name / "groundtruth.txt").write_text(f"{row}\n" * 3)
    (tmp_path / "ants1" / "occlusion.tag").write_text("0\n1\n1\n")
    (tmp_path / "ants1" / "camera_motion.label").write_text("1\n")
    (tmp_path / "ants1" / "illu_change.tag").write_text("0\n0\n1\n")
    (tmp_path / "ants1" / "size_change.tag").write_text("")
    (tmp_path / "list.txt").write_text("ants1\nball1\n")
    return tmp_path


def slow_axis_aligned(region: list[float]) -> list[float]:
    """The definition, number by number: the box that pysot's `tools/test.py` hands to a tracker."""
    xs, ys = region[0::2], region[1::2]
    cx, cy = sum(xs) / 4, sum(ys) / 4
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    sides = [math.dist(region[0:2], region[2:4]), math.dist(region[2:4], region[4:6])]
    scale = math.sqrt(sides[0] * sides[1] / (width * height))
    w, h = scale * width + 1, scale * height + 1
    return [cx - (w - 1) / 2, cy - (h - 1) / 2, w, h]


def test_sequences(root: Path) -> None:
    ants, ball = vot.load(root)
    assert (ants.name, ants.first_pixel, ants.image_size) == ("ants1", 0, (32, 24))
    assert [frame.name for frame in ants.frames] == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
    assert ants.regions is not None and ants.regions.tolist() == [[float(v) for v in SQUARE.split(",")]] * 3
    # An upright polygon keeps its size, with pysot's +1.
    assert ants.truth[0].tolist() == [10, 10, 21, 11]
    assert {tag: flags.tolist() for tag, flags in ants.tags.items()} == {
        "camera_motion": [True, False, False],  # a file may end early
        "illum_change": [False, False, True],
        "occlusion": [False, True, True],  # and the empty one labels nothing
    }
    assert (ants.rectangle, ball.rectangle) == (False, True)
    assert ball.regions is not None and ball.regions[0].tolist() == [10, 20, 40, 20, 40, 60, 10, 60]
    assert ball.truth[0].tolist() == [10.5, 20.5, 30, 40]
    assert ball.frames[0] == root / "ball1" / "00000001.jpg"
    report = datasets.check("vot2019", root)
    assert report.ok
    assert report.notes == ["1 sequences have no tags (no NAME/occlusion.tag …)"]


def test_the_box_of_a_diamond() -> None:
    """Corners 20 apart, area 200 in a bounding square of 400: sides 20 sqrt(1/2) + 1."""
    side = 20 * math.sqrt(0.5) + 1
    box = vot.axis_aligned(np.array([[float(v) for v in DIAMOND.split(",")]]))
    assert box[0] == pytest.approx([20 - (side - 1) / 2, 20 - (side - 1) / 2, side, side])


@given(st.lists(st.floats(-500, 2000), min_size=8, max_size=8))
def test_boxes_follow_the_definition(region: list[float]) -> None:
    box = vot.axis_aligned(np.array([region]))[0]
    assert np.isfinite(box).all()
    width, height = max(region[0::2]) - min(region[0::2]), max(region[1::2]) - min(region[1::2])
    if min(width, height) > 1e-3:
        assert box == pytest.approx(slow_axis_aligned(region), rel=1e-9, abs=1e-9)


def test_a_polygon_without_extent_gives_one_pixel() -> None:
    boxes = vot.axis_aligned(np.array([[5.0, 7.0] * 4, [1, 2, 3, 2, 9, 2, 1, 2]]))
    assert boxes.tolist() == [[5, 7, 1, 1], [3.5, 2, 1, 1]]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("ants1/groundtruth.txt", f"{SQUARE}\n{SQUARE}\n1,2,3\n", "line 3: has 3 values, 8 are expected"),
        ("ants1/groundtruth.txt", "1,2,3,4,5,6\n" * 3, "line 1: has 6 values, 8 or 4 are expected"),
        ("ball1/groundtruth.txt", f"{SQUARE}\n" * 2, "has 3 images"),
        ("ants1/groundtruth.txt", f"{SQUARE}\n{SQUARE.replace('30', 'nan')}\n{SQUARE}\n", "line 2: holds 'nan'"),
        ("ants1/groundtruth.txt", f"{SQUARE}\n{SQUARE}\n{SQUARE.replace('30', '1e9')}\n", "frame 3 of ants1: holds a"),
        ("ants1/occlusion.tag", "0\n1\n1\n1\n", "has 4 values, the sequence has 3 annotated frames"),
        ("ants1/occlusion.tag", "0\n2\n", "line 2: holds 2"),
        ("ants1/color/00000001.jpg", "hello", "00000001.jpg: is not a JPEG or PNG image"),
        ("list.txt", "ants1\n../ball1\n", "lists '../ball1' which cannot be a folder's name"),
    ],
)
def test_faults(root: Path, file: str, text: str, words: str) -> None:
    (root / file).write_text(text)
    with pytest.raises(UserError) as caught:
        vot.load(root)
    assert words in str(caught.value)


def test_partial_data(root: Path) -> None:
    (root / "list.txt").write_text("ants1\nbag\nball1\n")
    with pytest.raises(UserError, match="bag of VOT2019's 3 sequences are not there"):
        vot.load(root, name="vot2019")
    assert [sequence.name for sequence in vot.load(root, allow_partial=True)] == ["ants1", "ball1"]
    assert datasets.check("vot2019", root).counts == {"expected": 3, "sequences": 2, "frames": 6, "missing": 1}
    (root / "list.txt").unlink()
    with pytest.raises(UserError, match=r"list\.txt: does not exist"):
        vot.load(root)
    with pytest.raises(UserError, match="unknown VOT set 'vot2020'"):
        vot.load(root, name="vot2020")


def test_without_a_list_the_official_sequences_are_expected(root: Path) -> None:
    (root / "list.txt").unlink()
    assert vot.expected(root, name="vot2018") == list(SEQUENCES["vot2018"])
    with pytest.raises(UserError, match=r"ants3, bag, ball2 and 55 more \(58\) of VOT2018's 60 .*--allow-partial"):
        vot.load(root, name="vot2018")
    loaded = vot.load(root, name="vot2018", allow_partial=True)
    assert [(sequence.name, len(sequence.frames)) for sequence in loaded] == [("ants1", 3), ("ball1", 3)]
    report = datasets.check("vot2018", root)
    assert report.counts == {"expected": 60, "sequences": 2, "frames": 6, "missing": 58}
    (root / "ants1").rename(root / "ants3")
    with pytest.raises(UserError, match="60 sequences are not there"):  # VOT2019 has neither of them
        vot.load(root, name="vot2019", allow_partial=True)


def test_a_gap_is_named_even_with_an_extra_frame(root: Path) -> None:
    images = root / "ants1" / "color"
    (images / "00000002.jpg").rename(images / "00000004.jpg")
    with pytest.raises(UserError, match=r"3 rows: 00000002\.jpg is missing, 00000004\.jpg is not expected"):
        vot.load(root)
    assert len(datasets.check("vot2019", root).faults) == 1


def test_the_tables_are_the_official_sixty(real_data: Path) -> None:
    assert sorted(json.loads((real_data / "anno" / "VOT2018.json").read_text())) == sorted(SEQUENCES["vot2018"])
    assert [len(set(names)) for names in SEQUENCES.values()] == [60, 60]
    # VOT2019 replaced the 20 % that were easiest to track in VOT2018 (its paper, section 3.1).
    assert len(set(SEQUENCES["vot2018"]) - set(SEQUENCES["vot2019"])) == 12


def test_the_real_folder_as_it_lies(real_data: Path) -> None:
    (bag,) = vot.load(real_data / "VOT", name="vot2018", allow_partial=True)
    assert (bag.name, len(bag.frames)) == ("bag", 196)
    report = datasets.check("vot2018", real_data / "VOT")
    assert report.counts == {"expected": 60, "sequences": 1, "frames": 196, "missing": 59}


def collection(root: Path, **changes: object) -> Path:
    entry: dict[str, object] = {
        "video_dir": "ants1",
        "init_rect": [1.0] * 8,
        "img_names": [f"ants1/color/{number:08d}.jpg" for number in (1, 2)],
        "gt_rect": [[float(v) for v in SQUARE.split(",")]] * 2,
        "camera_motion": [0, 1],
        "occlusion": [],
        "width": 32,
        "height": 24,
    }
    root.mkdir(exist_ok=True)
    (root / "VOT2018.json").write_text(json.dumps({"ants1": {**entry, **changes}}))
    return root


def test_a_collection_is_enough_for_scoring(tmp_path: Path) -> None:
    root = collection(tmp_path)
    (ants,) = vot.load(root, name="vot2018", need_frames=False)
    assert (len(ants), ants.image_size, ants.truth[0].tolist()) == (2, (32, 24), [10, 10, 21, 11])
    assert {tag: flags.tolist() for tag, flags in ants.tags.items()} == {"camera_motion": [False, True]}
    assert ants.truth_file == root / "VOT2018.json"
    with pytest.raises(UserError, match="ants1 of VOT2018's 1 sequences are not there"):
        vot.load(root, name="vot2018")
    with pytest.raises(UserError, match="of VOT2019's 60 sequences"):  # another year's annotations do not count
        vot.load(root, name="vot2019", need_frames=False)
    (root / "VOT2019.json").write_text((root / "VOT2018.json").read_text())
    with pytest.raises(UserError, match=r"holds VOT2018\.json and VOT2019\.json; say which"):
        vot.expected(root)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gt_rect": None}, "ants1.gt_rect: must hold rows of 8 or 4 finite numbers"),
        ({"gt_rect": [[1, 2], [3]]}, "must hold rows"),
        ({"gt_rect": [["a"] * 8]}, "must hold rows"),
        ({"gt_rect": [[10**400] * 8]}, "must hold rows"),
        ({"gt_rect": [[float("nan")] * 8]}, "must hold rows"),
        ({"camera_motion": [0]}, "ants1.camera_motion: must hold 2 flags 0 or 1"),
        ({"camera_motion": [0, 3]}, "must hold 2 flags"),
    ],
)
def test_a_faulty_collection(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=r"VOT2018\.json") as caught:
        vot.load(collection(tmp_path, **changes), need_frames=False)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', "{", "[" * 100_000, '{"../a": {}}', "\x00"])
def test_what_is_no_collection(tmp_path: Path, text: str) -> None:
    (tmp_path / "VOT2018.json").write_text(text)
    with pytest.raises(UserError, match=r"VOT2018\.json"):
        vot.load(tmp_path, need_frames=False)


def test_the_real_collection(real_data: Path) -> None:
    sequences = vot.load(real_data / "anno", name="vot2018", need_frames=False)
    assert (len(sequences), sum(map(len, sequences))) == (60, 21356)
    by_name = {sequence.name: sequence for sequence in sequences}
    assert by_name["conduction1"].rectangle and by_name["conduction1"].truth[0].tolist() == [712.5, 231.5, 22, 24]
    assert by_name["ants1"].image_size == (1024, 1024)
    assert "occlusion" not in by_name["car1"].tags and len(by_name["car1"].tags) == 4


def test_real_frames(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "bag").symlink_to(real_data / "VOT" / "bag")
    (tmp_path / "list.txt").write_text("bag\n")
    (bag,) = vot.load(tmp_path)
    assert (len(bag.frames), len(bag), bag.image_size) == (196, 196, (480, 360))
    (same,) = [s for s in vot.load(real_data / "anno", name="vot2018", need_frames=False) if s.name == "bag"]
    assert same.regions is not None and bag.regions is not None
    assert np.allclose(same.regions, bag.regions)
    assert datasets.check("vot2019", tmp_path).ok
