"""Pairs from shards of several sets: drawn as pysot draws them, the same for the same seed, step and size."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from distillery.config.pairs import Pairs, Shards, Source
from distillery.config.shards import shard_job
from distillery.config.siamrpn import SiamRPNGeometry
from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.crop_shards import build_shards
from distillery.tracking.crops import crop
from distillery.tracking.pairs import PairSampler, wide_crop_of
from distillery.tracking.shard_pairs import ShardSampler
from distillery.tracking.shard_store import open_shards
from training_layouts import link, write_coco, write_vid, write_youtube_bb

GEOMETRY = SiamRPNGeometry()
RPN = {"shift": 64, "stretch": 0.18, "aspect": True, "blur": 0.2, "jitter": 1.0}
SOURCES = (
    Source(name="vid", max_gap=2, use=7),
    Source(name="coco", max_gap=1),
    Source(name="youtube_bb", max_gap=3),
)


def pairs(**changes: Any) -> Pairs:
    return Pairs(**({"epoch": 100, "sources": SOURCES, "shards": Shards(crops=10)} | RPN | changes))


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    writers = {"vid": write_vid, "coco": write_coco, "youtube_bb": write_youtube_bb}
    manifests = [link(name, write(folder / name), folder / "data") for name, write in writers.items()]
    asked = shard_job(pairs(), GEOMETRY.exemplar, GEOMETRY.train_search, GEOMETRY.context)
    build_shards(asked, manifests, folder / "shards")
    return folder / "shards.json"


def sampler(sidecar: Path, seed: int = 0, **changes: Any) -> ShardSampler:
    return ShardSampler(sidecar, pairs(**changes), GEOMETRY, seed)


def drawn(made: ShardSampler, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets and signs of the first pairs."""
    parts = [made._draw(step, np.zeros((50, 5))) for step in range(count // 50)]
    return np.concatenate([part.targets for part in parts]), np.concatenate([part.positive for part in parts])


def video_of(made: ShardSampler, number: int, crop: int) -> int:
    opened = made.sets[number]
    track = int(np.searchsorted(opened.track, crop, side="right")) - 1
    return int(np.searchsorted(opened.video, track, side="right")) - 1


class TestDraw:
    def test_a_round_takes_each_set_as_often_as_it_says(self, sidecar: Path) -> None:
        made = sampler(sidecar, negative=0.0)
        assert made.round == 7 + 3 + 2
        targets, _ = drawn(made, 1200)
        rounds = targets[: 100 * made.round, 0].reshape(100, made.round, 2)
        orders, videos = set(), Counter()
        for one in rounds.tolist():
            assert Counter(number for number, _ in one) == {0: 7, 1: 3, 2: 2}
            orders.add(tuple(number for number, _ in one))
            seen = Counter((number, video_of(made, number, crop)) for number, crop in one)
            # Three snippets seven times: twice each, and one of them a third time; every picture once.
            assert sorted(count for (number, _), count in seen.items() if number == 0) == [2, 2, 3]
            assert {count for (number, _), count in seen.items() if number} == {1}
            videos.update(seen)
        assert len(orders) > 90
        assert all(200 < videos[0, video] < 267 for video in range(3))  # the odd one is drawn anew in each round

    def test_a_pair_is_of_one_object_and_near(self, sidecar: Path) -> None:
        made = sampler(sidecar, negative=0.0)
        targets, positive = drawn(made, 3000)
        assert positive.all()
        assert (targets[:, 0, 0] == targets[:, 1, 0]).all()
        for number, gap in ((0, 2), (1, 0), (2, 2)):
            own = targets[targets[:, 0, 0] == number][..., 1]
            opened = made.sets[number]
            track = np.searchsorted(opened.track, own, side="right") - 1
            assert (track[:, 0] == track[:, 1]).all()
            # Both ways, the frame itself among them, as `SubDataset.get_positive_pair` draws it.
            assert set((own[:, 1] - own[:, 0]).tolist()) == set(range(-gap, gap + 1))
            assert set(own.ravel().tolist()) == set(range(opened.track[-1]))

    def test_objects_of_a_video_are_equally_likely(self, sidecar: Path) -> None:
        """However many frames they have: five and three here."""
        made = sampler(sidecar, negative=0.0)
        targets, _ = drawn(made, 3000)
        own = targets[targets[:, 0, 0] == 0][:, 0, 1]
        tracks = np.bincount(np.searchsorted(made.sets[0].track, own, side="right") - 1)
        assert tracks[::2].sum() / tracks.sum() == pytest.approx(0.5, abs=0.04)

    def test_negatives_are_of_any_set_and_never_the_same_video(self, sidecar: Path) -> None:
        made = sampler(sidecar, negative=0.4)
        targets, positive = drawn(made, 3000)
        assert positive.mean() == pytest.approx(0.6, abs=0.03)
        strangers = targets[~positive]
        sets = np.bincount(strangers[:, 1, 0], minlength=3) / len(strangers)
        assert sets == pytest.approx([1 / 3] * 3, abs=0.05)
        for (one, first), (other, second) in strangers.tolist():
            assert one != other or video_of(made, one, first) != video_of(made, other, second)

    def test_seed_and_step_decide(self, sidecar: Path) -> None:
        one, other = drawn(sampler(sidecar, 1), 200)[0], drawn(sampler(sidecar, 1), 200)[0]
        assert np.array_equal(one, other)
        assert not np.array_equal(one, drawn(sampler(sidecar, 2), 200)[0])


class TestBatch:
    def test_any_order_and_any_number_of_threads(self, sidecar: Path) -> None:
        alone = sampler(sidecar, negative=0.2)
        threads = ShardSampler(sidecar, pairs(negative=0.2), GEOMETRY, 0, threads=2)
        expected = [alone.batch(step, 6) for step in range(4)]
        assert expected[0].exemplar.shape == (6, 3, 127, 127)
        assert expected[0].search.shape == (6, 3, 255, 255)
        for step in (3, 0, 1, 2):
            for found, wanted in zip(threads.batch(step, 6), expected[step], strict=True):
                assert torch.equal(found, wanted)

    def test_the_box_is_of_the_object(self, sidecar: Path) -> None:
        """Without chance it lies in the middle, with the area that SiamFC's context gives it."""
        still = dict.fromkeys(("shift", "stretch", "blur", "jitter", "exemplar_stretch", "exemplar_shift"), 0)
        plain = pairs(**still, shards=Shards(crops=10, side=441))
        content = json.loads(sidecar.read_text())
        assert content["job"]["outer"] == 441
        content["job"] |= {"inner": shard_job(plain, 127, 255, 0.5).inner}
        other = sidecar.with_name("shards2.json")
        other.write_text(json.dumps(content))
        other.with_suffix("").symlink_to(sidecar.with_suffix(""))
        made = ShardSampler(other, plain, GEOMETRY, 0)
        batch = made.batch(0, 12)
        targets = made._draw(0, np.zeros((12, 5))).targets
        middle = (batch.box[:, :2] + batch.box[:, 2:]) / 2
        assert torch.allclose(middle, torch.full_like(middle, 127.0), atol=1e-4)
        for row, (number, shown) in enumerate(targets[:, 1].tolist()):
            width, height = (batch.box[row, 2:] - batch.box[row, :2]).tolist()
            assert (width, height) == pytest.approx(made.sets[number].size(shown), rel=1e-5)
            context = (width + height) / 2
            assert (width + context) * (height + context) == pytest.approx(127**2, rel=1e-3)

    def test_the_same_as_from_frames(self, tmp_path: Path) -> None:
        """A crop of a shard beside the crop that is cut from the decoded frame: what JPEG loses, and no more."""
        root = write_vid(tmp_path / "vid", snippets=1, frames=2)
        still = {"sources": (Source(name="vid"),), "shards": Shards()}
        asked = Pairs(epoch=10, **still)
        manifest = link("vid", root, tmp_path / "data")
        build_shards(shard_job(asked, 127, 255, 0.5), [manifest], tmp_path / "shards")
        frames = tuple(sorted(root.rglob("*.JPEG")))
        truth = np.array([[20, 30, 40, 30], [26, 30, 40, 30]], float)
        clip = Sequence("a", frames, truth, root, first_pixel=0)
        plain = PairSampler([clip], Pairs(epoch=10), GEOMETRY, 0)
        sharded = ShardSampler(tmp_path / "shards.json", asked, GEOMETRY, 0)
        wide = [wide_crop_of(clip, frame, plain.margin_size, GEOMETRY) for frame in (0, 1)]
        for exemplar in (True, False):
            side = 127 if exemplar else 255
            for frame in (0, 1):
                made = []
                stored = sharded._near(0, frame) if exemplar else sharded._wide(0, frame)
                for surroundings, border in ((wide[frame], (0.0, 0.0, 0.0)), (stored, sharded._border(0, frame))):
                    image, centre, scale = surroundings
                    made.append(crop(image, centre, side * scale, side, border).astype(int))
                assert np.abs(made[0] - made[1]).mean() < 3


class TestRefusals:
    @pytest.mark.parametrize(
        "changes",
        [{"sources": SOURCES[:2]}, {"shift": 70}, {"shards": Shards(side=511)}, {"exemplar_shift": 9}],
    )
    def test_shards_of_other_pairs(self, sidecar: Path, changes: dict[str, Any]) -> None:
        with pytest.raises(UserError, match=r"shards\.json: holds crops of other sets or other sizes"):
            sampler(sidecar, **changes)

    def test_other_draws_and_augmentations_are_served(self, sidecar: Path) -> None:
        sampler(sidecar, blur=0.0, negative=0.7, shards=Shards(on_corrupt="fail"))
        sampler(sidecar, sources=(Source(name="vid", max_gap=100), *SOURCES[1:]))

    @pytest.fixture
    def copy(self, sidecar: Path, tmp_path: Path) -> Path:
        shutil.copytree(sidecar.with_suffix(""), tmp_path / "shards")
        return Path(shutil.copy(sidecar, tmp_path / "shards.json"))

    @pytest.mark.parametrize("suffix", ["jpegs", "safetensors"])
    @pytest.mark.parametrize("keep", [None, 0, 100, -50])
    def test_damaged_files_are_named(self, copy: Path, suffix: str, keep: int | None) -> None:
        file = copy.with_suffix("") / f"vid/shard-00000.{suffix}"
        data = file.read_bytes()
        file.unlink()
        if keep is not None:
            file.write_bytes(data[:keep])
        with pytest.raises(UserError, match=rf"shard-00000\.{suffix}: .*run `distillery crop-shards` again"):
            open_shards(copy)

    def test_damaged_bytes_of_a_crop(self, copy: Path) -> None:
        file = copy.with_suffix("") / "vid/shard-00000.jpegs"
        file.write_bytes(bytes(file.stat().st_size))
        opened = open_shards(copy)[1]["vid"]
        with pytest.raises(UserError, match=r"shard-00000\.jpegs, crop 0: is damaged"):
            opened.read(0, 1)

    def test_an_index_that_points_elsewhere(self, copy: Path) -> None:
        file = copy.with_suffix("") / "vid/shard-00000.safetensors"
        with safe_open(file, framework="np") as opened:
            told = opened.metadata()
        tensors = load_file(file)
        tensors["place"][:] = 10**12
        save_file(tensors, file, told)
        with pytest.raises(UserError, match="is damaged"):
            open_shards(copy)[1]["vid"].read(0, 1)

    @pytest.mark.parametrize(
        "content", ["", "[]", "{}", '{"format": 0, "sets": {}}', '{"format": 1, "sets": {"vid": {}}}']
    )
    def test_a_malformed_sidecar(self, copy: Path, content: str) -> None:
        job = json.loads(copy.read_text())["job"]
        with contextlib.suppress(ValueError, TypeError):
            content = json.dumps(json.loads(content) | {"job": job})
        copy.write_text(content)
        with pytest.raises(UserError, match=r"shards\.json"):
            open_shards(copy)
