"""The writers: official layouts, consistent labels, and bytes that do not depend on the number of processes."""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distillery.config.data import (
    EmbeddedDTB70,
    EmbeddedGOT10k,
    EmbeddedLaSOT,
    EmbeddedOTB100,
    EmbeddedTrackingNet,
    EmbeddedVOT,
)
from distillery.data.worlds import dtb70, lasot
from distillery.data.worlds import video_styles as styles
from distillery.data.worlds.dtb70 import write_dtb70
from distillery.data.worlds.got10k import cover_level, write_got10k
from distillery.data.worlds.lasot import write_lasot
from distillery.data.worlds.otb100 import ATTRIBUTES, attributes, write_otb100
from distillery.data.worlds.trackingnet import video_name, write_trackingnet
from distillery.data.worlds.video import play
from distillery.data.worlds.vot import write_vot2018, write_vot2019

GOT10K = EmbeddedGOT10k(
    source="embedded", seed=3, width=120, height=90, train_sequences=4, train_frames=3, val_sequences=2, val_frames=4
)
OTB100 = EmbeddedOTB100(source="embedded", seed=3, width=120, height=90, sequences=5, frames=4)

DTB70 = EmbeddedDTB70(source="embedded", seed=3, width=120, height=90, sequences=3, frames=4)
VOT = EmbeddedVOT(source="embedded", seed=3, width=120, height=90, sequences=3, frames=6)
LASOT = EmbeddedLaSOT(source="embedded", seed=3, width=120, height=90, sequences=2, frames=40)
TRACKINGNET = EmbeddedTrackingNet(
    source="embedded", seed=3, width=120, height=90, train_sequences=3, train_frames=5, test_sequences=2, test_frames=4
)

WRITERS = {
    "got10k": (write_got10k, GOT10K),
    "otb100": (write_otb100, OTB100),
    "dtb70": (write_dtb70, DTB70),
    "vot2018": (write_vot2018, VOT),
    "vot2019": (write_vot2019, VOT),
    "lasot": (write_lasot, LASOT),
    "trackingnet": (write_trackingnet, TRACKINGNET),
}


def write_small(root: Path, workers: int, names: Iterable[str] = WRITERS) -> None:
    for name in names:
        write, spec = WRITERS[name]
        (root / name).mkdir(parents=True)
        write(root / name, spec, workers)


def tree_digest(root: Path) -> str:
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            sha.update(path.relative_to(root).as_posix().encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()


def image_hashes(root: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.jpg")}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("written")
    write_small(root, 1)
    return root


@pytest.mark.parametrize("name", ["got10k", "lasot", "trackingnet"])  # the three forms of lists and parts
def test_two_processes_write_the_bytes_of_one(written, tmp_path, name):
    write_small(tmp_path, 2, [name])
    assert tree_digest(tmp_path / name) == tree_digest(written / name)


def _cpu_features() -> str:
    """The instruction sets that this NumPy would choose at run time on this machine."""
    try:
        from numpy._core import _multiarray_umath as umath
    except ImportError:  # NumPy 1
        from numpy.core import _multiarray_umath as umath
    return " ".join(name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name))


def test_without_wide_simd_the_bytes_are_the_same(written, tmp_path):
    features = _cpu_features()
    if not features:
        pytest.skip("this NumPy has no dispatched instruction sets to switch off on this machine")
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_video_writers as writers\n"
        "root = pathlib.Path(sys.argv[2]); writers.write_small(root, 1)\n"
        "print(writers._cpu_features(), '|', writers.tree_digest(root))"
    )
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": features, "JSIMD_FORCENONE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path / "plain")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    left, right = run.stdout.split("|")
    assert left.strip() == ""  # they were off indeed
    assert right.strip() == tree_digest(written)


@pytest.mark.parametrize("name", WRITERS)
def test_another_seed_gives_other_pictures(written, tmp_path, name):
    write, spec = WRITERS[name]
    write(tmp_path, spec.model_copy(update={"seed": 4}), 1)
    assert not image_hashes(tmp_path) & image_hashes(written / name)


def test_no_two_benchmarks_share_a_picture_even_at_the_same_seed(written):
    hashes = [image_hashes(written / name) for name in WRITERS]
    assert sum(map(len, hashes)) == len(set().union(*hashes)) == len(list(written.rglob("*.jpg")))


@pytest.mark.parametrize(("split", "sequences", "frames"), [("train", 4, 3), ("val", 2, 4)])
def test_got10k_layout(written, split, sequences, frames):
    names = (written / "got10k" / split / "list.txt").read_text().split()
    assert names == [f"GOT-10k_{split.capitalize()}_{k + 1:06d}" for k in range(sequences)]
    for index, name in enumerate(names):
        folder = written / "got10k" / split / name
        images = sorted(folder.glob("*.jpg"))
        assert [image.name for image in images] == [f"{k + 1:08d}.jpg" for k in range(frames)]
        assert Image.open(images[0]).size == (120, 90)
        boxes = np.loadtxt(folder / "groundtruth.txt", delimiter=",")
        cover, absence, cut = (np.loadtxt(folder / f"{n}.label") for n in ("cover", "absence", "cut_by_image"))
        _, clip = play(3, f"got10k/{split}", index, (120, 90), frames)
        assert boxes.tolist() == [[x + 1, y + 1, w, h] for x, y, w, h in (frame.box for frame in clip)]
        assert cover.tolist() == [cover_level(frame.visible, frame.area) for frame in clip]
        assert ((cover == 0) == (absence == 1)).all()
        assert (cover[cut == 1] < 8).all()
        shown = np.asarray(Image.open(images[-1]).convert("RGB")).astype(int)
        assert np.abs(shown - clip[-1].image).mean() < 6  # the right frame, through JPEG
        info = configparser.ConfigParser()
        info.read(folder / "meta_info.ini")
        assert info["METAINFO"]["resolution"] == "(120, 90)"
        assert info["METAINFO"]["anno_fps"] == "10Hz"


def test_otb100_layout(written):
    root = written / "otb100"
    names = (root / "sequences.txt").read_text().split()
    assert len(set(names)) == 5
    assert {path.name for path in root.iterdir()} == {*names, "anno", "sequences.txt"}
    for index, name in enumerate(names):
        assert [p.name for p in sorted((root / name / "img").iterdir())] == [f"{k + 1:04d}.jpg" for k in range(4)]
        lines = (root / name / "groundtruth_rect.txt").read_text().splitlines()
        script, clip = play(3, "otb100/test", index, (120, 90), 4)
        boxes = [tuple(int(number) for number in line.split(",")) for line in lines]
        assert boxes == [(x + 1, y + 1, w, h) for x, y, w, h in (frame.box for frame in clip)]
        flags = (root / "anno" / "att" / f"{name}.txt").read_text().strip().split(",")
        assert dict(zip(ATTRIBUTES, (flag == "1" for flag in flags), strict=True)) == attributes(script, clip)


def test_dtb70_layout(written):
    root = written / "dtb70"
    names = (root / "sequences.txt").read_text().split()
    assert len(set(names)) == 3
    assert {path.name for path in root.iterdir()} == {*names, "att", "sequences.txt"}
    for index, name in enumerate(names):
        assert [p.name for p in sorted((root / name / "img").iterdir())] == [f"{k + 1:05d}.jpg" for k in range(4)]
        _, clip = play(3, "dtb70/test", index, (120, 90), 4, styles.DTB70)
        boxes = np.loadtxt(root / name / "groundtruth_rect.txt", delimiter=",", dtype=int)
        for (x, y, w, h), frame in zip(boxes, clip, strict=True):
            left, top, width, height = frame.box
            assert [x, y] == [max(left, 0) + 1, max(top, 0) + 1]
            assert [x + w, y + h] == [min(left + width, 120) + 1, min(top + height, 90) + 1]
        flags = (root / "att" / f"{name}.txt").read_text()
        assert re.fullmatch(r"[01](,[01]){10}\n", flags)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((3, 4, 5, 6), (4, 5, 5, 6)),
        ((-2, -3, 5, 6), (1, 1, 3, 3)),
        ((18, 8, 5, 6), (19, 9, 2, 2)),
        ((20, 4, 5, 6), (0, 0, 0, 0)),
        ((3, -6, 5, 6), (0, 0, 0, 0)),
    ],
)
def test_dtb70_boxes_end_with_the_picture(box, expected):
    assert dtb70.clipped(box, 20, 10) == expected


def test_lasot_layout(written):
    root = written / "lasot"
    names = (root / "testing_set.txt").read_text().split()
    assert len(set(names)) == 2
    for index, name in enumerate(names):
        folder = root / name.rsplit("-", 1)[0] / name
        assert [p.name for p in sorted((folder / "img").iterdir())] == [f"{k + 1:08d}.jpg" for k in range(40)]
        _, clip = play(3, "lasot/test", index, (120, 90), 40, styles.LASOT)
        boxes = np.loadtxt(folder / "groundtruth.txt", delimiter=",", dtype=int)
        hidden, away = (
            np.array([int(flag) for flag in (folder / f"{label}.txt").read_text().split(",")])
            for label in ("full_occlusion", "out_of_view")
        )
        assert not (hidden & away).any()
        for (x, y, w, h), gone, frame in zip(boxes, hidden | away, clip, strict=True):
            if gone:
                assert (x, y, w, h) == (0, 0, 0, 0)
                assert frame.visible < frame.area / 30
                continue
            assert x >= 1 and y >= 1 and x + w <= 121 and y + h <= 91
            left, top = x - 1 - frame.box[0], y - 1 - frame.box[1]
            assert frame.seen[top : top + h, left : left + w].sum() == frame.visible
        assert re.fullmatch(r"[01](,[01]){13}\n", (root / "att" / f"{name}.txt").read_text())


def test_trackingnet_layout(written):
    root = written / "trackingnet"
    for part, sequences, frames, rows in (("TRAIN_11", 3, 5, 5), ("TEST", 2, 4, 1)):
        names = sorted(path.stem for path in (root / part / "anno").iterdir())
        assert names == sorted(path.name for path in (root / part / "frames").iterdir())
        assert len(names) == sequences
        by_index = [video_name(3, f"trackingnet/{part.lower()}", index) for index in range(sequences)]
        assert sorted(by_index) == names
        for index, name in enumerate(by_index):
            assert re.fullmatch(r"[A-Za-z0-9_-]{11}_[0-2]", name)
            images = {path.name for path in (root / part / "frames" / name).iterdir()}
            assert images == {f"{k}.jpg" for k in range(frames)}
            boxes = np.loadtxt(root / part / "anno" / f"{name}.txt", delimiter=",", ndmin=2)
            split = f"trackingnet/{part.lower()}"
            _, clip = play(3, split, index, (120, 90), frames, styles.TRACKINGNET)
            assert boxes.tolist() == [list(frame.box) for frame in clip[:rows]]


@pytest.mark.parametrize(
    ("visible", "level"),
    [
        (0, 0),
        (1, 1),
        (15, 1),
        (16, 2),
        (30, 2),
        (31, 3),
        (45, 3),
        (60, 4),
        (75, 5),
        (90, 6),
        (91, 7),
        (99, 7),
        (100, 8),
    ],
)
def test_cover_levels_are_those_of_the_benchmark(visible, level):
    assert cover_level(visible, 100) == level


def test_every_attribute_occurs_and_none_is_everywhere():
    rows = []
    for index in range(60):
        script, frames = play(11, "attributes", index, (240, 180), 12)
        found = attributes(script, frames)
        assert tuple(found) == tuple(ATTRIBUTES)
        areas = np.array([w * h for _, _, w, h in (frame.box for frame in frames)])
        assert found["LR"] == (areas.min() < 400)
        assert found["SV"] == bool(np.abs(np.log2(areas / areas[0])).max() > 1)
        assert "illumination" not in script.staged or found["IV"]
        assert "deformation" not in script.staged or found["DEF"]
        assert found["BC"] == ("clutter" in script.staged)
        rows.append(list(found.values()))
    share = np.mean(rows, axis=0)
    assert (share > 0.03).all(), dict(zip(ATTRIBUTES, share, strict=True))
    assert (share < 0.9).all(), dict(zip(ATTRIBUTES, share, strict=True))


@pytest.mark.parametrize(
    ("module", "style", "clips", "frames"),
    [(dtb70, styles.DTB70, 40, 12), (lasot, styles.LASOT, 24, 60)],
    ids=["dtb70", "lasot"],
)
def test_every_attribute_of_the_other_benchmarks_occurs_and_none_is_everywhere(module, style, clips, frames):
    rows = []
    for index in range(clips):
        script, clip = play(12, "attributes", index, (240, 180), frames, style)
        found = module.attributes(script, clip)
        shapes = np.array([frame.box[2:] for frame in clip])
        assert found["SV"] == bool(np.abs(np.log2(shapes.prod(axis=1) / shapes[0].prod())).max() > 1)
        aspect = np.log2(shapes[:, 0] / shapes[:, 1])
        assert found["ARV" if module is dtb70 else "ARC"] == bool(np.abs(aspect - aspect[0]).max() > 1)
        if module is lasot:
            assert found["FOC"] == any(frame.buried for frame in clip)
            assert found["OV"] == any(frame.away for frame in clip)
            assert found["POC"] or not found["FOC"]
        rows.append(list(found.values()))
    share = np.mean(rows, axis=0)
    told = dict(zip(module.ATTRIBUTES, share, strict=True))
    assert (share > 0.02).all(), told
    assert (share < 0.9).all(), told


def test_progress_counts_every_sequence(tmp_path):
    seen: list[tuple[int, int]] = []
    write_otb100(tmp_path, OTB100, 1, lambda done, total: seen.append((done, total)))
    assert seen == [(k, 5) for k in range(1, 6)]


def test_a_full_or_forbidden_disk_is_reported_by_the_system(tmp_path):
    (tmp_path / "anno").write_text("a file where a folder belongs")
    with pytest.raises(OSError):
        write_otb100(tmp_path, OTB100, 1)
