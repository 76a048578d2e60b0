"""Crops that lie ready are those that a job would make itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from distillery import cli, datasets
from distillery.config.pairs import Pairs
from distillery.config.siamfc import SiamFCGeometry
from distillery.config.siamrpn import SiamRPNGeometry
from distillery.config.tracking import CropJob
from distillery.errors import UserError
from distillery.tracking import crop_store
from distillery.tracking.benchmarks import got10k
from distillery.tracking.crop_store import CropStore, crop_clips, crop_key
from distillery.tracking.pairs import PairSampler, usable_clips

SPEC = {"source": "embedded", "seed": 3, "train_sequences": 4, "train_frames": 5, "val_sequences": 1, "val_frames": 2}
RPN = Pairs(epoch=8, shift=24, stretch=0.18, aspect=True, blur=0.5, jitter=1.0, negative=0.2, grey=0.2)
CASES = [
    pytest.param("siamfc", SiamFCGeometry(exemplar=63, search=127, train_search=119), Pairs(epoch=8), id="siamfc"),
    pytest.param("siamrpn", SiamRPNGeometry(), RPN, id="siamrpn"),
]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "got10k.json"
    datasets.make("got10k", json.dumps(SPEC), out)
    return out


def job(family: str, geometry: SiamFCGeometry | SiamRPNGeometry, pairs: Pairs) -> CropJob:
    sizes = {name: getattr(geometry, name) for name in ("exemplar", "train_search", "context")}
    return CropJob(family=family, pairs=pairs, **sizes)


@pytest.mark.parametrize(("family", "geometry", "pairs"), CASES)
def test_pairs_are_the_same_to_the_byte(family, geometry, pairs, manifest, tmp_path, monkeypatch) -> None:
    out = tmp_path / "crops.safetensors"
    clips = got10k.load(manifest.with_suffix(""), "train")
    count = crop_clips(job(family, geometry, pairs), manifest, out)
    assert count == sum(len(frames) for _, frames in usable_clips(clips))
    plain = PairSampler(clips, pairs, geometry, seed=1)
    expected = [plain.batch(step, 6) for step in range(4)]

    def never(*_: object) -> None:
        raise AssertionError("a frame was decoded")

    monkeypatch.setattr("distillery.tracking.pairs.read_image", never)
    stored = PairSampler(clips, pairs, geometry, seed=1, store=CropStore(out, crop_key(pairs, geometry, manifest)))
    for step, batch in enumerate(expected):
        for one, other in zip(batch, stored.batch(step, 6), strict=True):
            assert torch.equal(one, other)


def test_the_number_of_workers_does_not_change_the_file(manifest, tmp_path) -> None:
    asked = job("siamrpn", SiamRPNGeometry(), RPN)
    for workers in (1, 3):
        crop_clips(asked, manifest, tmp_path / f"{workers}.safetensors", workers=workers)
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "3.safetensors").read_bytes()


def test_what_the_file_lacks_is_made(manifest, tmp_path, monkeypatch) -> None:
    geometry, pairs, out = SiamFCGeometry(), Pairs(epoch=8), tmp_path / "crops.safetensors"
    clips = got10k.load(manifest.with_suffix(""), "train")
    monkeypatch.setattr(crop_store, "usable_clips", lambda clips: usable_clips(clips)[:2])
    crop_clips(job("siamfc", geometry, pairs), manifest, out)
    store = CropStore(out, crop_key(pairs, geometry, manifest))
    assert store.get(clips[0].name, 0) is not None
    assert store.get(clips[3].name, 0) is None
    with_gaps, plain = (PairSampler(clips, pairs, geometry, seed=1, store=given) for given in (store, None))
    assert torch.equal(with_gaps.batch(0, 8).search, plain.batch(0, 8).search)


def test_the_command_writes_what_the_sampler_reads(manifest, tmp_path, capsys) -> None:
    geometry, pairs, out = SiamFCGeometry(), Pairs(epoch=8), tmp_path / "crops.safetensors"
    asked = job("siamfc", geometry, pairs).model_dump_json()
    count = sum(len(frames) for _, frames in usable_clips(got10k.load(manifest.with_suffix(""), "train")))
    assert cli.main(["crop-clips", "--params", asked, "--data", str(manifest), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip().endswith(f"{count} crops")
    with safe_open(out, framework="np") as file:
        assert file.get_tensor("pixels").dtype == np.uint8
    assert CropStore(out, crop_key(pairs, geometry, manifest)).get("nobody", 0) is None


class TestRefusals:
    @pytest.fixture
    def crops(self, manifest: Path, tmp_path: Path) -> Path:
        out = tmp_path / "crops.safetensors"
        crop_clips(job("siamfc", SiamFCGeometry(), Pairs(epoch=8)), manifest, out)
        return out

    def read(self, path: Path, manifest: Path, pairs: Pairs | None = None) -> CropStore:
        return CropStore(path, crop_key(pairs or Pairs(epoch=8), SiamFCGeometry(), manifest))

    def test_missing(self, manifest, tmp_path) -> None:
        with pytest.raises(UserError, match=r"none\.safetensors.*does not exist.*make the crops again"):
            self.read(tmp_path / "none.safetensors", manifest)

    def test_of_other_sizes(self, crops, manifest) -> None:
        with pytest.raises(UserError, match="other data or other sizes"):
            self.read(crops, manifest, Pairs(epoch=8, shift=30))

    def test_other_augmentation_of_the_same_size_is_served(self, crops, manifest) -> None:
        self.read(crops, manifest, Pairs(epoch=8, jitter=1.0, negative=0.5))

    @pytest.mark.parametrize("keep", [0, 7, 500, -100])
    def test_truncated(self, crops, manifest, keep) -> None:
        crops.write_bytes(crops.read_bytes()[:keep])
        with pytest.raises(UserError, match="truncated or not a file of crops"):
            self.read(crops, manifest)

    def test_too_many_are_refused_and_nothing_is_left(self, manifest, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(crop_store, "MOST_BYTES", 1000)
        out = tmp_path / "crops.safetensors"
        with pytest.raises(UserError, match=r"tracking\.siamfc\.stored_crops to false"):
            crop_clips(job("siamfc", SiamFCGeometry(), Pairs(epoch=8)), manifest, out)
        assert list(tmp_path.iterdir()) == []
