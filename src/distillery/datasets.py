"""One dataset on disk, whatever its origin: generated or linked, checked by its reader, listed in a manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from distillery.config.base import Section, parse_json
from distillery.config.data import (
    EmbeddedCUHKSYSU,
    EmbeddedDTB70,
    EmbeddedGOT10k,
    EmbeddedLaSOT,
    EmbeddedOTB100,
    EmbeddedPRW,
    EmbeddedTrackingNet,
    EmbeddedVOT,
    LocalCopy,
    RegistryCopy,
)
from distillery.data.check_images import Policy
from distillery.data.check_report import CheckOptions, as_json
from distillery.data.check_run import Outcome, run, shown_progress
from distillery.data.checking import CheckReport
from distillery.data.manifest import build
from distillery.errors import UserError
from distillery.files import atomic_folder, read_json, sha256_of, write_json

FIRST_FAULTS = 3
"""Faults that a failing dataset's message names; all of them stand in the report."""
_ELSEWHERE = "choose another path for --out, such as otb100.json in a new folder"


class Dataset(NamedTuple):
    """One row of the table of datasets. Functions are named, not imported: a job loads only its own dataset's code."""

    spec: type[Section]
    writer: str | None
    """None where only a real copy can be had."""
    checker: str
    name: str | None = None
    """What the checker is told where it checks several benchmarks."""


DATASETS = {
    "got10k": Dataset(
        EmbeddedGOT10k, "distillery.data.worlds.got10k:write_got10k", "distillery.tracking.checks.got10k:check"
    ),
    "otb100": Dataset(
        EmbeddedOTB100, "distillery.data.worlds.otb100:write_otb100", "distillery.tracking.checks.otb100:check"
    ),
    "dtb70": Dataset(
        EmbeddedDTB70, "distillery.data.worlds.dtb70:write_dtb70", "distillery.tracking.checks.dtb70:check"
    ),
    "vot2018": Dataset(
        EmbeddedVOT, "distillery.data.worlds.vot:write_vot2018", "distillery.tracking.checks.vot:check", "vot2018"
    ),
    "vot2019": Dataset(
        EmbeddedVOT, "distillery.data.worlds.vot:write_vot2019", "distillery.tracking.checks.vot:check", "vot2019"
    ),
    "lasot": Dataset(
        EmbeddedLaSOT, "distillery.data.worlds.lasot:write_lasot", "distillery.tracking.checks.lasot:check"
    ),
    "trackingnet": Dataset(
        EmbeddedTrackingNet,
        "distillery.data.worlds.trackingnet:write_trackingnet",
        "distillery.tracking.checks.trackingnet:check",
    ),
    "cuhk_sysu": Dataset(
        EmbeddedCUHKSYSU, "distillery.data.worlds.cuhk_sysu:write_cuhk_sysu", "distillery.person_search.checking:check"
    ),
    "prw": Dataset(EmbeddedPRW, "distillery.data.worlds.prw:write_prw", "distillery.person_search.prw_checking:check"),
    # Trackers learn from their shards.
    **{
        name: Dataset(LocalCopy, None, f"distillery.tracking.training_sets.{name}:check")
        for name in ("vid", "youtube_bb", "coco", "det")
    },
}


def modules(benchmark: str) -> list[str]:
    """Modules whose code decides what a dataset holds, for the inputs of its rule."""
    row = DATASETS[benchmark]
    return ["distillery.datasets", *(name.split(":")[0] for name in (row.writer, row.checker) if name)]


def make(
    benchmark: str,
    parameters: str,
    manifest: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    replace: bool = False,
    options: CheckOptions | None = None,
) -> CheckReport:
    """Generates or links a dataset beside its manifest, checks it, and writes the manifest last.

    The check's report lies beside the manifest too (`report_file`), also where the check fails.

    Args:
        benchmark: A key of `DATASETS`.
        parameters: JSON of the dataset's section of the config.
        manifest: `data/<profile>/<benchmark>.json`; the dataset's root is the same path without the suffix.
        workers: Processes; the bytes do not depend on it.
        progress: Called with done and total.
        replace: Whether a folder may be replaced that no manifest says was written here before.
        options: Of the check; None for the strictest that fits the source.

    Raises:
        UserError: If the source is missing, something else would be lost, or the check finds a fault; then no manifest
            is written.
    """
    row = _row(benchmark)
    root = manifest.with_suffix("")
    spec = _parse(row, parameters)
    _check_destination(manifest, root, benchmark, replace)
    manifest.unlink(missing_ok=True)
    report_file(manifest).unlink(missing_ok=True)
    if isinstance(spec, LocalCopy):
        _link(root, spec, benchmark)
    elif row.writer:
        if root.is_symlink():
            root.unlink()
        with atomic_folder(root) as folder:
            _function(row.writer)(folder, spec, workers, progress)
    # Of a set without a writer each image is decoded when its shards are made, which skip and name a few corrupt ones.
    options = options or CheckOptions(images="full" if row.writer else "none", counts=_counts(spec))
    with shown_progress(f"check {benchmark}") if progress else nullcontext() as bar:
        report = run_check(benchmark, root, options, workers=workers, progress=bar).report
    if report.faults:
        write_json(report_file(manifest), as_json(report, options))
        more = len(report.faults) - FIRST_FAULTS
        first = "; ".join(fault.rstrip(".") for fault in report.faults[:FIRST_FAULTS])
        raise UserError(
            f"does not pass its check: {first}{f' (and {more} more)' if more > 0 else ''}",
            file=root,
            remedy=f"see {report_file(manifest)} for all, or `distillery check --benchmark {benchmark} --root {root}`",
        )
    content = build(root, benchmark=benchmark, counts=report.counts, workers=workers)
    write_json(report_file(manifest), as_json(report, options) | {"content": sha256_of(content["files"])})
    write_json(manifest, content)
    return report


def _counts(spec: Section) -> Literal["any", "official"]:
    """What the project's own register fetches must be the whole official set; another register may list any."""
    ours = RegistryCopy.model_fields["registry"].default
    return "official" if isinstance(spec, RegistryCopy) and spec.registry == ours else "any"


def report_file(manifest: Path) -> Path:
    """Where the report of a dataset's check lies: `data/<profile>/<name>.check.json`.

    `content` in it is the hash of the manifest's table of files, of what was checked; absent where the check failed.
    """
    return manifest.with_suffix(".check.json")


def check(benchmark: str, root: Path, *, images: Policy = "full", workers: int = 1) -> CheckReport:
    """What is present, missing and malformed under a root in a benchmark's official layout."""
    return run_check(benchmark, root, CheckOptions(images=images), workers=workers).report


def run_check(
    benchmark: str,
    root: Path,
    options: CheckOptions,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    fresh: bool = False,
) -> Outcome:
    """A check with all its choices; see `distillery.data.check_run.run`."""
    row = _row(benchmark)
    told = {} if row.name is None else {"name": row.name}
    reader = partial(_function(row.checker), **told)
    modules = ("distillery.datasets", row.checker.split(":")[0])
    return run(benchmark, root, reader, options, workers=workers, progress=progress, modules=modules, fresh=fresh)


def _row(benchmark: str) -> Dataset:
    if benchmark not in DATASETS:
        raise UserError(f"unknown benchmark {benchmark!r}", remedy=f"choose one of {', '.join(DATASETS)}")
    return DATASETS[benchmark]


def _parse(row: Dataset, parameters: str) -> Section:
    try:
        source = json.loads(parameters).get("source")
    except (ValueError, RecursionError, AttributeError):
        source = None
    copies: dict[Any, type[Section]] = {"local": LocalCopy, "registry": RegistryCopy}
    return parse_json(copies.get(source, row.spec) if isinstance(source, str) else row.spec, parameters)


def _check_destination(manifest: Path, root: Path, benchmark: str, replace: bool) -> None:
    """Refuses to write over anything but a dataset of the same name and its manifest."""
    content = read_json(manifest) if manifest.is_file() else None
    ours = isinstance(content, dict) and content.get("benchmark") == benchmark
    if content is not None and not ours:
        raise UserError(f"is not a manifest of {benchmark} and would be lost", file=manifest, remedy=_ELSEWHERE)
    if root == manifest or manifest.is_dir() or (root.exists() and not root.is_dir()):
        raise UserError("cannot be a manifest with a folder of the same name", file=manifest, remedy=_ELSEWHERE)
    if ours or replace or root.is_symlink() or not root.is_dir():
        return
    if any(root.iterdir()):
        raise UserError(
            f"holds files, and {manifest.name} beside it does not say that they are {benchmark}",
            file=root,
            remedy=f"{_ELSEWHERE}, or pass --replace",
        )


def _link(root: Path, copy: LocalCopy, benchmark: str) -> None:
    source = Path(copy.root)
    if not source.is_dir():
        fetched = f"run `distillery fetch {benchmark}` (docs/datasets.md)"
        raise UserError(
            f"is not a folder, {benchmark} is expected there in its official layout",
            file=source,
            place=f"data.{benchmark}.root",
            remedy=fetched
            if isinstance(copy, RegistryCopy)
            else "correct the path in the config, or get the dataset (docs/data.md)",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    if root.is_symlink() or not root.exists():
        root.unlink(missing_ok=True)
        os.symlink(source.resolve(), root, target_is_directory=True)
    elif root.resolve() != source.resolve():
        raise UserError("exists and is another dataset", file=root, remedy="move it away")


def _function(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
