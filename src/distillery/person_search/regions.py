"""Regions of interest: sampling for training, pooling, losses of the detection head, and decoding at test time.

Background is class 0, a person class 1. Box deltas are divided by (0.1, 0.1, 0.2, 0.2), as in the official code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher
from torchvision.ops import box_iou, clip_boxes_to_image, nms, roi_pool

from distillery.config.search_network import Regions
from distillery.person_search.pooling import align_regions
from distillery.person_search.shares import drawn

BOX_CODER = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))


class Sample(NamedTuple):
    """The regions of one image that are trained on.

    Attributes:
        boxes: (R, 4) x1, y1, x2, y2 in pixels of the network's input.
        foreground: (R,) bool.
        ids: (R,) int64: identity of the person in the region; meaningless for background.
        targets: (R, 4) box deltas to that person; meaningless for background.
    """

    boxes: Tensor
    foreground: Tensor
    ids: Tensor
    targets: Tensor


class _Candidates(NamedTuple):
    """The regions (P + N, 4) of one image from which those that are trained on are drawn, their `labels`, the row of
    the person that each has `matched` or a negative number, and the people's `boxes` and `ids`."""

    regions: Tensor
    labels: Tensor
    matched: Tensor
    boxes: Tensor
    ids: Tensor


def sample_regions(
    proposals: Sequence[Tensor], boxes: Sequence[Tensor], ids: Sequence[Tensor], config: Regions
) -> list[Sample]:
    """Draws the regions of every image: foreground overlaps a person enough, background little enough.

    Draws from torch's global generator, which the training loop seeds anew at every step.

    Args:
        proposals: (P, 4) boxes of the proposal network, of every image.
        boxes: (N, 4) annotated people; they are added to the proposals.
        ids: (N,) int64 their identities.
        config: Thresholds and numbers.
    """
    images = [_candidates(*one, config) for one in zip(proposals, boxes, ids, strict=True)]
    sampler = BalancedPositiveNegativeSampler(config.batch, config.positive_fraction)
    masks = drawn(sampler, [one.labels for one in images])
    samples = []
    for one, positive, negative in zip(images, *masks, strict=True):
        chosen = torch.where(positive.bool() | negative.bool())[0]
        matched, regions = one.matched[chosen], one.regions[chosen]
        person = matched.clamp(min=0)
        targets = BOX_CODER.encode_single(one.boxes[person], regions)
        samples.append(Sample(regions, matched >= 0, one.ids[person], targets))
    return samples


def _candidates(proposals: Tensor, boxes: Tensor, ids: Tensor, config: Regions) -> _Candidates:
    candidates = torch.cat([proposals, boxes])
    if len(boxes):
        matcher = Matcher(config.positive_iou, config.negative_iou, allow_low_quality_matches=False)
        matched = matcher(box_iou(boxes, candidates))
    else:
        matched = torch.full((len(candidates),), Matcher.BELOW_LOW_THRESHOLD, device=candidates.device)
        boxes, ids = candidates.new_zeros(1, 4), ids.new_full((1,), -1)
    labels = torch.where(matched == Matcher.BETWEEN_THRESHOLDS, -1.0, (matched >= 0).to(torch.float32))
    return _Candidates(candidates, labels, matched, boxes, ids)


def joined(samples: Sequence[Sample]) -> Sample:
    """The samples of the images of a batch as one."""
    return Sample(*(torch.cat(parts) for parts in zip(*samples, strict=True)))


def pool_regions(features: Tensor, boxes: Sequence[Tensor], stride: int, config: Regions) -> Tensor:
    """Pools (B, C, h, w) features in B lists of boxes to (R, C, *config.size)."""
    if config.pooling == "pool":
        pooled: Tensor = roi_pool(features, list(boxes), list(config.size), 1 / stride)
        return pooled
    return align_regions(features, boxes, config.size, 1 / stride, config.sampling)


def detection_losses(scores: Tensor, deltas: Tensor, foreground: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of the detection head (Fast R-CNN, equations 1 to 3).

    Args:
        scores: (R, 2) logits.
        deltas: (R, 8) box deltas, four for each class.
        foreground: (R,) bool.
        targets: (R, 4) box deltas to learn.

    Returns:
        Cross-entropy of the class, and smooth L1 of the foreground's deltas over the number of all regions.
    """
    score = F.cross_entropy(scores.float(), foreground.long())
    difference = F.smooth_l1_loss(deltas[foreground, 4:].float(), targets[foreground], reduction="sum")
    return score, difference / max(len(foreground), 1)


def decode_detections(
    scores: Tensor, deltas: Tensor, regions: Tensor, size: tuple[int, int], config: Regions
) -> tuple[Tensor, Tensor, Tensor]:
    """Detections of one image from the outputs of the detection head.

    Args:
        scores: (R, 2) logits.
        deltas: (R, 8) box deltas.
        regions: (R, 4) the proposals they belong to.
        size: Height and width of the network's input in pixels.
        config: Score threshold, suppression and largest number.

    Returns:
        Boxes (K, 4), person probabilities (K,) in descending order, and the indices (K,) of their regions.
    """
    probabilities = scores.float().softmax(1)[:, 1]
    boxes = BOX_CODER.decode_single(deltas[:, 4:].float(), regions)
    boxes = clip_boxes_to_image(boxes, size)
    kept = torch.where((probabilities > config.score) & (boxes[:, 2:] > boxes[:, :2]).all(1))[0]
    kept = kept[nms(boxes[kept], probabilities[kept], config.nms)][: config.detections]
    return boxes[kept], probabilities[kept], kept
