"""Training jobs on a tiny world: same seed same bytes, exact resume, fixed table, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from distillery.config.person_search import LookUp, LookUpJob
from distillery.engine.checkpoint import load_tensors
from distillery.errors import UserError
from distillery.person_search.checkpoints import load_network, load_teacher
from distillery.person_search.lookup import random_rows, save_table
from distillery.person_search.training import ReIDTask, SearchTask, build_table, train_reid, train_search
from person_search.search_jobs import COMPUTE, DIMENSION, SHAPE, dataset, reid_training, search_training


class _KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    save_table(tmp_path / "table.safetensors", random_rows(2, DIMENSION, 0), {})
    return tmp_path / "table.safetensors"


def _bytes(checkpoint: Path) -> list[bytes]:
    return [checkpoint.with_suffix(suffix).read_bytes() for suffix in (".safetensors", ".json", ".jsonl")]


def _kill_at(monkeypatch: pytest.MonkeyPatch, task: type, step: int):
    original = task.loss

    def loss(self, current):
        if current == step:
            raise _KilledError
        return original(self, current)

    return monkeypatch.setattr(task, "loss", loss)


def _record_steps(monkeypatch: pytest.MonkeyPatch, steps: list[int]):
    original = SearchTask.loss

    def loss(self, step):
        steps.append(step)
        return original(self, step)

    monkeypatch.setattr(SearchTask, "loss", loss)


def test_killed_search_training_goes_on_to_the_same_bytes(manifest, table, tmp_path, monkeypatch):
    for name, used in (("online", None), ("fixed", table)):
        whole, resumed = tmp_path / name / "whole.safetensors", tmp_path / name / "resumed.safetensors"
        train_search(search_training(), manifest, used, whole)
        with monkeypatch.context() as patch:
            _kill_at(patch, SearchTask, 4)
            with pytest.raises(_KilledError):
                train_search(search_training(), manifest, used, resumed)
        assert not resumed.exists()
        steps: list[int] = []
        with monkeypatch.context() as patch:
            _record_steps(patch, steps)
            train_search(search_training(), manifest, used, resumed)
        assert steps == [4, 5]
        assert _bytes(whole) == _bytes(resumed)
        assert load_tensors(whole)["identification.queue"].any(dim=1).all()


def test_killed_teacher_training_goes_on_to_the_same_bytes(manifest, tmp_path, monkeypatch):
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    train_reid(reid_training(), manifest, whole)
    with monkeypatch.context() as patch:
        _kill_at(patch, ReIDTask, 3)
        with pytest.raises(_KilledError):
            train_reid(reid_training(), manifest, resumed)
    train_reid(reid_training(), manifest, resumed)
    assert _bytes(whole) == _bytes(resumed)


def test_fixed_table_survives_training_and_the_queue_takes_unlabelled_people(manifest, table, tmp_path):
    train_search(search_training(), manifest, table, tmp_path / "student.safetensors")
    tensors = load_tensors(tmp_path / "student.safetensors")
    assert torch.equal(tensors["identification.table"], load_tensors(table)["rows"])
    assert tensors["identification.queue"].any(dim=1).all()
    assert json.loads((tmp_path / "student.json").read_text())["table"] is True


def test_seed_decides_everything(manifest, tmp_path):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        train_search(search_training(seed=seed), manifest, None, tmp_path / f"{name}.safetensors")
    first, again, other = (_bytes(tmp_path / f"{name}.safetensors") for name in ("first", "again", "other"))
    assert first == again
    assert first[0] != other[0]


def test_online_and_fixed_table_see_the_same_images(manifest, table, tmp_path, monkeypatch):
    seen: dict[str, list[float]] = {"online": [], "fixed": []}
    original = SearchTask.loss
    for name, used in (("online", None), ("fixed", table)):

        def loss(self, step, kept=seen[name]):
            total, terms = original(self, step)
            kept.append(float(terms["rpn_score"].detach()) if step == 0 else 0.0)
            return total, terms

        with monkeypatch.context() as patch:
            patch.setattr(SearchTask, "loss", loss)
            train_search(search_training(), manifest, used, tmp_path / f"{name}.safetensors")
    assert seen["online"][0] == seen["fixed"][0] > 0


def test_chain_from_teacher_to_table(manifest, tmp_path):
    teacher, out = tmp_path / "teacher.safetensors", tmp_path / "table.safetensors"
    train_reid(reid_training(), manifest, teacher)
    build_table(LookUpJob(seed=0, compute=COMPUTE, table=LookUp()), manifest, teacher, out)
    sidecar = json.loads(out.with_suffix(".json").read_text())
    assert (sidecar["kind"], sidecar["identities"], sidecar["dimension"]) == ("lookup", 2, DIMENSION)
    assert sidecar["features"] == 4 and set(sidecar["inputs"]) == {"data", "teacher"}
    assert -1 <= sidecar["quality"]["inter_class"] <= 1 and 0 < sidecar["quality"]["intra_class"] <= 1
    train_search(search_training(), manifest, out, tmp_path / "student.safetensors")
    assert load_teacher(teacher).embedding.out_features == DIMENSION


def test_random_table_needs_no_teacher_but_a_length(manifest, tmp_path):
    job = LookUpJob(seed=0, compute=COMPUTE, table=LookUp(construction="random"))
    out = tmp_path / "table.safetensors"
    with pytest.raises(UserError, match="random rows need a length"):
        build_table(job, manifest, None, out)
    build_table(job.model_copy(update={"dimension": 5}), manifest, None, out)
    assert load_tensors(out)["rows"].shape == (2, 5)


def test_mean_table_without_a_teacher(manifest, tmp_path):
    with pytest.raises(UserError, match="needs a re-ID teacher; pass --teacher"):
        build_table(LookUpJob(seed=0, compute=COMPUTE, table=LookUp()), manifest, None, tmp_path / "t.safetensors")


def test_teacher_of_another_length_than_asked_for(manifest, tmp_path):
    train_reid(reid_training(), manifest, tmp_path / "teacher.safetensors")
    job = LookUpJob(seed=0, compute=COMPUTE, table=LookUp(), dimension=DIMENSION + 1)
    with pytest.raises(UserError, match=f"features of length {DIMENSION}, the table is to have {DIMENSION + 1}"):
        build_table(job, manifest, tmp_path / "teacher.safetensors", tmp_path / "table.safetensors")
    assert not (tmp_path / "table.safetensors").exists()


def test_checkpoint_of_another_architecture(manifest, tmp_path):
    checkpoint = tmp_path / "a.safetensors"
    train_search(search_training(), manifest, None, checkpoint)
    sidecar = json.loads(checkpoint.with_suffix(".json").read_text())
    sidecar["parameters"]["shape"]["width"] = 8
    checkpoint.with_suffix(".json").write_text(json.dumps(sidecar))
    with pytest.raises(UserError, match="is a checkpoint of another architecture"):
        load_network(checkpoint)


def test_checkpoint_of_another_kind(manifest, tmp_path):
    train_search(search_training(), manifest, None, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="kind 'oim', not 'reid'"):
        load_teacher(tmp_path / "a.safetensors")


def test_sidecar_without_identities(manifest, tmp_path):
    train_search(search_training(), manifest, None, tmp_path / "a.safetensors")
    sidecar = json.loads((tmp_path / "a.json").read_text())
    del sidecar["identities"]
    (tmp_path / "a.json").write_text(json.dumps(sidecar))
    with pytest.raises(UserError, match="how many identities"):
        load_network(tmp_path / "a.safetensors")


def test_missing_dataset(tmp_path):
    with pytest.raises(UserError, match=r"cuhk_sysu\.json: does not exist; write the dataset"):
        train_search(search_training(), tmp_path / "cuhk_sysu.json", None, tmp_path / "a.safetensors")


def test_frozen_norm_needs_weights(manifest, tmp_path):
    shape = SHAPE.model_copy(update={"norm": "frozen"})
    with pytest.raises(UserError, match="frozen BatchNorm without pre-trained weights"):
        train_search(search_training(shape=shape), manifest, None, tmp_path / "a.safetensors")
