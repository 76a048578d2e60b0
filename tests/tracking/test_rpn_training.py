from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import pytest
import torch
from torch import Tensor

from distillery.config.distillation import Distillation
from distillery.config.pairs import Pairs
from distillery.config.siamrpn import RPNLabels, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.tracking import SiamRPNTraining
from distillery.config.training import Compute, Optimisation
from distillery.distill.students import lesson, total_loss
from distillery.engine.devices import Device
from distillery.engine.randomness import numpy_generator
from distillery.tracking.pairs import PairBatch
from distillery.tracking.rpn_labels import Assigner, Targets
from distillery.tracking.rpn_training import anchor_rows, responder, target_logits
from distillery.tracking.siamrpn import SiamRPN, build

CPU = Device(torch.device("cpu"), torch.float32)
GEOMETRY = SiamRPNGeometry(
    exemplar=63, search=127, small_search=127, train_search=127, stride=4, anchor_scale=4, response_scale=0.02
)
CELLS, ANCHORS = 17, 5 * 17 * 17


def parameters(seed: int = 0, **labels: Any) -> SiamRPNTraining:
    return SiamRPNTraining(
        family="siamrpn",
        seed=seed,
        compute=Compute(),
        pairs=Pairs(epoch=10),
        networks=("dim",),
        distillation=None,
        optimisation=Optimisation(steps=1, batch=2),
        geometry=GEOMETRY,
        labels=RPNLabels(**labels),
        architectures={},
    )


def batch(*positive: bool) -> PairBatch:
    flags = positive or (True, True, False)
    torch.manual_seed(4)
    count = len(flags)
    corners = torch.tensor([[45.0, 50, 80, 75], [20, 60, 51, 93], [50, 20, 90, 60]])[:count]
    return PairBatch(
        torch.rand(count, 3, 63, 63) * 255, torch.rand(count, 3, 127, 127) * 255, corners, torch.tensor(flags)
    )


class Fixed:
    """A network that gives the same answer to every batch."""

    def __init__(self, count: int = 3, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.logits = torch.randn(count, 10, CELLS, CELLS, generator=draw)
        self.offsets = torch.randn(count, 20, CELLS, CELLS, generator=draw)

    def __call__(
        self, exemplar: Tensor, search: Tensor, taps: Collection[int]
    ) -> tuple[Tensor, Tensor, dict[int, Tensor], dict[int, Tensor]]:
        return self.logits, self.offsets, dict.fromkeys(taps, exemplar), dict.fromkeys(taps, search)


def targets(pairs: PairBatch, step: int, seed: int = 0, **labels: Any) -> Targets:
    draw = numpy_generator(seed, "anchors", step)
    return Assigner(GEOMETRY, RPNLabels(**labels))(pairs.box.numpy(), pairs.positive.numpy(), draw)


def anchors(network: Fixed, sample: int) -> list[tuple[list[float], list[float]]]:
    """Logits and offsets of each anchor, by the layout that DaSiamRPN's decoding expects, one at a time."""
    return [
        (
            [network.logits[sample, c * 5 + k, row, column].item() for c in range(2)],
            [network.offsets[sample, c * 5 + k, row, column].item() for c in range(4)],
        )
        for k in range(5)
        for row in range(CELLS)
        for column in range(CELLS)
    ]


def test_layout_of_channels() -> None:
    network = Fixed(1)
    rows = anchors(network, 0)
    score, boxes = target_logits(network.logits), anchor_rows(network.offsets)
    assert score.shape == (1, ANCHORS)
    assert boxes.shape == (1, ANCHORS, 4)
    for index in (0, 17, 289, 1000, ANCHORS - 1):
        (background, target), offsets = rows[index]
        assert score[0, index].item() == pytest.approx(target - background, abs=1e-6)
        assert boxes[0, index].tolist() == offsets
        probability = math.exp(target) / (math.exp(target) + math.exp(background))
        assert score[0, index].sigmoid().item() == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_against_a_literal_loop(smoothing: float) -> None:
    pairs, network = batch(), Fixed()
    found = responder(parameters(smoothing=smoothing), CPU)(network, pairs, 7, ())
    truth = targets(pairs, 7)
    for sample in range(3):
        sums = {"target": 0.0, "background": 0.0, "boxes": 0.0}
        counts = {"target": 0, "background": 0}
        for index, ((background, target), offsets) in enumerate(anchors(network, sample)):
            norm = math.log(math.exp(background) + math.exp(target))
            nll = {"target": norm - target, "background": norm - background}
            for name, other, chosen in (
                ("target", "background", truth.positive),
                ("background", "target", truth.negative),
            ):
                if chosen[sample, index]:
                    sums[name] += (1 - smoothing) * nll[name] + smoothing * nll[other]
                    counts[name] += 1
            if truth.positive[sample, index]:
                sums["boxes"] += sum(abs(a - b) for a, b in zip(offsets, truth.offsets[sample, index], strict=True))
        expected = sum(0.5 * sums[name] / max(counts[name], 1) for name in counts)
        assert found.hard[sample].item() == pytest.approx(expected, rel=1e-4)
        assert found.regression is not None
        boxes = 1.2 * sums["boxes"] / max(counts["target"], 1)
        assert found.regression[sample].item() == pytest.approx(boxes, rel=1e-4)
    assert counts == {"target": 0, "background": 16}  # the last pair is a negative one


def test_weights() -> None:
    pairs, network = batch(), Fixed()
    one = responder(parameters(), CPU)(network, pairs, 0, ())
    other = responder(parameters(classification=2.0, regression=0.6), CPU)(network, pairs, 0, ())
    torch.testing.assert_close(other.hard, 2 * one.hard)
    assert one.regression is not None
    assert other.regression is not None
    torch.testing.assert_close(other.regression, 0.5 * one.regression)


def test_a_perfect_network_has_no_loss() -> None:
    pairs = batch()
    truth = targets(pairs, 0)
    network = Fixed()
    covering = torch.from_numpy(truth.covering).view(3, 5, CELLS, CELLS).float()
    network.logits = torch.cat([-50 * covering, 50 * covering - 50], 1)
    network.offsets = torch.from_numpy(truth.offsets).transpose(1, 2).reshape(3, 20, CELLS, CELLS)
    found = responder(parameters(), CPU)(network, pairs, 0, ())
    assert found.hard.max() < 1e-6
    assert found.regression is not None
    assert found.regression.max() < 1e-5


def test_box_weights_lie_on_the_target() -> None:
    pairs = batch()
    found = responder(parameters(), CPU)(Fixed(), pairs, 0, ())
    assert found.box_weight is not None
    assert found.box_weight.sum(1).tolist() == pytest.approx([1, 1, 0])
    covering = torch.from_numpy(targets(pairs, 0).covering)
    assert torch.equal(found.box_weight > 0, covering)
    assert found.labels is not None
    assert torch.equal(found.labels.bool(), covering)


class TestSelectedAnchors:
    def test_teacher_and_students_of_a_step_share_them(self) -> None:
        """Equal networks have equal losses only on equal anchors."""
        pairs, respond = batch(), responder(parameters(), CPU)
        first = respond(Fixed(), pairs, 3, ()).hard
        assert torch.equal(first, respond(Fixed(), pairs, 3, ()).hard)
        assert torch.equal(first, responder(parameters(), CPU)(Fixed(), pairs, 3, ()).hard)

    def test_step_and_seed_change_them(self) -> None:
        pairs, respond = batch(), responder(parameters(), CPU)
        first = respond(Fixed(), pairs, 3, ()).hard
        assert not torch.equal(first, respond(Fixed(), pairs, 4, ()).hard)
        assert not torch.equal(first, responder(parameters(seed=1), CPU)(Fixed(), pairs, 3, ()).hard)

    def test_another_batch_of_the_same_step_has_its_own(self) -> None:
        respond = responder(parameters(), CPU)
        respond(Fixed(), batch(), 0, ())
        other = batch()._replace(positive=torch.tensor([False, False, False]))
        weights = respond(Fixed(), other, 0, ()).box_weight
        assert weights is not None
        assert weights.sum() == 0


def network(width: float = 0.02) -> SiamRPN:
    torch.manual_seed(0)
    return build(SiamRPNArchitecture(layout="compact", width=width), GEOMETRY)


def test_gradients_reach_every_parameter_and_none_comes_from_ignored_anchors() -> None:
    made, pairs = network().train(), batch()
    found = responder(parameters(), CPU)(made, pairs, 0, (3, 5))
    assert set(found.exemplar) == set(found.search) == {3, 5}
    assert found.regression is not None
    (grad,) = torch.autograd.grad(found.hard.sum(), found.score, retain_graph=True)
    truth = targets(pairs, 0)
    assert torch.equal(grad != 0, torch.from_numpy(truth.positive | truth.negative))
    (found.hard + found.regression).mean().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_distillation_of_two_students() -> None:
    """The responses fit the losses that they are for; a student equal to its teacher has nothing left to learn."""
    pairs, respond = batch(), responder(parameters(), CPU)
    teacher = network(0.03).eval()
    config = Distillation(soft="bernoulli", layers=(3, 4, 5))
    with torch.no_grad():
        given = lesson(respond(teacher, pairs, 0, config.compared_layers), config)
    same = respond(teacher, pairs, 0, config.compared_layers)
    student = respond(network(0.02).train(), pairs, 0, config.compared_layers)
    loss, terms = total_loss({"same": same, "student": student}, given, config, epoch=0)
    loss.backward()
    assert torch.isfinite(loss)
    for term in ("teacher_soft", "target_response"):
        assert terms[f"same/{term}"].item() == pytest.approx(0, abs=1e-6)
        assert terms[f"student/{term}"].item() > 1e-6
