"""The maps of the figure: what the networks say of regions chosen by rule, in a file that the paper stage reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry
from distillery.data import manifest
from distillery.engine import checkpoint
from distillery.errors import UserError
from distillery.files import write_json
from distillery.paper.maps import read_maps
from distillery.tracking import siamfc
from distillery.tracking.benchmarks import otb100
from distillery.tracking.response_maps import LAYER, region, write_response_maps

GEOMETRY = SiamFCGeometry(exemplar=63, search=127, train_search=119)


def _network(path: Path, seed: int, width: float = 0.05, geometry: SiamFCGeometry = GEOMETRY) -> Path:
    torch.manual_seed(seed)
    network = siamfc.build(SiamFCArchitecture(layout="compact", width=width), geometry)
    checkpoint.save(path, network, network.sidecar())
    return path


@pytest.fixture
def data(tmp_path, write_otb):
    root = write_otb(tmp_path / "otb100", ("A", "B", "C", "D", "E"))
    write_json(tmp_path / "otb100.json", manifest.build(root, benchmark="otb100", counts={}))
    return tmp_path / "otb100.json"


def test_the_region_shows_the_target_where_its_box_says(data, video):
    clip = otb100.load(data.with_suffix(""))[0]
    found = region(clip, GEOMETRY)
    assert (found.name, found.gap) == ("A, frame 5", 4)
    # Exemplar side of a 20 x 16 target: sqrt((20 + 18) (16 + 18)) = 35.944; a pixel is 127 / (35.944 * 127 / 63) wide.
    scale = 63 / np.sqrt(38 * 34)
    assert found.box[2:] == pytest.approx([20 * scale, 16 * scale])
    # From frame 1 to 5 the square moves by (36, 16); the region's centre stayed at the first one's.
    centre = found.box[:2] + (found.box[2:] - scale) / 2
    assert centre == pytest.approx([63 + 36 * scale, 63 + 16 * scale])
    patch = video[4][0][30 + 16 : 30 + 32, 20 + 36 : 20 + 46]  # the target in the frame: the region ends in its middle
    x, y, _, h = np.round(found.box).astype(int)
    inside = found.search[y : y + h, x:].astype(float)
    assert inside.mean(axis=(0, 1)) == pytest.approx(patch.mean(axis=(0, 1)), abs=8)
    assert abs(found.search[:40, :40].mean() - 90) < 8  # the ground, not the target


def test_the_file_holds_what_the_networks_say_and_the_paper_stage_reads_it(data, tmp_path):
    paths = {f"siamfc/{name}": _network(tmp_path / name / "seed3.safetensors", n, 0.05 + 0.02 * n)
             for n, name in enumerate(("teacher", "dim-tskd"))}  # fmt: skip
    write_response_maps(paths, data, tmp_path / "maps.npz")
    maps = read_maps(tmp_path / "maps.npz")
    assert maps.networks == ("siamfc/teacher", "siamfc/dim-tskd")
    assert maps.frames == ("A, frame 5", "C, frame 5", "E, frame 5")
    assert (maps.layer, maps.gap, maps.seed) == (LAYER, 4, 3)
    assert maps.score.shape == (2, 3, 17, 17)
    assert maps.target.shape == (2, 3, 22, 22)
    assert maps.search.shape == (3, 127, 127, 3)
    assert (maps.target >= 0).all()
    assert np.square(maps.target).sum((2, 3)) == pytest.approx(np.ones((2, 3)), abs=1e-5)
    # The score is what the tracker's own forward gives for the same crops.
    network = siamfc.load(paths["siamfc/dim-tskd"])
    clip = otb100.load(data.with_suffix(""))[2]
    crops = region(clip, GEOMETRY)
    exemplar, search = (
        torch.from_numpy(crop[None]).permute(0, 3, 1, 2).float() for crop in (crops.exemplar, crops.search)
    )
    with torch.inference_mode():
        expected = network.respond(network.embed(exemplar), search)[0].numpy()
    assert maps.score[1, 1] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_the_same_inputs_give_the_same_bytes(data, tmp_path):
    paths = {"siamfc/teacher": _network(tmp_path / "teacher" / "seed0.safetensors", 0)}
    for name in ("a", "b"):
        write_response_maps(paths, data, tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_networks_that_cannot_be_compared_are_refused(data, tmp_path):
    first = _network(tmp_path / "a" / "seed0.safetensors", 0)
    other = SiamFCGeometry(exemplar=63, search=131, train_search=119)
    for path, problem in (
        (_network(tmp_path / "b" / "seed1.safetensors", 0), "another seed"),
        (_network(tmp_path / "c" / "seed0.safetensors", 0, geometry=other), "other sizes"),
        (_network(tmp_path / "d" / "best.safetensors", 0), "does not say its seed"),
    ):
        with pytest.raises(UserError, match=problem):
            write_response_maps({"siamfc/a": first, "siamfc/b": path}, data, tmp_path / "maps.npz")
    with pytest.raises(UserError, match="no checkpoint"):
        write_response_maps({}, data, tmp_path / "maps.npz")
    assert not (tmp_path / "maps.npz").exists()
