"""How a SiamFC network answers a batch of training pairs."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch

from distillery.config.tracking import SiamFCTraining
from distillery.distill.losses import balanced_logistic
from distillery.distill.students import Response
from distillery.engine.devices import Device
from distillery.tracking.backbones import STRIDES
from distillery.tracking.pairs import PairBatch
from distillery.tracking.siamfc import SiamFC

LABEL_RADIUS = 16.0
"""rPos of SiamFC: positives lie within 16 px of the target's centre, in a crop whose exemplar has 127 px."""
EXEMPLAR = 127
"""Side of the exemplar to which `LABEL_RADIUS` belongs."""

Respond = Callable[[SiamFC, PairBatch, int, Collection[int]], Response]


def labels(cells: int, radius: float, stride: int) -> torch.Tensor:
    """Ground truth of a response: 1 within `radius` pixels of the centre in block distance, else 0 (siamfc-pytorch).

    Args:
        cells: Side of the response.
        radius: In pixels of the search crop (reference: 16).
        stride: Pixels a cell.

    Returns:
        (cells * cells,) float32.
    """
    offset = torch.arange(cells) - (cells - 1) / 2
    distance = offset.abs()[:, None] + offset.abs()[None, :]
    return (distance <= radius / stride).float().flatten()


def responder(parameters: SiamFCTraining, device: Device) -> Respond:
    """A function of (network, batch, step, taps) that gives the network's `Response` with its ground-truth loss."""
    geometry = parameters.geometry
    radius = LABEL_RADIUS * geometry.exemplar / EXEMPLAR
    truth: dict[int, torch.Tensor] = {}

    def respond(network: SiamFC, batch: PairBatch, step: int, taps: Collection[int]) -> Response:
        response, z_taps, x_taps = network(batch.exemplar, batch.search, taps)
        score = response.flatten(1).float()
        if score.shape[1] not in truth:
            stride = STRIDES[network.architecture.layout]
            truth[score.shape[1]] = labels(response.shape[-1], radius, stride).to(device.torch)
        positive = truth[score.shape[1]]
        # Nothing is to be found where the exemplar shows another object.
        target = positive * batch.positive[:, None] if not bool(batch.positive.all()) else positive
        return Response(score, balanced_logistic(score, target), labels=target, exemplar=z_taps, search=x_taps)

    return respond
