"""The person-search network of OIM (Xiao et al., CVPR 2017): detection and identification in one forward pass.

Stem -> proposal network -> pooled regions -> head -> three parallel layers: person score, box deltas, id feature.
Images come in RGB, normalised with ImageNet's mean and deviation, as torchvision's weights expect them (the official
Caffe code subtracts a BGR mean and does not divide).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.image_list import ImageList

from distillery.config.person_search import Identification, Proposals, Regions, ResNetShape, SearchTraining
from distillery.person_search.oim import IdentificationTable
from distillery.person_search.proposals import build_proposal_network
from distillery.person_search.regions import (
    decode_detections,
    detection_losses,
    pool_regions,
    sample_regions,
)
from distillery.person_search.resnet import Head, Stem

LOSSES = ("rpn_score", "rpn_box", "score", "box", "identity")
"""Names of the losses, as in the config's weights."""


class Batch(NamedTuple):
    """Images to train on.

    Attributes:
        images: (B, 3, H, W) float32, normalised; smaller images are padded with zeros on the right and below.
        sizes: Height and width of every image without padding.
        boxes: (N, 4) float32 annotated people of every image: x1, y1, x2, y2 in pixels of `images`.
        ids: (N,) int64 identity of each, negative without a label.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    boxes: list[Tensor]
    ids: list[Tensor]


class Identified(NamedTuple):
    """Id features (F, D), L2-normalised, of a step's foreground regions, and their identities (F,)."""

    features: Tensor
    ids: Tensor


class Detections(NamedTuple):
    """Boxes (K, 4) in pixels of the network's input, person probabilities (K,), id features (K, D) of length 1."""

    boxes: Tensor
    scores: Tensor
    features: Tensor


class RegionLayers(nn.Module):
    """The three layers on the pooled feature: `score` (2), `box` (8), `identity` (D).

    Args:
        inputs: Length of the pooled feature.
        identification: Length of the id feature, and whether it passes a BatchNorm.
    """

    def __init__(self, inputs: int, identification: Identification) -> None:
        super().__init__()
        self.score = nn.Linear(inputs, 2)
        self.box = nn.Linear(inputs, 8)
        self.identity = nn.Linear(inputs, identification.dimension)
        self.norm = nn.BatchNorm1d(identification.dimension) if identification.batch_norm else None
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.box.weight, std=0.001)
        nn.init.kaiming_normal_(self.identity.weight)
        for layer in (self.score, self.box, self.identity):
            nn.init.zeros_(layer.bias)

    def describe(self, pooled: Tensor) -> Tensor:
        """Id features (R, D) of length 1."""
        features: Tensor = self.identity(pooled).float()
        if self.norm is not None:
            if self.norm.training and len(features) < 2:
                # One region has no variance: it is normalised as at test time.
                features = F.batch_norm(
                    features, self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias
                )
            else:
                features = self.norm(features)
        return F.normalize(features)


class OIMNetwork(nn.Module):
    """Stem, proposal network, head and the identification table with its queue.

    Args:
        shape: Backbone.
        proposals: Proposal network.
        regions: Regions and detection head.
        identification: Id feature and OIM loss.
        identities: Labelled identities of the training set.
        rows: Fixed table (identities, D), or None for plain OIM.
    """

    def __init__(
        self,
        shape: ResNetShape,
        proposals: Proposals,
        regions: Regions,
        identification: Identification,
        identities: int,
        rows: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.regions = regions
        self.stem = Stem(shape)
        self.proposals = build_proposal_network(proposals, self.stem.channels)
        self.head = Head(shape)
        self.layers = RegionLayers(self.head.channels, identification)
        self.identification = IdentificationTable(
            identities,
            identification.dimension,
            identification.queue,
            temperature=identification.temperature,
            momentum=identification.momentum,
            rows=rows,
        )

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], Identified]:
        """The five losses, unweighted, and what the table is to be updated with after the backward pass."""
        features = self.stem(batch.images)
        targets = [{"boxes": boxes} for boxes in batch.boxes]
        proposals, losses = self.proposals(ImageList(batch.images, batch.sizes), {"0": features}, targets)
        samples = [
            sample_regions(proposed.detach(), boxes, ids, self.regions)
            for proposed, boxes, ids in zip(proposals, batch.boxes, batch.ids, strict=True)
        ]
        foreground = torch.cat([sample.foreground for sample in samples])
        pooled = self.pool(features, [sample.boxes for sample in samples])
        score, box = detection_losses(
            self.layers.score(pooled),
            self.layers.box(pooled),
            foreground,
            torch.cat([sample.targets for sample in samples]),
        )
        identified = Identified(
            self.layers.describe(pooled[foreground]), torch.cat([sample.ids for sample in samples])[foreground]
        )
        terms = {
            "rpn_score": losses["loss_objectness"],
            "rpn_box": losses["loss_rpn_box_reg"],
            "score": score,
            "box": box,
            "identity": self.identification(*identified),
        }
        return terms, identified

    def pool(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Pooled features (R, C) of the boxes of every image."""
        pooled: Tensor = self.head(pool_regions(features, boxes, self.stem.stride, self.regions))
        return pooled

    def detect(self, features: Tensor, size: tuple[int, int]) -> Detections:
        """Finds everybody in one image, for evaluation mode.

        Args:
            features: (1, C, h, w) output of the stem.
            size: Height and width of the image without padding.
        """
        # The proposal network asks the image for nothing but its size.
        padded = features.new_empty(1).expand(1, 3, *(side * self.stem.stride for side in features.shape[-2:]))
        (regions,), _ = self.proposals(ImageList(padded, [size]), {"0": features})
        pooled = self.pool(features, [regions])
        boxes, scores, kept = decode_detections(
            self.layers.score(pooled), self.layers.box(pooled), regions, size, self.regions
        )
        return Detections(boxes, scores, self.layers.describe(pooled[kept]))

    def describe(self, features: Tensor, boxes: Tensor) -> Tensor:
        """Id features (N, D) of given boxes (N, 4) in one image, as a query is described: no detector takes part."""
        return self.layers.describe(self.pool(features, [boxes]))


def build_network(parameters: SearchTraining, identities: int, rows: Tensor | None = None) -> OIMNetwork:
    """The network of a training job's parameters."""
    return OIMNetwork(
        parameters.shape,
        parameters.proposals,
        parameters.regions,
        parameters.identification,
        identities,
        rows,
    )
