"""The command line: one command a stage. What a command does stands in `commands.py` and `scoring_commands.py`."""

from __future__ import annotations

import argparse
import errno
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distillery import (
    __version__,
    audit_commands,
    audit_reports_commands,
    check_commands,
    claims_commands,
    commands,
    fetch_commands,
    parts_commands,
    plan_commands,
    scoring_commands,
    shard_commands,
    store_commands,
)
from distillery.errors import UserError

Command = Callable[[argparse.Namespace], int | None]
TRACKING = ("otb100", "dtb70", "vot2018", "vot2019", "lasot", "trackingnet", "got10k")
SEARCH_SETS = ("cuhk_sysu", "prw")
BENCHMARKS = (*TRACKING, *SEARCH_SETS)

SERVER_SETS = ("trackingnet_test", "got10k_test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0, or 1 if the user has something to mend (one sentence on stderr, no traceback unless --debug) or nobody reads
        stdout to its end.
    """
    options = _parser().parse_args(arguments)
    try:
        status = options.command(options) or 0
        sys.stdout.flush()  # a closed pipe shows here, not when the interpreter ends
        return status
    except UserError as error:
        if options.debug:
            raise
        print(f"distillery: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return 1
        if options.debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        problem = "no space left on the disk" if full else (error.strerror or str(error))
        remedy = "free some and run the command again" if full else "see the traceback with --debug"
        print(f"distillery: {where}{problem}; {remedy}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("distillery: stopped; the same command goes on from the last saved state.", file=sys.stderr)
        return 130


def _nobody_reads() -> bool:
    """Whether stdout is a closed pipe (`| head`); if so the rest goes nowhere, as Python's documentation advises."""
    try:
        stdout = sys.stdout.fileno()
    except OSError:  # no file stands behind it
        return False
    poll = select.poll()
    poll.register(stdout, select.POLLOUT)
    closed = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)
    return closed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="distillery",
        description="Two knowledge-distillation papers, from data to tables. `snakemake --cores N` runs everything; "
        "these are its single stages.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        added = subparsers.add_parser(name, help=text, description=text)
        added.set_defaults(command=run)
        # Also after the command, without undoing a --debug before it.
        added.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return added

    def path(to: argparse._ActionsContainer, flag: str, text: str, **kind: Any) -> None:
        to.add_argument(flag, type=Path, help=text, **kind)

    def params(to: argparse._ActionsContainer, required: bool = True) -> None:
        to.add_argument("--params", required=required, metavar="JSON", help="resolved parameters of the job")

    def seeds(to: argparse._ActionsContainer) -> None:
        text = "do the job once for each, in the place of the seed of --params; {seed} in file names stands for it"
        to.add_argument("--seeds", nargs="+", default=[], metavar="SEED", help=text)

    data = command("dataset", commands.dataset, "Write or link a dataset, check it, and list it in a manifest.")
    data.add_argument("--benchmark", required=True, choices=check_commands.SETS)
    params(data)
    path(data, "--out", "manifest to write; the dataset lies in the folder of the same name", required=True)
    data.add_argument("--workers", type=int, default=1, help="processes")
    data.add_argument("--replace", action="store_true", help="replace the folder whatever it holds")

    for topic in (fetch_commands, check_commands, shard_commands, plan_commands, store_commands):
        topic.add(command, path, params)

    crops = command("crop-clips", commands.crop_clips, "Make the crops of a training set for all jobs of a family.")
    params(crops)
    path(crops, "--data", "manifest of the training set", required=True)
    path(crops, "--out", "file of crops to write", required=True)
    crops.add_argument("--workers", type=int, default=1, help="threads; the result does not depend on it")

    train = command("train-trackers", commands.train_trackers, "Train trackers from ground truth or under one teacher.")
    params(train)
    path(train, "--data", "manifest of the training set", required=True)
    path(train, "--teacher", "checkpoint of the teacher")
    path(train, "--recording", "what the teacher says to each batch, of record-teacher")
    path(train, "--crops", "crops of the training set, of crop-clips; without them frames are decoded")
    train.add_argument("--searched", nargs="+", default=[], metavar="NAME=RESULT", help="results of select-students")
    train.add_argument("--out", nargs="+", required=True, metavar="NAME=CHECKPOINT", help="one for each network")

    record = command("record-teacher", commands.record_teacher, "Record what a teacher says to every training batch.")
    params(record)
    path(record, "--data", "manifest of the training set", required=True)
    path(record, "--teacher", "checkpoint of the teacher", required=True)
    path(record, "--crops", "crops of the training set, of crop-clips; without them frames are decoded")
    path(record, "--out", "recording to write", required=True)

    select = command("select-students", commands.select_students, "Search for a student's channel numbers.")
    params(select)
    path(select, "--data", "manifest of the training set", required=True)
    path(select, "--teacher", "checkpoint of the teacher", required=True)
    path(select, "--out", "JSON file with the architecture and all that was visited", required=True)
    select.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")

    track = command("track", commands.track, "Run a tracker over one benchmark or several.")
    track.add_argument("--benchmark", choices=[*TRACKING, *SERVER_SETS])
    path(track, "--root", "folder in the official layout")
    path(track, "--results", "folder for the result files")
    track.add_argument(
        "--on",
        nargs=3,
        action="append",
        default=[],
        metavar=("BENCHMARK", "ROOT", "RESULTS"),
        help="one of several runs",
    )
    which = track.add_mutually_exclusive_group(required=True)
    path(
        which,
        "--checkpoint",
        "trained tracker; of several, {checkpoint} in RESULTS stands for the name of each (seed0)",
        nargs="+",
    )
    which.add_argument("--baseline", choices=["static", "ncc"], help="trivial tracker")
    settings = track.add_mutually_exclusive_group()
    params(settings, required=False)
    path(
        settings,
        "--config",
        "profile (config/mini.yaml) under which the checkpoint was trained: gives test-time settings and device; "
        "without it and --params the published settings of the checkpoint's family are used",
    )
    track.add_argument("--replace", action="store_true", help="replace results folders whatever they hold")
    track.add_argument("--allow-partial", action="store_true", help="run on the sequences that are there")
    track.add_argument("--repetitions", type=int, default=1, help="runs of a stochastic tracker (VOT: 15, GOT-10k: 3)")
    track.add_argument("--part", metavar="K-of-N", help="run on one of N equally long parts; `join` puts them together")
    parts_commands.add(command, path, params)

    scoring_commands.add(command, path, BENCHMARKS, SERVER_SETS)

    reid = command("train-reid", commands.train_reid, "Train the re-identification teacher on ground-truth crops.")
    params(reid)
    seeds(reid)
    path(reid, "--data", "manifest of the training set", required=True)
    path(reid, "--out", "checkpoint to write", required=True)

    lookup = command("lookup", commands.lookup, "Pre-compute the look-up table of ID features.")
    params(lookup)
    seeds(lookup)
    path(lookup, "--data", "manifest of the training set", required=True)
    path(lookup, "--teacher", "checkpoint of the teacher whose features fill it")
    path(lookup, "--out", "table to write", required=True)

    student = command("train-search", commands.train_search, "Train the person-search networks of one run together.")
    params(student)
    seeds(student)
    path(student, "--data", "manifest of the training set", required=True)
    student.add_argument("--table", nargs="+", default=[], metavar="NAME=TABLE", help="look-up tables")
    path(student, "--detector", "checkpoint of the detection teacher")
    student.add_argument("--start", nargs="+", default=[], metavar="NAME=CHECKPOINT", help="networks to start from")
    student.add_argument("--out", nargs="+", required=True, metavar="NAME=CHECKPOINT", help="checkpoints to write")

    search = command("search", commands.search, "Find and describe the people of benchmarks.")
    path(search, "--root", "folder in the official layout", required=True)
    which = search.add_mutually_exclusive_group(required=True)
    several = "trained network; of several, {checkpoint} in FILE stands for the name of each (seed0)"
    path(which, "--checkpoint", several, nargs="+")
    which.add_argument("--baseline", choices=["histogram"], help="trivial method")
    search.add_argument(
        "--results", nargs="+", required=True, metavar="BENCHMARK=FILE", help=".npz to write for each benchmark"
    )
    params(search, required=False)

    cost = command(
        "profile-networks", commands.profile_networks, "Measure size, operations and time of trained networks."
    )
    cost.add_argument("--checkpoints", nargs="+", required=True, metavar="NAME=CHECKPOINT")
    params(cost)
    path(cost, "--out", "JSON file", required=True)

    maps = command("response-maps", commands.response_maps, "Compute the response maps that a figure compares.")
    maps.add_argument("--checkpoints", nargs="+", required=True, metavar="NAME=CHECKPOINT")
    path(maps, "--data", "manifest of OTB-100", required=True)
    path(maps, "--out", ".npz to write", required=True)

    space = command("feature-space", commands.feature_space, "Describe training people beside the rows of a table.")
    space.add_argument("--checkpoints", nargs="+", required=True, metavar="NAME=CHECKPOINT")
    path(space, "--data", "manifest of the training set", required=True)
    path(space, "--out", ".npz to write", required=True)

    tables = command("tables", commands.tables, "Make the tables from metrics.")
    figures = command("figures", commands.figures, "Make the figures from metrics and predictions.")
    report = command("report", commands.report, "Make the report from tables and figures.")
    for stage in (tables, figures, report):
        params(stage)
        path(stage, "--metrics", "metrics files", nargs="+", required=True)
    for stage in (tables, figures):
        path(stage, "--compute", "output of profile-networks", required=True)
        path(stage, "--out-dir", "folder to write to", required=True)
        path(stage, "--curves", "training metrics", nargs="+", default=[])
        path(stage, "--searches", "results of select-students", nargs="+", default=[])
    path(tables, "--sidecars", "sidecars of the checkpoints", nargs="+", required=True)
    path(figures, "--data", "dataset manifests", nargs="+", required=True)
    path(figures, "--predictions", "indices of predictions", nargs="+", required=True)
    path(figures, "--maps", "output of response-maps")
    path(figures, "--features", "output of feature-space")
    figures.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")
    path(report, "--tables", "folder of tables", required=True)
    path(report, "--figures", "folder of figures", required=True)
    path(report, "--claims", "claims.json of claims", required=True)
    path(report, "--out", "HTML file", required=True)

    store = command("publish", commands.publish, "Store data, checkpoints and results with DVC.")
    store.add_argument("--profile", required=True)
    path(store, "--out", "JSON record to write", required=True)

    claims_commands.add(command, path, params)
    audit_commands.add(command, path)
    audit_reports_commands.add(command, path)

    config = command("config", commands.config, "Check or show a profile, or print the schema.")
    config.add_argument("action", choices=["check", "show", "schema"])
    path(config, "file", "profile", nargs="?", default=Path("config/mini.yaml"))
    return parser
