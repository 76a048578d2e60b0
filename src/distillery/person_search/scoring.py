"""Scores a file of predictions on CUHK-SYSU: the metrics of the command `distillery score`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.person_search.benchmarks import cuhk_sysu
from distillery.person_search.benchmarks.base import Protocol
from distillery.person_search.predictions import Predictions, read_predictions
from distillery.person_search.protocol import TOP, VARIANTS, SearchScores, detection_scores, search_scores

DEFAULT_SIZE = 100
"""The gallery size that papers report; the largest one stands in where its file is missing."""


def score(
    root: Path,
    results: Path,
    *,
    protocol: str = "official",
    gallery_sizes: Sequence[int] | None = None,
    allow_partial: bool = False,
) -> dict[str, Any]:
    """Scores predictions; needs no image and no model.

    Args:
        root: A folder in CUHK-SYSU's layout. One TestG file is enough for the search scores; detection scores also
            need Images.mat and pool.mat.
        results: The .npz file of `predictions.py`.
        protocol: Variant of the protocol, "official" or "seqnet".
        gallery_sizes: Sizes to score, -1 for the whole set; None for all whose files are there.
        allow_partial: Score the queries that were run (feature not NaN) and say how many were not, instead of
            refusing such a file.

    Returns:
        The metrics as JSON values; fractions lie in 0..1. `numbers` are those of the default gallery size.
    """
    if protocol not in VARIANTS:
        raise UserError(f"unknown protocol {protocol!r}", remedy=f"choose one of {', '.join(VARIANTS)}")
    root, results = Path(root), Path(results)
    available = cuhk_sysu.gallery_sizes(root)
    sizes = list(dict.fromkeys(gallery_sizes)) if gallery_sizes else available
    missing = [size for size in sizes if size not in (*available, cuhk_sysu.FULL_GALLERY)]
    if missing:
        raise UserError(
            "does not exist",
            file=cuhk_sysu.protocol_file(root, missing[0]),
            remedy=f"choose among {', '.join(map(str, available))} and -1 for all images",
        )
    default = next((size for size in (DEFAULT_SIZE, cuhk_sysu.FULL_GALLERY) if size in sizes), max(sizes))
    predictions = read_predictions(results)
    chosen = cuhk_sysu.load_protocol(root, default)
    _check_fit(predictions, chosen, results, allow_partial=allow_partial)

    scores: dict[int, SearchScores] = {}
    for size in sizes:
        galleries = chosen if size == default else cuhk_sysu.load_protocol(root, size)
        cuhk_sysu.check_same_queries(chosen, galleries)
        scores[size] = search_scores(galleries, predictions, variant=protocol)
    main = scores[default]
    if not main.counts["queries"]:
        raise UserError(
            "has NaN in every row, no query was run",
            file=results,
            place="array 'query_feature'",
            remedy="run the model on the queries again",
        )
    metrics: dict[str, Any] = {
        "benchmark": "cuhk_sysu",
        "protocol": protocol,
        "gallery_size": default,
        "numbers": _numbers(main),
        "by_gallery_size": {_label(size): _numbers(result) for size, result in scores.items()},
        "counts": dict(main.counts),
        "per_query": {
            "image": [query.image for query in chosen.queries],
            "ap": [None if np.isnan(value) else float(value) for value in main.average_precision],
            "best_rank": [int(rank) or None for rank in main.best_rank],
        },
        "inputs": _inputs(root, results, sizes),
    }
    if (root / cuhk_sysu.IMAGES).is_file() and (root / cuhk_sysu.POOL).is_file():
        pool = cuhk_sysu.load_test_pool(root)
        detection = detection_scores(pool.images, predictions)
        metrics["numbers"] |= {"ap": detection.ap, "recall": detection.recall}
        metrics["counts"] |= detection.counts
    else:
        metrics["note"] = "Search scores only: detection scores need annotation/Images.mat and annotation/pool.mat."
    return metrics


def _check_fit(predictions: Predictions, protocol: Protocol, results: Path, *, allow_partial: bool) -> None:
    """Refuses predictions of another benchmark, and of a part of the queries unless that is allowed."""
    rows, queries = len(predictions.query_feature), len(protocol.queries)
    if rows != queries:
        raise UserError(
            f"has {rows} rows, {protocol.name} has {queries} queries",
            file=results,
            place="array 'query_feature'",
            remedy="write one row for each query, in the protocol's order (NaN for a query that was not run)",
        )
    absent = np.isnan(predictions.query_feature).all(axis=1)
    if absent.any() and not allow_partial:
        raise UserError(
            f"has NaN in {int(absent.sum())} rows, the first is row {int(absent.argmax())}",
            file=results,
            place="array 'query_feature'",
            remedy="run these queries, or score the others with --allow-partial",
        )
    if len(predictions.gallery_image) and not np.isin(predictions.gallery_image, protocol.images).any():
        raise UserError(
            f"names no gallery image of {protocol.name} ({str(predictions.gallery_image[0])!r} for one)",
            file=results,
            place="array 'gallery_image'",
            remedy="give file names such as 's1.jpg', without folder",
        )


def _numbers(scores: SearchScores) -> dict[str, float]:
    return {"map": scores.map} | {f"top{k}": scores.top[k] for k in TOP}


def _label(size: int) -> str:
    return "full" if size == cuhk_sysu.FULL_GALLERY else str(size)


def _inputs(root: Path, results: Path, sizes: Sequence[int]) -> dict[str, str]:
    """SHA-256 of every file the scores depend on."""
    files = [cuhk_sysu.protocol_file(root, size) for size in {*sizes, *cuhk_sysu.gallery_sizes(root)[:1]} if size > 0]
    files += [path for path in (root / cuhk_sysu.IMAGES, root / cuhk_sysu.POOL) if path.is_file()]
    hashes = {path.relative_to(root).as_posix(): sha256_of_file(path) for path in sorted(files)}
    return hashes | {results.name: sha256_of_file(results)}
