"""Predictions of networks, teacher and baseline, and images for the networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from distillery import cli
from distillery.config.search_jobs import SearchJob
from distillery.config.search_network import Resize
from distillery.errors import UserError
from distillery.person_search.benchmarks import cuhk_sysu
from distillery.person_search.benchmarks.base import SearchImage
from distillery.person_search.dataset import (
    ImageStore,
    as_input,
    augmented,
    crop,
    jittered,
    load_resized,
    order,
    training_batch,
)
from distillery.person_search.inference import BATCH, search
from distillery.person_search.predictions import Detections, read_any_predictions, read_predictions
from distillery.person_search.reid_training import train_reid
from distillery.person_search.scoring import score
from person_search.builders import write_prw_root
from person_search.search_jobs import COMPUTE, NAME, dataset, reid_training, search_training, train_one
from person_search.search_jobs import student as one_student

JOB = SearchJob(compute=COMPUTE)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def student(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "student.safetensors"
    train_one(search_training(), manifest, None, path)
    return path


def test_student_detects_describes_and_is_scored(manifest, student, tmp_path):
    root, results = manifest.with_suffix(""), tmp_path / "r.npz"
    search(student, root, {"cuhk_sysu": results}, JOB)
    found = read_predictions(results)
    assert set(found.gallery_image) <= {"s3.jpg", "s4.jpg", "s5.jpg", "s6.jpg"} and len(found.gallery_image)
    # Boxes are in pixels of the file, although the network sees half of them.
    assert found.gallery_box[:, [0, 2]].max() <= 300.01 and found.gallery_box[:, 2].max() > 160
    np.testing.assert_allclose(np.linalg.norm(found.gallery_feature, axis=1), 1, rtol=1e-5)
    assert found.query_feature.shape == (2, 8)
    index = json.loads(results.with_suffix(".json").read_text())
    assert index["images"] == 4 and index["images_per_second"] == pytest.approx(4 / index["seconds"])
    assert set(index["inputs"]) == {"checkpoint"} and index["score_weighting"] is False
    assert 0 <= score(root, results)["numbers"]["map"] <= 1
    again = tmp_path / "again.npz"
    search(student, root, {"cuhk_sysu": again}, JOB)
    assert again.read_bytes() == results.read_bytes()


def test_true_boxes_describe_the_query_as_the_query(manifest, student, tmp_path):
    root, results = manifest.with_suffix(""), tmp_path / "r.npz"
    search(student, root, {"cuhk_sysu": results}, JOB.model_copy(update={"true_boxes": True}))
    found = read_predictions(results)
    assert len(found.gallery_image) == 6 and bool((found.gallery_score == 1).all())
    # Both queries stand in pool images: the same box must have the same feature.
    for row, query in enumerate(cuhk_sysu.load_protocol(root, 2).queries):
        same = (found.gallery_image == query.image) & np.isclose(found.gallery_box, query.box, atol=1e-3).all(1)
        np.testing.assert_allclose(found.gallery_feature[same], found.query_feature[row : row + 1], atol=1e-5)
    assert score(root, results)["numbers"]["recall"] == 1


def test_true_boxes_beside_the_detections_are_those_of_a_run_of_their_own(manifest, student, tmp_path):
    root = manifest.with_suffix("")
    for name, change in (("both", {}), ("given", {"true_boxes": True}), ("alone", {"beside": False})):
        search(student, root, {"cuhk_sysu": tmp_path / f"{name}.npz"}, JOB.model_copy(update=change))
    both, given, alone = (read_predictions(tmp_path / f"{name}.npz") for name in ("both", "given", "alone"))
    assert given.true_image is None and alone.true_image is None
    people = both.on_true_boxes()
    assert people is not None
    for name in ("gallery_image", "gallery_box", "gallery_feature", "query_feature"):
        np.testing.assert_array_equal(getattr(both, name), getattr(alone, name))
    assert people.gallery_image.tolist() == given.gallery_image.tolist()
    np.testing.assert_allclose(people.gallery_box, given.gallery_box, rtol=1e-5)  # scaled there and back
    np.testing.assert_allclose(people.gallery_feature, given.gallery_feature, atol=1e-6)
    second = score(root, tmp_path / "both.npz")["on_true_boxes"]
    assert second["map"] == score(root, tmp_path / "given.npz")["numbers"]["map"]


def test_teacher_describes_true_boxes(manifest, tmp_path):
    train_reid(reid_training(), manifest, tmp_path / "teacher.safetensors")
    search(tmp_path / "teacher.safetensors", manifest.with_suffix(""), {"cuhk_sysu": tmp_path / "r.npz"}, JOB)
    found = read_predictions(tmp_path / "r.npz")
    assert len(found.gallery_image) == 6 and bool((found.gallery_score == 1).all())
    assert json.loads((tmp_path / "r.json").read_text())["true_boxes"] is True


def test_histogram_baseline(manifest, tmp_path):
    search("histogram", manifest.with_suffix(""), {"cuhk_sysu": tmp_path / "r.npz"}, JOB)
    assert score(manifest.with_suffix(""), tmp_path / "r.npz")["numbers"]["map"] == 1
    assert json.loads((tmp_path / "r.json").read_text())["images"] == 4


def test_first_queries_alone(manifest, student, tmp_path):
    root, job = manifest.with_suffix(""), JOB.model_copy(update={"queries": 1})
    search(student, root, {"cuhk_sysu": tmp_path / "all.npz"}, JOB)
    for model in (student, "histogram"):
        search(model, root, {"cuhk_sysu": tmp_path / "r.npz"}, job)
        found = read_predictions(tmp_path / "r.npz")
        assert len(found.query_feature) == 2 and np.isnan(found.query_feature[1]).all()
        assert json.loads((tmp_path / "r.json").read_text())["queries"] == 1
        with pytest.raises(UserError, match="NaN in 1 rows"):
            score(root, tmp_path / "r.npz")
        assert score(root, tmp_path / "r.npz", allow_partial=True)["counts"]["queries"] == 1
        if model == student:
            every = read_predictions(tmp_path / "all.npz")
            assert np.array_equal(found.query_feature[0], every.query_feature[0])
            assert np.array_equal(found.gallery_feature, every.gallery_feature)


def test_detector_writes_detections_alone(manifest, tmp_path):
    detector, root = tmp_path / "detector.safetensors", manifest.with_suffix("")
    parameters = search_training(method="detector", students={NAME: one_student(identification=None)})
    train_one(parameters, manifest, None, detector)
    search(detector, root, {"cuhk_sysu": tmp_path / "r.npz"}, JOB)
    found = read_any_predictions(tmp_path / "r.npz")
    assert type(found) is Detections and len(found.gallery_image)
    numbers = score(root, tmp_path / "r.npz")["numbers"]
    assert set(numbers) == {"ap", "recall"}
    index = json.loads((tmp_path / "r.json").read_text())
    assert index["model"] == "detector" and index["queries"] == 0 and "id features" not in index["timed"]
    with pytest.raises(UserError, match="is a detector, which says nothing about given boxes"):
        search(detector, root, {"cuhk_sysu": tmp_path / "t.npz"}, JOB.model_copy(update={"true_boxes": True}))
    assert not (tmp_path / "t.npz").exists()


@pytest.mark.parametrize("model", ["network", "histogram"])
def test_one_pass_serves_prw_and_prw_mini(student, tmp_path, model, monkeypatch):
    root = write_prw_root(tmp_path / "prw")
    read: list[str] = []
    original = load_resized
    monkeypatch.setattr(
        "distillery.person_search.gallery.load_resized",
        lambda image, resize: (read.append(image.name), original(image, resize))[1],
    )
    targets = {name: tmp_path / f"{name}.npz" for name in ("prw", "prw_mini")}
    search(student if model == "network" else model, root, targets, JOB)
    whole, mini = (read_predictions(targets[name]) for name in targets)
    assert len(whole.query_feature) == 3 and len(mini.query_feature) == 1
    assert np.array_equal(whole.query_feature[1], mini.query_feature[0])
    assert np.array_equal(whole.gallery_feature, mini.gallery_feature) and len(whole.gallery_image)
    if model == "network":
        assert sorted(read) == sorted(set(read)) and len(read) == 5
    for name in targets:
        assert json.loads(targets[name].with_suffix(".json").read_text())["benchmark"] == name
        assert 0 <= score(root, targets[name], benchmark=name)["numbers"]["map"] <= 1


def test_images_of_one_size_at_a_time_change_nothing_but_rounding(manifest, student, tmp_path, monkeypatch):
    root = manifest.with_suffix("")
    search(student, root, {"cuhk_sysu": tmp_path / "one.npz"}, JOB)
    monkeypatch.setitem(BATCH, "cpu", 3)
    search(student, root, {"cuhk_sysu": tmp_path / "three.npz"}, JOB)
    one, three = (read_predictions(tmp_path / f"{name}.npz") for name in ("one", "three"))
    assert np.array_equal(one.gallery_image, three.gallery_image)
    for name in ("gallery_box", "gallery_score", "gallery_feature", "query_feature"):
        np.testing.assert_allclose(getattr(one, name), getattr(three, name), rtol=1e-3, atol=1e-3)
    assert "up to 3 images of one size" in json.loads((tmp_path / "three.json").read_text())["timed"]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "no benchmark is named"),
        ({"market": "r.npz"}, "unknown person-search benchmark 'market'"),
        ({"cuhk_sysu": "r.json"}, r"does not end in \.npz"),
        ({"prw": "r.npz", "prw_mini": "r.npz"}, "two benchmarks would write one file"),
        ({"prw": "r.npz", "cuhk_sysu": "s.npz"}, "prw and cuhk_sysu do not share their images"),
    ],
)
def test_targets_that_do_not_go_together(student, manifest, tmp_path, targets, message):
    named = {name: tmp_path / file for name, file in targets.items()}
    with pytest.raises(UserError, match=message):
        search(student, manifest.with_suffix(""), named, JOB)
    assert list(tmp_path.iterdir()) == []


def test_command(manifest, student, tmp_path, capsys):
    root, results = str(manifest.with_suffix("")), tmp_path / "r.npz"
    arguments = ["search", "--root", root, "--checkpoint", str(student), "--results"]
    assert cli.main([*arguments, f"cuhk_sysu={results}"]) == 0
    assert cli.main(["score", "--benchmark", "cuhk_sysu", "--root", root, "--results", str(results)]) == 0
    assert len(read_predictions(results).query_feature) == 2
    capsys.readouterr()
    assert cli.main([*arguments, str(results)]) == 1
    assert "is not NAME=VALUE" in capsys.readouterr().err


def test_missing_checkpoint_writes_nothing(manifest, tmp_path):
    with pytest.raises(UserError, match="does not exist; train it first"):
        search(tmp_path / "none.safetensors", manifest.with_suffix(""), {"cuhk_sysu": tmp_path / "r.npz"}, JOB)
    assert list(tmp_path.iterdir()) == []


def test_truncated_image_is_named(student, tmp_path):
    root = dataset(tmp_path).with_suffix("")
    image = root / "Image/SSM/s4.jpg"
    image.write_bytes(image.read_bytes()[:-400])
    with pytest.raises(UserError, match=r"s4\.jpg: is truncated"):
        search(student, root, {"cuhk_sysu": tmp_path / "r.npz"}, JOB)
    assert not (tmp_path / "r.npz").exists()


def test_resize_follows_the_shorter_side_until_the_longer_is_too_long(manifest):
    image = cuhk_sysu.load_train(manifest.with_suffix("")).images[0]
    pixels, scale = load_resized(image, Resize(shorter=100, longer=1000))
    assert pixels.shape == (100, 150, 3) and scale == 0.5
    pixels, scale = load_resized(image, Resize(shorter=100, longer=75))
    assert pixels.shape == (50, 75, 3) and scale == 0.25
    assert load_resized(image, None)[0].shape == (200, 300, 3)


def test_store_keeps_what_fits(manifest, monkeypatch):
    images = cuhk_sysu.load_train(manifest.with_suffix("")).images
    read: list[str] = []

    def load(image, resize):
        read.append(image.name)
        return np.zeros((10, 10, 3), np.uint8), 1.0

    monkeypatch.setattr("distillery.person_search.dataset.load_resized", load)
    store = ImageStore(images, cache_bytes=700)
    for _ in range(2):
        for index in range(3):
            store[index]
    assert read == [images[i].name for i in (0, 1, 2, 2)]


def test_order_is_a_permutation_in_every_epoch():
    seen = np.concatenate([order(3, step, 4, 10) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:])
    assert np.array_equal(order(3, 2, 4, 10), order(3, 2, 4, 10))


def test_mirrored_boxes_follow_the_image(tmp_path):
    from PIL import Image

    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 5:15] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    box = np.array([[5, 10, 15, 30]], np.float32)
    store = ImageStore([SearchImage("a.png", tmp_path / "a.png", box, np.array([0]))])
    mirrored = 0
    for step in range(6):
        batch = training_batch(store, seed=0, step=step, size=1, stride=8, device=CPU)
        assert batch.images.shape == (1, 3, 40, 64) and batch.sizes == [(40, 60)]
        x1, y1, x2, y2 = batch.boxes[0][0].int().tolist()
        bright = batch.images[0, 0, :, :60] > 0
        assert bright[y1:y2, x1:x2].all() and bright.sum() == 200
        assert not batch.images[0, :, :, 60:].any()
        mirrored += x1 == 45
    assert 0 < mirrored < 6


def test_images_of_different_sizes_share_a_batch(tmp_path):
    from PIL import Image

    images = []
    for k, size in enumerate([(60, 40), (30, 50)]):
        Image.new("RGB", size, (255, 255, 255)).save(tmp_path / f"{k}.png")
        images.append(
            SearchImage(f"{k}.png", tmp_path / f"{k}.png", np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
        )
    batch = training_batch(ImageStore(images), seed=0, step=0, size=2, stride=16, device=CPU)
    assert batch.images.shape == (2, 3, 64, 64)
    assert sorted(batch.sizes) == [(40, 60), (50, 30)]


def test_normalisation_is_that_of_torchvision():
    from torchvision.transforms import functional

    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (16, 8, 3), np.uint8)
    expected = functional.normalize(functional.to_tensor(pixels), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    torch.testing.assert_close(as_input(pixels, 8, CPU)[0], expected)


def test_crop_is_cut_at_the_border_and_never_empty():
    pixels = np.arange(40 * 60 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 60, 3)
    assert np.array_equal(crop(pixels, np.array([2, 3, 10, 19], np.float32), (16, 8)), pixels[3:19, 2:10])
    assert crop(pixels, np.array([-50, -50, -20, -10], np.float32), (16, 8)).shape == (16, 8, 3)
    assert crop(pixels, np.array([70, 50, 90, 80], np.float32), (16, 8)).shape == (16, 8, 3)
    box, generator = np.array([10, 10, 30, 50], np.float32), np.random.Generator(np.random.PCG64(0))
    assert np.array_equal(jittered(box, 0.0, generator), box)
    moved = np.stack([jittered(box, 0.1, generator) for _ in range(100)]) - box
    assert np.abs(moved).max(0) == pytest.approx([2, 4, 2, 4], rel=0.2)


def test_augmentation():
    pixels, generator = np.full((40, 20, 3), 100, np.uint8), np.random.Generator(np.random.PCG64(0))
    ramp = np.broadcast_to(np.arange(20, dtype=np.uint8)[None, :, None], (40, 20, 3))
    seen = [augmented(ramp, 0.0, 0.0, generator) for _ in range(20)]
    assert {item[0, 0, 0] for item in seen} == {0, 19}
    tinted = np.stack([augmented(pixels, 0.2, 0.0, generator) for _ in range(50)])
    assert 64 <= tinted.min() < 80 and 120 < tinted.max() <= 144
    assert (tinted == tinted[:, :1, :1]).all()
    erased = [(augmented(pixels, 0.0, 1.0, generator) != 100).any(2).mean() for _ in range(50)]
    assert min(erased) > 0.005 and max(erased) < 0.25
    assert (pixels == 100).all()
