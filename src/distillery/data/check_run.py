"""One check from beginning to end: the reader's part, then images, boxes, official counts, and the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from distillery.data import check_cache
from distillery.data.check_counts import compare_counts
from distillery.data.check_images import Progress, look_at_images
from distillery.data.check_report import CheckOptions, tidy
from distillery.data.check_tree import Tree, look_at_tree
from distillery.data.checking import CheckReport
from distillery.engine.progress import Progress as ProgressBar
from distillery.errors import UserError

_A_MOMENT = 1.0
"""Seconds without a word."""


@dataclass(frozen=True)
class Outcome:
    """A report, and how it came about."""

    report: CheckReport
    entry: Path | None
    """Where the cache holds it in full; None where it does not."""
    cached: bool
    """Whether it was there before."""


@contextmanager
def shown_progress(label: str) -> Iterator[Progress]:
    """A callback that shows progress once it is worth it: a check of a moment, or from the cache, shows none."""
    begin = time.monotonic()
    with ExitStack() as stack:
        bar: ProgressBar | None = None

        def show(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and time.monotonic() - begin < _A_MOMENT:
                return
            bar = bar or stack.enter_context(ProgressBar(label, total))
            bar(done, total)

        yield show


def run(
    benchmark: str,
    root: Path,
    reader: Callable[[Path], CheckReport],
    options: CheckOptions,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    modules: tuple[str, ...] = (),
    fresh: bool = False,
) -> Outcome:
    """Checks a dataset, or says what an earlier check of the unchanged folder said.

    Args:
        benchmark: Its name.
        root: Its folder, which is only read.
        reader: Its `check` (see `distillery.data.checking`).
        options: What is asked for.
        workers: Processes that decode; the report does not depend on it.
        progress: Told how many images are done, of how many.
        modules: Modules whose code decides what the check says, for the cache's key.
        fresh: Whether the cache is left unread.

    Raises:
        UserError: If the root is not a folder. Whatever else is wrong stands in the report.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise UserError(problem, file=root, remedy=f"pass the folder that holds {benchmark} in its official layout")
    tree = look_at_tree(root)
    entry = check_cache.entry_file(benchmark, root, options)
    key = check_cache.key_of(tree, options, modules) if entry else ""
    known = None if fresh else check_cache.load(entry, key, root)
    if known is not None:
        return Outcome(known, entry, cached=True)
    report = _read(benchmark, root, reader)
    look_at_images(report, policy=options.images, workers=workers, progress=progress)
    _add(report, tree, options)
    changed = look_at_tree(root).digest != tree.digest
    if changed:
        report.faults.append(f"{root}: changed while it was being checked; check it again when it is complete.")
    tidy(report)
    if changed:
        return Outcome(report, None, cached=False)
    check_cache.store(entry, key, report, options)
    return Outcome(report, entry if entry and entry.is_file() else None, cached=False)


def _read(benchmark: str, root: Path, reader: Callable[[Path], CheckReport]) -> CheckReport:
    whole = CheckReport(benchmark, root)
    found = whole.attempt(lambda: reader(root))
    return whole if found is None else found


def _add(report: CheckReport, tree: Tree, options: CheckOptions) -> None:
    """What the reader did not say: entries that cannot be read, official counts, what the options mean."""
    # What is there and cannot be used is not absent, and is named once, not again for each file below it.
    absent = set(report.absent)
    report.faults = [fault for fault in report.faults if not _follows(fault, tree, absent)]
    report.absent = [fault for fault in report.absent if not _follows(fault, tree, {fault})]
    named = {_place(fault) for fault in report.faults}
    report.faults += [f"{path}: {what}." for path, what in tree.faults.items() if path not in named]
    if options.counts == "official":
        compare_counts(report)
    if options.allow_partial:
        report.forgive_absence()
    if options.images == "none" and report.images:
        report.notes.append("no image was decoded, so boxes were not compared with the images' sizes")


def _follows(fault: str, tree: Tree, absent: set[str]) -> bool:
    """Whether a fault says of an entry of the tree that it is absent, or is about a file below one."""
    place = _place(fault)
    if place in tree.faults:
        return fault in absent
    return bool(tree.faults) and any(str(folder) in tree.faults for folder in Path(place).parents)


def _place(fault: str) -> str:
    """The path with which a sentence begins."""
    return fault.split(": ")[0].split(", ")[0]
