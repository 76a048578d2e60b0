"""Search and detection scores of person search, from a protocol and predictions.

Search: Xiao et al., CVPR 2017; `evaluate_search` of ShuangLI59/person_search (variant "official"). Its successors from
SeqNet on look at a gallery image once even where a protocol lists it twice (variant "seqnet"): four of CUHK-SYSU's
2,900 queries differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.person_search.benchmarks.base import Protocol, SearchImage
from distillery.person_search.evidence import Block, Evidence, FeatureEvidence, PairEvidence, indexed, ranges
from distillery.person_search.predictions import Detections, PairPredictions, Predictions

VARIANTS = ("official", "seqnet")
DETECTION_THRESHOLD = 0.5
"""Detections with a lower confidence are not scored."""
TOP = (1, 5, 10)

_Floats = NDArray[np.floating[Any]]
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SearchScores:
    """Search quality.

    Attributes:
        map: Mean average precision, 0..1.
        top: Fraction of the queries with a hit among the k best detections, by k.
        average_precision: (Q,) of each query, 0..1; NaN where the query was not run.
        best_rank: (Q,) int64, rank of the best hit among all detections of the query's gallery, from 1; 0 if none.
        counts: What was scored.
    """

    map: float
    top: dict[int, float]
    average_precision: NDArray[np.float64]
    best_rank: _Ints
    counts: dict[str, int]


@dataclass(frozen=True)
class DetectionScores:
    """Detection quality: average precision times recall, and recall, 0..1, over everybody annotated."""

    ap: float
    recall: float
    counts: dict[str, int]


def iou(boxes: _Floats, others: _Floats) -> NDArray[np.float64]:
    """Intersection over union of boxes (..., 4) x1, y1, x2, y2 with others (..., 4), broadcast; no "+1" on sides."""
    a, b = np.asarray(boxes, np.float64), np.asarray(others, np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(union), where=union > 0))


def iou_threshold(boxes: _Floats) -> NDArray[np.float64]:
    """The overlap that a hit needs, (N,): min(0.5, wh / ((w + 10)(h + 10))), so small people may be missed by 5 px."""
    sides = np.asarray(boxes, np.float64)[:, 2:] - np.asarray(boxes, np.float64)[:, :2]
    return np.asarray(np.minimum(0.5, sides.prod(axis=1) / (sides + 10).prod(axis=1)))


def search_scores(
    protocol: Protocol,
    predictions: Predictions | PairPredictions,
    *,
    variant: str = "official",
    threshold: float = DETECTION_THRESHOLD,
    query_rows: _Ints | None = None,
) -> SearchScores:
    """Scores the ranking of all detections of each query's gallery.

    In every gallery image that shows the person, the most similar detection that overlaps enough is a hit. Average
    precision is the step sum over the ranking, times the fraction of the person's appearances that were hit. Equal
    similarities count as one step; for top-k the misses among them come first, so constant features gain nothing.

    Args:
        protocol: Queries and galleries.
        predictions: Validated predictions; features of any length, or pairs with their similarities.
        variant: "official", or "seqnet" which looks only at the first of two equal images in a gallery.
        threshold: Lowest confidence of a detection.
        query_rows: (Q,) which query of the predictions each query of the protocol is; None if they are the same.

    Returns:
        The scores; means are over the queries that were run (not a row of NaN), 0 if none was.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}")
    queries = len(protocol.queries)
    rows = np.arange(queries) if query_rows is None else query_rows
    if len(rows) != queries or (query_rows is None and queries_of(predictions) != queries):
        raise ValueError(f"{queries_of(predictions)} queries in the predictions, {queries} in the protocol")
    evidence: Evidence
    if isinstance(predictions, PairPredictions):
        evidence = PairEvidence(protocol, predictions, rows, threshold)
    else:
        evidence = FeatureEvidence(protocol, predictions, rows, threshold)
    keep = None if variant == "official" else _first_of_each_image(protocol)
    of_positives = np.searchsorted(protocol.positives, protocol.offsets)
    truths = np.diff(of_positives)
    needed = iou_threshold(protocol.positive_boxes)
    precision = np.zeros(queries)
    best_rank = np.zeros(queries, np.int64)
    for block in evidence.blocks(keep):
        low, high = of_positives[[block.first, block.last]]
        hit, best = _hits(block, evidence.boxes, protocol.positive_boxes[low:high], needed[low:high])
        bounds = np.searchsorted(hit, of_positives[block.first : block.last + 1] - low)
        for q in np.flatnonzero(np.diff(bounds)):
            found = best[bounds[q] : bounds[q + 1]]
            ranked = np.sort(block.above(int(q), found.min()))
            at_least = len(ranked) - np.searchsorted(ranked, found)
            hits_at_least = len(found) - np.searchsorted(np.sort(found), found)
            query = block.first + q
            precision[query] = (hits_at_least / at_least).sum() / truths[query]
            best_rank[query] = 1 + (at_least - hits_at_least).min()

    run = evidence.run
    precision[~run], best_rank[~run] = np.nan, 0
    scored = max(int(run.sum()), 1)
    return SearchScores(
        map=float(np.nansum(precision) / scored),
        top={k: float(((best_rank > 0) & (best_rank <= k)).sum() / scored) for k in TOP},
        average_precision=precision,
        best_rank=best_rank,
        counts={
            "queries": int(run.sum()),
            "queries_not_run": int((~run).sum()),
            "queries_without_positives": int((truths == 0).sum()),
            "positives": len(protocol.positives),
            "gallery_entries": len(protocol.entries),
            "gallery_images": len(protocol.images),
            "gallery_images_without_detection": evidence.images_without,
            "detections": len(evidence.boxes),
        },
    )


def detection_scores(
    images: Sequence[SearchImage], predictions: Detections, *, threshold: float = DETECTION_THRESHOLD
) -> DetectionScores:
    """Scores detection of everybody annotated, labelled or not (`evaluate_detections` of the official code).

    A detection is right if it overlaps its best annotated box by 0.5 and is the best detection of that box. Average
    precision is the step sum over all detections times recall. Images without detections add to the people only.
    """
    order, image_of = indexed([image.name for image in images], predictions, threshold)
    bounds = np.searchsorted(image_of, np.arange(len(images) + 1))
    right = np.zeros(len(order), bool)
    boxes, scores = predictions.gallery_box[order], predictions.gallery_score[order]
    for i, image in enumerate(images):
        first, last = bounds[i : i + 2]
        if first == last or not len(image.boxes):
            continue
        overlap = iou(image.boxes[:, None], boxes[None, first:last])
        best_truth, best_detection = overlap.argmax(axis=0), overlap.argmax(axis=1)
        columns = np.arange(last - first)
        mutual = best_detection[best_truth] == columns
        right[first:last] = mutual & (overlap[best_truth, columns] >= 0.5)
    people = sum(len(image.boxes) for image in images)
    recall = float(right.sum() / people) if people else 0.0
    return DetectionScores(
        ap=average_precision(right, scores) * recall,
        recall=recall,
        counts={
            "people": people,
            "pool_images": len(images),
            "pool_detections": len(order),
            "correct_detections": int(right.sum()),
        },
    )


def average_precision(labels: NDArray[np.bool_], scores: _Floats) -> float:
    """Step-sum average precision of scores (N,) for labels (N,); equal scores are one step; 0 without a positive."""
    if not labels.any():
        return 0.0
    order = np.argsort(-scores, kind="stable")
    labels, scores = labels[order], scores[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(labels)[ends]
    return float((np.diff(hits, prepend=0) / labels.sum() * hits / (ends + 1)).sum())


def queries_of(predictions: Predictions | PairPredictions) -> int:
    """How many queries predictions are about."""
    if isinstance(predictions, PairPredictions):
        return len(predictions.query_run)
    return len(predictions.query_feature)


def _hits(
    block: Block, boxes: NDArray[np.float64], truths: _Floats, needed: NDArray[np.float64]
) -> tuple[_Ints, NDArray[np.float32]]:
    """Which positives of a block are hit, ascending, and how similar the most similar overlapping detection is."""
    positive = np.repeat(np.arange(len(truths)), block.count)
    step = ranges(block.count)
    enough = iou(truths[positive], boxes[block.start[positive] + step]) >= needed[positive]
    positive, step = positive[enough], step[enough]
    if not len(positive):
        return positive, np.empty(0, np.float32)
    first = np.flatnonzero(np.diff(positive, prepend=-1))
    return positive[first], np.asarray(np.maximum.reduceat(block.of_positives(positive, step), first), np.float32)


def _first_of_each_image(protocol: Protocol) -> NDArray[np.bool_]:
    """Which entries (E,) are the first of their image in their gallery."""
    keep = np.empty(len(protocol.entries), bool)
    place = np.empty(len(protocol.images), np.int64)
    for first, last in pairwise(protocol.offsets.tolist()):
        own, places = protocol.entries[first:last], np.arange(last - first)
        place[own[::-1]] = places[::-1]  # of equal images the first is written last, and stays
        keep[first:last] = place[own] == places
    return keep
