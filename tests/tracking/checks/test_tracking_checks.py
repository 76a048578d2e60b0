"""What the checks of the tracking sets count as odd and what as a fault, on files as odd as the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distillery import datasets
from distillery.data.check_report import CheckOptions
from distillery.data.checking import CheckReport
from distillery.tracking.checks import oddities
from distillery.tracking.checks.survey import text_oddities

SIZE = (64, 48)


def images(folder: Path, numbers: Iterable[int], digits: int = 4, size: tuple[int, int] = SIZE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    memory = folder / "first.jpg"
    Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(memory)
    data = memory.read_bytes()
    memory.unlink()
    for number in numbers:
        (folder / f"{number:0{digits}d}.jpg").write_bytes(data)


def seen(report: CheckReport) -> dict[str, int]:
    return {name: oddity.seen for name, oddity in report.oddities.items() if oddity.seen}


def partial(benchmark: str, root: Path) -> CheckReport:
    return datasets.run_check(benchmark, root, CheckOptions(allow_partial=True)).report


def test_every_table_explains_itself() -> None:
    for benchmark, table in oddities.ODDITIES.items():
        for name, what in table.items():
            assert name.islower() and name.replace("_", "").isalnum(), (benchmark, name)
            assert what.split()[0].islower() or what.startswith("JPEG")
            assert not what.endswith(".") and "\n" not in what


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"1,2,3,4\n5,6,7,8\n", set()),
        (b"1\t2\t3\t4\n", {"separator_tab"}),
        (b"1 2 3 4\n", {"separator_space"}),
        (b"1;2;3;4\n", {"separator_semicolon"}),
        (b"1,2\t3,4\n", {"separator_mixed"}),
        (b"1,2,3,4\n1 2 3 4\n", {"separator_mixed"}),
        (b"1, 2, 3, 4 \n", set()),  # spaces beside commas separate nothing
        (b"1,2,3,4\r\n", {"line_ends_crlf"}),
        (b"1,2,3,4", {"no_final_newline"}),
        (b"\xef\xbb\xbf1,2,3,4\n", {"byte_order_mark"}),
    ],
)
def test_forms_of_text(tmp_path: Path, data: bytes, found: set[str]) -> None:
    file = tmp_path / "groundtruth.txt"
    file.write_bytes(data)
    report = CheckReport("otb100", tmp_path, known=oddities.ODDITIES["otb100"])
    text_oddities(file, report)
    assert set(seen(report)) == found


class TestOTB:
    def write(self, root: Path, name: str, numbers: Iterable[int], rows: list[str], file: str = "", **how: int) -> None:
        images(root / name / "img", numbers, **how)
        (root / name / (file or "groundtruth_rect.txt")).write_text("".join(f"{row}\n" for row in rows))

    def test_the_official_oddities(self, tmp_path: Path) -> None:
        row = "10,10,20,20"
        self.write(tmp_path, "Tiger1", range(1, 355), [row] * 354)
        self.write(tmp_path, "Football1", range(1, 80), ["10\t10\t20\t20"] * 74)
        self.write(tmp_path, "Skating2", range(1, 474), [row] * 473, "groundtruth_rect.1.txt")
        self.write(tmp_path, "Skating2", [], [row] * 473, "groundtruth_rect.2.txt")
        self.write(tmp_path, "Human4", range(1, 668), [row] * 667, "groundtruth_rect.2.txt")
        self.write(tmp_path, "Board", range(1, 699), ["10 10 20 20"] * 697 + ["0 0 0 0"], digits=5)
        self.write(tmp_path, "Biker", range(1, 143), [row] * 140 + ["0,10,20,20", "62,10,20,20"])
        (tmp_path / "Biker/img/Thumbs.db").touch()
        report = partial("otb100", tmp_path)
        assert report.ok, report.faults
        assert len(report.absent) == 93
        assert seen(report) == {
            "later_start": 1,
            "images_without_truth": 5 + 5,
            "rows_before_the_first": 5,
            "two_targets": 2,
            "second_target_alone": 1,
            "five_digits": 1,
            "empty_box": 1,
            "coordinate_below_first": 1,
            "box_beyond_edge": 1,
            "stray_file": 1,
            "separator_tab": 1,
            "separator_space": 1,
        }
        assert report.oddities["empty_box"].where == ["Board, frame 698"]
        assert report.oddities["later_start"].where == ["Tiger1 from 6"]
        assert report.listed == 349 + 74 + 473 + 667 + 698 + 142

    def test_images_of_another_size_are_a_fault(self, tmp_path: Path) -> None:
        """A copy whose images were made smaller, with the official boxes."""
        self.write(tmp_path, "Deer", range(1, 72), ["306,5,95,65"] * 71)
        (fault,) = partial("otb100", tmp_path).faults[:1]
        assert "frame 1 of Deer: the first box lies outside the image of 64 x 48 pixels" in fault
        assert any("71 of 71 boxes of Deer lie outside" in fault for fault in partial("otb100", tmp_path).faults)

    def test_a_sequence_that_cannot_be_read_is_one_fault(self, tmp_path: Path) -> None:
        self.write(tmp_path, "Man", range(1, 135), ["10,10,20,20"] * 134)
        (tmp_path / "Deer").write_text("a file instead of a folder")
        (tmp_path / "Bird2" / "groundtruth_rect.txt").mkdir(parents=True)
        (tmp_path / "Coupon").mkdir()
        (tmp_path / "Coupon" / "groundtruth_rect.txt").write_bytes(b"\0\1\2")
        (tmp_path / "Couple").symlink_to(tmp_path / "Couple")
        report = partial("otb100", tmp_path)
        assert report.counts["sequences"] == 1 and report.decoded == 134
        assert {fault.split(":")[0] for fault in report.faults} == {"Coupon/groundtruth_rect.txt", "Couple"}


def test_dtb70(tmp_path: Path) -> None:
    folder = tmp_path / "Car2"
    images(folder / "img", range(1, 75), 5)
    rows = ["10,10,20,20"] * 70 + ["0,0,0,0"] * 4 + ["0,0,0,0"] * 3
    (folder / "groundtruth_rect.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "att").mkdir()
    (tmp_path / "att/Car2.txt").write_text("1,0,0,0,0,0,0,0,0,0\n")
    report = partial("dtb70", tmp_path)
    assert report.ok
    assert seen(report) == {"rows_after_the_last": 3, "ten_flags": 1, "empty_box": 4}


def test_vot(tmp_path: Path) -> None:
    square = "10,10,30,10,30,30,10,30"
    for name, rows in {"ants1": [square] * 4 + ["10,10,20,20,30,30,20,20"], "conduction1": ["10,10,20,20"] * 5}.items():
        images(tmp_path / name / "color", range(1, 6), 8)
        (tmp_path / name / "groundtruth.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "ants1/occlusion.tag").write_text("0\n1\n")
    (tmp_path / "ants1/camera_motion.tag").write_text("")
    (tmp_path / "ants1/illu_change.label").write_text("0\n" * 5)
    (tmp_path / "list.txt").write_text("ants1\nconduction1\n")
    report = datasets.check("vot2018", tmp_path)
    assert report.ok and report.notes == ["1 sequences have no tags (no NAME/occlusion.tag …)"]
    assert seen(report) == {"rectangle": 1, "flat_polygon": 1, "tags_cut": 1, "tags_empty": 1, "illu_change": 1}
    (tmp_path / "ants1/groundtruth.txt").write_text("\n".join([square] * 4 + ["nan" + ",nan" * 7]) + "\n")
    (fault,) = datasets.check("vot2018", tmp_path).faults
    assert "ants1/groundtruth.txt, line 5: holds 'nan' where a finite number must stand" in fault


def test_lasot(tmp_path: Path) -> None:
    folder = tmp_path / "monkey" / "monkey-17"
    images(folder / "img", range(1, 9), 8)
    (folder / "groundtruth.txt").write_text("5,5,9,9\n0,0,0,0\n5,5,9,9\n0,0,0,0\n0,9,5,5\n")
    (folder / "full_occlusion.txt").write_text("0,1,0,0,0")
    (folder / "out_of_view.txt").write_text("0,0,1,0,0")
    (tmp_path / "testing_set.txt").write_text("monkey-17\n")
    report = datasets.check("lasot", tmp_path)
    assert report.ok and report.listed == 5
    assert seen(report) == {
        "empty_while_absent": 1,
        "box_while_absent": 1,
        "empty_while_visible": 1,
        "images_without_truth": 3,
        "coordinate_below_first": 1,
    }


def test_trackingnet_and_got10k(tmp_path: Path) -> None:
    for part, name, rows in (("TEST", "a", 1), ("TRAIN_11", "b", 3)):
        images(tmp_path / part / "frames" / name, range(3), 1)
        (tmp_path / part / "anno").mkdir()
        (tmp_path / part / "anno" / f"{name}.txt").write_text("5,5,9,9\n" * rows)
    report = datasets.check("trackingnet", tmp_path)
    assert report.ok and seen(report) == {"first_box_only": 1} and report.listed == 6
    got = tmp_path / "got"
    for split, rows in (("train", 3), ("val", 3), ("test", 1)):
        images(got / split / "one", range(1, 4), 8)
        (got / split / "list.txt").write_text("one\n")
        (got / split / "one/groundtruth.txt").write_text("5,5,9,9\n" * rows)
        (got / split / "one/absence.label").write_text("0\n1\n0\n")
        (got / split / "one/cover.label").write_text("8\n0\n8\n")
    report = datasets.check("got10k", got)
    assert report.ok and seen(report) == {"first_box_only": 1, "absent_frame": 2, "hidden_frame": 2}
    (got / "val/list.txt").unlink()
    assert datasets.check("got10k", got).faults == [
        "val/list.txt: does not exist; restore it from the official archive."
    ]


def test_official_counts(tmp_path: Path, write_otb: Callable[..., Path]) -> None:
    root = write_otb(tmp_path / "own")
    report = datasets.run_check("otb100", root, CheckOptions(counts="official")).report
    assert report.faults == [
        "the root: holds 2 sequences, the official set 100 (the official list of sequences).",
        "the root: holds 16 frames, the official set 59035 (the official annotations).",
    ]


def test_a_collection_of_annotations_has_no_text(tmp_path: Path) -> None:
    images(tmp_path / "Crossing" / "img", range(1, 121))
    rows = [[10, 10, 20, 20]] * 120
    (tmp_path / "OTB100.json").write_text(json.dumps({"crossing": {"gt_rect": rows}}))
    report = partial("otb100", tmp_path)
    assert report.ok and report.decoded == 120 and seen(report) == {}
