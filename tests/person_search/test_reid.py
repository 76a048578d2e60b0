"""The re-ID teacher: its loss, its features, and that it learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from distillery.engine.devices import prepare
from distillery.person_search.checkpoints import load_teacher
from distillery.person_search.dataset import augmented
from distillery.person_search.people import PeopleStore
from distillery.person_search.reid import ReIDNetwork
from distillery.person_search.reid_training import ReIDTask, train_reid
from distillery.person_search.splits import training_split
from person_search.builders import COLOURS, PEOPLE
from person_search.search_jobs import COMPUTE, DIMENSION, OPTIMISATION, dataset, reid_training


def _network() -> ReIDNetwork:
    torch.manual_seed(0)
    return ReIDNetwork(reid_training().teacher, 8, 3)


def test_loss_is_a_softmax_over_cosines():
    network = _network()
    features, ids = F.normalize(torch.randn(4, 8)), torch.tensor([0, 2, 1, 1])
    weights = F.normalize(network.classifier.detach())
    shares = torch.exp(features @ weights.T / network.temperature)
    expected = -torch.log(shares[torch.arange(4), ids] / shares.sum(1)).mean()
    torch.testing.assert_close(network.loss(features, ids).detach(), expected)


def test_embedding_does_not_depend_on_its_neighbours():
    network = _network()
    crops = [np.random.Generator(np.random.PCG64(k)).integers(0, 256, (32, 16, 3), np.uint8) for k in range(70)]
    together = network.embed(crops, torch.device("cpu"))
    assert together.shape == (70, 8)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(70))
    torch.testing.assert_close(together[69:], network.embed(crops[69:], torch.device("cpu")))
    assert network.embed([], torch.device("cpu")).shape == (0, 8)


def test_crops_may_come_one_by_one():
    network = _network()
    crops = [np.full((32, 16, 3), k, np.uint8) for k in range(70)]
    assert torch.equal(network.embed(iter(crops), torch.device("cpu")), network.embed(crops, torch.device("cpu")))


def _coloured(folder: Path) -> Path:
    """The tiny world with a colour for each of its two training people; otherwise only noise tells them apart."""
    manifest = dataset(folder)
    for identity, scenes in enumerate(PEOPLE):
        for name, (x, y, width, height) in scenes:
            file = manifest.with_suffix("") / "Image/SSM" / name
            pixels = np.array(Image.open(file))
            pixels[y : y + height, x : x + width] = COLOURS[identity]
            Image.fromarray(pixels).save(file, quality=95)
    return manifest


def test_teacher_learns_and_comes_back(tmp_path: Path):
    optimisation = OPTIMISATION.model_copy(update={"steps": 40, "batch": 4, "learning_rate": 5e-3})
    teacher = reid_training().teacher.model_copy(update={"optimisation": optimisation, "colour": 0.2, "erasing": 0.3})
    train_reid(reid_training(teacher=teacher), _coloured(tmp_path), tmp_path / "teacher.safetensors")
    lines = [json.loads(line) for line in (tmp_path / "teacher.jsonl").read_text().splitlines()]
    assert np.mean([line["loss"] for line in lines[-10:]]) < 0.5 * np.mean([line["loss"] for line in lines[:5]])
    sidecar = json.loads((tmp_path / "teacher.json").read_text())
    assert (sidecar["kind"], sidecar["identities"]) == ("reid", 2)
    restored = load_teacher(tmp_path / "teacher.safetensors")
    assert not restored.training
    assert sidecar["parameter_count"] == sum(p.numel() for p in restored.parameters())


def _seen(monkeypatch: pytest.MonkeyPatch, manifest: Path, steps: list[int], **changes) -> list[torch.Tensor]:
    """The crops on which a training with these settings learns, in the order in which the steps are asked for."""
    parameters = reid_training(teacher=reid_training().teacher.model_copy(update=changes))
    split, seen = training_split(manifest), []
    network = ReIDNetwork(parameters.teacher, DIMENSION, split.identities)
    task = ReIDTask(network, PeopleStore(split.images, parameters.teacher.jitter), parameters, prepare(COMPUTE))
    original = ReIDNetwork.forward
    monkeypatch.setattr(ReIDNetwork, "forward", lambda self, crops: seen.append(crops) or original(self, crops))
    for step in steps:
        task.loss(step)
    monkeypatch.setattr(ReIDNetwork, "forward", original)
    return seen


STILL = {"jitter": 0.0, "colour": 0.0, "erasing": 0.0}


def test_crops_depend_on_seed_and_step_alone(tmp_path, monkeypatch):
    manifest, lively = dataset(tmp_path), {"jitter": 0.1, "colour": 0.4, "erasing": 0.5}
    forwards = _seen(monkeypatch, manifest, [0, 1, 2], **lively)
    backwards = _seen(monkeypatch, manifest, [2, 1, 0], **lively)
    assert all(torch.equal(a, b) for a, b in zip(forwards, backwards[::-1], strict=True))
    assert not torch.equal(forwards[0], forwards[2])  # the same two of four people, in another dress


@pytest.mark.parametrize("name", ["jitter", "colour", "erasing"])
def test_every_augmentation_reaches_the_crops_that_are_learnt_from(tmp_path, monkeypatch, name):
    manifest = dataset(tmp_path)
    still = _seen(monkeypatch, manifest, [0, 1], **STILL)
    changed = _seen(
        monkeypatch, manifest, [0, 1], **{**STILL, name: {"jitter": 0.3, "colour": 0.5, "erasing": 1.0}[name]}
    )
    assert all(not torch.equal(a, b) for a, b in zip(still, changed, strict=True))


def test_colour_changes_the_gains_of_the_channels():
    crop = np.random.Generator(np.random.PCG64(0)).integers(20, 100, (20, 10, 3), np.uint8)
    gains = []
    for seed in range(40):
        changed = augmented(crop, 0.3, 0.0, np.random.Generator(np.random.PCG64(seed))).astype(float)
        ratios = [changed / crop, changed / crop[:, ::-1]]  # mirrored or not
        # One gain a channel, but for the rounding down.
        gains += [ratio.mean((0, 1)) for ratio in ratios if (np.ptp(ratio, axis=(0, 1)) < 0.1).all()]
    assert len(gains) == 40
    assert 0.7**2 - 0.05 < np.min(gains) < 0.9 and 1.1 < np.max(gains) <= 1.3**2
    assert np.ptp(gains, axis=1).mean() > 0.1  # channels differ: cameras have a cast, not only a brightness
    assert crop.max() < 100


@given(seed=st.integers(0, 10**6), height=st.integers(1, 40), width=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_erasing_fills_one_rectangle_of_a_copy(seed, height, width):
    crop = np.full((height, width, 3), 255, np.uint8)
    erased = augmented(crop, 0.0, 1.0, np.random.Generator(np.random.PCG64(seed)))
    assert erased.shape == crop.shape and (crop == 255).all()
    rows, columns = np.where((erased != 255).any(2))
    assert len(rows) > 0.9 * (np.ptp(rows) + 1) * (np.ptp(columns) + 1) - 1  # noise is white once in 16 million
    # 20 % of the area, and half a pixel of rounding on each side.
    assert len(rows) <= 0.2 * height * width + (height + width) / 2 + 1


@pytest.mark.parametrize("crop", [(32, 16), (48, 24)])
def test_any_crop_size(crop):
    teacher = reid_training().teacher.model_copy(update={"crop": crop})
    assert ReIDNetwork(teacher, 8, 3).eval()(torch.zeros(2, 3, *crop)).shape == (2, 8)


def test_killed_training_goes_on_to_the_same_augmented_crops(tmp_path, monkeypatch):
    teacher = reid_training().teacher.model_copy(update={"colour": 0.4, "erasing": 0.5})
    parameters, manifest = reid_training(teacher=teacher), dataset(tmp_path)
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    train_reid(parameters, manifest, whole)
    original = ReIDTask.loss

    def killed(self, step):
        if step == 4:
            raise KeyboardInterrupt
        return original(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(ReIDTask, "loss", killed)
        with pytest.raises(KeyboardInterrupt):
            train_reid(parameters, manifest, resumed)
    assert not resumed.exists()
    train_reid(parameters, manifest, resumed)
    for suffix in (".safetensors", ".json", ".jsonl"):
        assert whole.with_suffix(suffix).read_bytes() == resumed.with_suffix(suffix).read_bytes()
    train_reid(reid_training(), manifest, tmp_path / "plain.safetensors")
    assert (tmp_path / "plain.safetensors").read_bytes() != whole.read_bytes()
