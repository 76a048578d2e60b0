"""The writers: official layouts, consistent labels, and bytes that do not depend on the number of processes."""

from __future__ import annotations

import configparser
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distillery.config.data import EmbeddedGOT10k, EmbeddedOTB100
from distillery.data.worlds.got10k import cover_level, write_got10k
from distillery.data.worlds.otb100 import ATTRIBUTES, attributes, write_otb100
from distillery.data.worlds.video import play

GOT10K = EmbeddedGOT10k(
    source="embedded", seed=3, width=120, height=90, train_sequences=4, train_frames=3, val_sequences=2, val_frames=4
)
OTB100 = EmbeddedOTB100(source="embedded", seed=3, width=120, height=90, sequences=5, frames=4)


def write_small(root: Path, workers: int) -> None:
    for name, write, spec in (("got10k", write_got10k, GOT10K), ("otb100", write_otb100, OTB100)):
        (root / name).mkdir(parents=True)
        write(root / name, spec, workers)


def tree_digest(root: Path) -> str:
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            sha.update(path.relative_to(root).as_posix().encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("written")
    write_small(root, 1)
    return root


def test_two_processes_write_the_bytes_of_one(written, tmp_path):
    write_small(tmp_path / "two", 2)
    assert tree_digest(tmp_path / "two") == tree_digest(written)


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


def test_another_seed_gives_other_bytes(written, tmp_path):
    write_otb100(tmp_path, OTB100.model_copy(update={"seed": 4}), 1)
    assert tree_digest(tmp_path) != tree_digest(written / "otb100")


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
        assert tuple(found) == ATTRIBUTES
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


def test_progress_counts_every_sequence(tmp_path):
    seen: list[tuple[int, int]] = []
    write_otb100(tmp_path, OTB100, 1, lambda done, total: seen.append((done, total)))
    assert seen == [(k, 5) for k in range(1, 6)]


def test_a_full_or_forbidden_disk_is_reported_by_the_system(tmp_path):
    (tmp_path / "anno").write_text("a file where a folder belongs")
    with pytest.raises(OSError):
        write_otb100(tmp_path, OTB100, 1)
