"""One dataset on disk, whatever its origin: generated or linked, checked by its reader, listed in a manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

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
)
from distillery.data.checking import CheckReport
from distillery.data.manifest import build
from distillery.errors import UserError
from distillery.files import atomic_folder, read_json, write_json

_ELSEWHERE = "choose another path for --out, such as otb100.json in a new folder"


class Dataset(NamedTuple):
    """One row of the table of datasets. Functions are named, not imported: a job loads only its own dataset's code."""

    spec: type[Section]
    writer: str
    checker: str
    name: str | None = None
    """What the checker is told where it checks several benchmarks."""


DATASETS = {
    "got10k": Dataset(
        EmbeddedGOT10k, "distillery.data.worlds.got10k:write_got10k", "distillery.tracking.benchmarks.got10k:check"
    ),
    "otb100": Dataset(
        EmbeddedOTB100, "distillery.data.worlds.otb100:write_otb100", "distillery.tracking.benchmarks.otb100:check"
    ),
    "dtb70": Dataset(
        EmbeddedDTB70, "distillery.data.worlds.dtb70:write_dtb70", "distillery.tracking.benchmarks.dtb70:check"
    ),
    "vot2018": Dataset(
        EmbeddedVOT, "distillery.data.worlds.vot:write_vot2018", "distillery.tracking.benchmarks.vot:check", "vot2018"
    ),
    "vot2019": Dataset(
        EmbeddedVOT, "distillery.data.worlds.vot:write_vot2019", "distillery.tracking.benchmarks.vot:check", "vot2019"
    ),
    "lasot": Dataset(
        EmbeddedLaSOT, "distillery.data.worlds.lasot:write_lasot", "distillery.tracking.benchmarks.lasot:check"
    ),
    "trackingnet": Dataset(
        EmbeddedTrackingNet,
        "distillery.data.worlds.trackingnet:write_trackingnet",
        "distillery.tracking.benchmarks.trackingnet:check",
    ),
    "cuhk_sysu": Dataset(
        EmbeddedCUHKSYSU, "distillery.data.worlds.cuhk_sysu:write_cuhk_sysu", "distillery.person_search.checking:check"
    ),
    "prw": Dataset(EmbeddedPRW, "distillery.data.worlds.prw:write_prw", "distillery.person_search.prw_checking:check"),
}


def modules(benchmark: str) -> list[str]:
    """Modules whose code decides what a dataset holds, for the inputs of its rule."""
    row = DATASETS[benchmark]
    return ["distillery.datasets", row.writer.split(":")[0], row.checker.split(":")[0]]


def make(
    benchmark: str,
    parameters: str,
    manifest: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    replace: bool = False,
) -> CheckReport:
    """Generates or links a dataset beside its manifest, checks it, and writes the manifest last.

    Args:
        benchmark: A key of `DATASETS`.
        parameters: JSON of the dataset's section of the config.
        manifest: `data/<profile>/<benchmark>.json`; the dataset's root is the same path without the suffix.
        workers: Processes; the bytes do not depend on it.
        progress: Called with done and total.
        replace: Whether a folder may be replaced that no manifest says was written here before.

    Raises:
        UserError: If the source is missing, something else would be lost, or the check finds a fault; then no manifest
            is written.
    """
    row = _row(benchmark)
    root = manifest.with_suffix("")
    spec = _parse(row, parameters)
    _check_destination(manifest, root, benchmark, replace)
    manifest.unlink(missing_ok=True)
    if isinstance(spec, LocalCopy):
        _link(root, Path(spec.root), benchmark)
    else:
        if root.is_symlink():
            root.unlink()
        with atomic_folder(root) as folder:
            _function(row.writer)(folder, spec, workers, progress)
    report = _check(row, root)
    if report.faults:
        more = f" (and {len(report.faults) - 1} more)" if len(report.faults) > 1 else ""
        raise UserError(
            f"does not pass its check: {report.faults[0].rstrip('.')}{more}",
            file=root,
            remedy=f"see `distillery check --benchmark {benchmark} --root {root}`",
        )
    write_json(manifest, build(root, benchmark=benchmark, counts=report.counts, workers=workers))
    return report


def check(benchmark: str, root: Path) -> CheckReport:
    """What is present, missing and malformed under a root in a benchmark's official layout."""
    return _check(_row(benchmark), root)


def _row(benchmark: str) -> Dataset:
    if benchmark not in DATASETS:
        raise UserError(f"unknown benchmark {benchmark!r}", remedy=f"choose one of {', '.join(DATASETS)}")
    return DATASETS[benchmark]


def _check(row: Dataset, root: Path) -> CheckReport:
    told = {} if row.name is None else {"name": row.name}
    report: CheckReport = _function(row.checker)(root, **told)
    return report


def _parse(row: Dataset, parameters: str) -> Section:
    try:
        source = json.loads(parameters).get("source")
    except (ValueError, RecursionError, AttributeError):
        source = None
    return parse_json(LocalCopy if source == "local" else row.spec, parameters)


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


def _link(root: Path, source: Path, benchmark: str) -> None:
    if not source.is_dir():
        raise UserError(
            f"is not a folder, {benchmark} is expected there in its official layout",
            file=source,
            place=f"data.{benchmark}.root",
            remedy="correct the path in the config, or get the dataset (docs/data.md)",
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
