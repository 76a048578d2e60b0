"""QEEPS over a benchmark: equal to a loop over pairs, whatever is cached or batched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from distillery.config.search_distillation import QueryGuidance
from distillery.config.search_jobs import SearchJob
from distillery.config.training import Compute
from distillery.engine.checkpoint import load_sidecar, save
from distillery.errors import UserError
from distillery.person_search import qeeps_inference
from distillery.person_search.benchmarks import registry
from distillery.person_search.checkpoints import load_network
from distillery.person_search.cost import prepare as prepare_cost
from distillery.person_search.dataset import as_input, load_resized
from distillery.person_search.inference import search
from distillery.person_search.network import OIMNetwork
from distillery.person_search.predictions import PairPredictions, read_any_predictions
from distillery.person_search.qeeps import QEEPSNetwork
from distillery.person_search.qeeps_inference import PairSearcher
from distillery.person_search.scoring import score
from distillery.person_search.training import train_search
from person_search.builders import write_prw_root
from person_search.search_jobs import COMPUTE, NAME, dataset, search_training, train_one

JOB = SearchJob(compute=COMPUTE)
CPU = torch.device("cpu")
RESIZE = search_training().resize


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def checkpoint(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network whose guidance is turned up, so that pairs differ visibly."""
    path = tmp_path_factory.mktemp("qeeps") / "seed0.safetensors"
    train_search(search_training(method="qeeps", query=QueryGuidance(reduction=2)), manifest, {NAME: path})
    network = load_network(path)
    torch.manual_seed(0)
    for part in (network.guidance, network.query_proposals, network.similarity.layer):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    sidecar = load_sidecar(path, kind="qeeps")
    save(path, network, sidecar)
    return path


def run(checkpoint: Path, root: Path, path: Path, benchmark: str = "cuhk_sysu", **changes) -> PairPredictions:
    search(checkpoint, root, {benchmark: path}, JOB.model_copy(update=changes))
    found = read_any_predictions(path)
    assert isinstance(found, PairPredictions)
    return found


@torch.no_grad()
def loop(checkpoint: Path, root: Path, benchmark: str, size: int):
    """Pair after pair, nothing kept: (query, image) -> boxes, scores, similarities."""
    network = load_network(checkpoint)
    assert isinstance(network, QEEPSNetwork)
    images = {image.name: image for image in registry.load_pool(benchmark, root).images}
    protocol = registry.load_protocol(benchmark, root, gallery_size=size)
    found = {}
    for row, query in enumerate(protocol.queries):
        for entry in protocol.gallery(row):
            begun = []
            for name in (query.image, entry.image):
                pixels, scale = load_resized(images[name], RESIZE)
                begun.append(network.begin(as_input(pixels, 8, CPU), [pixels.shape[:2]]))
                if name == query.image:
                    box = torch.from_numpy(query.box * np.float32(scale))[None]
            (one,) = network.search(begun[1], begun[0], box)
            found[row, entry.image] = [x.numpy() for x in (one.boxes / scale, one.scores, one.similarity)]
    return found


def assert_equal_to_loop(found: PairPredictions, expected) -> None:
    assert {*zip(found.pair_query.tolist(), found.pair_image.tolist(), strict=True)} == {
        pair for pair, (boxes, _, _) in expected.items() if len(boxes)
    }
    for (query, image), parts in expected.items():
        rows = (found.pair_query == query) & (found.pair_image == image)
        ours = (found.pair_box[rows], found.pair_score[rows], found.pair_similarity[rows])
        for a, b in zip(ours, parts, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=5e-3)


@pytest.mark.parametrize("size", [2, 3])
def test_equal_to_a_loop_over_pairs(manifest, checkpoint, tmp_path, size):
    root = manifest.with_suffix("")
    found = run(checkpoint, root, tmp_path / "r.npz", gallery_size=size)
    expected = loop(checkpoint, root, "cuhk_sysu", size)
    assert len(expected) == 2 * size and len(found.pair_box) > 4
    assert_equal_to_loop(found, expected)
    assert found.query_run.all() and found.gallery_size == size
    index = json.loads((tmp_path / "r.json").read_text())
    assert index["pairs"] == index["images"] == 2 * size and index["queries"] == 2 and index["model"] == "qeeps"
    assert index["images_per_second"] == pytest.approx(2 * size / index["seconds"])
    metrics = score(root, tmp_path / "r.npz")
    assert set(metrics["by_gallery_size"]) == {str(size)}
    # Detections without a query are those of the network whose image meets itself.
    assert {"map", "ap", "recall"} <= set(metrics["numbers"])


def test_smallest_gallery_is_the_default_and_bytes_repeat(manifest, checkpoint, tmp_path):
    root = manifest.with_suffix("")
    assert run(checkpoint, root, tmp_path / "a.npz").gallery_size == 2
    run(checkpoint, root, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_same_whatever_is_kept_or_batched(manifest, checkpoint, tmp_path, monkeypatch):
    root = manifest.with_suffix("")
    expected = loop(checkpoint, root, "cuhk_sysu", 3)
    monkeypatch.setattr(qeeps_inference, "BATCH", 2)
    assert_equal_to_loop(run(checkpoint, root, tmp_path / "a.npz", gallery_size=3), expected)
    monkeypatch.setattr(PairSearcher.__init__, "__kwdefaults__", {"true_boxes": False, "cache_bytes": 0})
    assert_equal_to_loop(run(checkpoint, root, tmp_path / "b.npz", gallery_size=3), expected)


def test_prw_mini_searches_every_frame_but_the_querys(checkpoint, tmp_path):
    root = write_prw_root(tmp_path / "prw")
    found = run(checkpoint, root, tmp_path / "r.npz", "prw_mini")
    assert_equal_to_loop(found, loop(checkpoint, root, "prw_mini", -1))
    assert found.gallery_size == -1 and "c1s1_000005.jpg" not in found.pair_image
    assert 0 <= score(root, tmp_path / "r.npz", benchmark="prw_mini")["numbers"]["map"] <= 1
    # A profile's gallery size is that of CUHK-SYSU; PRW has one gallery.
    assert run(checkpoint, root, tmp_path / "s.npz", "prw_mini", gallery_size=2).gallery_size == -1


def test_first_queries_alone(manifest, checkpoint, tmp_path):
    root = manifest.with_suffix("")
    found = run(checkpoint, root, tmp_path / "r.npz", queries=1)
    assert found.query_run.tolist() == [True, False] and not found.pair_query.any()
    assert score(root, tmp_path / "r.npz", allow_partial=True)["counts"]["queries"] == 1


def test_true_boxes_are_compared_where_they_are(manifest, checkpoint, tmp_path):
    root = manifest.with_suffix("")
    found = run(checkpoint, root, tmp_path / "r.npz", true_boxes=True, gallery_size=3)
    boxes = {image.name: image.boxes for image in registry.load_pool("cuhk_sysu", root).images}
    for query, image in {*zip(found.pair_query.tolist(), found.pair_image.tolist(), strict=True)}:
        rows = (found.pair_query == query) & (found.pair_image == image)
        np.testing.assert_allclose(found.pair_box[rows], boxes[image], rtol=1e-5)
        assert (found.pair_score[rows] == 1).all()
    # One box each in s4 and s5, two in s3 and s6; the queries stand in s3 and s6.
    assert np.bincount(found.pair_query).tolist() == [4, 4]
    assert score(root, tmp_path / "r.npz")["numbers"]["recall"] == 1


def test_gallery_that_does_not_exist(manifest, checkpoint, tmp_path):
    with pytest.raises(UserError, match=r"TestG7\.mat: does not exist"):
        run(checkpoint, manifest.with_suffix(""), tmp_path / "r.npz", gallery_size=7)
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_without_the_added_parts(manifest, checkpoint, tmp_path):
    train_one(search_training(), manifest, None, tmp_path / "a.safetensors")
    described = json.loads(checkpoint.with_suffix(".json").read_text())
    (tmp_path / "a.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="is a checkpoint of another architecture: has no tensor 'guidance"):
        run(tmp_path / "a.safetensors", manifest.with_suffix(""), tmp_path / "r.npz")


def test_checkpoint_whose_sidecar_says_oim(manifest, checkpoint, tmp_path):
    described = json.loads(checkpoint.with_suffix(".json").read_text()) | {"kind": "oim"}
    (tmp_path / "a.safetensors").write_bytes(checkpoint.read_bytes())
    (tmp_path / "a.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="kind 'oim' of a training with method 'qeeps'"):
        run(tmp_path / "a.safetensors", manifest.with_suffix(""), tmp_path / "r.npz")


def test_cost_is_that_of_a_pair(checkpoint):
    step = prepare_cost(checkpoint, Compute(device="cpu", threads=1))
    assert "for one query" in step.description
    (found,) = step.call()
    assert len(found.boxes) == len(found.similarity) and not found.boxes.requires_grad


def test_describes_without_a_query_by_the_image_itself(checkpoint):
    network = load_network(checkpoint)
    images = torch.randn(1, 3, 104, 152)
    with torch.no_grad():
        own = network.look(images, [(104, 152)])
        begun = network.begin(images, [(104, 152)])
        torch.testing.assert_close(own, network.guidance.meet(network.stem, begun, begun)[0])
        assert isinstance(network, OIMNetwork) and (own - network.stem(images)).abs().max() > 1e-3
