"""The readers of the training sets on their official layouts, and on what is wrong with them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from distillery import datasets
from distillery.errors import UserError
from distillery.tracking.benchmarks import got10k
from distillery.tracking.boxes import xywh_to_centre
from distillery.tracking.training_sets import registry
from distillery.tracking.training_sets.base import Video
from distillery.tracking.usable import usable_frames
from training_layouts import SIZE, WRITERS, annotation, vid_object, write_coco, write_det, write_vid, write_youtube_bb


def read(name: str, root: Path) -> list[Video]:
    return list(registry.load(name, root).videos())


class TestVid:
    def test_tracks_are_runs_of_frames(self, tmp_path: Path) -> None:
        videos = read("vid", write_vid(tmp_path))
        assert [video.name for video in videos] == [
            "ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000",
            "ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000002",
            "ILSVRC2015_VID_train_0001/ILSVRC2015_train_00000001",
        ]
        video = videos[0]
        assert video.images[3] == "Data/VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000003.JPEG"
        assert (tmp_path / video.images[3]).is_file()
        assert video.frames.tolist() == [0, 1, 2, 3, 4]
        first, second = video.tracks
        assert (first.name, first.rows.tolist()) == ("00", [0, 1, 2, 3, 4])
        assert first.occluded.tolist() == [False, True, False, False, False]
        assert first.generated.tolist() == [False, True, False, True, False]
        assert first.boxes[1].tolist() == [26, 30, 40, 30]
        assert xywh_to_centre(first.boxes[1])[:2].tolist() == [(26 + 65) / 2, (30 + 59) / 2]  # as pysot's
        assert (second.name, second.rows.tolist()) == ("01", [0, 1, 2])  # the lonely last frame makes no pair

    def test_an_object_that_comes_back_is_another_track(self, tmp_path: Path) -> None:
        write_vid(tmp_path, snippets=1, frames=7)
        folder = next((tmp_path / "Annotations/VID/train").glob("*/*"))
        (folder / "000003.xml").write_text(annotation(""))
        tracks = read("vid", tmp_path)[0].tracks
        assert [(track.name, track.rows.tolist()) for track in tracks] == [
            ("00", [0, 1, 2]),
            ("00.1", [4, 5, 6]),
            ("01", [0, 1, 2]),
        ]

    def test_links_beside_the_official_folders_are_no_other_snippets(self, tmp_path: Path) -> None:
        write_vid(tmp_path, snippets=1)
        part = tmp_path / "Annotations/VID/train/ILSVRC2015_VID_train_0000"
        part.with_name("a").symlink_to(part)
        assert len(read("vid", tmp_path)) == 1

    def test_faults_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"Annotations/VID/train.*does not exist"):
            registry.load("vid", tmp_path)
        write_vid(tmp_path, snippets=1)
        file = next(tmp_path.rglob("000002.xml"))
        file.write_text("<annotation>")
        with pytest.raises(UserError, match=r"000002\.xml.*not valid XML"):
            read("vid", tmp_path)
        shutil.rmtree(file.parent)
        with pytest.raises(UserError, match="has no folder ILSVRC2015_VID_train_0000 with snippets"):
            registry.load("vid", tmp_path)


class TestDet:
    def test_objects_are_still_tracks(self, tmp_path: Path) -> None:
        videos = read("det", write_det(tmp_path))
        assert [video.name for video in videos] == [
            "ILSVRC2013_train/n01443537/image_0000",
            "ILSVRC2013_train/n01443537/image_0002",
            "ILSVRC2014_train_0000/image_0001",
        ]
        assert videos[0].images == ("Data/DET/train/ILSVRC2013_train/n01443537/image_0000.JPEG",)
        assert [track.boxes.tolist() for track in videos[0].tracks] == [[[10, 20, 31, 41]], [[80, 20, 31, 41]]]

    def test_without_annotations(self, tmp_path: Path) -> None:
        for kind in ("Annotations", "Data"):
            (tmp_path / kind / "DET/train").mkdir(parents=True)
        with pytest.raises(UserError, match="has no annotation below"):
            registry.load("det", tmp_path)


class TestCoco:
    def test_images_in_the_order_of_the_file_without_crowds(self, tmp_path: Path) -> None:
        videos = read("coco", write_coco(tmp_path))
        assert [video.name for video in videos] == [f"{number:012d}" for number in (9, 10, 11, 12)]
        assert [len(video.tracks) for video in videos] == [1, 1, 1, 0]
        assert videos[0].images == ("train2017/000000000009.jpg",)
        assert (videos[0].tracks[0].name, videos[0].tracks[0].boxes.tolist()) == ("1000", [[30.5, 40.25, 40.0, 30.5]])

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"bbox": [1, 2, 3]}, "has no bbox of four numbers"),
            ({"bbox": [1, 2, 3, "4"]}, "has no bbox"),
            ({"bbox": [1, 2, 3, 1e12]}, "has no bbox"),
            ({"image_id": 77}, "annotates image 77, which it does not list"),
            ({"image_id": 1.5}, "has no whole number 'image_id'"),
            ({"id": 2**70}, "has no whole number 'id'"),
        ],
    )
    def test_faulty_annotations(self, tmp_path: Path, change: dict[str, object], problem: str) -> None:
        file = write_coco(tmp_path) / "annotations/instances_train2017.json"
        content = json.loads(file.read_text())
        content["annotations"][0] |= change
        file.write_text(json.dumps(content))
        with pytest.raises(UserError, match=rf"instances_train2017\.json.*{problem}"):
            registry.load("coco", tmp_path)

    @pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "a/b.jpg", "", "..", 7])
    def test_no_other_file_is_named(self, tmp_path: Path, name: object) -> None:
        file = write_coco(tmp_path) / "annotations/instances_train2017.json"
        content = json.loads(file.read_text())
        content["images"][1]["file_name"] = name
        file.write_text(json.dumps(content))
        with pytest.raises(UserError, match="has no plain file name"):
            registry.load("coco", tmp_path)


class TestYoutubeBB:
    def test_objects_by_video_and_class(self, tmp_path: Path) -> None:
        videos = read("youtube_bb", write_youtube_bb(tmp_path))
        assert [video.name for video in videos] == ["5/AAB6lO-XiKE", "5/NA_1", "5/gone1234567"]
        video = videos[0]
        assert video.relative
        assert video.frames.tolist() == [238000, 240000, 241000]
        assert video.images[1] == "yt_bb_detection_train/5/AAB6lO-XiKE_240000_5_0.jpg"
        assert (tmp_path / video.images[1]).is_file()
        assert np.allclose(video.tracks[0].boxes[1], [0.4, 0.25, 0.3, 0.5])

    def test_a_packed_table_under_its_other_name(self, tmp_path: Path) -> None:
        plain = read("youtube_bb", write_youtube_bb(tmp_path))
        table = tmp_path / "yt_bb_detection_train.csv"
        (tmp_path / "youtube_boundingboxes_detection_train.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
        table.unlink()
        assert [video.images for video in read("youtube_bb", tmp_path)] == [video.images for video in plain]

    def test_rows_in_any_order_and_twice(self, tmp_path: Path) -> None:
        plain = read("youtube_bb", write_youtube_bb(tmp_path))
        table = tmp_path / "yt_bb_detection_train.csv"
        rows = table.read_text().splitlines()
        table.write_text("\n".join([*rows[:1], *rows[:0:-1], rows[2]]) + "\n")
        found = {video.name: video for video in read("youtube_bb", tmp_path)}
        for video in plain:
            other = found[video.name]
            assert other.frames[other.tracks[0].rows].tolist() == video.frames.tolist()
            assert np.array_equal(other.tracks[0].boxes, video.tracks[0].boxes)

    @pytest.mark.parametrize(
        ("row", "problem"),
        [
            ("AAB6lO-XiKE,0,5,cat,0,present,0.1,0.2,0.3", "line 3.*has 9 cells"),
            ("AAB6lO-XiKE,x,5,cat,0,present,0.1,0.2,0.3,0.4", "line 3.*has timestamp_ms 'x'"),
            ("AAB6lO-XiKE,0,5,cat,0,present,0.1,,0.3,0.4", "line 3.*has xmax ''"),
            ("AAB6lO-XiKE,0,5,cat,0,present,0.1,inf,0.3,0.4", "line 3.*has xmax 'inf'"),
            ("../../../etc,0,5,cat,0,present,0.1,0.2,0.3,0.4", "line 3.*has no YouTube id"),
            ("AAB6lO-XiKE,0,5,cat,99999999999999999999,present,0.1,0.2,0.3,0.4", "line 3.*object_id"),
        ],
    )
    def test_faulty_rows_are_named(self, tmp_path: Path, row: str, problem: str) -> None:
        table = write_youtube_bb(tmp_path) / "yt_bb_detection_train.csv"
        rows = table.read_text().splitlines()
        table.write_text("\n".join([*rows[:2], row, *rows[2:]]) + "\n")
        with pytest.raises(UserError, match=rf"yt_bb_detection_train\.csv, {problem}"):
            registry.load("youtube_bb", tmp_path)

    def test_a_truncated_archive_and_no_table(self, tmp_path: Path) -> None:
        table = write_youtube_bb(tmp_path) / "yt_bb_detection_train.csv"
        packed = gzip.compress(table.read_bytes())
        table.unlink()
        with pytest.raises(UserError, match=r"has no youtube_boundingboxes_detection_train\.csv"):
            registry.load("youtube_bb", tmp_path)
        table.with_suffix(".csv.gz").write_bytes(packed[:-20])
        with pytest.raises(UserError, match="truncated or not a table"):
            registry.load("youtube_bb", tmp_path)


def test_got10k_gives_the_frames_that_trackers_learn_from(tmp_path: Path) -> None:
    spec = {"source": "embedded", "seed": 3, "train_sequences": 2, "train_frames": 5, "val_sequences": 1}
    datasets.make("got10k", json.dumps(spec | {"val_frames": 2}), tmp_path / "got10k.json")
    clips = got10k.load(tmp_path / "got10k", "train")
    for clip, video in zip(clips, read("got10k", tmp_path / "got10k"), strict=True):
        (track,) = video.tracks
        assert track.rows.tolist() == usable_frames(clip).tolist()
        assert np.array_equal(track.boxes, clip.truth[track.rows] - [1, 1, 0, 0])  # its files count from 1
        assert tmp_path / "got10k" / video.images[0] == clip.frames[0]


def test_an_unknown_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown training set 'lasot'"):
        registry.load("lasot", tmp_path)


class TestCheck:
    @pytest.mark.parametrize("name", WRITERS)
    def test_a_whole_set(self, name: str, tmp_path: Path) -> None:
        report = datasets.check(name, WRITERS[name](tmp_path / name))
        assert report.ok, report.faults
        assert report.counts["videos"] == {"vid": 3, "det": 3, "coco": 4, "youtube_bb": 3}[name]
        assert report.counts["boxes"] == {"vid": 24, "det": 4, "coco": 3, "youtube_bb": 8}[name]
        assert report.decoded == {"vid": 15, "det": 3, "coco": 4, "youtube_bb": 6}[name]
        if name == "youtube_bb":
            assert report.oddities["frame_of_no_video"].seen == 2

    def test_what_is_missing_damaged_and_odd(self, tmp_path: Path) -> None:
        root = write_vid(tmp_path)
        first, second = sorted(root.rglob("*.JPEG"))[:2]
        first.unlink()
        second.write_bytes(second.read_bytes()[:200])
        file = sorted(root.rglob("*.xml"))[2]
        file.write_text(annotation(vid_object(0, (5, 5, 5, 9)) + vid_object(1, (90, 20, SIZE[0] + 30, 60))))
        report = datasets.check("vid", root)
        assert sum("000000.JPEG" in fault for fault in report.faults) == 1
        assert sum("000001.JPEG" in fault for fault in report.faults) == 1
        assert report.oddities["empty_box"].seen == 1

    def test_a_malformed_annotation_ends_it(self, tmp_path: Path) -> None:
        root = write_det(tmp_path)
        next(root.rglob("*.xml")).write_text("<annotation><object/></annotation>")
        report = datasets.check("det", root)
        assert any("has an object without bndbox/xmin" in fault for fault in report.faults)
