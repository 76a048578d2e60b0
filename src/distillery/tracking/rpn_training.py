"""How a network with region proposals (SiamRPN, SiamRPN++) answers a batch of training pairs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from distillery.config.siamrpn import RPNLabels
from distillery.config.tracking import SiamRPNPPTraining, SiamRPNTraining
from distillery.distill.students import Response
from distillery.engine import distributed
from distillery.engine.devices import Device
from distillery.engine.randomness import numpy_generator
from distillery.tracking.pairs import PairBatch
from distillery.tracking.rpn_labels import Assigner


class Network(Protocol):
    """What is asked of a network."""

    def __call__(
        self, exemplar: Tensor, search: Tensor, taps: Collection[int]
    ) -> tuple[Tensor, Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Logits (B, 2k, R, R), box offsets (B, 4k, R, R), and tapped features of exemplar and search region."""


Respond = Callable[[Network, PairBatch, int, Collection[int]], Response]


class Truth(NamedTuple):
    """`rpn_labels.Targets` as tensors on the device, (B, L) and (B, L, 4)."""

    positive: Tensor
    negative: Tensor
    covering: Tensor
    offsets: Tensor


def responder(parameters: SiamRPNTraining | SiamRPNPPTraining, device: Device) -> Respond:
    """A function of (network, batch, step, taps) that gives the network's `Response` with its ground-truth losses.

    Teacher and students of a step are asked about the same anchors: which ones are selected depends on the seed, the
    step and the batch alone.
    """
    assigner = Assigner(parameters.geometry, parameters.labels)
    seen: dict[int, tuple[PairBatch, Truth]] = {}

    def truth_of(batch: PairBatch, step: int) -> Truth:
        if step not in seen or seen[step][0] is not batch:
            draw = numpy_generator(parameters.seed, "anchors", step)
            # The draw is one for the pairs of all ranks, of which each takes its own.
            box, positive = (distributed.gathered(values).cpu().numpy() for values in (batch.box, batch.positive))
            own, targets = distributed.share(len(box)), assigner(box, positive, draw)
            seen.clear()
            seen[step] = batch, Truth(*(torch.from_numpy(values[own]).to(device.torch) for values in targets))
        return seen[step][1]

    def respond(network: Network, batch: PairBatch, step: int, taps: Collection[int]) -> Response:
        logits, offsets, z_taps, x_taps = network(batch.exemplar, batch.search, taps)
        score, boxes = target_logits(logits.float()), anchor_rows(offsets.float())
        truth = truth_of(batch, step)
        covering = truth.covering.to(score.dtype)
        return Response(
            score,
            parameters.labels.classification * classification_loss(score, truth, parameters.labels),
            regression=parameters.labels.regression * regression_loss(boxes, truth),
            boxes=boxes,
            box_scale=parameters.labels.regression,
            box_weight=covering / covering.sum(1, keepdim=True).clamp_min(1),
            labels=covering,
            exemplar=z_taps,
            search=x_taps,
        )

    return respond


def target_logits(logits: Tensor) -> Tensor:
    """Logit of the target's probability at each anchor: (B, 2k, R, R) -> (B, k * R * R).

    The softmax over {background, target} is a logistic function of the difference of the two.
    """
    background, target = logits.chunk(2, 1)
    return (target - background).flatten(1)


def anchor_rows(offsets: Tensor) -> Tensor:
    """Box offsets by anchor: (B, 4k, R, R) -> (B, k * R * R, 4)."""
    return offsets.reshape(len(offsets), 4, -1).transpose(1, 2)


def classification_loss(score: Tensor, truth: Truth, labels: RPNLabels) -> Tensor:
    """Cross-entropy over selected anchors, half for positives and half for negatives: (B, L) -> (B,).

    pysot's `select_cross_entropy_loss` averages over the anchors of the whole batch; here each pair is averaged by
    itself, since the distillation's gates judge pairs. A negative pair has the half of negatives alone.
    """
    costs = (-score, score)  # F.softplus of these: the loss if the anchor is target, if it is background
    total = score.new_zeros(len(score))
    for chosen, (right, wrong) in ((truth.positive, costs), (truth.negative, costs[::-1])):
        loss = F.softplus(right)
        if labels.smoothing > 0:
            loss = (1 - labels.smoothing) * loss + labels.smoothing * F.softplus(wrong)
        total = total + 0.5 * (loss * chosen).sum(1) / chosen.sum(1).clamp_min(1)
    return total


def regression_loss(boxes: Tensor, truth: Truth) -> Tensor:
    """L1 between offsets, summed over the four coordinates, mean over selected positives: (B, L, 4) -> (B,).

    pysot's `weight_l1_loss`; 0 where no anchor is positive.
    """
    distance = (boxes - truth.offsets).abs().sum(2)
    return (distance * truth.positive).sum(1) / truth.positive.sum(1).clamp_min(1)
