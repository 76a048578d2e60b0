"""Shards of crops: what they hold, that they do not depend on who made them, and what becomes of a killed build."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from distillery import cli
from distillery.config.pairs import Shards
from distillery.config.shards import ShardJob, ShardSource
from distillery.engine.memory import keep_freed_memory
from distillery.errors import UserError
from distillery.tracking import crop_shards, shard_writer
from distillery.tracking.crop_shards import build_shards
from distillery.tracking.crops import context_side
from distillery.tracking.shard_store import INNER, OUTER, open_shards
from training_layouts import WRITERS, annotation, link, vid_object, write_image

INNER_SIDE, OUTER_SIDE = 144, 255


def job(*names: str, **shards: Any) -> ShardJob:
    sources = tuple(ShardSource(name=name) for name in names)  # type: ignore[arg-type]
    crops = {"crops": 6} | shards
    return ShardJob(
        exemplar=127, context=0.5, inner=INNER_SIDE, outer=OUTER_SIDE, sources=sources, shards=Shards(**crops)
    )


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return {name: link(name, write(folder / "source" / name), folder / "data") for name, write in WRITERS.items()}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def own(manifest: Path, folder: Path) -> Path:
    """A copy of a linked set that may be damaged."""
    source = folder / "own" / manifest.stem
    shutil.copytree(manifest.with_suffix("").resolve(), source)
    return link(manifest.stem, source, folder / "own-data")


def test_the_number_of_processes_does_not_change_a_byte(manifests: dict[str, Path], tmp_path: Path) -> None:
    asked = job(*WRITERS)
    for workers in (1, 2):
        build_shards(asked, list(manifests.values()), tmp_path / str(workers) / "shards", workers=workers)
    one = tree(tmp_path / "1")
    assert one == tree(tmp_path / "2")
    assert sum(name.endswith(".jpegs") for name in one) == 7  # a snippet each, and two of YouTube-BB
    content = json.loads(one["shards.json"])
    counts = {name: about["counts"] for name, about in content["sets"].items()}
    assert {name: count["crops"] for name, count in counts.items()} == {"vid": 24, "det": 4, "coco": 3, "youtube_bb": 6}
    assert counts["youtube_bb"]["missing"] == 2
    assert all(about["skipped"] == [] for about in content["sets"].values())
    assert str(tmp_path) not in one["shards.json"].decode()


def test_a_crop_shows_the_target_in_its_middle(tmp_path: Path) -> None:
    """A white box on black, whose place in the crop the index tells."""
    root = tmp_path / "source"
    for frame, (x1, y1, x2, y2) in enumerate(((60, 40, 99, 69), (61, 41, 98, 70))):
        image = np.zeros((120, 160, 3), np.uint8)
        image[y1 : y2 + 1, x1 : x2 + 1] = 255
        name = f"ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/{frame:06d}"
        write_image(root / f"Data/VID/train/{name}.JPEG", image)
        file = root / f"Annotations/VID/train/{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(annotation(vid_object(0, (x1, y1, x2, y2), occluded=frame)))
    build_shards(job("vid"), [link("vid", root, tmp_path / "data")], tmp_path / "shards")
    _, sets = open_shards(tmp_path / "shards.json")
    opened = sets["vid"]
    assert (opened.videos, opened.tracks_of(0), opened.crops_of(0)) == (1, (0, 1), (0, 2))
    scale = 127 / context_side(40, 30, 0.5)
    assert opened.size(0) == pytest.approx((40 * scale, 30 * scale), rel=1e-6)
    for which in (INNER, OUTER):
        image, (x, y), step = opened.read(0, which)
        bright = image[..., 0] > 128
        rows, columns = np.nonzero(bright)
        assert (columns.mean(), rows.mean()) == pytest.approx((x, y), abs=0.15)
        assert bright.sum() == pytest.approx(40 * 30 * scale**2 * step**2, rel=0.04)
    assert opened.border(0) == pytest.approx([255 * 1200 / (160 * 120)] * 3, abs=1)
    shard = opened._shards[0]
    left, top, right, bottom = shard.box[0].tolist()
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx([(OUTER_SIDE - 1) / 2] * 2)
    assert right - left == pytest.approx(40 * scale * (OUTER_SIDE - 1) / OUTER_SIDE, rel=1e-5)


def test_colours_are_rgb(manifests: dict[str, Path], tmp_path: Path) -> None:
    manifest = own(manifests["det"], tmp_path)
    for file in (tmp_path / "own").rglob("*.JPEG"):
        write_image(file, np.full((120, 160, 3), (10, 60, 200), np.uint8))  # BGR
    manifest = link("det", tmp_path / "own/det", tmp_path / "own-data")
    build_shards(job("det"), [manifest], tmp_path / "shards")
    opened = open_shards(tmp_path / "shards.json")[1]["det"]
    assert np.abs(opened.read(0, OUTER).image.mean((0, 1)) - [200, 60, 10]).max() < 2
    assert opened.border(0) == pytest.approx((200, 60, 10), abs=2)


def test_occluded_and_small_objects_may_be_left_out(manifests: dict[str, Path], tmp_path: Path) -> None:
    asked = job("vid").model_copy(update={"sources": (ShardSource(name="vid", occluded=False, smallest=31.0),)})
    counts = build_shards(asked, [manifests["vid"]], tmp_path / "shards")["sets"]["vid"]["counts"]
    # Of each snippet: the first object's sides are 40 and 30, the second's 32 and 41 and more.
    assert (counts["crops"], counts["tracks"]) == (9, 3)
    asked = job("vid").model_copy(update={"sources": (ShardSource(name="vid", occluded=False),)})
    assert build_shards(asked, [manifests["vid"]], tmp_path / "shards")["sets"]["vid"]["counts"]["crops"] == 21


class TestResume:
    def test_whole_shards_are_kept_and_others_made_again(
        self, manifests: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "shards"
        build_shards(job("vid"), [manifests["vid"]], out)
        whole = tree(tmp_path)
        (tmp_path / "shards.json").unlink()
        damaged = out / "vid/shard-00000.jpegs"
        damaged.write_bytes(damaged.read_bytes()[:-9] + b"123456789")
        (out / "vid/shard-00001.safetensors").unlink()
        (out / "vid/.shard-00001.77.tmp.jpegs").write_bytes(b"half")
        (out / "vid/shard-00009.jpegs").write_bytes(b"of an earlier set")
        (out / "vid/notes.txt").write_text("mine")
        made: list[str] = []
        write = shard_writer.write_shard
        monkeypatch.setattr(shard_writer, "write_shard", lambda task: made.append(task.base.name) or write(task))
        build_shards(job("vid"), [manifests["vid"]], out)
        assert made == ["shard-00000", "shard-00001"]
        assert tree(tmp_path) == whole | {"shards/vid/notes.txt": b"mine"}
        made.clear()
        build_shards(job("vid", on_corrupt="fail"), [manifests["vid"]], out)  # asks for the same bytes
        assert made == []
        build_shards(job("vid", quality=80), [manifests["vid"]], out)
        assert len(made) == 3

    def test_a_changed_set_is_made_again(self, manifests: dict[str, Path], tmp_path: Path) -> None:
        manifest = own(manifests["coco"], tmp_path)
        before = build_shards(job("coco"), [manifest], tmp_path / "shards")
        image = next((tmp_path / "own").rglob("*.jpg"))
        write_image(image, 255 - cv2.imread(str(image)))
        after = build_shards(
            job("coco"), [link("coco", tmp_path / "own/coco", tmp_path / "own-data")], tmp_path / "shards"
        )
        assert before["sets"]["coco"]["shards"][0]["sha256"] != after["sets"]["coco"]["shards"][0]["sha256"]

    def test_a_build_that_is_killed_goes_on(self, manifests: dict[str, Path], tmp_path: Path) -> None:
        """kill -9 as soon as the first shard is whole, with a process at work that must end too."""
        expected = tmp_path / "expected"
        build_shards(job("vid", crops=1), [manifests["vid"]], expected / "shards")
        out = tmp_path / "killed/shards"
        call = ["crop-shards", "--params", job("vid", crops=1).model_dump_json(), "--data", str(manifests["vid"])]
        slow = (
            "import sys, time\n"
            "from distillery import cli\n"
            "from distillery.tracking import crop_shards, shard_writer\n"
            "write = shard_writer.write_shard\n"
            "shard_writer.write_shard = lambda task: [write(task), time.sleep(30)][0]\n"
            "sys.exit(cli.main(sys.argv[1:]))\n"
        )
        process = subprocess.Popen([sys.executable, "-c", slow, *call, "--out", str(out)], stderr=subprocess.DEVNULL)
        first = out / "vid/shard-00000.safetensors"
        deadline = time.monotonic() + 60
        while not first.is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.with_name("shards.json").exists()
        kept = first.stat().st_mtime_ns
        assert cli.main([*call, "--out", str(out)]) == 0
        assert first.stat().st_mtime_ns == kept
        assert tree(tmp_path / "killed") == tree(expected)


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from distillery.tracking.crop_shards import _begin_process\n"
        "if __name__ == '__main__':\n"
        "    pool = ProcessPoolExecutor(1, mp_context=get_context('spawn'), initializer=_begin_process)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _lives(child):
        time.sleep(0.05)
    assert not _lives(child)


class _Deadly:
    """Ends the process in which it is unpickled."""

    def __call__(self, task: object) -> None:
        raise AssertionError("called in this process")

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


class TestCorrupt:
    @pytest.fixture
    def damaged(self, manifests: dict[str, Path], tmp_path: Path) -> Path:
        """VID with a truncated image and one that is no image."""
        own(manifests["vid"], tmp_path)
        first, second = sorted((tmp_path / "own").rglob("*.JPEG"))[1:8:6]
        first.write_bytes(first.read_bytes()[:-200])
        second.write_bytes(b"no image")
        return link("vid", tmp_path / "own/vid", tmp_path / "own-data")

    def test_is_named_and_skipped(self, damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        asked = job("vid", most_corrupt=0.2).model_dump_json()
        call = ["crop-shards", "--params", asked, "--data", str(damaged), "--out", str(tmp_path / "shards")]
        assert cli.main(call) == 0
        about = json.loads((tmp_path / "shards.json").read_text())["sets"]["vid"]
        assert [problem for _, problem in about["skipped"]] == ["is truncated", "is not a JPEG or PNG image"]
        assert about["skipped"][0][0].endswith("ILSVRC2015_train_00000000/000001.JPEG")
        assert (about["counts"]["skipped"], about["counts"]["images"], about["counts"]["crops"]) == (2, 15, 20)
        printed = capsys.readouterr().out
        assert "20 crops of 6 objects in 3 videos" in printed
        assert "000001.JPEG is truncated" in printed

    def test_too_many_are_an_error(self, damaged: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"2 of 15 images do not decode.*000001\.JPEG.*most_corrupt"):
            build_shards(job("vid", most_corrupt=0.1), [damaged], tmp_path / "shards")
        assert not (tmp_path / "shards.json").exists()

    def test_may_be_an_error_each(self, damaged: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"000001\.JPEG: is truncated"):
            build_shards(job("vid", on_corrupt="fail"), [damaged], tmp_path / "shards")
        assert not (tmp_path / "shards.json").exists()
        assert not list((tmp_path / "shards/vid").glob(".*"))

    def test_a_lost_image_is_corrupt_but_not_of_youtube(self, manifests: dict[str, Path], tmp_path: Path) -> None:
        manifest = own(manifests["coco"], tmp_path)
        content = json.loads(manifest.read_text())
        image = sorted((tmp_path / "own").rglob("*.jpg"))[0]
        image.unlink()
        manifest.write_text(json.dumps(content | {"files": {}}))
        with pytest.raises(UserError, match=r"1 of 3 images.*000000000009\.jpg"):
            build_shards(job("coco"), [manifest], tmp_path / "shards")


class TestRefusals:
    def test_sets_and_manifests_belong_together(self, manifests: dict[str, Path], tmp_path: Path) -> None:
        for given in ([manifests["vid"]], [manifests["vid"], manifests["det"]], [manifests["coco"]] * 2):
            with pytest.raises(UserError, match=r"--data: gives .*the job's sets are vid, coco"):
                build_shards(job("vid", "coco"), given, tmp_path / "shards")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_in_the_way(self, manifests: dict[str, Path], tmp_path: Path) -> None:
        (tmp_path / "shards").write_text("mine")
        with pytest.raises(UserError, match="is a file"):
            build_shards(job("det"), [manifests["det"]], tmp_path / "shards")
        assert (tmp_path / "shards").read_text() == "mine"

    def test_nothing_to_learn_from(self, manifests: dict[str, Path], tmp_path: Path) -> None:
        asked = job("det").model_copy(update={"sources": (ShardSource(name="det", smallest=1000.0),)})
        with pytest.raises(UserError, match="has no object that can be learnt from"):
            build_shards(asked, [manifests["det"]], tmp_path / "shards")

    def test_a_process_that_dies(
        self, manifests: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(crop_shards, "make_shard", _Deadly())
        with pytest.raises(UserError, match=r"a process that makes crops died.*finished shards are kept"):
            build_shards(job("det"), [manifests["det"]], tmp_path / "shards", workers=2)


def test_memory_is_reused_where_the_library_can() -> None:
    assert keep_freed_memory() in (True, False)
