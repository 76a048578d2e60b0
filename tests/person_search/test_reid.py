"""The re-ID teacher: its loss, its features, and that it learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from distillery.config.person_search import ReIDTeacher
from distillery.person_search.benchmarks.cuhk_sysu import load_train
from distillery.person_search.checkpoints import load_teacher
from distillery.person_search.dataset import ImageStore
from distillery.person_search.reid import ReIDNetwork, labelled_people
from distillery.person_search.training import train_reid
from person_search.search_jobs import dataset, reid_training


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


def test_labelled_people_of_the_training_images(tmp_path: Path):
    images = load_train(dataset(tmp_path).with_suffix("")).images
    people = labelled_people(images)
    assert sorted(int(images[image].ids[person]) for image, person in people) == [0, 0, 1, 1]
    assert _network().embed_people(ImageStore(images), people, torch.device("cpu")).shape == (4, 8)


def test_teacher_learns_and_comes_back(tmp_path: Path):
    parameters = reid_training()
    optimisation = parameters.teacher.optimisation.model_copy(update={"steps": 60, "batch": 4, "learning_rate": 5e-3})
    teacher: ReIDTeacher = parameters.teacher.model_copy(update={"optimisation": optimisation})
    train_reid(reid_training(teacher=teacher), dataset(tmp_path), tmp_path / "teacher.safetensors")
    lines = [json.loads(line) for line in (tmp_path / "teacher.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    sidecar = json.loads((tmp_path / "teacher.json").read_text())
    assert (sidecar["kind"], sidecar["identities"]) == ("reid", 2)
    restored = load_teacher(tmp_path / "teacher.safetensors")
    assert not restored.training
    assert sidecar["parameter_count"] == sum(p.numel() for p in restored.parameters())


@pytest.mark.parametrize("crop", [(32, 16), (48, 24)])
def test_any_crop_size(crop):
    teacher = reid_training().teacher.model_copy(update={"crop": crop})
    assert ReIDNetwork(teacher, 8, 3).eval()(torch.zeros(2, 3, *crop)).shape == (2, 8)
