"""Detector distillation in training: what the teacher is asked, what it costs, and what is left of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from distillery.config.search_distillation import DetectorDistillation
from distillery.config.search_jobs import StudentJob
from distillery.engine.checkpoint import load_tensors
from distillery.errors import UserError
from distillery.person_search.checkpoints import load_network
from distillery.person_search.network import Batch, OIMNetwork, build_network
from distillery.person_search.students import Student
from distillery.person_search.teaching import DetectionTeacher
from distillery.person_search.training import train_search
from person_search.search_jobs import NAME, SHAPE, dataset, search_training, student

TAUGHT = DetectorDistillation()
TERMS = {"hint", "rpn_score_soft", "rpn_box_bounded", "score_soft", "box_bounded"}
WIDE = SHAPE.model_copy(update={"width": 8})
DETECTOR = "wide-detector"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def detector(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _detector(manifest, tmp_path_factory.mktemp("detector") / "seed0.safetensors")


def _detector(manifest: Path, out: Path, **changes) -> Path:
    job = StudentJob(shape=changes.pop("shape", WIDE))
    parameters = search_training(method="detector", students={DETECTOR: job}, **changes)
    train_search(parameters, manifest, {DETECTOR: out})
    return out


def _network(shape=SHAPE) -> OIMNetwork:
    torch.manual_seed(0)
    return build_network(search_training(), student(shape=shape), 4).train()


def _batch() -> Batch:
    torch.manual_seed(1)
    boxes = torch.tensor([[10.0, 8.0, 40.0, 90.0], [70.0, 10.0, 100.0, 80.0]])
    ids = torch.tensor([0, 3])
    return Batch(torch.randn(2, 3, 96, 128), [(96, 128)] * 2, [boxes, boxes[:1]], [ids, ids[:1]])


def _student(network: OIMNetwork, teacher: DetectionTeacher | None, **changes) -> Student:
    return Student(network, student(**changes), search_training().weights.model_dump(), teacher)


def test_detector_is_trained_and_comes_back_without_identification(detector):
    sidecar = json.loads(detector.with_suffix(".json").read_text())
    assert (sidecar["kind"], sidecar["variant"], sidecar["table"]) == ("detector", DETECTOR, False)
    network = load_network(detector, "detector")
    assert isinstance(network, OIMNetwork) and network.identification is None
    assert not any("identi" in name for name in load_tensors(detector))
    assert "wide-detector/identity" not in json.loads(detector.with_suffix(".jsonl").read_text().splitlines()[0])


def test_student_of_itself_is_taught_nothing_but_its_entropy():
    """Nothing to hint at, no box beyond the teacher's bound, and the soft loss of a distribution with itself."""
    network, twin = _network(), _network()
    chosen = DetectorDistillation(margin=0.0)
    teacher = DetectionTeacher(twin, [chosen])
    batch = _batch()
    outputs = network.eval()(batch)  # so that both use the same statistics
    terms = teacher.terms(outputs, teacher.look(batch.images), chosen, None)
    assert set(terms) == TERMS
    assert float(terms["hint"].detach()) == 0
    assert float(terms["rpn_box_bounded"].detach()) == float(terms["box_bounded"].detach()) == 0
    probabilities = outputs.regions.scores.detach().softmax(1)
    entropy = -(torch.tensor([1.5, 1.0]) * probabilities * probabilities.log()).sum(1).mean()
    torch.testing.assert_close(terms["score_soft"].detach(), entropy)


def test_terms_are_those_of_the_same_anchors_and_regions():
    network, teacher = _network(), DetectionTeacher(_network(WIDE), [TAUGHT])
    batch = _batch()
    outputs, view = network(batch), teacher.look(batch.images)
    adapter = torch.nn.Conv2d(network.stem.channels, teacher.network.stem.channels, 1)
    terms = teacher.terms(outputs, view, TAUGHT, adapter)
    # The teacher alone, on the student's regions and anchors.
    with torch.no_grad():
        features = teacher.network.stem(batch.images)
        answers = teacher.network.layers(teacher.network.pool(features, outputs.boxes))
        logits, _ = teacher.network.proposals.head([features])
    torch.testing.assert_close(terms["hint"], F.mse_loss(adapter(outputs.features), features))
    soft = -(torch.tensor([1.5, 1.0]) * answers.scores.softmax(1) * outputs.regions.scores.log_softmax(1)).sum(1)
    torch.testing.assert_close(terms["score_soft"], soft.mean())
    # One anchor a position: the logits of a map are those of its anchors in order.
    theirs = logits[0].flatten()[outputs.anchor_sample.anchors]
    ours = outputs.anchors.logits[outputs.anchor_sample.anchors]
    hard = F.binary_cross_entropy_with_logits(ours, theirs.sigmoid(), reduction="none")
    extra = 0.5 * (1 - theirs.sigmoid()) * F.softplus(ours)  # background counts 1.5
    torch.testing.assert_close(terms["rpn_score_soft"], (hard + extra).mean())
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is None for parameter in teacher.network.parameters())
    assert adapter.weight.grad is not None and network.stem.conv1.weight.grad is not None


def test_teacher_looks_once_and_judges_each_students_regions(monkeypatch):
    teacher = DetectionTeacher(_network(WIDE), [TAUGHT])
    calls: list[str] = []
    for name in ("look", "judge"):
        original = getattr(DetectionTeacher, name)

        def counted(self, *args, name=name, original=original):
            calls.append(name)
            return original(self, *args)

        monkeypatch.setattr(DetectionTeacher, name, counted)
    batch = _batch()
    view = teacher.look(batch.images)
    for levels in (("hint", "rpn", "rcnn"), ("hint", "rpn"), ("rcnn",)):
        terms = _student(_network(), teacher, detector=DetectorDistillation(levels=levels))(batch, view)
        assert ("hint" in terms, "rpn_score_soft" in terms, "score_soft" in terms) == tuple(
            level in levels for level in ("hint", "rpn", "rcnn")
        )
    assert calls == ["look", "judge", "judge"]


def test_proposals_of_the_teacher_are_not_asked_for_in_vain():
    teacher = DetectionTeacher(_network(), [DetectorDistillation(levels=("rcnn",))])
    assert teacher.look(_batch().images).anchors is None


def test_teacher_is_no_part_of_the_student():
    teacher = DetectionTeacher(_network(WIDE), [TAUGHT])
    taught, plain = _student(_network(), teacher, detector=TAUGHT), _student(_network(), None)
    extra = {name for name, _ in taught.named_parameters()} - {name for name, _ in plain.named_parameters()}
    assert extra == {"adapter.weight", "adapter.bias"}
    same = DetectionTeacher(_network(), [TAUGHT])
    assert _student(_network(), same, detector=TAUGHT).adapter is None
    assert not teacher.network.training and taught.training


def test_taught_students_learn_as_if_alone_and_save_no_adapter(manifest, detector, tmp_path):
    students = {
        "a-plain": student(),
        "a-all": student(detector=TAUGHT),
        "a-rcnn": student(detector=DetectorDistillation(levels=("rcnn",), hint_norm="l1")),
    }
    optimisation = search_training().optimisation.model_copy(update={"clip": 0.5})
    outputs = {name: tmp_path / f"{name}.safetensors" for name in students}
    parameters = search_training(students=students, optimisation=optimisation)
    train_search(parameters, manifest, outputs, detector=detector)
    names = {name: list(load_tensors(path)) for name, path in outputs.items()}
    assert names["a-plain"] == names["a-all"] == names["a-rcnn"]
    assert len({path.read_bytes() for path in outputs.values()}) == 3
    logged = json.loads((tmp_path / "a-all.jsonl").read_text().splitlines()[0])
    assert {f"a-all/{name}" for name in TERMS} <= set(logged) and "a-plain/hint" not in logged
    sidecar = json.loads((tmp_path / "a-all.json").read_text())
    assert set(sidecar["inputs"]) == {"data", "detector"}
    for name, job in students.items():
        alone = tmp_path / "alone.safetensors"
        single = search_training(students={name: job}, optimisation=optimisation)
        train_search(single, manifest, {name: alone}, detector=detector if job.detector else None)
        assert alone.read_bytes() == outputs[name].read_bytes()


def test_loss_is_the_weighted_sum_of_its_terms(manifest, detector, tmp_path):
    out = tmp_path / "a.safetensors"
    parameters = search_training(students={NAME: student(detector=DetectorDistillation(hard=0.25, hint=2.0))})
    train_search(parameters, manifest, {NAME: out}, detector=detector)
    line = {
        name.removeprefix(f"{NAME}/"): value
        for name, value in json.loads(out.with_suffix(".jsonl").read_text().splitlines()[0]).items()
    }
    expected = (
        0.25 * line["rpn_score"]
        + 0.75 * line["rpn_score_soft"]
        + line["rpn_box"]
        + 0.5 * line["rpn_box_bounded"]
        + 0.25 * line["score"]
        + 0.75 * line["score_soft"]
        + line["box"]
        + 0.5 * line["box_bounded"]
        + 0.3 * line["identity"]
        + 2.0 * line["hint"]
    )
    assert line["loss"] == pytest.approx(expected, rel=1e-5)


def test_detector_teaches_one_of_equal_shape_to_agree_with_it(manifest, detector, tmp_path):
    """Thirty steps with the hint alone bring the student's map nearer to the teacher's."""
    optimisation = search_training().optimisation.model_copy(update={"steps": 30, "learning_rate": 3e-3})
    hinted = DetectorDistillation(levels=("hint",), hint=5.0)
    parameters = search_training(students={NAME: student(shape=WIDE, detector=hinted)}, optimisation=optimisation)
    train_search(parameters, manifest, {NAME: tmp_path / "a.safetensors"}, detector=detector)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines[-1][f"{NAME}/hint"] < 0.8 * lines[0][f"{NAME}/hint"]


def test_missing_teacher(manifest, tmp_path):
    parameters = search_training(students={NAME: student(detector=TAUGHT)})
    with pytest.raises(UserError, match="--detector: is missing, but large-oim learns from a detection teacher"):
        train_search(parameters, manifest, {NAME: tmp_path / "a.safetensors"})


def test_teacher_of_another_stride_or_other_anchors(manifest, tmp_path):
    parameters = search_training(students={NAME: student(detector=TAUGHT)})
    coarse = _detector(manifest, tmp_path / "s.safetensors", shape=SHAPE.model_copy(update={"stride": 16}))
    with pytest.raises(UserError, match="feature maps of stride 16, those of 'large-oim' have 8"):
        train_search(parameters, manifest, {NAME: tmp_path / "a.safetensors"}, detector=coarse)
    # The head alone may be taught by it: regions are pixels.
    alone = search_training(students={NAME: student(detector=DetectorDistillation(levels=("rcnn",)))})
    train_search(alone, manifest, {NAME: tmp_path / "a.safetensors"}, detector=coarse)
    proposals = search_training().proposals.model_copy(update={"anchor_sizes": (16,)})
    other = _detector(manifest, tmp_path / "o.safetensors", proposals=proposals)
    with pytest.raises(UserError, match="answers about other anchors"):
        train_search(parameters, manifest, {NAME: tmp_path / "b.safetensors"}, detector=other)


def test_teacher_must_be_a_detector(manifest, tmp_path):
    train_search(search_training(), manifest, {NAME: tmp_path / "oim.safetensors"})
    parameters = search_training(students={NAME: student(detector=TAUGHT)})
    with pytest.raises(UserError, match="kind 'oim', not 'detector'"):
        train_search(parameters, manifest, {NAME: tmp_path / "a.safetensors"}, detector=tmp_path / "oim.safetensors")
