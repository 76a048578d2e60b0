from __future__ import annotations

import itertools
import math

import pytest
import torch

from distillery.config.distillation import Distillation, Sharing
from distillery.distill import losses, students
from distillery.distill.students import Response

LAYERS = (3, 5)


def response(seed: int, *, hard: float | None = None, channels: int = 4, grad: bool = True, boxes: bool = False):
    draw = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw).requires_grad_(grad)

    batch = 3
    return Response(
        random(batch, 9),
        torch.full((batch,), hard) if hard is not None else random(batch).abs(),
        regression=torch.full((batch,), 0.3) if boxes else None,
        boxes=random(batch, 9, 4) if boxes else None,
        exemplar={layer: random(batch, channels, 4, 4) for layer in LAYERS},
        search={layer: random(batch, channels, 7, 7) for layer in LAYERS},
    )


def config(**changes: object) -> Distillation:
    return Distillation(layers=LAYERS, **changes)


def taught(teacher: Response, **changes: object) -> students.Lesson:
    return students.lesson(teacher, config(**changes))


def test_knowledge_transfer_weighs_its_terms() -> None:
    student, teacher = response(1), response(2, channels=6, grad=False)
    total, terms = students.knowledge_transfer(student, taught(teacher), config(eta=2.0, lam=0.5, omega=10.0))
    assert set(terms) == {"teacher_soft", "adaptive_hard", "target_response"}
    assert terms["teacher_soft"].item() == pytest.approx(losses.teacher_soft(student.score, teacher.score).item())
    assert terms["adaptive_hard"].item() == pytest.approx(student.hard.mean().item())
    layers = [
        losses.target_response(
            *(losses.response_maps(side.exemplar[j], side.search[j]) for side in (student, teacher))
        ).item()
        for j in LAYERS
    ]
    assert terms["target_response"].item() == pytest.approx(sum(layers))
    expected = 2 * terms["teacher_soft"] + 0.5 * terms["adaptive_hard"] + 10 * terms["target_response"]
    assert total.item() == pytest.approx(expected.item())


def test_without_omega_no_feature_is_needed() -> None:
    bare = Response(torch.zeros(2, 3), torch.ones(2))
    total, terms = students.knowledge_transfer(bare, taught(bare, omega=0.0), config(omega=0.0))
    assert set(terms) == {"teacher_soft", "adaptive_hard"}
    assert total.item() == pytest.approx(0.1)


def test_boxes_join_the_soft_and_the_hard_loss() -> None:
    student, teacher = response(1, boxes=True), response(2, boxes=True, grad=False)
    _, terms = students.knowledge_transfer(student, taught(teacher), config())
    boxes = losses.soft_boxes(student.boxes, teacher.boxes).mean()
    expected = losses.teacher_soft(student.score, teacher.score) + boxes
    assert terms["teacher_soft"].item() == pytest.approx(expected.item())
    assert terms["adaptive_hard"].item() == pytest.approx(student.hard.mean().item() + 0.3)
    assert student.ground_truth.tolist() == (student.hard + 0.3).tolist()


class TestShare:
    """The gate looks at one of the two students; here the receiver is good and the giver is bad."""

    good, bad = response(1, hard=0.1), response(2, hard=0.9)
    teacher = taught(response(3, hard=0.2, grad=False))

    def test_an_unreliable_giver_is_suppressed(self) -> None:
        loss, gate = students.share(self.good, self.bad, self.teacher, Sharing(gate="other"), 0)
        assert (loss.item(), gate.item()) == (0, 0)
        loss, gate = students.share(self.bad, self.good, self.teacher, Sharing(gate="other"), 0)
        assert loss.item() == pytest.approx(losses.sharing(self.bad.score, self.good.score).mean().item())
        assert gate.item() == 1

    def test_own_gate_is_the_opposite_reading(self) -> None:
        loss, _ = students.share(self.good, self.bad, self.teacher, Sharing(gate="own"), 2)
        assert loss.item() == pytest.approx(0.81 * losses.sharing(self.good.score, self.bad.score).mean().item())
        assert students.share(self.bad, self.good, self.teacher, Sharing(gate="own"), 2)[0].item() == 0

    def test_granularity(self) -> None:
        score = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
        mixed = Response(score, torch.tensor([0.1, 0.5]))  # reliable on the first sample, on average not
        receiver = Response(score.flip(1), torch.zeros(2))
        teacher = taught(Response(score, torch.tensor([0.2, 0.2])), omega=0.0)
        each = losses.sharing(receiver.score, mixed.score)
        loss, gate = students.share(receiver, mixed, teacher, Sharing(granularity="sample"), 0)
        assert loss.item() == pytest.approx(each[0].item() / 2)
        assert gate.item() == 0.5
        assert students.share(receiver, mixed, teacher, Sharing(granularity="batch"), 0)[0].item() == 0

    def test_boxes_are_shared_too(self) -> None:
        first, second, teacher = (response(seed, boxes=True, hard=0.1) for seed in (1, 2, 3))
        expected = losses.sharing(first.score, second.score) + losses.sharing_boxes(first.boxes, second.boxes)
        loss, _ = students.share(first, second, taught(teacher), Sharing(), 0)
        assert loss.item() == pytest.approx(expected.mean().item())


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_total_for_any_number_of_students(number: int) -> None:
    names = [f"s{index + 1}" for index in range(number)]
    group = {name: response(seed, hard=0.1, channels=2 + seed) for seed, name in enumerate(names, 1)}
    teacher = taught(response(99, hard=0.2, grad=False))
    sharing = Sharing(beta=0.25, decay=0.5) if number > 1 else None
    total, terms = students.total_loss(group, teacher, config(sharing=sharing), epoch=1)
    expected = 0.0
    for name in names:
        expected += students.knowledge_transfer(group[name], teacher, config())[0].item()
        givers = [other for other in names if other != name]
        if givers:
            mean = sum(losses.sharing(group[name].score, group[o].score).mean().item() for o in givers) / len(givers)
            assert terms[f"{name}/sharing"].item() == pytest.approx(0.5 * mean)
            assert terms[f"{name}/gate"].item() == 1
            expected += (1 if name == "s1" else 0.25) * 0.5 * mean
    assert total.item() == pytest.approx(expected, rel=1e-5)
    kinds = {"teacher_soft", "adaptive_hard", "target_response"} | ({"sharing", "gate"} if number > 1 else set())
    assert set(terms) == {f"{name}/{kind}" for name, kind in itertools.product(names, kinds)}
    total.backward()
    for student in group.values():
        assert student.score.grad.abs().sum() > 0


def test_sharing_gives_no_gradient_to_the_giver_or_the_teacher() -> None:
    first, second, teacher = response(1, hard=0.1), response(2, hard=0.1), response(3, hard=0.2)
    students.share(first, second, taught(teacher), Sharing(), 0)[0].backward()
    assert first.score.grad is not None
    assert second.score.grad is None
    total, _ = students.total_loss({"a": first, "b": second}, taught(teacher), config(sharing=Sharing()), 0)
    total.backward()
    touched = (teacher.score, *teacher.exemplar.values(), *teacher.search.values())
    assert [tensor.grad for tensor in touched] == [None] * 5


def test_sharing_fades_with_the_epochs() -> None:
    group = {"a": response(1, hard=0.1), "b": response(2, hard=0.1)}
    teacher = taught(response(3, hard=0.2, grad=False))
    shared = [
        students.total_loss(group, teacher, config(sharing=Sharing()), epoch)[1]["a/sharing"].item()
        for epoch in range(3)
    ]
    assert shared[1] / shared[0] == pytest.approx(0.9)
    assert shared[2] / shared[1] == pytest.approx(0.9)
    assert math.isfinite(shared[0])


def test_a_lesson_holds_all_that_the_losses_need_and_no_gradient() -> None:
    teacher = response(3, boxes=True)
    given = taught(teacher)
    assert set(given.maps) == set(LAYERS)
    tensors = [
        given.score,
        given.hard,
        given.regression,
        given.boxes,
        *(t for pair in given.maps.values() for t in pair),
    ]
    assert not any(tensor.requires_grad for tensor in tensors)
    assert torch.equal(given.ground_truth, teacher.ground_truth)
    assert taught(teacher, omega=0.0).maps == {}
