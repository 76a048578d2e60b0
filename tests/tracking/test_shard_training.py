"""A training from shards of two sets, from the official layouts to a checkpoint, by the commands that rules run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from distillery import cli
from distillery.config.pairs import Pairs
from distillery.config.shards import shard_job
from distillery.config.siamfc import SiamFCGeometry
from distillery.config.siamrpn import SiamRPNGeometry
from training_layouts import write_coco, write_vid

PAIRS = {
    "epoch": 8,
    "negative": 0.2,
    "sources": [{"name": "vid", "max_gap": 100, "use": 6}, {"name": "coco", "max_gap": 1}],
    "shards": {"crops": 10},
}


def training(steps: int, **changes: object) -> str:
    plain = {
        "family": "siamfc",
        "seed": 0,
        "compute": {"device": "cpu", "precision": "float32", "threads": 1, "save_every": 30.0},
        "geometry": {"response_scale": 0.02},
        "pairs": PAIRS,
        "networks": ["dim"],
        "architectures": {"dim": {"width": 0.02}},
        "distillation": None,
        "optimisation": {"steps": steps, "batch": 2, "optimiser": "adamw", "learning_rate": 2e-3},
    }
    return json.dumps(plain | changes)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for name, write in {"vid": write_vid, "coco": write_coco}.items():
        asked = json.dumps({"source": "local", "root": str(write(folder / "source" / name))})
        call = ["dataset", "--benchmark", name, "--params", asked, "--out", str(folder / f"data/{name}.json")]
        assert cli.main(call) == 0
    geometry = SiamFCGeometry()
    asked = shard_job(
        Pairs.model_validate_json(json.dumps(PAIRS)), geometry.exemplar, geometry.train_search, geometry.context
    ).model_dump_json()
    manifests = [str(folder / f"data/{name}.json") for name in ("coco", "vid")]
    assert cli.main(["crop-shards", "--params", asked, "--data", *manifests, "--out", str(folder / "shards")]) == 0
    return folder / "shards.json"


def test_a_network_learns_from_them_and_the_bytes_are_the_same_again(shards: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        for name in ("one", "two"):
            out = f"dim={tmp_path / name}.safetensors"
            call = ["train-trackers", "--params", training(3), "--data", str(shards), "--out", out]
            assert cli.main(call) == 0
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode("default")
    assert digest(tmp_path / "one.safetensors") == digest(tmp_path / "two.safetensors")
    sidecar = json.loads((tmp_path / "one.json").read_text())
    assert digest(shards) in json.dumps(sidecar)  # what it was trained on
    assert "sources" in json.dumps(sidecar)


def test_shards_of_another_size_are_refused(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = training(1, pairs=PAIRS | {"shift": 30})
    out = f"dim={tmp_path / 'dim'}.safetensors"
    assert cli.main(["train-trackers", "--params", changed, "--data", str(shards), "--out", out]) == 1
    assert "holds crops of other sets or other sizes" in capsys.readouterr().err


def test_the_geometry_of_siamrpn_asks_for_pysots_side() -> None:
    pairs = Pairs.model_validate_json(json.dumps(PAIRS | {"shift": 64, "stretch": 0.18, "shards": {"side": 511}}))
    geometry = SiamRPNGeometry()
    asked = shard_job(pairs, geometry.exemplar, geometry.train_search, geometry.context)
    assert (asked.inner, asked.outer) == (144, 511)
