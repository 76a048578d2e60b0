"""Runs a network over benchmarks: detections in the test images, features of the queries, or pairs of both."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from distillery.config.search_jobs import SearchJob, SearchTraining
from distillery.engine.checkpoint import load_sidecar, sidecar_path
from distillery.engine.devices import Device, prepare
from distillery.errors import UserError
from distillery.files import sha256_of_file, write_json
from distillery.person_search.benchmarks import registry
from distillery.person_search.benchmarks.cuhk_sysu import FULL_GALLERY
from distillery.person_search.checkpoints import KINDS, load_network, parameters_of
from distillery.person_search.folding import folded
from distillery.person_search.gallery import Tests, load_tests, run
from distillery.person_search.network import OIMNetwork
from distillery.person_search.predictions import (
    AnyPredictions,
    Detections,
    PairPredictions,
    Predictions,
    write_predictions,
)
from distillery.person_search.qeeps import QEEPSNetwork
from distillery.person_search.qeeps_inference import PairSearcher, described, search_pairs
from distillery.person_search.searchers import NetworkSearcher, Searcher, TeacherSearcher

HISTOGRAM = "histogram"
"""Name of the baseline, in place of a checkpoint."""
BATCH = {"cpu": 1, "cuda": 8}
"""Images of one size that a network sees at a time, by device; results depend on it by rounding alone."""

Answer = tuple[AnyPredictions, dict[str, Any]]
"""Predictions, and what the sidecar says about them."""


def search(checkpoint: Path | str, root: Path, targets: Mapping[str, Path], parameters: SearchJob) -> None:
    """Writes the predictions of a network, or of the baseline `histogram`, for benchmarks that share their images.

    OIM networks and re-ID networks describe detections by features, which are not weighted by the person score; QEEPS
    networks answer about pairs, and about detections without a query, for which an image is its own query; detectors
    detect.

    Args:
        checkpoint: Checkpoint of any network of this paper (its kind decides), or "histogram".
        root: The dataset.
        targets: Benchmark -> `….npz` to write; what was run and how fast lies beside it as `….json`.
        parameters: Of the job.

    Raises:
        UserError: If the dataset or the checkpoint is missing, malformed or of another kind, or the benchmarks do not
            share their images.
    """
    _check(targets, root)
    if checkpoint == HISTOGRAM:
        answers = _run_histogram(root, list(targets), parameters)
    else:
        answers = _run_network(Path(checkpoint), root, list(targets), parameters)
    for benchmark, results in targets.items():
        predictions, index = answers[benchmark]
        write_predictions(results, predictions)
        described = {
            **index,
            "benchmark": benchmark,
            "parameters": parameters.model_dump(mode="json"),
            "sha256": sha256_of_file(results),
        }
        write_json(sidecar_path(results), described)


def _check(targets: Mapping[str, Path], root: Path) -> None:
    if not targets:
        raise UserError("no benchmark is named", place="--results", remedy="give BENCHMARK=FILE.npz")
    for benchmark, results in targets.items():
        if results.suffix != ".npz":  # the sidecar takes the other suffix
            raise UserError("does not end in .npz", file=results, place=f"--results {benchmark}", remedy="rename it")
    if len(set(targets.values())) != len(targets):
        raise UserError("two benchmarks would write one file", place="--results", remedy="give each its own")
    if len({registry.image_folder(benchmark, root) for benchmark in targets}) > 1:
        raise UserError(f"{' and '.join(targets)} do not share their images", remedy="run one after the other")


def _run_histogram(root: Path, benchmarks: list[str], parameters: SearchJob) -> dict[str, Answer]:
    from distillery.person_search.histogram import predictions_of_all

    begin = time.perf_counter()
    predictions = predictions_of_all(root, benchmarks)
    seconds = time.perf_counter() - begin
    images = len(registry.load_pool(benchmarks[0], root).images)
    timed = "reading the images, histograms of gallery and queries"
    answers: dict[str, Answer] = {}
    for name, one in predictions.items():
        if parameters.queries is not None:
            one.query_feature[parameters.queries :] = np.nan
        index = {"model": HISTOGRAM, "true_boxes": True, **_speed(images, seconds, timed), **_counted(one)}
        answers[name] = one, index
    return answers


def _run_network(checkpoint: Path, root: Path, benchmarks: list[str], parameters: SearchJob) -> dict[str, Answer]:
    device = prepare(parameters.compute)
    network = folded(load_network(checkpoint)).to(device.torch)
    searcher: Searcher
    if isinstance(network, OIMNetwork):
        if network.identification is None and parameters.true_boxes:
            raise UserError(
                "is a detector, which says nothing about given boxes",
                file=checkpoint,
                place="true_boxes",
                remedy="leave it out",
            )
        trained = parameters_of(checkpoint)
        assert isinstance(trained, SearchTraining)
        searcher = NetworkSearcher(network, trained.resize, device, true_boxes=parameters.true_boxes)
    else:
        searcher = TeacherSearcher(network, device)
    tests = load_tests(root, benchmarks, parameters.queries)
    index: dict[str, Any] = {
        "model": load_sidecar(checkpoint, kind=KINDS)["kind"],
        "checkpoint": str(checkpoint),
        "inputs": {"checkpoint": sha256_of_file(checkpoint)},
        "device": str(device.torch),
        "score_weighting": False,
        "true_boxes": parameters.true_boxes or not isinstance(network, OIMNetwork),
    }
    describes = searcher.describes and not isinstance(network, QEEPSNetwork)
    people = describes and parameters.beside and not index["true_boxes"]
    found = run(searcher, tests, device, _batch(device, searcher), queries=describes, people=people)
    answers: dict[str, Answer] = {}
    if isinstance(network, QEEPSNetwork):
        assert searcher.resize is not None
        images = {image.name: image for image in (*tests.pool, *tests.outside)}
        pairs = PairSearcher(network, searcher.resize, images, device, true_boxes=parameters.true_boxes)
        for name in benchmarks:
            predictions, counted = _run_pairs(pairs, root, name, tests, parameters)
            answers[name] = replace(predictions, detections=found.detections()), index | counted
        return answers
    index |= _speed(len(tests.pool), found.seconds, _timed(device, searcher))
    for name in benchmarks:
        one = found.detections()
        if describes:
            one = found.with_people(found.predictions(name, tests.counts[name]), tests.pool)
        answers[name] = one, index | _counted(one)
    return answers


def _run_pairs(
    searcher: PairSearcher, root: Path, benchmark: str, tests: Tests, parameters: SearchJob
) -> tuple[PairPredictions, dict[str, Any]]:
    sizes = registry.gallery_sizes(benchmark, root)
    whole = sizes == [FULL_GALLERY]  # PRW has no other gallery, whatever is asked of other sets
    size = sizes[0] if whole or parameters.gallery_size is None else parameters.gallery_size
    protocol = registry.load_protocol(benchmark, root, gallery_size=size)
    count = len(tests.queries[benchmark])
    found = search_pairs(searcher, protocol, count)
    predictions = found.predictions(np.arange(tests.counts[benchmark]) < count, protocol.gallery_size)
    return predictions, {
        **described(found, protocol),
        "detections": len(predictions.pair_image),
        "queries": count,
    }


def _batch(device: Device, searcher: Searcher) -> int:
    """A re-ID network takes images as they are, whose crops it batches itself."""
    return BATCH[device.torch.type] if searcher.resize else 1


def _timed(device: Device, searcher: Searcher) -> str:
    at_a_time = _batch(device, searcher)
    many = "one image at a time" if at_a_time == 1 else f"up to {at_a_time} images of one size at a time"
    answer = "boxes, scores and id features" if searcher.describes else "boxes and scores"
    return f"the network on {many}: from decoded and resized pixels to {answer}; reading and queries are not counted"


def _counted(predictions: AnyPredictions) -> dict[str, int]:
    assert isinstance(predictions, Detections)
    queries = 0
    if isinstance(predictions, Predictions):
        queries = int((~np.isnan(predictions.query_feature).all(axis=1)).sum())
    return {"detections": len(predictions.gallery_image), "queries": queries}


def _speed(images: int, seconds: float, timed: str) -> dict[str, Any]:
    rate = images / seconds if seconds > 0 else 0.0
    return {"images": images, "seconds": seconds, "images_per_second": rate, "timed": timed}
