from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, rel_entr, softmax

from distillery.distill import losses

F64 = torch.float64


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=F64)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


class TestBalancedLogistic:
    def test_a_worked_example(self) -> None:
        # One positive (weight 1/2) and two negatives (1/4 each) at logit 0 lose log 2; a logit of 2 loses less.
        labels = torch.tensor([1.0, 0, 0])
        assert losses.balanced_logistic(tensor(0, 0, 0), labels).item() == pytest.approx(math.log(2))
        expected = 0.5 * math.log1p(math.exp(-2)) + 0.25 * math.log1p(math.exp(-1)) + 0.25 * math.log1p(math.exp(3))
        assert losses.balanced_logistic(tensor(2, -1, 3), labels).item() == pytest.approx(expected)

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.booleans(), min_size=2, max_size=20).filter(lambda flags: len(set(flags)) == 2))
    def test_weights_sum_to_one_half_for_each_class(self, flags: list[bool]) -> None:
        labels = torch.tensor(flags, dtype=F64)
        # The slope of the logistic loss at 0 is 1/2 in magnitude, so twice the gradient is the weight.
        logits = torch.zeros(1, len(flags), dtype=F64, requires_grad=True)
        losses.balanced_logistic(logits, labels).sum().backward()
        weights = 2 * logits.grad[0].abs()
        assert weights[labels == 1].sum().item() == pytest.approx(0.5)
        assert weights[labels == 0].sum().item() == pytest.approx(0.5)

    def test_one_value_a_sample(self) -> None:
        logits = random(3, 5)
        labels = torch.tensor([0.0, 1, 1, 0, 0])
        whole = losses.balanced_logistic(logits, labels)
        assert whole.shape == (3,)
        assert whole[1].item() == pytest.approx(losses.balanced_logistic(logits[1:2], labels).item())

    def test_labels_may_differ_between_samples(self) -> None:
        labels = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])
        found = losses.balanced_logistic(tensor(3, 0, -1).expand(2, 3), labels)
        assert found[0] < found[1]


class TestTeacherSoft:
    student, teacher = random(4, 7, seed=1), 2 * random(4, 7, seed=2)

    @pytest.mark.parametrize("temperature", [1.0, 3.0])
    @pytest.mark.parametrize("direction", ["forward", "reverse"])
    def test_softmax_equals_scipy(self, direction: str, temperature: float) -> None:
        s, t = (softmax(x.numpy() / temperature, axis=1) for x in (self.student, self.teacher))
        pair = (t, s) if direction == "forward" else (s, t)
        expected = rel_entr(*pair).sum(1).mean() * temperature**2
        found = losses.teacher_soft(self.student, self.teacher, temperature=temperature, direction=direction)
        assert found.item() == pytest.approx(expected)

    @pytest.mark.parametrize("direction", ["forward", "reverse"])
    def test_bernoulli_equals_scipy(self, direction: str) -> None:
        s, t = expit(self.student.numpy()), expit(self.teacher.numpy())
        first, second = (t, s) if direction == "forward" else (s, t)
        expected = (rel_entr(first, second) + rel_entr(1 - first, 1 - second)).mean()
        found = losses.teacher_soft(self.student, self.teacher, form="bernoulli", direction=direction)
        assert found.item() == pytest.approx(expected)

    def test_a_worked_example(self) -> None:
        # Student 1/2, 1/2; teacher 3/4, 1/4.
        student, teacher = tensor(0, 0), tensor(math.log(3), 0)
        assert losses.teacher_soft(student, teacher).item() == pytest.approx(
            0.75 * math.log(1.5) + 0.25 * math.log(0.5)
        )
        reverse = losses.teacher_soft(student, teacher, direction="reverse").item()
        assert reverse == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))

    @pytest.mark.parametrize("form", ["softmax", "bernoulli"])
    @pytest.mark.parametrize("direction", ["forward", "reverse"])
    def test_zero_at_equality_and_gradient_for_the_student_alone(self, form: str, direction: str) -> None:
        same = losses.teacher_soft(self.student, self.student.clone(), form=form, direction=direction)
        assert same.item() == pytest.approx(0, abs=1e-12)
        student, teacher = self.student.clone().requires_grad_(), self.teacher.clone().requires_grad_()
        losses.teacher_soft(student, teacher, form=form, direction=direction).backward()
        assert student.grad.abs().sum() > 0
        assert teacher.grad is None

    def test_the_gradient_is_the_difference_of_the_distributions(self) -> None:
        student = self.student.clone().requires_grad_()
        losses.teacher_soft(student, self.teacher).backward()
        expected = (softmax(self.student.numpy(), 1) - softmax(self.teacher.numpy(), 1)) / len(student)
        np.testing.assert_allclose(student.grad.numpy(), expected, atol=1e-12)

    def test_softmax_ignores_a_constant_and_bernoulli_does_not(self) -> None:
        shifted = self.teacher + 5
        same, moved = (losses.teacher_soft(self.student, t).item() for t in (self.teacher, shifted))
        assert same == pytest.approx(moved)
        assert losses.teacher_soft(self.student, shifted, form="bernoulli") > losses.teacher_soft(
            self.student, self.teacher, form="bernoulli"
        )

    def test_extreme_logits_stay_finite(self) -> None:
        for form in ("softmax", "bernoulli"):
            found = losses.teacher_soft(torch.tensor([[500.0, -500]]), torch.tensor([[-500.0, 500]]), form=form)
            assert math.isfinite(found.item())
        assert log_softmax([500, -500])[1] == -1000  # what makes a naive log(softmax) infinite


class TestAdaptiveHard:
    @pytest.mark.parametrize(
        ("student", "teacher", "open_"),
        [
            (0.50, 0.10, 1),  # the student is worse: it learns from ground truth
            (0.10, 0.10, 1),
            (0.10, 0.104, 1),  # better, but by less than m = 0.005
            (0.10, 0.106, 0),  # better by more than m: enough
            (0.10, 0.90, 0),
        ],
    )
    def test_the_gate_closes_when_the_student_beats_the_teacher_by_the_margin(
        self, student: float, teacher: float, open_: int
    ) -> None:
        gate = losses.adaptive_hard_gate(torch.tensor([student]), torch.tensor([teacher]), 0.005)
        assert gate.tolist() == [open_]

    def test_a_worked_example(self) -> None:
        classification, student = torch.tensor([1.0, 3.0]), torch.tensor([0.4, 0.2], requires_grad=True)
        teacher = torch.tensor([0.1, 0.5], requires_grad=True)
        found = losses.adaptive_hard(classification, student, teacher, margin=0.005)
        assert found.item() == pytest.approx(2 + 0.4 / 2)
        found.backward()
        assert student.grad.tolist() == [0.5, 0]  # none through the gate, none where it is closed
        assert teacher.grad is None

    def test_without_boxes_it_is_the_classification_loss(self) -> None:
        assert losses.adaptive_hard(torch.tensor([1.0, 3.0])).item() == 2


def slow_target_response(zs: torch.Tensor, xs: torch.Tensor, zt: torch.Tensor, xt: torch.Tensor, side: int) -> float:
    """The equations, sample by sample, with torch's convolution."""

    def branches(z: torch.Tensor, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        kernel = F.adaptive_avg_pool2d(z, side)
        weights = F.conv2d(x[None], kernel[None], padding="same")[0, 0].abs()
        weights = weights / weights.sum()
        weighted = sum((weights * channel).abs() for channel in x)
        return sum(channel.abs() for channel in z).numpy(), weighted.numpy()

    total = 0.0
    for sample in zip(zs, xs, zt, xt, strict=True):
        student, teacher = branches(*sample[:2]), branches(*sample[2:])
        for found, wanted in zip(student, teacher, strict=True):
            total += ((found / np.linalg.norm(found) - wanted / np.linalg.norm(wanted)) ** 2).mean()
    return total / len(zs)


def target_response(zs: torch.Tensor, xs: torch.Tensor, zt: torch.Tensor, xt: torch.Tensor, side: int = 3):
    student, teacher = (losses.response_maps(z, x, template=side) for z, x in ((zs, xs), (zt, xt)))
    return losses.target_response(student, teacher)


class TestTargetResponse:
    z, x = random(2, 6, 5, 5, seed=3), random(2, 6, 9, 8, seed=4)
    other_z, other_x = random(2, 4, 5, 5, seed=5), random(2, 4, 9, 8, seed=6)

    def test_activation_map_sums_magnitudes_over_channels(self) -> None:
        features = torch.tensor([[[[1.0, -2]], [[-3, 4]]]])
        assert losses.activation_map(features).tolist() == [[[4, 6]]]

    def test_weights_are_a_distribution_over_the_search_map(self) -> None:
        weights = losses.correlation_weights(self.x, self.z, 3)
        assert weights.shape == (2, 9, 8)
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum((1, 2)), torch.ones(2, dtype=F64))

    @pytest.mark.parametrize("side", [1, 3, 5])
    def test_equals_the_equations_for_unequal_widths(self, side: int) -> None:
        found = target_response(self.other_z, self.other_x, self.z, self.x, side)
        assert found.item() == pytest.approx(slow_target_response(self.other_z, self.other_x, self.z, self.x, side))
        assert found > 1e-3

    def test_zero_for_identical_networks(self) -> None:
        assert target_response(self.z, self.x, self.z, self.x).item() == 0

    def test_the_number_of_channels_and_the_scale_of_features_do_not_matter(self) -> None:
        wide_z, wide_x = (torch.cat((t, t, t), 1) for t in (self.z, self.x))
        assert target_response(wide_z, wide_x, self.z, self.x).item() == pytest.approx(0, abs=1e-12)
        assert target_response(7 * self.z, 7 * self.x, self.z, self.x).item() == pytest.approx(0, abs=1e-12)

    def test_the_exemplar_matters_to_the_search_branch(self) -> None:
        """Weights come from each network's own exemplar, so swapping it changes more than the exemplar's term."""
        moved = self.z.flip(-1)
        exemplar_term = target_response(moved, self.x, self.z, self.x)
        z_only = F.mse_loss(*(F.normalize(losses.activation_map(t).flatten(1)) for t in (moved, self.z)))
        assert exemplar_term > z_only + 1e-4

    def test_no_gradient_reaches_the_teacher(self) -> None:
        tensors = [t.clone().requires_grad_() for t in (self.other_z, self.other_x, self.z, self.x)]
        target_response(*tensors).backward()
        assert [t.grad is not None and bool(t.grad.abs().sum() > 0) for t in tensors[:2]] == [True, True]
        assert [t.grad for t in tensors[2:]] == [None, None]

    def test_dead_features_give_a_finite_loss_and_gradient(self) -> None:
        dead = torch.zeros(2, 4, 5, 5, requires_grad=True)
        found = target_response(dead, torch.zeros(2, 4, 9, 8), self.z.float(), self.x.float())
        found.backward()
        assert found.isfinite()
        assert dead.grad.isfinite().all()


class TestSharing:
    def test_equals_the_sum_over_both_outcomes(self) -> None:
        first, second = random(3, 6, seed=7), random(3, 6, seed=8)
        p, q = expit(first.numpy()), expit(second.numpy())
        expected = (rel_entr(p, q) + rel_entr(1 - p, 1 - q)).mean(1)
        np.testing.assert_allclose(losses.sharing(first, second).numpy(), expected)

    def test_a_worked_example(self) -> None:
        # p1 = 3/4, p2 = 1/2.
        found = losses.sharing(tensor(math.log(3)), tensor(0))
        assert found.tolist() == [pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))]

    def test_nothing_to_learn_from_an_equal_and_no_gradient_to_the_giver(self) -> None:
        logits = random(2, 5)
        assert losses.sharing(logits, logits.clone()).tolist() == pytest.approx([0, 0], abs=1e-12)
        student, giver = random(2, 5, seed=9).requires_grad_(), random(2, 5, seed=10).requires_grad_()
        losses.sharing(student, giver).sum().backward()
        assert student.grad.abs().sum() > 0
        assert giver.grad is None

    def test_boxes(self) -> None:
        # Smooth L1: d^2 / 2 below 1, |d| - 1/2 above.
        student = torch.tensor([[[0.5, 0, 0, 3.0]], [[0.0, 0, 0, 0]]], requires_grad=True)
        giver = torch.zeros(2, 1, 4, requires_grad=True)
        found = losses.sharing_boxes(student, giver)
        assert found.tolist() == [pytest.approx(0.125 + 2.5), 0]
        found.sum().backward()
        assert giver.grad is None


class TestSuppressingWeight:
    def test_decays_with_the_epoch(self) -> None:
        loss = torch.tensor(0.3)
        weights = [losses.suppressing_weight(loss, loss, threshold=0.005, decay=0.9, epoch=e).item() for e in range(4)]
        assert weights == pytest.approx([1, 0.9, 0.81, 0.729])

    def test_closes_when_the_student_is_worse_than_the_teacher_by_the_threshold(self) -> None:
        student, teacher = torch.tensor([0.10, 0.104, 0.106, 0.01]), torch.full((4,), 0.1)
        found = losses.suppressing_weight(student, teacher, threshold=0.005, decay=0.9, epoch=0)
        assert found.tolist() == [1, 1, 0, 1]

    def test_carries_no_gradient(self) -> None:
        student, teacher = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        assert not losses.suppressing_weight(student, teacher, threshold=1, decay=0.5, epoch=1).requires_grad


def test_boxes_may_be_weighed_by_location() -> None:
    first, second = random(2, 3, 4, seed=11), random(2, 3, 4, seed=12)
    weight = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], dtype=first.dtype)
    each = F.smooth_l1_loss(first, second, reduction="none").sum(2)
    expected = [each[0, 0].item(), (each[1, 1].item() + each[1, 2].item()) / 2]
    assert losses.sharing_boxes(first, second, weight).tolist() == pytest.approx(expected)
    assert losses.sharing_boxes(first, second, torch.zeros(2, 3)).tolist() == [0, 0]


def test_the_label_map_control_by_hand() -> None:
    # Two positives of three: -(log p1 + log p2) / 2 with p = softmax(0, ln 2, 0) = 1/4, 1/2, 1/4.
    logits = torch.tensor([[0.0, math.log(2), 0.0]])
    found = losses.label_map(logits, torch.tensor([1.0, 1.0, 0.0]))
    assert found.tolist() == [pytest.approx((math.log(4) + math.log(2)) / 2)]


def test_the_label_map_control_is_least_at_the_label_map() -> None:
    labels = torch.tensor([0.0, 1.0, 1.0, 0.0])
    entropy = math.log(2)
    assert losses.label_map(40 * labels[None] - 20, labels).item() == pytest.approx(entropy, abs=1e-6)
    assert losses.label_map(random(1, 4, seed=13), labels).item() > entropy


def test_half_the_weight_lies_on_the_labels() -> None:
    labels = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    weight = losses.balanced_weight(labels)
    torch.testing.assert_close(weight[0], torch.tensor([1 / 4, 1 / 6, 1 / 6, 1 / 6, 1 / 4]))
    torch.testing.assert_close(weight[1], torch.full((5,), 1 / 5))
    assert losses.balanced_weight(torch.ones(1, 4)).tolist() == [[0.25] * 4]


def test_bernoulli_divergences_take_weights() -> None:
    student, teacher = random(2, 3, seed=14), random(2, 3, seed=15)
    one = torch.tensor([[0.0, 1.0, 0.0]]).expand(2, 3)
    found = losses.teacher_soft(student, teacher, form="bernoulli", weight=one)
    assert found.item() == pytest.approx(losses.teacher_soft(student[:, 1:2], teacher[:, 1:2], form="bernoulli").item())
    alike = torch.full((2, 3), 1 / 3, dtype=student.dtype)
    for form, loss in (("teacher_soft", losses.teacher_soft), ("sharing", losses.sharing)):
        options = {"form": "bernoulli"} if form == "teacher_soft" else {}
        torch.testing.assert_close(loss(student, teacher, **options, weight=alike), loss(student, teacher, **options))


def test_the_teachers_boxes_are_learnt_by_their_own_loss() -> None:
    first, second = torch.tensor([[[1.0, 0.0, 0.0, -2.0], [9.0, 9.0, 9.0, 9.0]]]), torch.zeros(1, 2, 4)
    assert losses.soft_boxes(first, second, torch.tensor([[1.0, 0.0]])).tolist() == [3.0]
    assert losses.soft_boxes(first, second).tolist() == [(3 + 36) / 2]
