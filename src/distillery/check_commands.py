"""The command that says whether a dataset is whole."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

SETS = (
    *("otb100", "dtb70", "vot2018", "vot2019", "lasot", "trackingnet", "got10k", "cuhk_sysu", "prw"),
    *("vid", "youtube_bb", "coco", "det"),
)
"""Sets that can be checked: the benchmarks, and those that trackers are trained on alone."""


def add(
    command: Callable[..., argparse.ArgumentParser], path: Callable[..., None], params: Callable[..., None]
) -> None:
    """Registers the command."""
    parser = command("check", check, "Say what is present, missing or malformed in a dataset.")
    parser.add_argument("--benchmark", required=True, choices=SETS)
    path(parser, "--root", "folder in the official layout; it is only read", required=True)
    parser.add_argument(
        "--images",
        choices=["full", "sample", "none"],
        default="full",
        help="decode every image (default), of each video the first, the last and some between, or none",
    )
    parser.add_argument(
        "--counts",
        choices=["any", "official"],
        default="any",
        help="official: the numbers of images, sequences and people of the published set must be there",
    )
    parser.add_argument("--allow-partial", action="store_true", help="what is absent is listed and is no fault")
    parser.add_argument("--workers", type=int, default=_cores(), help="processes (default: one a core)")
    parser.add_argument("--fresh", action="store_true", help="check again what an earlier check found unchanged")
    path(parser, "--out", "JSON report to write")
    path(parser, "--markdown", "the same report as a page to write")


def check(options: argparse.Namespace) -> int:
    """Checks a dataset; 1 if there is a fault."""
    from distillery import datasets
    from distillery.data import check_report
    from distillery.data.check_run import shown_progress
    from distillery.files import write_json, write_text

    wanted = check_report.CheckOptions(options.images, options.counts, options.allow_partial)
    begin = time.monotonic()
    with shown_progress(f"check {options.benchmark}") as progress:
        outcome = datasets.run_check(
            options.benchmark,
            options.root,
            wanted,
            workers=options.workers,
            progress=progress,
            fresh=options.fresh,
        )
    report = outcome.report
    if options.out:
        write_json(options.out, check_report.as_json(report, wanted))
    if options.markdown:
        write_text(options.markdown, check_report.markdown(report, wanted))
    where: Path | None = options.out or outcome.entry
    for line in check_report.lines(report, wanted, whole=where is None):
        print(line)
    if where is not None:
        print(f"report: {where}")
    print("unchanged since it was checked" if outcome.cached else f"checked in {time.monotonic() - begin:.1f} s")
    print(check_report.verdict(report))
    return 0 if report.ok else 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
