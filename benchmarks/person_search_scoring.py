"""Scoring of person search beside SeqNet's evaluation: CUHK-SYSU with galleries of 100 and 4,000 images, and PRW.

    python benchmarks/person_search_scoring.py --seqnet CLONE [--data FOLDER] [--queries 50] [--rounds 3]

Detections and features are made up: 41,204 in CUHK-SYSU, 25,062 in PRW's 6,112 frames, 256 numbers each. Galleries of
100 are those of `FOLDER/cuhk_sysu/TestG100.mat` (or DISTILLERY_SCORING_DATA) where that is there, all others are made
up. Both programs have annotations and features in memory; processor seconds of one thread, in turns, of ours the median
of five calls a turn. Where SeqNet takes minutes it scores the first `--queries`, its time is scaled by their number,
and the numbers of these queries are compared. Peaks of memory are those of a process that does nothing else. Fails
where the numbers differ.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from person_search_data import Frame, detections, people, prw_frames, prw_protocol, with_galleries, write_protocol

from distillery.person_search.benchmarks import cuhk_protocols
from distillery.person_search.benchmarks.base import Protocol
from distillery.person_search.predictions import Predictions, read_predictions, write_predictions
from distillery.person_search.protocol import TOP, search_scores

SMALL, LARGE = 100, 4000
CUHK_DETECTIONS, PRW_DETECTIONS = 41_204, 25_062
GROWTH, GROWTH_QUERIES = (41_000, 164_000, 328_000), 1000
"""Detections, ten to an image, in galleries of all images."""
SCORED = "cuhk.npz"


class Case(NamedTuple):
    """A benchmark to score, SeqNet's evaluation of it, and how many queries that looks at."""

    name: str
    protocol: Protocol
    predictions: Predictions
    peer: Callable[[], dict[str, Any]]
    queries: int


def main() -> None:
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(alone(sys.argv[2], *map(Path, sys.argv[3:4]))))
        return
    from harness import add_clone, arguments, begin, table  # and torch, which `alone` does without
    from threadpoolctl import threadpool_limits

    parser = arguments(__doc__ or "", peers=("seqnet",))
    parser.add_argument("--data", type=Path, default=os.environ.get("DISTILLERY_SCORING_DATA"), help="real galleries")
    parser.add_argument("--queries", type=int, default=50, help="for SeqNet where it takes minutes (default: 50)")
    parser.set_defaults(rounds=3)
    options = parser.parse_args()
    if not options.seqnet:
        parser.error("nothing to compare with: give a clone of SeqNet")
    begin(options)
    commit = add_clone(options.seqnet)
    evaluation = importlib.import_module("eval_func")
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        root = Path(folder)
        small, large, real = make(root, options.data)
        print(f"SeqNet {commit}. Galleries of {SMALL} are {'those of CUHK-SYSU' if real else 'made up'}.\n")
        found, cases, loading = read_predictions(root / SCORED), [], []
        for protocol, count in ((small, len(small.queries)), (large, options.queries)):
            case, row = cuhk(root, protocol, found, evaluation, count)
            cases.append(case)
            loading.append(row)
        cases.append(prw(evaluation, options.queries))
        gc.freeze()  # or each side's collector would go through what the other one has in memory
        rows, wrong = zip(*(compared(case, options.rounds) for case in cases), strict=True)
        gc.unfreeze()
        head = ["scoring", "SeqNet, s", "here, s", "ratio", "queries of SeqNet", "largest difference of the numbers"]
        print(table(head, rows))
        loaded, memory = apart(root)
    print(table(["loading", "s", "file, MB"], [*loading, *loaded]))
    print(table(["memory", "peak, MB", "reading and scoring, s"], memory))
    head = ["gallery", "all similarities, MB", "peak, MB", "us a query and 1,000 detections", "relative"]
    print(table(head, growth()))
    if not max(wrong) <= 1e-6:
        sys.exit("the numbers differ by more than 1e-6")


def make(root: Path, data: Path | None) -> tuple[Protocol, Protocol, bool]:
    """Writes both protocols and the predictions; whether the smaller galleries are the real ones."""
    file = cuhk_protocols.protocol_file(root, SMALL)
    real = data is not None and (Path(data) / "cuhk_sysu" / file.name).is_file()
    if real:
        file.parent.mkdir(parents=True)
        shutil.copy(Path(data or "") / "cuhk_sysu" / file.name, file)
    else:
        write_protocol(file, with_galleries(people(), SMALL))
    small = cuhk_protocols.load_protocol(root, SMALL)
    large = with_galleries(small, LARGE)
    write_protocol(cuhk_protocols.protocol_file(root, LARGE), large)
    asked = [query.identity for query in small.queries]
    shown = cuhk_protocols.test_appearances(small)
    write_predictions(root / SCORED, detections(shown, small.images, asked, CUHK_DETECTIONS))
    return small, large, real


class Dataset(list[Any]):
    """What SeqNet's evaluation asks of a dataset."""

    root = img_prefix = ""

    def __init__(self, annotations: list[dict[str, Any]]) -> None:
        super().__init__(annotations)
        self.annotations = annotations


def cuhk(root: Path, protocol: Protocol, found: Predictions, evaluation: Any, count: int) -> tuple[Case, list[str]]:
    """A case of CUHK-SYSU, and how long scipy reads its file for SeqNet."""
    file, every = cuhk_protocols.protocol_file(root, protocol.gallery_size), len(protocol.queries)
    if count < every:  # scipy takes several GB for 11.6 million entries
        file = root / "first" / file.name
        write_protocol(file, first(protocol, count))
    read, seconds = timed(lambda: evaluation.loadmat(file))
    gallery, queries = Dataset([{"img_name": name} for name in protocol.images]), Dataset([{}] * count)
    given = lists(protocol.images, found, count)

    def peer() -> dict[str, Any]:
        evaluation.loadmat, usual = lambda _: read, evaluation.loadmat
        with contextlib.chdir(root):  # it writes its ranking there
            answer = evaluation.eval_search_cuhk(gallery, queries, *given, [], [], gallery_size=protocol.gallery_size)
        evaluation.loadmat = usual
        return dict(answer)

    part = f", {count} of {every:,} queries, scaled" if count < every else ""
    row = [f"{file.name}, scipy for SeqNet{part}", f"{seconds * every / count:.1f}", megabytes(file)]
    return Case(f"CUHK-SYSU, galleries of {protocol.gallery_size}", protocol, found, peer, count), row


def prw(evaluation: Any, count: int) -> Case:
    """The case of PRW, where matches of the query's own camera count."""
    protocol, found, frames = made_prw()
    gallery = Dataset([annotation(name, boxes, np.where(ids < 0, 5555, ids)) for name, boxes, ids in frames])
    asked = protocol.queries[:count]
    queries = Dataset([annotation(one.image, one.box[None], np.array([one.identity])) for one in asked])
    given = lists(protocol.images, found, count)
    return Case(
        "PRW", protocol, found, lambda: dict(evaluation.eval_search_prw(gallery, queries, *given, [], [])), count
    )


def made_prw() -> tuple[Protocol, Predictions, list[Frame]]:
    """Protocol, predictions and annotations of a made-up PRW."""
    frames = prw_frames()
    protocol = prw_protocol(frames)
    shown = [(frame.name, *person) for frame in frames for person in zip(frame.boxes, frame.ids.tolist(), strict=True)]
    asked = [query.identity for query in protocol.queries]
    return protocol, detections(shown, protocol.images, asked, PRW_DETECTIONS), frames


def annotation(name: str, boxes: Any, ids: Any) -> dict[str, Any]:
    """An image as SeqNet's reader of PRW gives it."""
    return {"img_name": name, "boxes": boxes.astype(np.int32), "pids": ids, "cam_id": int(name[1])}


def lists(images: list[str], found: Predictions, count: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Detections and features of every image, features of the first queries; of length 1, which SeqNet expects."""
    index = {name: row for row, name in enumerate(images)}
    of = np.array([index[name] for name in found.gallery_image.tolist()])
    order = np.argsort(of, kind="stable")
    edges = np.searchsorted(of[order], np.arange(1, len(images)))
    boxes = np.column_stack([found.gallery_box, found.gallery_score])[order]
    gallery, queries = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (found.gallery_feature[order], found.query_feature)
    )
    return np.split(boxes, edges), np.split(gallery, edges), list(queries[:count])


def first(protocol: Protocol, count: int) -> Protocol:
    """The first queries alone."""
    last = protocol.offsets[count]
    many = int(np.searchsorted(protocol.positives, last))
    return replace(
        protocol,
        queries=protocol.queries[:count],
        offsets=protocol.offsets[: count + 1],
        entries=protocol.entries[:last],
        positives=protocol.positives[:many],
        positive_boxes=protocol.positive_boxes[:many],
    )


def compared(case: Case, rounds: int) -> tuple[list[str], float]:
    """A row of the table, and how far the numbers of the same queries are apart."""
    theirs, ours = [], []
    for _ in range(rounds):
        with contextlib.redirect_stdout(io.StringIO()):
            expected, seconds = timed(case.peer)
        theirs.append(seconds * len(case.protocol.queries) / case.queries)
        called = [timed(lambda: search_scores(case.protocol, case.predictions, variant="seqnet")) for _ in range(5)]
        ours.append(statistics.median(seconds for _, seconds in called))
    scores = called[0][0]
    rank = scores.best_rank[: case.queries]
    numbers = [scores.average_precision[: case.queries].mean(), *(((rank > 0) & (rank <= k)).mean() for k in TOP)]
    wrong = max(abs(one - other) for one, other in zip(numbers, [expected["mAP"], *expected["accs"]], strict=True))
    ratio = statistics.median(one / other for one, other in zip(theirs, ours, strict=True))
    every = len(case.protocol.queries)
    looked = f"{case.queries:,} of {every:,}, scaled" if case.queries < every else f"{every:,}"
    return [case.name, middle(theirs), middle(ours), f"{ratio:.0f}", looked, f"{wrong:.1e}"], float(wrong)


def apart(root: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Rows about loading the protocols and about memory: every measurement in a process of its own."""
    copies, file = root / "copies", cuhk_protocols.protocol_file(root, LARGE)
    small = child(f"G{SMALL}", root, copies)
    new, again = child(f"G{LARGE}", root, copies), child(f"G{LARGE}", root, copies)
    (copy,) = copies.rglob("*.npz")
    if new["map"] != again["map"]:
        sys.exit("the compact copy gives other numbers than the file")
    loading = [
        [f"{file.name}, here, the first time", f"{new['load']:.1f}", megabytes(file)],
        [f"{file.name}, here, from the compact copy", f"{again['load']:.2f}", megabytes(copy)],
    ]
    names = [f"CUHK-SYSU, galleries of {size}" for size in (SMALL, LARGE)]
    names = [names[0], f"{names[1]}, the first time", f"{names[1]}, from the compact copy", "PRW"]
    found = (small, new, again, child("PRW", root, copies))
    memory = [
        [name, f"{one['peak']:.0f}", f"{one['load'] + one['score']:.1f}"]
        for name, one in zip(names, found, strict=True)
    ]
    return loading, memory


def growth() -> list[list[str]]:
    """Rows about galleries of all images that grow: what a query costs in proportion to the detections."""
    rows, smallest = [], 0.0
    for count in GROWTH:
        one = child(str(count), Path())
        cost = 1e9 * one["score"] / count / GROWTH_QUERIES
        smallest = smallest or cost
        similarities = 4e-6 * count * GROWTH_QUERIES
        rows.append(
            [
                f"{count:,} detections",
                f"{similarities:.0f}",
                f"{one['peak']:.0f}",
                f"{cost:.1f}",
                f"{cost / smallest:.2f}",
            ]
        )
    return rows


def child(what: str, root: Path, copies: Path | None = None) -> dict[str, float]:
    """`alone` in a process of one thread; compact copies of protocols lie where they are told to."""
    settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "DISTILLERY_CACHE": str(copies or "")}
    command = [sys.executable, __file__, "--alone", what, str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | settings)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def alone(what: str, root: Path) -> dict[str, float]:
    """Seconds of loading and of scoring, peak of memory in MB, and mAP."""
    loading = 0.0
    if what.startswith("G"):
        protocol, loading = timed(lambda: cuhk_protocols.load_protocol(root, int(what[1:])))
        predictions = read_predictions(root / SCORED)
    elif what == "PRW":
        protocol, predictions, _ = made_prw()
    else:
        images = int(what) // 10
        protocol = with_galleries(people(GROWTH_QUERIES, images), images - 1)
        asked = [query.identity for query in protocol.queries]
        predictions = detections(cuhk_protocols.test_appearances(protocol), protocol.images, asked, int(what))
    called = [timed(lambda: search_scores(protocol, predictions)) for _ in range(3)]
    score = statistics.median(seconds for _, seconds in called)
    return {"load": loading, "score": score, "peak": peak(), "map": called[0][0].map}


def peak() -> float:
    """Largest memory of this process so far, MB."""
    # `ru_maxrss` would begin with that of the process which started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024e-6


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The answer, and processor seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def middle(seconds: list[float]) -> str:
    """Median, with the range in brackets."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def megabytes(file: Path) -> str:
    return f"{file.stat().st_size * 1e-6:.1f}"


if __name__ == "__main__":
    main()
