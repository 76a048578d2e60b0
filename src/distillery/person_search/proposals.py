"""Region proposal network: torchvision's, with the head of the official OIM network and its outputs in the open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers

from distillery.config.search_network import Proposals
from distillery.person_search.shares import drawn


class AnchorOutputs(NamedTuple):
    """What the proposal network says about every anchor of a batch, image after image, A in all.

    Attributes:
        logits: (A,) objectness.
        deltas: (A, 4) box deltas.
    """

    logits: Tensor
    deltas: Tensor


class AnchorSample(NamedTuple):
    """The anchors of a batch that are trained on, foreground first.

    Attributes:
        anchors: (S,) int64 rows of `AnchorOutputs`.
        labels: (S,) 1.0 foreground, 0.0 background.
        targets: (P, 4) box deltas to the annotated box, of the P foreground anchors.
    """

    anchors: Tensor
    labels: Tensor
    targets: Tensor

    @property
    def foreground(self) -> Tensor:
        """(P,) rows of the foreground anchors."""
        return self.anchors[: len(self.targets)]


class ProposalHead(nn.Module):
    """3x3 convolution and ReLU, then an objectness score and four box deltas for every anchor.

    The official code scores an anchor with a softmax over two classes, here it is the equivalent sigmoid of one.

    Args:
        inputs: Channels of the feature map.
        hidden: Channels of the 3x3 convolution.
        anchors: Anchors at every position.
    """

    def __init__(self, inputs: int, hidden: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.score = nn.Conv2d(hidden, anchors, 1)
        self.box = nn.Conv2d(hidden, 4 * anchors, 1)
        for layer, deviation in ((self.conv, 0.01), (self.score, 0.01), (self.box, 0.001)):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Objectness logits and box deltas of every feature map, as torchvision's RPN asks for them."""
        hidden = [F.relu(self.conv(feature)) for feature in features]
        # Under mixed precision the boxes are still decoded in float32.
        return [self.score(x).float() for x in hidden], [self.box(x).float() for x in hidden]


class ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]
    """torchvision's network on one feature map, in steps: outputs on all anchors, proposals, anchors to learn from.

    The steps give torchvision's own numbers to the last bit, and draw from torch's global generator as it does.
    """

    def outputs(self, features: Tensor) -> AnchorOutputs:
        """What it says about every anchor of a map (B, C, h, w)."""
        logits, deltas = concat_box_prediction_layers(*self.head([features]))
        return AnchorOutputs(logits.flatten(), deltas)

    def anchors(self, features: Tensor, stride: int) -> Tensor:
        """Anchors (A / B, 4) of every image of a map (B, C, h, w), in pixels of the network's input."""
        # The generator asks for sizes, a device and a type; half precision could not hold the coordinates.
        scalar = torch.empty((), device=features.device)
        height, width = features.shape[-2:]
        images = ImageList(scalar.expand(1, 3, height * stride, width * stride), [(height * stride, width * stride)])
        made: list[Tensor] = self.anchor_generator(images, [scalar.expand(1, 1, height, width)])
        return made[0]

    def propose(self, outputs: AnchorOutputs, anchors: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Proposals (P, 4) of every image, without gradient.

        Args:
            outputs: Of a batch.
            anchors: (A / B, 4).
            sizes: Height and width of every image without padding.
        """
        decoded = self.box_coder.decode(outputs.deltas.detach(), [anchors] * len(sizes))
        boxes, _ = self.filter_proposals(
            decoded.view(len(sizes), -1, 4), outputs.logits.detach(), list(sizes), [len(anchors)]
        )
        return list(boxes)

    @torch.no_grad()
    def sample(self, anchors: Tensor, boxes: Sequence[Tensor]) -> AnchorSample:
        """Draws the anchors to learn from, given the annotated people (N, 4) of every image."""
        grid = [anchors] * len(boxes)
        labels, matched = self.assign_targets_to_anchors(grid, [{"boxes": people} for people in boxes])
        positive, negative = (torch.where(torch.cat(masks))[0] for masks in drawn(self.fg_bg_sampler, labels))
        targets = self.box_coder.encode_single(torch.cat(matched)[positive], torch.cat(grid)[positive])
        chosen = torch.cat([positive, negative])
        return AnchorSample(chosen, torch.cat(labels)[chosen], targets)


def proposal_losses(outputs: AnchorOutputs, sample: AnchorSample) -> tuple[Tensor, Tensor]:
    """Losses of the proposal network (Faster R-CNN, equation 1): logistic loss of the sampled anchors, and smooth L1
    (sigma 3) of the foreground's deltas over the number of all sampled anchors."""
    score = F.binary_cross_entropy_with_logits(outputs.logits[sample.anchors], sample.labels)
    difference = F.smooth_l1_loss(outputs.deltas[sample.foreground], sample.targets, beta=1 / 9, reduction="sum")
    return score, difference / max(len(sample.anchors), 1)


def build_proposal_network(proposals: Proposals, inputs: int) -> ProposalNetwork:
    """The proposal network of a config on a map of `inputs` channels."""
    anchors = AnchorGenerator((proposals.anchor_sizes,), (proposals.anchor_ratios,))
    network = ProposalNetwork(
        anchors,
        ProposalHead(inputs, proposals.channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=proposals.positive_iou,
        bg_iou_thresh=proposals.negative_iou,
        batch_size_per_image=proposals.batch,
        positive_fraction=0.5,
        pre_nms_top_n={"training": proposals.pre_nms[0], "testing": proposals.pre_nms[1]},
        post_nms_top_n={"training": proposals.post_nms[0], "testing": proposals.post_nms[1]},
        nms_thresh=proposals.nms,
    )
    network.min_size = proposals.min_size
    return network
