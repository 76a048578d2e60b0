"""Search and detection scores of person search, from a protocol and predictions.

Search: Xiao et al., CVPR 2017; `evaluate_search` of ShuangLI59/person_search (variant "official"). Its successors from
SeqNet on look at a gallery image once even where a protocol lists it twice (variant "seqnet"): four of CUHK-SYSU's
2,900 queries differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.person_search.benchmarks.base import Protocol, SearchImage
from distillery.person_search.predictions import Predictions

VARIANTS = ("official", "seqnet")
DETECTION_THRESHOLD = 0.5
"""Detections with a lower confidence are not scored."""
TOP = (1, 5, 10)

_Floats = NDArray[np.floating[Any]]
_Ints = NDArray[np.int64]
_BLOCK_PAIRS = 4_000_000  # similarities held at a time: bounds memory as the gallery grows


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


@dataclass(frozen=True)
class _Detections:
    """Confident detections, those of image i of the protocol at [start[i], start[i] + count[i])."""

    boxes: NDArray[np.float64]
    features: NDArray[np.float32]
    start: _Ints
    count: _Ints


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
    predictions: Predictions,
    *,
    variant: str = "official",
    threshold: float = DETECTION_THRESHOLD,
) -> SearchScores:
    """Scores the ranking of all detections of each query's gallery.

    In every gallery image that shows the person, the most similar detection that overlaps enough is a hit. Average
    precision is the step sum over the ranking, times the fraction of the person's appearances that were hit. Equal
    similarities count as one step; for top-k the misses among them come first, so constant features gain nothing.

    Args:
        protocol: Queries and galleries.
        predictions: Validated predictions, with one query feature for each query; features of any length.
        variant: "official", or "seqnet" which looks only at the first of two equal images in a gallery.
        threshold: Lowest confidence of a detection.

    Returns:
        The scores; means are over the queries that were run (not a row of NaN), 0 if none was.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}")
    queries = len(protocol.queries)
    if len(predictions.query_feature) != queries:
        raise ValueError(f"{len(predictions.query_feature)} query features for {queries} queries")
    detections = _by_image(protocol, predictions, threshold)
    run = np.asarray(np.isfinite(predictions.query_feature).all(axis=1))
    features = _normalised(np.where(run[:, None], predictions.query_feature, 0))
    keep = np.ones(len(protocol.entries), bool) if variant == "official" else _first_of_each_image(protocol)
    pairs_of_entry = np.where(keep, detections.count[protocol.entries], 0)
    pair_offsets = np.concatenate([[0], np.cumsum(pairs_of_entry)])
    candidates, owner = _overlapping(protocol, detections, keep, pair_offsets)

    truths = np.diff(np.searchsorted(protocol.positives, protocol.offsets))
    precision = np.zeros(queries)
    best_rank = np.zeros(queries, np.int64)
    bounds = pair_offsets[protocol.offsets]
    for first, last in _blocks(bounds):
        rows = _rows(protocol, detections, pairs_of_entry, first, last)
        similarity = _similarities(features, detections.features, rows, bounds, first, last)
        low, high = np.searchsorted(candidates, (bounds[first], bounds[last]))
        hits = _best_of_each(similarity, candidates[low:high] - bounds[first], owner[low:high])
        hit_bounds = np.searchsorted(hits, bounds[first : last + 1] - bounds[first])
        for q in np.flatnonzero(np.diff(hit_bounds)):
            found = similarity[hits[hit_bounds[q] : hit_bounds[q + 1]]]
            ranked = similarity[bounds[first + q] - bounds[first] : bounds[first + q + 1] - bounds[first]]
            at_least = (ranked >= found[:, None]).sum(axis=1)
            hits_at_least = (found >= found[:, None]).sum(axis=1)
            precision[first + q] = (hits_at_least / at_least).sum() / truths[first + q]
            best_rank[first + q] = 1 + (at_least - hits_at_least).min()

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
            "gallery_images_without_detection": int((detections.count == 0).sum()),
            "detections": len(detections.boxes),
        },
    )


def detection_scores(
    images: Sequence[SearchImage], predictions: Predictions, *, threshold: float = DETECTION_THRESHOLD
) -> DetectionScores:
    """Scores detection of everybody annotated, labelled or not (`evaluate_detections` of the official code).

    A detection is right if it overlaps its best annotated box by 0.5 and is the best detection of that box. Average
    precision is the step sum over all detections times recall. Images without detections add to the people only.
    """
    index = {image.name: i for i, image in enumerate(images)}
    order, image_of = _indexed(index, predictions, threshold)
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


def _normalised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; a zero row stays zero."""
    # Scaled by the largest entry first, so that squares neither overflow nor vanish.
    largest = np.abs(features).max(axis=1, keepdims=True, initial=0)
    scaled = features / np.where(largest > 0, largest, 1)
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    return np.asarray(scaled / np.where(length > 0, length, 1), np.float32)


def _indexed(index: dict[str, int], predictions: Predictions, threshold: float) -> tuple[_Ints, _Ints]:
    """Rows of the confident detections in known images, grouped by image, and the image of each."""
    names, inverse = np.unique(predictions.gallery_image, return_inverse=True)
    image_of = np.array([index.get(str(name), -1) for name in names], np.int64)[inverse]
    rows = np.flatnonzero((predictions.gallery_score >= threshold) & (image_of >= 0))
    rows = rows[np.argsort(image_of[rows], kind="stable")]
    return rows, image_of[rows]


def _by_image(protocol: Protocol, predictions: Predictions, threshold: float) -> _Detections:
    order, image_of = _indexed({name: i for i, name in enumerate(protocol.images)}, predictions, threshold)
    bounds = np.searchsorted(image_of, np.arange(len(protocol.images) + 1))
    return _Detections(
        boxes=predictions.gallery_box[order].astype(np.float64),
        features=_normalised(predictions.gallery_feature[order]),
        start=bounds[:-1],
        count=np.diff(bounds),
    )


def _first_of_each_image(protocol: Protocol) -> NDArray[np.bool_]:
    """Which entries (E,) are the first of their image in their gallery."""
    owner = np.repeat(np.arange(len(protocol.queries)), np.diff(protocol.offsets))
    _, first = np.unique(owner * len(protocol.images) + protocol.entries, return_index=True)
    keep = np.zeros(len(protocol.entries), bool)
    keep[first] = True
    return keep


def _overlapping(
    protocol: Protocol, detections: _Detections, keep: NDArray[np.bool_], pair_offsets: _Ints
) -> tuple[_Ints, _Ints]:
    """All (query, detection) pairs in which the detection overlaps the person enough, and the positive of each."""
    kept = keep[protocol.positives]
    entries, truths = protocol.positives[kept], protocol.positive_boxes[kept]
    images = protocol.entries[entries]
    count = detections.count[images]
    owner = np.repeat(np.arange(len(entries)), count)
    step = _ranges(count)
    overlap = iou(truths[owner], detections.boxes[detections.start[images][owner] + step])
    enough = overlap >= iou_threshold(truths)[owner]
    return (pair_offsets[entries][owner] + step)[enough], owner[enough]


def _ranges(count: _Ints) -> _Ints:
    """0 .. count[0] - 1, 0 .. count[1] - 1, ... in one array."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)


def _blocks(bounds: _Ints) -> Iterator[tuple[int, int]]:
    """Ranges of queries with about `_BLOCK_PAIRS` (query, detection) pairs each, at least one query."""
    first = 0
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + _BLOCK_PAIRS, side="right")) - 1
        last = min(max(last, first + 1), len(bounds) - 1)
        yield first, last
        first = last


def _rows(protocol: Protocol, detections: _Detections, pairs_of_entry: _Ints, first: int, last: int) -> _Ints:
    """Detections of the galleries of queries [first, last), one after another."""
    chosen = slice(protocol.offsets[first], protocol.offsets[last])
    count = pairs_of_entry[chosen]
    return np.repeat(detections.start[protocol.entries[chosen]], count) + _ranges(count)


def _similarities(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], rows: _Ints, bounds: _Ints, first: int, last: int
) -> NDArray[np.float32]:
    """Cosine similarity of every pair of queries [first, last) and the detections of their galleries."""
    similarity = np.empty(len(rows), np.float32)
    ends = bounds[first : last + 1] - bounds[first]
    # One matrix product for all queries and detections pays once a gallery holds a good part of all detections.
    dense = queries[first:last] @ gallery.T if len(rows) * 8 > (last - first) * len(gallery) else None
    for q, (low, high) in enumerate(pairwise(ends)):
        own = rows[low:high]
        similarity[low:high] = gallery[own] @ queries[first + q] if dense is None else dense[q, own]
    return similarity


def _best_of_each(similarity: NDArray[np.float32], candidates: _Ints, owner: _Ints) -> _Ints:
    """Of each owner's candidates (grouped by owner) the most similar, the first of equals; ascending."""
    if not len(candidates):
        return candidates
    order = np.lexsort((candidates, -similarity[candidates], owner))
    first = np.flatnonzero(np.diff(owner[order], prepend=-1))
    return candidates[order[first]]
