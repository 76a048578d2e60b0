"""`distillery check` on the real pieces that lie beside the repository: what is there is found whole, with the oddities
that the official files are known for, and what is not there is said.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillery.cli import main
from distillery.data.archives import unpack
from distillery.data.checking import CheckReport
from distillery.tracking.benchmarks import lasot
from distillery.tracking.checks import lasot as lasot_check
from distillery.tracking.checks.oddities import ODDITIES
from person_search import builders


def checked(benchmark: str, root: Path, tmp_path: Path, *more: str, status: int = 0) -> dict[str, Any]:
    """The JSON report of the command, as a user gets it."""
    out = tmp_path / "report.json"
    command = ["check", "--benchmark", benchmark, "--root", str(root), "--out", str(out), *more]
    assert main(command) == status
    report = json.loads(out.read_text())
    assert report["ok"] == (status == 0)
    assert str(root) not in out.read_text()
    return report


def seen(report: dict[str, Any]) -> dict[str, int]:
    return {name: oddity["seen"] for name, oddity in report["oddities"].items() if oddity["seen"]}


def test_otb(real_data: Path, tmp_path: Path) -> None:
    report = checked("otb100", real_data / "OTB", tmp_path, "--allow-partial")
    assert report["images"] == {"listed": 427, "decoded": 427}  # Jogging's two targets share 307
    assert report["counts"] == {"expected": 100, "sequences": 3, "missing": 97, "frames": 734}
    assert seen(report) == {"two_targets": 2, "stray_file": 1, "line_ends_crlf": 1, "no_final_newline": 1}
    assert report["oddities"]["no_final_newline"]["where"] == ["Jogging/groundtruth_rect.1.txt"]
    assert len(report["absent"]) == 97
    whole = checked("otb100", real_data / "OTB", tmp_path, "--images", "sample", status=1)
    assert len(whole["faults"]) == 97 and whole["images"]["decoded"] == 12 + 19


def test_vot(real_data: Path, tmp_path: Path) -> None:
    report = checked("vot2018", real_data / "VOT", tmp_path, "--allow-partial")
    assert report["images"] == {"listed": 196, "decoded": 196}
    assert report["notes"] == ["1 sequences have no tags (no NAME/occlusion.tag …)"]
    assert seen(report) == {} and len(report["absent"]) == 59


def test_a_damaged_copy_is_not_passed(real_data: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(real_data / "VOT", tmp_path / "VOT"))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    image = root / "bag/color/00000100.jpg"
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    report = checked("vot2018", root, tmp_path, "--allow-partial", status=1)
    assert report["faults"] == ["bag/color/00000100.jpg: is truncated."]


def test_cuhk_sysu(real_data: Path, tmp_path: Path) -> None:
    """The real protocol of 2,900 queries, and eight of its 6,978 images."""
    root = tmp_path / "CUHK-SYSU"
    protocols, images = root / "annotation/test/train_test", root / "Image/SSM"
    protocols.mkdir(parents=True)
    images.mkdir(parents=True)
    (protocols / "TestG100.mat").symlink_to(real_data / "cuhk_sysu/TestG100.mat")
    for file in (real_data / "cuhk_sysu/images").glob("*.jpg"):
        (images / file.name).symlink_to(file)
    report = checked("cuhk_sysu", root, tmp_path, "--allow-partial", "--images", "full")
    golden = json.loads((real_data / "golden.json").read_text())["cuhk_sysu"]["TestG100"]
    assert report["counts"] == {"queries_TestG100": golden["queries"]}
    assert report["images"] == {"listed": golden["gallery_images"], "decoded": 8}
    assert seen(report) == {"box_in_bytes": 437, "positive_twice": 4, "own_image": 2}
    twice = [f"TestG100.mat, query {index + 1}" for index in golden["queries_with_duplicate_positive"]]
    own = [f"TestG100.mat, query {index + 1}" for index in golden["queries_with_own_image_as_positive"]]
    assert report["oddities"]["positive_twice"]["where"] == twice[:3]
    assert report["oddities"]["own_image"]["where"] == own
    assert [sentence.split(":")[0] for sentence in report["absent"]] == [
        "annotation/Images.mat",
        "annotation/pool.mat",
        "annotation/test/train_test/Train.mat",
        "Image/SSM",
    ]


def test_prw(real_data: Path, tmp_path: Path) -> None:
    """PRW-mini's real queries, and the real training annotation written as PRW's own files are."""
    known = json.loads((real_data / "prw/train_pid.json").read_text())
    names = {image["id"]: image["file_name"].removesuffix(".jpg") for image in known["images"]}
    rows: dict[str, list[list[float]]] = {name: [] for name in names.values()}
    for one in known["annotations"]:
        identity = -2 if one["person_id"] < 0 else one["person_id"] + 1
        rows[names[one["image_id"]]].append([identity, *one["bbox"]])
    root = tmp_path / "PRW"
    builders.write_prw_lists(root, list(rows), [])
    (root / "frame_test.mat").unlink()
    for name, boxes in rows.items():
        builders.write_prw_frame(root, name, np.array(boxes, float).reshape(-1, 5))
    shutil.copy(real_data / "prw/prwmini_query_info.txt", root)
    report = checked("prw", root, tmp_path, "--allow-partial", "--counts", "official")
    golden = json.loads((real_data / "golden.json").read_text())["prw"]["train"]
    counts = report["counts"]
    assert (counts["train_frames"], counts["train_boxes"]) == (golden["frames"], golden["boxes"])
    assert counts["train_identities"] == golden["ids"] and counts["queries_prw_mini"] == 30
    assert seen(report) == {
        "unlabelled": golden["unlabelled"],
        "id_twice": 10,
        "nobody_labelled": 40,
        "negative_coordinate": 11,
    }
    assert [sentence.split(": ")[0] for sentence in report["absent"]] == [
        "frame_test.mat",
        "query_info.txt",
        "frames",
        "the root",
        "the root",
    ]


def test_lasots_oddities(real_data: Path, tmp_path: Path) -> None:
    """The labels of all 280 test sequences, without images: the toolkit's annotations through the check's own eyes."""
    root = tmp_path / "LaSOT"
    unpack(real_data / "anno/LaSOT_test280_annos.tar.gz", root)
    report = CheckReport("lasot", root, known=ODDITIES["lasot"])
    for sequence in lasot.load(root, need_frames=False):
        lasot_check.count_labels(sequence, report)
    assert {name: oddity.seen for name, oddity in report.oddities.items() if oddity.seen} == {
        "empty_while_absent": 10_286,
        "box_while_absent": 8_060,
        "empty_while_visible": 3,
    }


@pytest.mark.parametrize("benchmark", ["otb100", "vot2018"])
def test_a_second_check_is_answered_from_the_cache(
    real_data: Path, tmp_path: Path, benchmark: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISTILLERY_CACHE", str(tmp_path / "cache"))
    root = real_data / {"otb100": "OTB", "vot2018": "VOT"}[benchmark]
    first = checked(benchmark, root, tmp_path, "--allow-partial")
    assert "unchanged" not in capsys.readouterr().out
    assert checked(benchmark, root, tmp_path, "--allow-partial") == first
    assert "unchanged since it was checked" in capsys.readouterr().out
