"""Boxes against the sizes of their images: faults, oddities, and where the line between them is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distillery.data.check_boxes import check_boxes
from distillery.data.checking import BoxRule, CheckReport, ImageGroup

STRICT = BoxRule(slack=1.0, beyond="fault", outside="fault")


def judged(
    boxes: list[tuple[float, float, float, float]],
    *,
    rule: BoxRule | None = None,
    sizes: list[tuple[int, int]] | None = None,
    rows: list[int] | None = None,
    video: bool = True,
    start: Path | None = None,
) -> CheckReport:
    extent = np.array(sizes or [(100, 50)] * len(boxes), np.int64)
    group = ImageGroup(
        name="clip",
        folder=Path("clip"),
        files=tuple(f"{i}.jpg" for i in range(len(extent))),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        rows=None if rows is None else np.array(rows),
        rule=rule or BoxRule(),
        video=video,
        starts_in=start,
    )
    report = CheckReport("otb100", Path("root"))
    check_boxes(report, group, extent)
    return report


INSIDE = (10.0, 10.0, 20.0, 20.0)


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ((0, 0, 100, 50), None),
        ((-1, -1, 101, 51), None),  # one pixel beyond means nothing
        ((-1.5, 0, 50, 50), "box_beyond_edge"),
        ((90, 40, 102, 50), "box_beyond_edge"),
        ((100, 0, 120, 20), "box_outside_image"),
        ((0, 50, 20, 70), "box_outside_image"),
        ((-20, 0, 0, 20), "box_outside_image"),
    ],
)
def test_the_edges(box: tuple[float, float, float, float], found: str | None) -> None:
    report = judged([INSIDE, INSIDE, box])
    assert report.ok and list(report.oddities) == ([found] if found else [])
    strict = judged([INSIDE, INSIDE, box], rule=STRICT)
    assert len(strict.faults) == (found is not None) and not strict.oddities
    assert all("2.jpg" in fault and "outside the image (100 x 50 pixels)" in fault for fault in strict.faults)


def test_boxes_of_another_video_are_a_fault_whatever_the_rule() -> None:
    far = (500.0, 10.0, 520.0, 20.0)
    assert judged([INSIDE, INSIDE, far]).ok
    report = judged([INSIDE, far, far])
    assert report.faults == [
        "clip: 2 of 3 boxes of clip lie outside its images (100 x 50 pixels): the images or the boxes are not the "
        "official ones."
    ]
    assert judged([far, far], video=False).ok  # a folder of stills has no such sum


def test_unknown_sizes_and_other_images_are_not_mixed_up() -> None:
    assert judged([(0, 0, 5000, 5000)], sizes=[(0, 0)]).oddities == {}
    report = judged([INSIDE, (150, 10, 160, 20)], sizes=[(100, 50), (200, 50)], rows=[0, 1])
    assert report.ok and not report.oddities
    report = judged([INSIDE, (150, 10, 160, 20)], sizes=[(100, 50), (200, 50)], rows=[1, 0], rule=STRICT)
    assert len(report.faults) == 1 and "0.jpg" in report.faults[0]


def test_no_tracker_starts_outside() -> None:
    file = Path("root/clip/groundtruth.txt")
    far = (200.0, 10.0, 220.0, 20.0)
    report = judged([far, INSIDE, INSIDE, INSIDE], start=file)
    assert (
        len(report.faults) == 1 and "groundtruth.txt, frame 1 of clip: the first box lies outside" in report.faults[0]
    )
    assert judged([far, INSIDE, INSIDE, INSIDE]).ok
    assert judged([far, INSIDE, INSIDE, INSIDE], rows=[1, 2, 3, 3], start=file).ok  # frame 1 has no box


def test_no_boxes() -> None:
    assert judged([]).ok
