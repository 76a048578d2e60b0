"""Detector distillation against numbers worked by hand, and the properties that the equations promise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from distillery.config.search_distillation import DetectorDistillation
from distillery.distill.detection import (
    bounded_regression,
    hint,
    soft_classification,
    soft_objectness,
    term_weights,
)

WEIGHTS = {"rpn_score": 1.0, "rpn_box": 4.0, "score": 1.0, "box": 2.0, "identity": 0.3}


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_soft_classification_worked_by_hand():
    # Student (1/2, 1/2) and (1/4, 3/4), teacher (3/4, 1/4) and (1/2, 1/2), background 1.5.
    student = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    teacher = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    first = -(1.5 * 0.75 * math.log(0.5) + 0.25 * math.log(0.5))
    second = -(1.5 * 0.5 * math.log(0.25) + 0.5 * math.log(0.75))
    assert float(soft_classification(student, teacher, 1.5)) == pytest.approx((first + second) / 2)


def test_soft_classification_of_a_certain_teacher_is_the_cross_entropy():
    student, classes = _random(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    certain = 100 * F.one_hot(classes, 3).float()
    torch.testing.assert_close(soft_classification(student, certain, 1.0), F.cross_entropy(student, classes))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.sampled_from([0.5, 1.0, 1.5]), st.integers(0, 99))
def test_objectness_is_the_softmax_over_zero_and_the_logit(count, background, seed):
    student, teacher = 3 * _random(count, seed=seed), 3 * _random(count, seed=seed + 100)
    pairs = (torch.stack([torch.zeros(count), logits], 1) for logits in (student, teacher))
    torch.testing.assert_close(soft_objectness(student, teacher, background), soft_classification(*pairs, background))


def test_objectness_of_extreme_logits_is_finite():
    loss = soft_objectness(torch.tensor([200.0, -200.0]), torch.tensor([-200.0, 200.0]), 1.5)
    assert float(loss) == pytest.approx((1.5 * 200 + 200) / 2)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99))
def test_soft_loss_is_smallest_at_the_teacher(seed):
    teacher = _random(5, 2, seed=seed)
    student = teacher.clone().requires_grad_()
    soft_classification(student, teacher, 1.0).backward()
    assert student.grad is not None
    torch.testing.assert_close(student.grad, torch.zeros(5, 2), atol=1e-6, rtol=0)


def test_bounded_regression_worked_by_hand():
    targets = torch.zeros(4, 4)
    # Squared errors of the student 4, 0.25, 1 and 1, of the teacher 1, 1, 1 and 1.005.
    student = torch.tensor([[2.0, 0, 0, 0], [0.5, 0, 0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    teacher = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0], [0, 1.0, 0, 0], [0, math.sqrt(1.005), 0, 0]])
    # With m = 0.01 the last two count as well: 1 + 0.01 exceeds 1 and 1.005; without a margin only the first.
    assert float(bounded_regression(student, teacher, targets, 0.01, 8)) == pytest.approx((4 + 1 + 1) / 8)
    assert float(bounded_regression(student, teacher, targets, 0.0, 8)) == pytest.approx(4 / 8)


def test_bounded_gradient_reaches_only_who_is_worse():
    targets = _random(2, 4)
    student = (targets + torch.tensor([[1.0], [0.1]])).requires_grad_()
    teacher = (targets + 0.5).requires_grad_()
    bounded_regression(student, teacher, targets, 0.0, 2).backward()
    assert student.grad is not None and teacher.grad is None
    # d ||R - y||^2 / 2 = R - y, over two.
    torch.testing.assert_close(student.grad, torch.tensor([[1.0] * 4, [0.0] * 4]))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 8), st.integers(0, 99), st.floats(0, 0.1), st.integers(1, 20))
def test_bounded_regression_properties(count, seed, margin, total):
    student, teacher, targets = (_random(count, 4, seed=seed + part) for part in (0, 1000, 2000))
    loss = bounded_regression(student, teacher, targets, margin, total)
    literal = 0.0
    for s, t, y in zip(student, teacher, targets, strict=True):
        if float(((s - y) ** 2).sum()) + margin > float(((t - y) ** 2).sum()):
            literal += float(((s - y) ** 2).sum())
    assert float(loss) == pytest.approx(literal / total, rel=1e-5, abs=1e-6)
    # A perfect student is never bounded, whoever teaches, and a perfect teacher bounds everybody else.
    assert float(bounded_regression(targets, teacher, targets, margin, total)) == 0
    full = (student - targets).square().sum() / total
    torch.testing.assert_close(bounded_regression(student, targets, targets, margin, total), full)


@pytest.mark.parametrize(("norm", "expected"), [("l1", (1 + 2 + 0 + 3) / 4), ("l2", (1 + 4 + 0 + 9) / 4)])
def test_hint_worked_by_hand(norm, expected):
    student = torch.tensor([1.0, -2.0, 0.0, 3.0]).view(1, 1, 2, 2)
    assert float(hint(student, torch.zeros(1, 1, 2, 2), norm)) == expected


def test_no_gradient_reaches_the_teacher():
    student, teacher = (_random(6, 4, seed=seed).requires_grad_() for seed in (0, 1))
    total = (
        soft_classification(student, teacher, 1.5)
        + soft_objectness(student[:, 0], teacher[:, 0], 1.5)
        + bounded_regression(student, teacher, torch.zeros(6, 4), 0.01, 6)
        + hint(student, teacher, "l1")
        + hint(student, teacher, "l2")
    )
    total.backward()
    assert teacher.grad is None
    assert student.grad is not None and bool(student.grad.any())


def test_gradients_by_finite_differences():
    teacher, targets = _random(3, 4, seed=1).double(), _random(3, 4, seed=2).double()
    student = _random(3, 4, seed=0).requires_grad_()

    def total(x: torch.Tensor) -> torch.Tensor:
        return (
            soft_classification(x, teacher, 1.5)
            + soft_objectness(x[:, 0], teacher[:, 0], 1.5)
            + bounded_regression(x, teacher, targets, 0.01, 3)
            + hint(x, teacher, "l2")
        )

    (gradient,) = torch.autograd.grad(total(student), student)
    step = 1e-2  # the functions compute in float32
    for index in range(student.numel()):
        shift = torch.zeros(12).index_fill(0, torch.tensor(index), step).view(3, 4)
        slope = (total(student + shift) - total(student - shift)) / (2 * step)
        assert float(gradient.flatten()[index]) == pytest.approx(float(slope.detach()), abs=5e-3)


@pytest.mark.parametrize("name", ["classification", "objectness", "regression"])
def test_nothing_to_compare_is_zero_and_keeps_its_path(name):
    student = torch.zeros(0, 4, requires_grad=True)
    empty = torch.zeros(0, 4)
    losses = {
        "classification": lambda: soft_classification(student, empty, 1.5),
        "objectness": lambda: soft_objectness(student[:, 0], empty[:, 0], 1.5),
        "regression": lambda: bounded_regression(student, empty, empty, 0.01, 0),
    }
    loss = losses[name]()
    loss.backward()
    assert float(loss.detach()) == 0 and student.grad is not None


def test_half_precision_is_compared_in_single():
    student, teacher = _random(4, 2), _random(4, 2, seed=1)
    loss = soft_classification(student.bfloat16(), teacher.bfloat16(), 1.5)
    assert loss.dtype == torch.float32


def test_total_of_all_levels():
    chosen = DetectorDistillation(hint=0.5, hard=0.25, bounded=0.5)
    assert term_weights(chosen, WEIGHTS) == {
        "rpn_score": 0.25,
        "rpn_score_soft": 0.75,
        "rpn_box": 4.0,
        "rpn_box_bounded": 2.0,
        "score": 0.25,
        "score_soft": 0.75,
        "box": 2.0,
        "box_bounded": 1.0,
        "identity": 0.3,
        "hint": 0.5,
    }


@pytest.mark.parametrize(
    ("level", "added"),
    [
        ("hint", {"hint"}),
        ("rpn", {"rpn_score_soft", "rpn_box_bounded"}),
        ("rcnn", {"score_soft", "box_bounded"}),
    ],
)
def test_a_level_that_is_off_leaves_the_annotations_alone(level, added):
    weights = term_weights(DetectorDistillation(levels=(level,)), WEIGHTS)
    assert set(weights) == {*WEIGHTS, *added}
    halved = {"hint": (), "rpn": ("rpn_score",), "rcnn": ("score",)}[level]
    assert {name: weights[name] for name in WEIGHTS} == {
        name: value * (0.5 if name in halved else 1) for name, value in WEIGHTS.items()
    }
    assert term_weights(None, WEIGHTS) == WEIGHTS
