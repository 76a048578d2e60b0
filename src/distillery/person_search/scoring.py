"""Scores a file of predictions on a person-search benchmark: the metrics of the command `distillery score`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.person_search.benchmarks import cuhk_protocols, cuhk_sysu, prw, registry
from distillery.person_search.benchmarks.base import Protocol
from distillery.person_search.predictions import (
    AnyPredictions,
    Detections,
    PairPredictions,
    Predictions,
    read_any_predictions,
)
from distillery.person_search.protocol import TOP, SearchScores, detection_scores, queries_of, search_scores

_NO_ANNOTATION = "Search scores only: detection scores need annotation/Images.mat and annotation/pool.mat."
_NO_DETECTION = "Search scores only: the file holds no detections without a query."
_NO_SEARCH = "Detection scores only: the file holds neither features nor pairs."


def score(
    root: Path,
    results: Path,
    *,
    benchmark: str = registry.CUHK_SYSU,
    protocol: str = "official",
    gallery_sizes: Sequence[int] | None = None,
    allow_partial: bool = False,
) -> dict[str, Any]:
    """Scores predictions; needs no image and no model.

    Args:
        root: A folder in the benchmark's layout. One TestG file of CUHK-SYSU is enough for the search scores; detection
            scores also need Images.mat and pool.mat. PRW needs annotations, frame_test.mat and the file of queries.
        results: The .npz file of `predictions.py`, in any of its forms.
        benchmark: One of `registry.BENCHMARKS`.
        protocol: One of the benchmark's `registry.VARIANTS`.
        gallery_sizes: Sizes to score, -1 for the whole set; None for all whose files are there.
        allow_partial: Score the queries that were run (feature not NaN) and say how many were not, instead of
            refusing such a file.

    Returns:
        The metrics as JSON values; fractions lie in 0..1. `numbers` are those of the default gallery size; `note` says
        which the predictions or the root cannot give. `on_true_boxes` are those of searching in the annotated boxes,
        where the predictions describe them.
    """
    registry.check_variant(benchmark, protocol)
    root, results = Path(root), Path(results)
    predictions = read_any_predictions(results)
    sizes, default = _sizes(benchmark, root, gallery_sizes, predictions)
    chosen = registry.load_protocol(benchmark, root, gallery_size=default, variant=protocol)
    found = _Found()
    if isinstance(predictions, Detections) and not isinstance(predictions, Predictions):
        found.notes.append(_NO_SEARCH)
        _check_names(predictions.gallery_image, chosen, results, "gallery_image")
    else:
        _check_fit(predictions, chosen, results, allow_partial=allow_partial)
        _search(found, benchmark, root, results, predictions, chosen, sizes, protocol)
    _detection(found, benchmark, root, predictions)
    if not found.numbers:
        remedy = "give a root with annotation/Images.mat and annotation/pool.mat"
        raise UserError("holds detections alone, and the root has no annotation of them", file=results, remedy=remedy)
    metrics: dict[str, Any] = {
        "benchmark": benchmark,
        "protocol": protocol,
        "gallery_size": default,
        "numbers": found.numbers,
        "by_gallery_size": found.by_gallery_size,
        "counts": found.counts,
        "per_query": found.per_query,
        "inputs": _inputs(benchmark, root, results, sizes),
    }
    if benchmark == registry.CUHK_SYSU:
        metrics["by_subset"] = found.by_subset
    if found.on_true_boxes:
        metrics["on_true_boxes"] = found.on_true_boxes
    return metrics | ({"note": " ".join(found.notes)} if found.notes else {})


@dataclass
class _Found:
    """What has been scored so far."""

    numbers: dict[str, float] = field(default_factory=dict)
    by_gallery_size: dict[str, dict[str, float]] = field(default_factory=dict)
    by_subset: dict[str, dict[str, float]] = field(default_factory=dict)
    on_true_boxes: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    per_query: dict[str, list[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def score_many(
    benchmark: str, root: Path, results: Sequence[Path], *, protocol: str = "official", allow_partial: bool = False
) -> dict[Path, dict[str, Any]]:
    """`score` of several files of predictions."""
    return {
        path: score(root, path, benchmark=benchmark, protocol=protocol, allow_partial=allow_partial) for path in results
    }


def _sizes(
    benchmark: str, root: Path, wanted: Sequence[int] | None, predictions: AnyPredictions
) -> tuple[list[int], int]:
    """Gallery sizes to score, and that of the headline numbers."""
    available = registry.gallery_sizes(benchmark, root)
    run = predictions.gallery_size if isinstance(predictions, PairPredictions) else None
    sizes = list(dict.fromkeys(wanted or ([run] if run is not None else available)))
    missing = [size for size in sizes if size not in (*available, cuhk_sysu.FULL_GALLERY)]
    if missing and benchmark == registry.CUHK_SYSU:
        raise UserError(
            "does not exist",
            file=cuhk_sysu.protocol_file(root, missing[0]),
            remedy=f"choose among {', '.join(map(str, available))} and -1 for all images",
        )
    if missing:
        raise UserError(f"{benchmark} has no galleries of {missing[0]} images", remedy="its gallery is the whole set")
    if run is not None and (other := [size for size in sizes if size != run]):
        raise UserError(
            f"galleries of {other[0]} images were not run, these pairs are those of galleries of {run}",
            place="array 'gallery_size'",
            remedy="score the size that was run",
        )
    headline = (cuhk_protocols.DEFAULT_SIZE, cuhk_sysu.FULL_GALLERY)
    return sizes, next((size for size in headline if size in sizes), max(sizes))


def _search(
    found: _Found,
    benchmark: str,
    root: Path,
    results: Path,
    predictions: Predictions | PairPredictions,
    chosen: Protocol,
    sizes: Sequence[int],
    variant: str,
) -> None:
    listing = "seqnet" if variant == "seqnet" else "official"  # how images that a gallery lists twice are looked at
    main = search_scores(chosen, predictions, variant=listing)
    if not main.counts["queries"]:
        raise UserError(
            "says that no query was run",
            file=results,
            place=f"array '{_query_array(predictions)}'",
            remedy="run the model on the queries again",
        )
    for size in sizes:
        scores = main
        if size != chosen.gallery_size:
            galleries = registry.load_protocol(benchmark, root, gallery_size=size, variant=variant)
            cuhk_protocols.check_same_queries(chosen, galleries)
            scores = search_scores(galleries, predictions, variant=listing)
        found.by_gallery_size["full" if size == cuhk_sysu.FULL_GALLERY else str(size)] = _numbers(scores)
    found.numbers |= _numbers(main)
    found.counts |= main.counts
    given = predictions.on_true_boxes() if isinstance(predictions, Predictions) else None
    if given is not None:
        found.on_true_boxes |= _numbers(search_scores(chosen, given, variant=listing))
    found.per_query |= {
        "image": [query.image for query in chosen.queries],
        "ap": [None if np.isnan(value) else float(value) for value in main.average_precision],
        "best_rank": [int(rank) or None for rank in main.best_rank],
    }
    if benchmark == registry.CUHK_SYSU and isinstance(predictions, Predictions):
        _subsets(found, root, predictions, chosen, listing)


def _subsets(found: _Found, root: Path, predictions: Predictions, chosen: Protocol, listing: str) -> None:
    """Scores the subsets of CUHK-SYSU whose files are there, with the features of the same queries."""
    for name, (file, _) in cuhk_protocols.SUBSETS.items():
        subset = cuhk_sysu.load_subset(root, name)
        if subset is None:
            continue
        galleries, rows = cuhk_protocols.match_queries(subset, chosen)
        scores = search_scores(galleries, predictions, variant=listing, query_rows=rows)
        found.counts[f"queries_{name}"] = scores.counts["queries"]
        if lost := len(subset.queries) - len(rows):
            found.notes.append(f"{lost} queries of {file.name} are no queries of {chosen.name} and are left out.")
        if scores.counts["queries"]:
            found.by_subset[name] = _numbers(scores)


def _detection(found: _Found, benchmark: str, root: Path, predictions: AnyPredictions) -> None:
    detections = predictions.detections if isinstance(predictions, PairPredictions) else predictions
    if detections is None:
        found.notes.append(_NO_DETECTION)
    elif benchmark == registry.CUHK_SYSU and not _annotated(root):
        found.notes.append(_NO_ANNOTATION)
    else:
        pool = registry.load_pool(benchmark, root, need_images=False)
        scores = detection_scores(pool.images, detections)
        found.numbers |= {"ap": scores.ap, "recall": scores.recall}
        found.counts |= scores.counts


def _annotated(root: Path) -> bool:
    return (root / cuhk_sysu.IMAGES).is_file() and (root / cuhk_sysu.POOL).is_file()


def _check_fit(
    predictions: Predictions | PairPredictions, protocol: Protocol, results: Path, *, allow_partial: bool
) -> None:
    """Refuses predictions of another benchmark, and of a part of the queries unless that is allowed."""
    place = f"array '{_query_array(predictions)}'"
    rows, queries = queries_of(predictions), len(protocol.queries)
    if rows != queries:
        raise UserError(
            f"has {rows} rows, {protocol.name} has {queries} queries",
            file=results,
            place=place,
            remedy="write one row for each query, in the protocol's order (a query that was not run has one too)",
        )
    if isinstance(predictions, PairPredictions):
        absent, said = ~predictions.query_run, "says that queries were not run"
        array, names = "pair_image", predictions.pair_image
    else:
        absent, said = np.asarray(np.isnan(predictions.query_feature).all(axis=1)), "has NaN"
        array, names = "gallery_image", predictions.gallery_image
    if absent.any() and not allow_partial:
        raise UserError(
            f"{said} in {int(absent.sum())} rows, the first is row {int(absent.argmax())}",
            file=results,
            place=place,
            remedy="run these queries, or score the others with --allow-partial",
        )
    _check_names(names, protocol, results, array)


def _check_names(names: NDArray[np.str_], protocol: Protocol, results: Path, array: str) -> None:
    """Refuses detections in images of which the galleries have none."""
    if len(names) and not np.isin(names, protocol.images).any():
        raise UserError(
            f"names no gallery image of {protocol.name} ({str(names[0])!r} for one)",
            file=results,
            place=f"array '{array}'",
            remedy=f"give file names such as {(protocol.images or ['s1.jpg'])[0]!r}, without folder",
        )


def _query_array(predictions: Predictions | PairPredictions) -> str:
    return "query_run" if isinstance(predictions, PairPredictions) else "query_feature"


def _numbers(scores: SearchScores) -> dict[str, float]:
    return {"map": scores.map} | {f"top{k}": scores.top[k] for k in TOP}


def _inputs(benchmark: str, root: Path, results: Path, sizes: Sequence[int]) -> dict[str, str]:
    """SHA-256 of every file the scores depend on; PRW's thousands of annotations have one together."""
    hashes = {}
    if benchmark == registry.CUHK_SYSU:
        used = {size for size in {*sizes, *cuhk_sysu.gallery_sizes(root)[:1]} if size > 0}
        files = [cuhk_sysu.protocol_file(root, size).relative_to(root) for size in used]
        files += [cuhk_sysu.IMAGES, cuhk_sysu.POOL, *(file for file, _ in cuhk_protocols.SUBSETS.values())]
    else:
        files = [prw.TEST[0], prw.QUERIES[benchmark]]
        annotations = (root / prw.ANNOTATIONS / f"{name}.mat" for name in prw.frame_names(root, *prw.TEST))
        hashes[prw.ANNOTATIONS.as_posix()] = sha256_of({file.name: sha256_of_file(file) for file in annotations})
    hashes |= {file.as_posix(): sha256_of_file(root / file) for file in sorted(files) if (root / file).is_file()}
    return hashes | {results.name: sha256_of_file(results)}
