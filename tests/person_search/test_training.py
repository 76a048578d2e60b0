"""Training jobs on a tiny world: same seed same bytes, exact resume, fixed table, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from distillery.config.search_distillation import LookUp
from distillery.config.search_jobs import LookUpJob
from distillery.engine.checkpoint import load_tensors
from distillery.engine.optimisers import build_optimiser
from distillery.errors import UserError
from distillery.person_search.checkpoints import load_network, load_teacher
from distillery.person_search.lookup import random_rows, save_table
from distillery.person_search.network import Batch, build_network
from distillery.person_search.reid_training import ReIDTask, train_reid
from distillery.person_search.students import Student, start_from
from distillery.person_search.tables import build_table
from distillery.person_search.training import SearchTask, train_search
from person_search.search_jobs import (
    COMPUTE,
    DIMENSION,
    IDENTIFICATION,
    NAME,
    OPTIMISATION,
    SHAPE,
    dataset,
    reid_training,
    search_training,
    student,
    train_one,
)


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
        train_one(search_training(), manifest, used, whole)
        with monkeypatch.context() as patch:
            _kill_at(patch, SearchTask, 4)
            with pytest.raises(_KilledError):
                train_one(search_training(), manifest, used, resumed)
        assert not resumed.exists()
        steps: list[int] = []
        with monkeypatch.context() as patch:
            _record_steps(patch, steps)
            train_one(search_training(), manifest, used, resumed)
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
    train_one(search_training(), manifest, table, tmp_path / "student.safetensors")
    tensors = load_tensors(tmp_path / "student.safetensors")
    assert torch.equal(tensors["identification.table"], load_tensors(table)["rows"])
    assert tensors["identification.queue"].any(dim=1).all()
    assert json.loads((tmp_path / "student.json").read_text())["table"] is True


def test_seed_decides_everything(manifest, tmp_path):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        train_one(search_training(seed=seed), manifest, None, tmp_path / f"{name}.safetensors")
    first, again, other = (_bytes(tmp_path / f"{name}.safetensors") for name in ("first", "again", "other"))
    assert first == again
    assert first[0] != other[0]


def test_online_and_fixed_table_see_the_same_images(manifest, table, tmp_path, monkeypatch):
    seen: dict[str, list[float]] = {"online": [], "fixed": []}
    original = SearchTask.loss
    for name, used in (("online", None), ("fixed", table)):

        def loss(self, step, kept=seen[name]):
            total, terms = original(self, step)
            kept.append(float(terms[f"{NAME}/rpn_score"].detach()) if step == 0 else 0.0)
            return total, terms

        with monkeypatch.context() as patch:
            patch.setattr(SearchTask, "loss", loss)
            train_one(search_training(), manifest, used, tmp_path / f"{name}.safetensors")
    assert seen["online"][0] == seen["fixed"][0] > 0


def test_students_of_one_job_learn_as_if_alone(manifest, table, tmp_path):
    names = {"large-oim": None, "large-table": table, "small-oim": None}
    shapes = {name: SHAPE.model_copy(update={"width": 4 if "large" in name else 2}) for name in names}
    optimisation = search_training().optimisation.model_copy(update={"clip": 0.5})
    students = {name: student(shape=shape) for name, shape in shapes.items()}
    together = search_training(students=students, optimisation=optimisation)
    outputs = {name: tmp_path / "together" / f"{name}.safetensors" for name in names}
    train_search(together, manifest, outputs, tables={"large-table": table})
    for name, used in names.items():
        alone = tmp_path / "alone" / f"{name}.safetensors"
        parameters = search_training(students={name: students[name]}, optimisation=optimisation)
        train_search(parameters, manifest, {name: alone}, tables={name: used} if used else {})
        assert alone.read_bytes() == outputs[name].read_bytes()


def test_outputs_are_the_students_of_the_job(manifest, tmp_path):
    with pytest.raises(UserError, match=r"--out: names \['other'\], the job trains \['large-oim'\]"):
        train_search(search_training(), manifest, {"other": tmp_path / "a.safetensors"})


def _tensors(parameters, manifest, out, **files):
    train_search(parameters, manifest, {NAME: out}, **files)
    return load_tensors(out)


def test_given_table_that_is_not_frozen_only_starts_the_online_one(manifest, table, tmp_path):
    parameters = search_training(students={NAME: student(frozen=False)})
    out = tmp_path / "a.safetensors"
    tensors = _tensors(parameters, manifest, out, tables={NAME: table})
    rows = load_tensors(table)["rows"]
    assert not torch.equal(tensors["identification.table"], rows)
    # The first step is that of the frozen table: it has the given rows.
    frozen = tmp_path / "frozen.safetensors"
    _tensors(search_training(), manifest, frozen, tables={NAME: table})
    first, second = (json.loads(path.with_suffix(".jsonl").read_text().splitlines()[0]) for path in (out, frozen))
    assert first == second


def test_identities_beyond_the_limit_count_as_unlabelled(manifest, table, tmp_path):
    parameters = search_training(students={NAME: student(identities=1)})
    limited = _tensors(parameters, manifest, tmp_path / "a.safetensors", tables={NAME: table})
    assert torch.equal(limited["identification.table"], load_tensors(table)["rows"][:1])
    assert json.loads((tmp_path / "a.json").read_text())["identities"] == 1
    load_network(tmp_path / "a.safetensors")
    # More than there are changes nothing but the parameters.
    every = search_training(students={NAME: student(identities=99)})
    _tensors(every, manifest, tmp_path / "b.safetensors")
    _tensors(search_training(), manifest, tmp_path / "c.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def test_labels_that_a_student_does_not_know_enter_its_queue():
    torch.manual_seed(0)
    parameters = search_training()
    network = build_network(parameters, student(), 1).train()
    limited = Student(network, student(identities=1), parameters.weights.model_dump())
    box = torch.tensor([[10.0, 8.0, 40.0, 90.0]])
    images = torch.randn(2, 3, 96, 128)
    limited(Batch(images, [(96, 128)] * 2, [box, box], [torch.tensor([0]), torch.tensor([1])]))
    assert limited.identified is not None
    assert set(limited.identified.ids.tolist()) == {0, -1}
    limited.update()
    assert network.identification.table[0].any() and network.identification.queue.any()
    assert limited.identified is None


def test_start_takes_everything_but_the_table(manifest, table, tmp_path):
    start = tmp_path / "start.safetensors"
    started = _tensors(search_training(), manifest, start)
    parameters = search_training()
    network = build_network(parameters, student(), 2)
    start_from(network, start)
    assert not network.identification.table.any()
    assert all(torch.equal(v, started[k]) for k, v in network.state_dict().items() if k != "identification.table")
    longer = build_network(parameters, student(identification=IDENTIFICATION.model_copy(update={"queue": 7})), 2)
    start_from(longer, start)
    assert not longer.identification.queue.any() and int(longer.identification.pointer) == 0
    # A job uses it, with a table of its own, and names it as an input.
    out = tmp_path / "a.safetensors"
    tensors = _tensors(parameters, manifest, out, tables={NAME: table}, starts={NAME: start})
    assert torch.equal(tensors["identification.table"], load_tensors(table)["rows"])
    assert set(json.loads((tmp_path / "a.json").read_text())["inputs"]) == {"data", f"table {NAME}", f"start {NAME}"}
    fresh = tmp_path / "fresh.safetensors"
    _tensors(parameters, manifest, fresh, tables={NAME: table})
    lines = [json.loads(path.with_suffix(".jsonl").read_text().splitlines()[0]) for path in (out, fresh)]
    assert lines[0][f"{NAME}/rpn_score"] != lines[1][f"{NAME}/rpn_score"]


@pytest.mark.parametrize(
    ("changes", "tensor"),
    [
        ({"shape": SHAPE.model_copy(update={"width": 8})}, "head.layer4.0.bn1.bias"),
        ({"shape": SHAPE.model_copy(update={"depths": (1, 1, 1, 2)})}, "head.layer4.1.bn1.bias"),
        ({"identification": IDENTIFICATION.model_copy(update={"dimension": 4})}, "layers.identity.bias"),
        ({"identification": IDENTIFICATION.model_copy(update={"batch_norm": False})}, "layers.norm.bias"),
    ],
)
def test_start_of_another_architecture(manifest, tmp_path, changes, tensor):
    start = tmp_path / "start.safetensors"
    train_one(search_training(), manifest, None, start)
    parameters = search_training(students={NAME: student(**changes)})
    with pytest.raises(UserError, match=f"no start for a network of another architecture: tensor '{tensor}'"):
        train_search(parameters, manifest, {NAME: tmp_path / "a.safetensors"}, starts={NAME: start})


def test_start_must_be_an_oim_network(manifest, tmp_path):
    train_reid(reid_training(), manifest, tmp_path / "reid.safetensors")
    with pytest.raises(UserError, match="kind 'reid', not 'oim'"):
        train_search(
            search_training(),
            manifest,
            {NAME: tmp_path / "a.safetensors"},
            starts={NAME: tmp_path / "reid.safetensors"},
        )


@pytest.mark.parametrize("place", ["table", "start"])
def test_files_of_networks_that_the_job_does_not_train(manifest, tmp_path, place):
    files = {f"{place}s": {"other": tmp_path / "x.safetensors"}}
    with pytest.raises(UserError, match=rf"--{place}: names 'other', the job trains \['large-oim'\]"):
        train_search(search_training(), manifest, {NAME: tmp_path / "a.safetensors"}, **files)


def test_detector_takes_no_table(manifest, table, tmp_path):
    parameters = search_training(method="detector", students={NAME: student(identification=None)})
    with pytest.raises(UserError, match="--table: names 'large-oim', a detector"):
        train_search(parameters, manifest, {NAME: tmp_path / "a.safetensors"}, tables={NAME: table})


def test_official_solver_doubles_the_rate_of_biases_and_lets_them_be():
    parameters = search_training()
    network = build_network(parameters, student(), 2)
    official = Student(network, student(), parameters.weights.model_dump(), official_biases=True)
    sgd = OPTIMISATION.model_copy(update={"optimiser": "sgd", "weight_decay": 0.1, "learning_rate": 0.5})
    optimiser = build_optimiser(sgd, torch.nn.ModuleList([official]))
    decaying, biases = optimiser.param_groups
    assert (decaying["factor"], decaying["weight_decay"]) == (1.0, 0.1)
    assert (biases["factor"], biases["weight_decay"]) == (2.0, 0.0)
    count = sum(name.endswith("bias") for name, _ in network.named_parameters())
    assert len(biases["params"]) == count > 0
    assert len(decaying["params"]) + count == len(list(network.parameters()))
    assert {id(p) for p in biases["params"]} >= {id(network.layers.box.bias), id(network.stem.bn1.bias)}
    plain = Student(network, student(), parameters.weights.model_dump())
    assert len(build_optimiser(sgd, torch.nn.ModuleList([plain])).param_groups) == 1


def test_killed_training_with_sgd_goes_on_to_the_same_bytes(manifest, tmp_path, monkeypatch):
    parameters = search_training(optimisation=OPTIMISATION.model_copy(update={"optimiser": "sgd"}))
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    train_one(parameters, manifest, None, whole)
    with monkeypatch.context() as patch:
        _kill_at(patch, SearchTask, 4)
        with pytest.raises(_KilledError):
            train_one(parameters, manifest, None, resumed)
    train_one(parameters, manifest, None, resumed)
    assert _bytes(whole) == _bytes(resumed)


def test_chain_from_teacher_to_table(manifest, tmp_path):
    teacher, out = tmp_path / "teacher.safetensors", tmp_path / "table.safetensors"
    train_reid(reid_training(), manifest, teacher)
    build_table(LookUpJob(seed=0, compute=COMPUTE, table=LookUp()), manifest, teacher, out)
    sidecar = json.loads(out.with_suffix(".json").read_text())
    assert (sidecar["kind"], sidecar["identities"], sidecar["dimension"]) == ("lookup", 2, DIMENSION)
    assert sidecar["features"] == 4 and set(sidecar["inputs"]) == {"data", "teacher"}
    assert -1 <= sidecar["quality"]["inter_class"] <= 1 and 0 < sidecar["quality"]["intra_class"] <= 1
    train_one(search_training(), manifest, out, tmp_path / "student.safetensors")
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
    train_one(search_training(), manifest, None, checkpoint)
    sidecar = json.loads(checkpoint.with_suffix(".json").read_text())
    sidecar["parameters"]["students"][NAME]["shape"]["width"] = 8
    checkpoint.with_suffix(".json").write_text(json.dumps(sidecar))
    with pytest.raises(UserError, match="is a checkpoint of another architecture"):
        load_network(checkpoint)


def test_checkpoint_of_another_kind(manifest, tmp_path):
    train_one(search_training(), manifest, None, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="kind 'oim', not 'reid'"):
        load_teacher(tmp_path / "a.safetensors")


def test_sidecar_without_identities(manifest, tmp_path):
    train_one(search_training(), manifest, None, tmp_path / "a.safetensors")
    sidecar = json.loads((tmp_path / "a.json").read_text())
    del sidecar["identities"]
    (tmp_path / "a.json").write_text(json.dumps(sidecar))
    with pytest.raises(UserError, match="how many identities"):
        load_network(tmp_path / "a.safetensors")


def test_missing_dataset(tmp_path):
    with pytest.raises(UserError, match=r"cuhk_sysu\.json: does not exist; write the dataset"):
        train_one(search_training(), tmp_path / "cuhk_sysu.json", None, tmp_path / "a.safetensors")


def test_frozen_norm_needs_weights(manifest, tmp_path):
    shape = SHAPE.model_copy(update={"norm": "frozen"})
    with pytest.raises(UserError, match="frozen BatchNorm without pre-trained weights"):
        train_one(search_training(students={NAME: student(shape=shape)}), manifest, None, tmp_path / "a.safetensors")
