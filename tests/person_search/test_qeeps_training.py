"""Training jobs of QEEPS on a tiny world: its pairs, exact resume, start from OIM, tables and a detection teacher."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from distillery.config.search_distillation import DetectorDistillation, QueryGuidance
from distillery.config.search_jobs import SearchTraining
from distillery.engine.checkpoint import load_tensors
from distillery.engine.devices import prepare
from distillery.errors import UserError
from distillery.person_search.benchmarks.base import SearchImage
from distillery.person_search.dataset import ImageStore, training_batch
from distillery.person_search.lookup import random_rows, save_table
from distillery.person_search.qeeps import build_qeeps
from distillery.person_search.qeeps_training import METHOD, QEEPSTask
from distillery.person_search.splits import training_split
from distillery.person_search.students import Student
from distillery.person_search.training import train_search
from person_search.search_jobs import COMPUTE, DIMENSION, NAME, SHAPE, dataset, search_training, student, train_one


class _KilledError(Exception):
    pass


def qeeps_training(query: QueryGuidance | None = None, **changes) -> SearchTraining:
    return search_training(method="qeeps", query=query or QueryGuidance(reduction=2), **changes)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def oim(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("oim") / "seed0.safetensors"
    train_one(search_training(), manifest, None, path)
    return path


def task_of(images: list[SearchImage], parameters: SearchTraining) -> QEEPSTask:
    torch.manual_seed(0)
    job = parameters.students[NAME]
    network = Student(build_qeeps(parameters, job, 2), job, METHOD.weights(parameters))
    return QEEPSTask({NAME: network}, ImageStore(images, parameters.resize), parameters, prepare(COMPUTE))


def test_batches_are_oims_with_a_person_of_another_image_each(manifest):
    parameters = qeeps_training(QueryGuidance(positives=1.0))
    task = task_of(training_split(manifest).images, parameters)
    for step in range(4):
        batch = task.batch(step)
        plain = training_batch(task._store, seed=0, step=step, size=2, stride=8, device=torch.device("cpu"))
        assert torch.equal(batch.images, plain.images) and batch.sizes == plain.sizes
        for name in ("boxes", "ids"):
            ours, theirs = getattr(batch, name), getattr(plain, name)
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert batch.query is not None and batch.query.images.shape == batch.images.shape
        assert [boxes.shape for boxes in batch.query.boxes] == [(1, 4)] * 2
        for image, box, identity, ids in zip(
            batch.query.images, batch.query.boxes, batch.query.ids, batch.ids, strict=True
        ):
            # Both identities stand in two images each, so the person is always there.
            assert int(identity) in ids.tolist()
            x1, y1, x2, y2 = box[0].round().int().tolist()
            assert 0 <= x1 < x2 <= 150 and 0 <= y1 < y2 <= 100
            inside = image[:, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
            # The box is where the clothes of one colour are, mirrored or not.
            assert float(inside.std((1, 2)).max()) < 0.2 < float(image.std((1, 2)).min())
        again = task.batch(step)
        assert torch.equal(again.query.images, batch.query.images)  # type: ignore[union-attr]


def test_images_of_different_sizes_make_pairs_of_one_size(tmp_path):
    from PIL import Image

    images = []
    for k, size in enumerate([(60, 40), (30, 50), (44, 44)]):
        Image.new("RGB", size, (255, 255, 255)).save(tmp_path / f"{k}.png")
        images.append(
            SearchImage(f"{k}.png", tmp_path / f"{k}.png", np.array([[2, 2, 20, 38]], np.float32), np.array([k % 2]))
        )
    parameters = qeeps_training()
    task = task_of(
        images, parameters.model_copy(update={"resize": parameters.resize.model_copy(update={"shorter": 40})})
    )
    for step in range(6):
        batch = task.batch(step)
        assert batch.query is not None and batch.query.images.shape == batch.images.shape
        for part in (batch, batch.query):
            for image, (height, width) in zip(part.images, part.sizes, strict=True):
                assert image[:, :height, :width].all()
                assert not image[:, height:].any() and not image[:, :, width:].any()
        total, terms = task.loss(step)
        assert bool(torch.isfinite(total)) and f"{NAME}/similarity" in terms


def test_total_is_the_weighted_sum(manifest):
    guidance = QueryGuidance(reduction=2, proposals=3.0, similarity=0.5)
    task = task_of(training_split(manifest).images, qeeps_training(guidance))
    total, terms = task.loss(0)
    weights = {"identity": 0.3, "query_proposals": 3.0, "similarity": 0.5}
    expected = sum(weights.get(name.partition("/")[2], 1.0) * value for name, value in terms.items())
    torch.testing.assert_close(total, expected)
    assert len(terms) == 7


def test_killed_training_goes_on_to_the_same_bytes(manifest, oim, tmp_path, monkeypatch):
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    train_search(qeeps_training(), manifest, {NAME: whole}, starts={NAME: oim})
    original = QEEPSTask.batch

    def batch(self, step):
        if step == 4:
            raise _KilledError
        return original(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(QEEPSTask, "batch", batch)
        with pytest.raises(_KilledError):
            train_search(qeeps_training(), manifest, {NAME: resumed}, starts={NAME: oim})
    steps = []
    with monkeypatch.context() as patch:
        patch.setattr(QEEPSTask, "batch", lambda self, step: (steps.append(step), original(self, step))[1])
        train_search(qeeps_training(), manifest, {NAME: resumed}, starts={NAME: oim})
    assert steps == [4, 5]
    for suffix in (".safetensors", ".json", ".jsonl"):
        assert whole.with_suffix(suffix).read_bytes() == resumed.with_suffix(suffix).read_bytes()
    sidecar = json.loads(whole.with_suffix(".json").read_text())
    assert (sidecar["kind"], sidecar["variant"], sidecar["table"]) == ("qeeps", NAME, False)
    assert f"start {NAME}" in sidecar["inputs"]
    tensors = load_tensors(whole)
    assert tensors["guidance.gates.0.excite.weight"].any() and tensors["query_proposals.score.weight"].any()
    assert tensors["identification.queue"].any(dim=1).all() and tensors["identification.table"].any(dim=1).all()


def test_starts_from_oim(manifest, oim, tmp_path):
    slow = {"learning_rate": 1e-12, "final_learning_rate": 1e-12}
    still = qeeps_training(optimisation=search_training().optimisation.model_copy(update=slow))
    train_search(still, manifest, {NAME: tmp_path / "a.safetensors"}, starts={NAME: oim})
    found, expected = load_tensors(tmp_path / "a.safetensors"), load_tensors(oim)
    for name in ("stem.conv1.weight", "proposals.head.conv.weight", "head.layer4.0.conv1.weight", "layers.box.weight"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)


def test_students_of_one_job_learn_as_if_alone(manifest, oim, tmp_path):
    detector = tmp_path / "detector.safetensors"
    teacher = search_training(method="detector", students={NAME: student(identification=None)})
    train_search(teacher, manifest, {NAME: detector})
    save_table(tmp_path / "table.safetensors", random_rows(2, DIMENSION, 0), {})
    students = {
        "large-plain": student(),
        "large-both": student(detector=DetectorDistillation()),
        "small-half": student(shape=SHAPE.model_copy(update={"width": 2}), identities=1),
    }
    tables = {"large-both": tmp_path / "table.safetensors"}
    starts = {"large-plain": oim, "large-both": oim}
    outputs = {name: tmp_path / "together" / f"{name}.safetensors" for name in students}
    together = qeeps_training(students=students)
    train_search(together, manifest, outputs, tables=tables, detector=detector, starts=starts)
    for name in students:
        alone = {name: tmp_path / "alone" / f"{name}.safetensors"}
        train_search(
            qeeps_training(students={name: students[name]}),
            manifest,
            alone,
            tables={key: path for key, path in tables.items() if key == name},
            detector=detector,
            starts={key: path for key, path in starts.items() if key == name},
        )
        assert alone[name].read_bytes() == outputs[name].read_bytes()
    rows = load_tensors(outputs["large-both"])["identification.table"]
    assert torch.equal(rows, load_tensors(tables["large-both"])["rows"])
    line = json.loads(outputs["large-both"].with_suffix(".jsonl").read_text().splitlines()[0])
    assert {"large-both/hint", "large-both/similarity", "large-both/query_proposals"} <= set(line)


def test_start_of_another_kind_or_architecture(manifest, oim, tmp_path):
    out = {NAME: tmp_path / "a.safetensors"}
    wide = qeeps_training(students={NAME: student(shape=SHAPE.model_copy(update={"width": 8}))})
    with pytest.raises(UserError, match="no start for a network of another architecture"):
        train_search(wide, manifest, out, starts={NAME: oim})
    train_search(qeeps_training(), manifest, out)
    with pytest.raises(UserError, match="kind 'qeeps', not 'oim'"):
        train_search(qeeps_training(), manifest, {NAME: tmp_path / "b.safetensors"}, starts=out)


def test_job_without_the_settings_of_guidance(manifest, tmp_path):
    with pytest.raises(UserError, match="query: a QEEPS network needs the settings"):
        train_search(search_training(method="qeeps"), manifest, {NAME: tmp_path / "a.safetensors"})
