"""What each command of the command line does: parameters in, one call into a room, a line or two printed.

Each imports what it needs when it runs, so that `distillery --help` and the Snakefile stay fast.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distillery.errors import UserError


def dataset(options: argparse.Namespace) -> None:
    """Writes or links a dataset."""
    from distillery import datasets
    from distillery.engine.progress import Progress

    with Progress(f"write {options.benchmark}", 0) as progress:
        report = datasets.make(
            options.benchmark, options.params, options.out, workers=options.workers, progress=progress
        )
    print(f"{options.out}: " + ", ".join(f"{count} {name}" for name, count in report.counts.items()))


def check(options: argparse.Namespace) -> int:
    """Checks a dataset; 1 if there is a fault."""
    from distillery import datasets

    report = datasets.check(options.benchmark, options.root)
    for name, count in report.counts.items():
        print(f"{name}: {count}")
    for note in report.notes:
        print(f"note: {note}")
    for fault in report.faults:
        print(f"fault: {fault}")
    print(f"{report.root}: {'no fault' if report.ok else f'{len(report.faults)} faults'}")
    return 0 if report.ok else 1


def train_trackers(options: argparse.Namespace) -> None:
    """Trains the trackers of one run."""
    from distillery.config.base import parse_json
    from distillery.config.tracking import TrackerTraining
    from distillery.tracking.training import train_trackers

    parameters = parse_json(TrackerTraining, options.params)
    train_trackers(parameters, options.data, _named_paths(options.out, "--out"), options.teacher)


def track(options: argparse.Namespace) -> None:
    """Runs a tracker over a benchmark."""
    from distillery.config.base import parse_json
    from distillery.config.tracking import TrackJob
    from distillery.tracking import running

    index = running.track(
        options.benchmark,
        options.root,
        options.results,
        parse_json(TrackJob, options.params) if options.params else TrackJob(),
        checkpoint=options.checkpoint,
        baseline=options.baseline,
        allow_partial=options.allow_partial,
    )
    rate = index["speed"]["frames_per_second"]
    print(f"{options.results}: {len(index['sequences'])} sequences, {rate:.1f} frames/s (median over sequences)")


def score(options: argparse.Namespace) -> None:
    """Scores results."""
    from distillery.files import write_json

    label: dict[str, str | int] = dict(_pairs(options.label, "--label"))
    if "seed" in label:
        label["seed"] = _number(str(label["seed"]), "--label seed")
    if options.benchmark == "cuhk_sysu":
        from distillery.person_search import scoring as search

        protocol = options.protocol or "official"
        metrics = search.score(options.root, options.results, protocol=protocol, allow_partial=options.allow_partial)
    else:
        from distillery.tracking import scoring as tracking

        metrics = tracking.score(
            options.benchmark,
            options.root,
            options.results,
            protocol=options.protocol or "got10k",
            allow_partial=options.allow_partial,
        )
    metrics |= label
    for name, value in metrics["numbers"].items():
        print(f"{name}: {value:.4f}")
    for name, value in metrics["counts"].items():
        print(f"{name}: {value}")
    if metrics.get("note"):
        print(f"note: {metrics['note']}")
    if options.out:
        write_json(options.out, metrics)


def train_reid(options: argparse.Namespace) -> None:
    """Trains the re-identification teacher."""
    from distillery.config.base import parse_json
    from distillery.config.person_search import ReIDTraining
    from distillery.person_search.training import train_reid

    train_reid(parse_json(ReIDTraining, options.params), options.data, options.out)


def lookup(options: argparse.Namespace) -> None:
    """Builds a look-up table."""
    from distillery.config.base import parse_json
    from distillery.config.person_search import LookUpJob
    from distillery.person_search.training import build_table

    build_table(parse_json(LookUpJob, options.params), options.data, options.teacher, options.out)


def train_search(options: argparse.Namespace) -> None:
    """Trains a person-search network."""
    from distillery.config.base import parse_json
    from distillery.config.person_search import SearchTraining
    from distillery.person_search.training import train_search

    train_search(parse_json(SearchTraining, options.params), options.data, options.table, options.out)


def search(options: argparse.Namespace) -> None:
    """Runs a person-search network over a benchmark."""
    from distillery.config.base import parse_json
    from distillery.config.person_search import SearchJob
    from distillery.person_search.inference import search

    parameters = parse_json(SearchJob, options.params) if options.params else SearchJob()
    search(options.checkpoint or options.baseline, options.root, options.results, parameters)


def profile_networks(options: argparse.Namespace) -> None:
    """Measures networks."""
    from distillery.config.base import parse_json
    from distillery.config.training import Compute
    from distillery.profiling import profile_networks

    checkpoints = _named_paths(options.checkpoints, "--checkpoints")
    profile_networks(checkpoints, parse_json(Compute, options.params), options.out)


def tables(options: argparse.Namespace) -> None:
    """Makes the tables."""
    from distillery.paper.tables import write_tables

    write_tables(_json(options.params), options.metrics, options.sidecars, options.compute, options.out_dir)


def figures(options: argparse.Namespace) -> None:
    """Makes the figures."""
    from distillery.paper.figures import write_figures

    write_figures(
        _json(options.params),
        options.metrics,
        options.curves,
        options.compute,
        options.data,
        options.predictions,
        options.out_dir,
    )


def report(options: argparse.Namespace) -> None:
    """Makes the report."""
    from distillery.paper.report import write_report

    write_report(_json(options.params), options.tables, options.figures, options.metrics, options.out)
    print(f"report: {options.out}")


def publish(options: argparse.Namespace) -> None:
    """Stores data and checkpoints with DVC."""
    from distillery.store import publish

    publish(options.profile, options.out)


def config(options: argparse.Namespace) -> None:
    """Shows or checks a profile, or prints the schema."""
    from distillery.config import profile

    if options.action == "schema":
        print(json.dumps(profile.schema(), indent=1))
    else:
        loaded = profile.load(options.file)
        print(loaded.model_dump_json(indent=1) if options.action == "show" else f"{options.file}: no fault")


def _pairs(items: Sequence[str], flag: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in items]
    wrong = next((name for name, equals, value in pairs if not (equals and value)), None)
    if wrong is not None:
        raise UserError(f"{wrong!r} is not NAME=VALUE", place=flag, remedy="write it with an equals sign")
    return {name: value for name, _, value in pairs}


def _number(text: str, flag: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{text!r} is not a whole number", place=flag, remedy="pass a number") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"is not valid JSON ({error.msg})", file="--params", remedy="pass the rule's params") from None


def _named_paths(items: Sequence[str], flag: str) -> dict[str, Path]:
    return {name: Path(value) for name, value in _pairs(items, flag).items()}
