"""The same commands on real street images: eight of CUHK-SYSU that lie beside the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distillery.cli import main
from distillery.person_search.predictions import read_predictions
from person_search import builders
from person_search.search_jobs import dataset, search_training, train_one


@pytest.fixture
def root(real_data: Path, tmp_path: Path) -> Path:
    return builders.write_real_root(real_data, tmp_path / "CUHK-SYSU")


def scored(root: Path, results: Path, out: Path) -> dict:
    assert (
        main(["score", "--benchmark", "cuhk_sysu", "--root", str(root), "--results", str(results), "--out", str(out)])
        == 0
    )
    return json.loads(out.read_text())


def test_colours_find_some_of_the_people(root: Path, tmp_path: Path) -> None:
    results = tmp_path / "histogram.npz"
    assert main(["search", "--root", str(root), "--baseline", "histogram", "--results", f"cuhk_sysu={results}"]) == 0
    metrics = scored(root, results, tmp_path / "metrics.json")
    # p11738 stands in one image alone; p11731, p11733 and p11734 in 7, 3 and 4 more.
    assert metrics["counts"]["queries_without_positives"] == 1 and metrics["counts"]["positives"] == 7 + 3 + 4
    assert metrics["counts"]["people"] == metrics["counts"]["correct_detections"] == 18
    assert metrics["numbers"]["recall"] == 1 and 0 < metrics["numbers"]["map"] < 1


def test_a_network_runs_on_real_images(root: Path, tmp_path: Path) -> None:
    """Two steps of training teach it nothing; it must run on real image sizes, and what it says must be scored."""
    weights, results = tmp_path / "net.safetensors", tmp_path / "net.npz"
    train_one(search_training(), dataset(tmp_path), None, weights)
    assert main(["search", "--root", str(root), "--checkpoint", str(weights), "--results", f"cuhk_sysu={results}"]) == 0
    found = read_predictions(results)
    # The images are some 800 pixels wide, and boxes are in their pixels.
    assert found.gallery_box[:, 2].max() > 400 and len(found.query_feature) == 4
    assert found.true_image is not None and len(found.true_image) == 18
    metrics = scored(root, results, tmp_path / "metrics.json")
    assert set(metrics["on_true_boxes"]) == {"map", "top1", "top5", "top10"}
