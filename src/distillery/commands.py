"""What each command of the command line does: parameters in, one call into a room, a line or two printed.

Each imports what it needs when it runs, so that `distillery --help` and the Snakefile stay fast.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from distillery import arguments
from distillery.arguments import named_paths, plain_json
from distillery.engine.command import training


def dataset(options: argparse.Namespace) -> None:
    """Writes or links a dataset."""
    from distillery import datasets
    from distillery.engine.progress import Progress

    with Progress(f"write {options.benchmark}", 0) as progress:
        report = datasets.make(
            options.benchmark,
            options.params,
            options.out,
            workers=options.workers,
            progress=progress,
            replace=options.replace,
        )
    print(f"{options.out}: " + ", ".join(f"{count} {name}" for name, count in report.counts.items()))


def crop_clips(options: argparse.Namespace) -> None:
    """Makes the crops of a training set."""
    from distillery.config.base import parse_json
    from distillery.config.tracking import CropJob
    from distillery.tracking.crop_store import crop_clips

    count = crop_clips(parse_json(CropJob, options.params), options.data, options.out, workers=options.workers)
    print(f"{options.out}: {count} crops")


@training
def train_trackers(options: argparse.Namespace) -> None:
    """Trains the trackers of one run."""
    from distillery.config.tracking import parse_training
    from distillery.tracking.training import train_trackers

    train_trackers(
        parse_training(options.params),
        options.data,
        named_paths(options.out, "--out"),
        options.teacher,
        recording=_made(options.recording),
        searched=named_paths(options.searched, "--searched"),
        crops=_made(options.crops),
    )


def record_teacher(options: argparse.Namespace) -> None:
    """Records what a teacher says to every batch."""
    from distillery.config.tracking import parse_training
    from distillery.tracking.training import record_teacher

    crops = _made(options.crops)
    record_teacher(parse_training(options.params), options.data, options.teacher, options.out, crops=crops)


def select_students(options: argparse.Namespace) -> None:
    """Searches for a student's architecture."""
    from distillery.config.base import parse_json
    from distillery.config.selection import SelectionJob
    from distillery.tracking.selecting import select_students

    parameters = parse_json(SelectionJob, options.params)
    found = select_students(parameters, options.data, options.teacher, options.out, workers=options.workers)
    print(f"{options.out}: {found['size_ratio']:.1f} times smaller, reward {found['reward']:.3f}")


def track(options: argparse.Namespace) -> None:
    """Runs one tracker or several over one benchmark or several."""
    from distillery.tracking import running
    from distillery.tracking.parts import Part

    job, part = arguments.track_job(options), Part.parse(options.part) if options.part else None
    for checkpoint, targets in arguments.track_runs(options):
        if checkpoint and job.inference is None:
            family = arguments.checkpoint_family(checkpoint)
            print(f"settings: the published ones of {family}; pass --config for those of a profile")
        indices = running.track_all(
            targets,
            job,
            checkpoint=checkpoint,
            baseline=options.baseline,
            allow_partial=options.allow_partial,
            repetitions=options.repetitions,
            replace=options.replace,
            part=part,
        )
        for name, index in indices.items():
            rate = index["speed"]["frames_per_second"] or 0.0
            print(
                f"{targets[name][1]}: {len(index['sequences'])} sequences, {rate:.1f} frames/s (median over sequences)"
            )


def response_maps(options: argparse.Namespace) -> None:
    """Computes the response maps that a figure shows."""
    from distillery.tracking.response_maps import write_response_maps

    write_response_maps(named_paths(options.checkpoints, "--checkpoints"), options.data, options.out)


def feature_space(options: argparse.Namespace) -> None:
    """Computes the feature space that a figure shows."""
    from distillery.person_search.feature_space import write_feature_space

    write_feature_space(named_paths(options.checkpoints, "--checkpoints"), options.data, options.out)


@training
def train_reid(options: argparse.Namespace) -> None:
    """Trains the re-identification teacher, of one seed or of several."""
    from distillery.config.base import parse_json
    from distillery.config.search_jobs import ReIDTraining
    from distillery.person_search.reid_training import train_reid

    parameters = parse_json(ReIDTraining, options.params)
    for seed, files in arguments.each_seed(options):
        train_reid(parameters.model_copy(update=seed), options.data, files.out)


def lookup(options: argparse.Namespace) -> None:
    """Builds a look-up table, of one seed or of several."""
    from distillery.config.base import parse_json
    from distillery.config.search_jobs import LookUpJob
    from distillery.person_search.tables import build_table

    parameters = parse_json(LookUpJob, options.params)
    for seed, files in arguments.each_seed(options, "teacher"):
        build_table(parameters.model_copy(update=seed), options.data, files.teacher, files.out)


@training
def train_search(options: argparse.Namespace) -> None:
    """Trains the person-search networks of one job, of one seed or of several one after another."""
    from distillery.config.base import parse_json
    from distillery.config.search_jobs import SearchTraining
    from distillery.person_search.training import train_search

    parameters = parse_json(SearchTraining, options.params)
    for seed, files in arguments.each_seed(options, "table", "detector", "start"):
        train_search(
            parameters.model_copy(update=seed),
            options.data,
            named_paths(files.out, "--out"),
            tables=named_paths(files.table, "--table"),
            detector=files.detector,
            starts=named_paths(files.start, "--start"),
        )


def search(options: argparse.Namespace) -> None:
    """Runs person-search networks over benchmarks that share their images."""
    from distillery.config.base import parse_json
    from distillery.config.search_jobs import SearchJob
    from distillery.person_search.inference import search

    parameters = parse_json(SearchJob, options.params) if options.params else SearchJob()
    for searcher, targets in arguments.search_runs(options):
        search(searcher, options.root, targets, parameters)


def profile_networks(options: argparse.Namespace) -> None:
    """Measures networks."""
    from distillery.config.base import parse_json
    from distillery.config.profiling import Profiling
    from distillery.profiling import profile_networks

    job = parse_json(Profiling, options.params)
    profile_networks(named_paths(options.checkpoints, "--checkpoints"), job, options.out, job.inference)


def tables(options: argparse.Namespace) -> None:
    """Makes the tables."""
    from distillery.paper.tables import write_tables

    write_tables(
        plain_json(options.params),
        options.metrics,
        options.sidecars,
        options.compute,
        options.out_dir,
        curve_files=options.curves,
        searches=options.searches,
    )


def figures(options: argparse.Namespace) -> None:
    """Makes the figures."""
    from distillery.paper.figures import write_figures

    write_figures(
        plain_json(options.params),
        options.metrics,
        options.curves,
        options.compute,
        options.data,
        options.predictions,
        options.out_dir,
        searches=options.searches,
        maps=options.maps,
        features=options.features,
        workers=options.workers,
    )


def report(options: argparse.Namespace) -> None:
    """Makes the report."""
    from distillery.paper.report import write_report

    write_report(
        plain_json(options.params), options.tables, options.figures, options.metrics, options.claims, options.out
    )
    print(f"report: {options.out}")


def publish(options: argparse.Namespace) -> None:
    """Stores data, checkpoints and results with DVC."""
    from distillery.store.publishing import publish

    publish(options.profile, options.out)


def config(options: argparse.Namespace) -> None:
    """Shows or checks a profile, or prints the schema."""
    from distillery.config import profile

    if options.action == "schema":
        print(json.dumps(profile.schema(), indent=1))
    else:
        loaded = profile.load(options.file)
        print(loaded.model_dump_json(indent=1) if options.action == "show" else f"{options.file}: no fault")


def _made(file: Path | None) -> Path | None:
    """None for an empty file: it stands for crops or a recording that a restore left out, since they only save work."""
    return file if file is None or not file.is_file() or file.stat().st_size else None
