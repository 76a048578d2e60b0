"""The person-search network of OIM (Xiao et al., CVPR 2017): detection and identification in one forward pass.

Stem -> proposal network -> pooled regions -> head -> three parallel layers: person score, box deltas, id feature.
Images come in RGB, normalised with ImageNet's mean and deviation, as torchvision's weights expect them (the official
Caffe code subtracts a BGR mean and does not divide).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distillery.config.search_jobs import SearchTraining, StudentJob
from distillery.config.search_network import Identification, Proposals, Regions, ResNetShape
from distillery.person_search.oim import IdentificationTable
from distillery.person_search.proposals import (
    AnchorOutputs,
    AnchorSample,
    build_proposal_network,
    proposal_losses,
)
from distillery.person_search.regions import (
    Sample,
    decode_detections,
    detection_losses,
    joined,
    pool_regions,
    sample_regions,
)
from distillery.person_search.resnet import Head, Stem
from distillery.person_search.shares import few

LOSSES = ("rpn_score", "rpn_box", "score", "box", "identity")
"""Names of the losses, as in the config's weights; a detector has no `identity`."""


class Batch(NamedTuple):
    """Images to train on.

    Attributes:
        images: (B, 3, H, W) float32, normalised; smaller images are padded with zeros on the right and below.
        sizes: Height and width of every image without padding.
        boxes: (N, 4) float32 annotated people of every image: x1, y1, x2, y2 in pixels of `images`.
        ids: (N,) int64 identity of each, negative without a label.
        query: For QEEPS: as many images, padded to the same size, with one person each, to be searched for in the
            image of the same place.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    boxes: list[Tensor]
    ids: list[Tensor]
    query: Batch | None = None


class Identified(NamedTuple):
    """Id features (F, D), L2-normalised, of a step's foreground regions, and their identities (F,)."""

    features: Tensor
    ids: Tensor


class RegionOutputs(NamedTuple):
    """What the detection head says about regions: `scores` (R, 2) logits, `deltas` (R, 8) box deltas by class."""

    scores: Tensor
    deltas: Tensor


class Outputs(NamedTuple):
    """One training pass: what the losses are made of, and what a teacher is asked about too.

    Attributes:
        features: (B, C, h, w) map of the stem.
        anchors: Answers about all anchors.
        anchor_sample: The anchors that are trained on.
        boxes: (R_b, 4) regions of every image that are trained on.
        sample: The same regions, joined over the batch, R in all.
        regions: Answers about them.
        identified: Id features of the foreground regions; None in a detector.
        guests: Id features (G, D) of the guests, if there were any.
        added: What the losses of a network that adds to OIM are made of.
    """

    features: Tensor
    anchors: AnchorOutputs
    anchor_sample: AnchorSample
    boxes: list[Tensor]
    sample: Sample
    regions: RegionOutputs
    identified: Identified | None
    guests: Tensor | None = None
    added: Any = None


class Guests(NamedTuple):
    """Maps (G, C, h, w) of other images, as large as the batch's, and given boxes (N, 4) in each."""

    features: Tensor
    boxes: list[Tensor]


class Detections(NamedTuple):
    """Boxes (K, 4) in pixels of the network's input, person probabilities (K,), id features (K, D) of length 1."""

    boxes: Tensor
    scores: Tensor
    features: Tensor


class RegionLayers(nn.Module):
    """The three layers on the pooled feature: `score` (2), `box` (8), `identity` (D).

    Args:
        inputs: Length of the pooled feature.
        identification: Length of the id feature, and whether it passes a BatchNorm; None leaves the feature out.
    """

    def __init__(self, inputs: int, identification: Identification | None) -> None:
        super().__init__()
        self.score = nn.Linear(inputs, 2)
        self.box = nn.Linear(inputs, 8)
        self.identity = nn.Linear(inputs, identification.dimension) if identification else None
        self.norm = nn.BatchNorm1d(identification.dimension) if identification and identification.batch_norm else None
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.box.weight, std=0.001)
        if self.identity is not None:
            nn.init.kaiming_normal_(self.identity.weight)
        for layer in (self.score, self.box, self.identity):
            if layer is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> RegionOutputs:
        """Answers of the detection head about pooled features (R, C)."""
        return RegionOutputs(self.score(pooled), self.box(pooled))

    def describe(self, pooled: Tensor) -> Tensor:
        """Id features (R, D) of length 1; (R, 0) from a detector."""
        if self.identity is None:
            return pooled.new_zeros(len(pooled), 0)
        features: Tensor = self.identity(pooled).float()
        if self.norm is not None:
            if self.norm.training and few(features):
                # One region has no variance: it is normalised as at test time.
                features = F.batch_norm(
                    features, self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias
                )
            else:
                features = self.norm(features)
        return F.normalize(features)


class OIMNetwork(nn.Module):
    """Stem, proposal network, head and the identification table with its queue; without the table it is a detector.

    Args:
        shape: Backbone.
        proposals: Proposal network.
        regions: Regions and detection head.
        identification: Id feature and OIM loss; None makes a detector, which has no use for what follows.
        identities: Labelled identities of the training set.
        rows: Given table (identities, D), or None for plain OIM.
        frozen: Whether given rows stay as they are; otherwise the online table starts from them.
    """

    def __init__(
        self,
        shape: ResNetShape,
        proposals: Proposals,
        regions: Regions,
        identification: Identification | None,
        identities: int = 0,
        rows: Tensor | None = None,
        *,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.regions = regions
        self.stem = Stem(shape)
        self.proposals = build_proposal_network(proposals, self.stem.channels)
        self.head = Head(shape)
        self.layers = RegionLayers(self.head.channels, identification)
        self.identification: IdentificationTable | None = None
        if identification is not None:
            self.identification = IdentificationTable(
                identities,
                identification.dimension,
                identification.queue,
                temperature=identification.temperature,
                momentum=identification.momentum,
                rows=rows,
                frozen=frozen,
            )

    def look(self, images: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """The stem's map (B, C, h, w) of whole images (B, 3, H, W), at test time; `sizes` are those without padding.

        QEEPS needs the sizes: it looks at an image beside itself where nobody is searched for.
        """
        features: Tensor = self.stem(images)
        return features

    def forward(self, batch: Batch) -> Outputs:
        """One training pass, from which `losses` are taken; table and queue are not changed."""
        return self.examine(self.stem(batch.images), batch)

    def examine(
        self, features: Tensor, batch: Batch, anchors: AnchorOutputs | None = None, guests: Guests | None = None
    ) -> Outputs:
        """The rest of a training pass, from the stem's map on.

        Args:
            features: (B, C, h, w).
            batch: Sizes, boxes and identities.
            anchors: Answers about all anchors where they are known already (QEEPS).
            guests: Boxes in other images that are described along, under the same batch statistics (QEEPS's queries).
        """
        grid = self.proposals.anchors(features, self.stem.stride)
        answers = self.proposals.outputs(features) if anchors is None else anchors
        proposals = self.proposals.propose(answers, grid, batch.sizes)
        anchor_sample = self.proposals.sample(grid, batch.boxes)
        samples = sample_regions(proposals, batch.boxes, batch.ids, self.regions)
        boxes, sample = [one.boxes for one in samples], joined(samples)
        if guests is None:
            pooled = self.pool(features, boxes)
        else:
            pooled = self.pool(torch.cat([features, guests.features]), [*boxes, *guests.boxes])
        pooled, visitors = pooled[: len(sample.boxes)], pooled[len(sample.boxes) :]
        identified = described = None
        if self.identification is not None:
            ids = sample.ids[sample.foreground]
            ours = self.layers.describe(torch.cat([pooled[sample.foreground], visitors]))
            identified = Identified(ours[: len(ids)], ids)
            described = ours[len(ids) :] if guests else None
        return Outputs(features, answers, anchor_sample, boxes, sample, self.layers(pooled), identified, described)

    def losses(self, outputs: Outputs) -> dict[str, Tensor]:
        """The losses by their names in `LOSSES`, unweighted."""
        terms = dict(
            zip(("rpn_score", "rpn_box"), proposal_losses(outputs.anchors, outputs.anchor_sample), strict=True)
        )
        scores, deltas = outputs.regions
        head = detection_losses(scores, deltas, outputs.sample.foreground, outputs.sample.targets)
        terms |= dict(zip(("score", "box"), head, strict=True))
        if self.identification is not None and outputs.identified is not None:
            terms["identity"] = self.identification(*outputs.identified)
        return terms

    def pool(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Pooled features (R, C) of the boxes of every image."""
        pooled: Tensor = self.head(pool_regions(features, boxes, self.stem.stride, self.regions))
        return pooled

    def detect(self, features: Tensor, size: tuple[int, int]) -> Detections:
        """`detect_all` for one image (1, C, h, w)."""
        (found,) = self.detect_all(features, [size])
        return found

    def detect_all(self, features: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Finds everybody, for evaluation mode: maps (B, C, h, w), height and width of every image without padding."""
        grid = self.proposals.anchors(features, self.stem.stride)
        proposals = self.proposals.propose(self.proposals.outputs(features), grid, sizes)
        return self.decode(self.pool(features, proposals), proposals, sizes)

    def decode(self, pooled: Tensor, proposals: Sequence[Tensor], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Detections in every image from the pooled features (P, C) of all proposals (P_b, 4), image after image."""
        counts = [len(boxes) for boxes in proposals]
        answers: RegionOutputs = self.layers(pooled)
        found = []
        parts = (torch.split(tensor, counts) for tensor in (pooled, answers.scores, answers.deltas))
        for features, scores, deltas, regions, size in zip(*parts, proposals, sizes, strict=True):
            boxes, probabilities, kept = decode_detections(scores, deltas, regions, size, self.regions)
            found.append(Detections(boxes, probabilities, self.layers.describe(features[kept])))
        return found

    def describe(self, features: Tensor, boxes: Tensor) -> Tensor:
        """Id features (N, D) of given boxes (N, 4) in one image, as a query is described: no detector takes part."""
        return self.layers.describe(self.pool(features, [boxes]))


def build_network(
    parameters: SearchTraining, student: StudentJob, identities: int, rows: Tensor | None = None
) -> OIMNetwork:
    """A network of a training job: OIM, or a detector where the student has no identification."""
    return OIMNetwork(
        student.shape,
        parameters.proposals,
        parameters.regions,
        student.identification,
        identities,
        rows,
        frozen=student.frozen,
    )
