"""VOT's rotated boxes and tags: what the files say is what the pixels show."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from distillery.config.data import EmbeddedVOT
from distillery.data.worlds import vot
from distillery.data.worlds.raster import TURN
from distillery.data.worlds.video import Frame, play
from distillery.data.worlds.video_styles import VOT

SPEC = EmbeddedVOT(source="embedded", seed=4, width=160, height=120, sequences=8, frames=9)
TAGS = ("camera_motion", "illum_change", "motion_change", "occlusion", "size_change")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vot2019")
    vot.write_vot2019(root, SPEC)
    return root


def frame(mask: np.ndarray, left: int = 0, top: int = 0) -> Frame:
    height, width = mask.shape
    count = int(mask.sum())
    empty = np.zeros((1, 1, 3), dtype=np.uint8)
    return Frame(empty, (left, top, width, height), count, count, count, 0, mask, mask)


def test_layout(written):
    names = (written / "list.txt").read_text().split()
    assert len(set(names)) == 8
    assert {path.name for path in written.iterdir()} == {"list.txt", *names}
    counts = [len(list((written / name / "color").iterdir())) for name in names]
    assert counts == [6, 7, 8, 9, 9, 10, 11, 12]  # 9 · (2/3 + 2/3 · (k + 1/2) / 8)
    for name, frames in zip(names, counts, strict=True):
        assert [p.name for p in sorted((written / name / "color").iterdir())] == [
            f"{k + 1:08d}.jpg" for k in range(frames)
        ]
        others = {path.name for path in (written / name).iterdir()} - {"color", "groundtruth.txt"}
        assert others == {f"{tag}.tag" for tag in TAGS}
        for tag in TAGS:
            rows = (written / name / f"{tag}.tag").read_text().splitlines()
            assert len(rows) == frames
            assert set(rows) <= {"0", "1"}


def test_a_rotated_box_holds_the_object_tightly(written):
    names = (written / "list.txt").read_text().split()
    slack = []
    for index, name in enumerate(names):
        polygons = np.loadtxt(written / name / "groundtruth.txt", delimiter=",")
        _, clip = play(4, "vot2019/test", index, (160, 120), len(polygons), VOT)
        for corners, shown in zip(polygons.reshape(-1, 4, 2), clip, strict=True):
            sides = np.roll(corners, -1, axis=0) - corners
            lengths = np.hypot(*sides.T)
            assert abs(sides[0] @ sides[1]) < 1e-3 * lengths.max() ** 2  # right angles
            assert np.allclose(sides[0], -sides[2], atol=2e-3)
            area = sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]
            assert area > 0  # clockwise on the screen
            pixels = np.argwhere(shown.mask)[:, ::-1] + np.array(shown.box[:2])
            for corner, side, length in zip(corners, sides, lengths, strict=True):
                inwards = ((pixels - corner) @ np.array([-side[1], side[0]])) / length
                assert -0.02 < inwards.min() < 0.02  # all within, and one on every side
            slack.append(area / ((shown.box[2] - 1) * (shown.box[3] - 1)))
    assert np.mean(slack) < 1.05  # no worse than an upright box; better where it matters
    assert min(slack) < 0.8


def test_an_upright_rectangle_and_one_turned_by_45_degrees():
    corners = vot.rotated_box(frame(np.ones((5, 9), dtype=bool), 10, 20), 0)
    assert corners == (10000, 20000, 18000, 20000, 18000, 24000, 10000, 24000)
    diamond = np.add.outer(np.abs(np.arange(7) - 3), np.abs(np.arange(7) - 3)) <= 3
    corners = vot.rotated_box(frame(diamond, -2, 5), TURN // 8)
    assert np.allclose(np.reshape(corners, (4, 2)) / 1000, [[1, 5], [4, 8], [1, 11], [-2, 8]], atol=2e-3)


@pytest.mark.parametrize("angle", range(0, TURN, 300))
def test_rotated_box_against_floating_point(angle):
    rng = np.random.default_rng(angle)
    mask = rng.integers(0, 4, size=(12, 17)) == 0
    shown = frame(mask, int(rng.integers(-40, 300)), int(rng.integers(-40, 300)))
    corners = np.reshape(vot.rotated_box(shown, angle), (4, 2)) / 1000
    turn = 2 * math.pi * angle / TURN
    axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    points = (np.argwhere(mask)[:, ::-1] + [shown.box[0], shown.box[1]]) @ axes.T
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    expected = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ axes
    assert np.allclose(corners, expected, atol=0.03)  # the sine table has 14 bits


def test_the_direction_is_that_of_the_smallest_box():
    yes = np.zeros((60, 60), dtype=bool)
    rows, columns = np.mgrid[0:60, 0:60] - 30
    turn = math.radians(30)
    along, across = columns * math.cos(turn) + rows * math.sin(turn), rows * math.cos(turn) - columns * math.sin(turn)
    yes[(np.abs(along) < 22) & (np.abs(across) < 8)] = True
    script, _ = play(4, "direction", 0, (64, 64), 2, VOT)
    start = script.target.poses[0].angle
    best = (start + vot.direction(script, frame(yes))) % (TURN // 4)
    assert best == pytest.approx(TURN * 30 / 360, abs=TURN / 128 + 1)


@pytest.mark.parametrize(("value", "text"), [(0, "0.000"), (-7, "-0.007"), (-1234, "-1.234"), (98765, "98.765")])
def test_numbers_have_three_decimals(value, text):
    assert vot._decimal(value) == text


def test_tags_are_what_was_staged():
    names = {"illum_change": "illumination", "occlusion": "occlusion"}
    found: dict[str, list[bool]] = {tag: [] for tag in TAGS}
    for index in range(30):
        script, clip = play(4, "tags", index, (120, 90), 12, VOT)
        told = vot.tags(script, clip)
        assert sorted(told) == sorted(TAGS)
        for tag, flags in told.items():
            assert len(flags) == 12
            assert not flags[0]
            found[tag] += flags
            if tag in names and names[tag] not in script.staged:
                assert not any(flags)
        for t in range(1, 12):
            centres = [np.array([x + w / 2, y + h / 2]) for x, y, w, h in (clip[max(t - k, 0)].box for k in (0, 1, 2))]
            turned = np.linalg.norm(centres[0] - 2 * centres[1] + centres[2])
            if t > 1 and abs(turned - 90 / 22) > 1e-6:
                assert told["motion_change"][t] == (turned > 90 / 22)
            still = script.camera[t] == script.camera[t - 1]
            assert not (still and told["camera_motion"][t])
    for tag, flags in found.items():
        assert 0.02 < np.mean(flags) < 0.7, tag


def test_lengths_spread_around_the_mean():
    for sequences, frames in ((20, 30), (60, 356), (1, 10), (3, 2)):
        spec = SPEC.model_copy(update={"sequences": sequences, "frames": frames})
        got = vot.lengths(spec)
        assert len(got) == sequences
        assert min(got) >= max(2, frames * 2 // 3)
        assert max(got) <= max(2, frames * 4 // 3)
        assert np.mean(got) == pytest.approx(max(frames, 2), abs=0.5)
