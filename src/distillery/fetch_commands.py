"""`distillery fetch`: gets the real datasets."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distillery.config.registry import Registry

_SHOWN = 50_000_000
"""Files of fewer bytes come and are unpacked without a word."""


def add(
    command: Callable[..., argparse.ArgumentParser], path: Callable[..., None], params: Callable[..., None]
) -> None:
    """Registers the command."""
    parser = command("fetch", fetch, "Get a real dataset: from the web, from files of yours, or from DVC.")
    parser.add_argument("name", nargs="?", help="name or title of the set, see --list")
    source = parser.add_mutually_exclusive_group()
    path(
        source,
        "--from",
        "an archive or a folder of archives, which are unpacked, or an unpacked copy, which is linked",
        dest="source",
        metavar="PATH",
    )
    source.add_argument(
        "--from-dvc", nargs="?", const="", dest="revision", metavar="REV", help="restore it from DVC, of this revision"
    )
    path(parser, "--to", "folder of all sets", dest="folder", default=Path("datasets"), metavar="FOLDER")
    path(parser, "--registry", "register of the sets", default=Path("config/datasets.yaml"))
    parser.add_argument("--keep", action="store_true", help="keep downloaded archives after they were unpacked")
    parser.add_argument("--list", action="store_true", help="show all sets, and which are there")


def fetch(options: argparse.Namespace) -> None:
    """Gets a set, or lists all of them."""
    from distillery.config.registry import load_registry
    from distillery.errors import UserError

    registry = load_registry(options.registry)
    if options.list:
        print(_table(registry, options.folder))
        return
    if options.name is None:
        raise UserError("no dataset is named", remedy="name one, or see `distillery fetch --list`")
    from distillery.data.acquisition import fetch
    from distillery.data.pins import Pins

    done = fetch(
        options.name,
        options.folder,
        registry=registry,
        pins=Pins(options.registry),
        source=options.source,
        revision=options.revision,
        keep=options.keep,
        report=_report,
    )
    print(f"{done.root}: {done.done}")


def _table(registry: Registry, folder: Path) -> str:
    """A line for each set."""
    from distillery.data.layout import holds
    from distillery.data.registry_report import DOWNLOADS

    rows = [("name", "set", "access", "here", "download")]
    for name, spec in registry.sets.items():
        here = holds(folder / name, spec.marks)
        begun = (folder / f".{name}.partial").is_dir() or any((folder / DOWNLOADS / name).glob("*.part"))
        rows.append((name, spec.title, spec.access, "there" if here else "begun" if begun else "-", spec.amount))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


@contextmanager
def _report(label: str) -> Iterator[Callable[[int, int], None]]:
    """Progress of one file in megabytes, and of many by their number."""
    from distillery.engine.progress import Progress

    shown: list[Progress] = []
    unit = 1 if label.endswith("files") else 1_000_000

    def update(done: int, total: int) -> None:
        if not shown and (total >= _SHOWN if unit > 1 else total > 1):
            shown.append(Progress(label if unit == 1 else f"{label}, MB", total // unit, done=done // unit).__enter__())
        if shown:
            shown[0](done // unit, total // unit)

    try:
        yield update
    except BaseException as error:
        for progress in shown:
            progress.__exit__(type(error), error, error.__traceback__)
        raise
    for progress in shown:
        progress.__exit__(None, None, None)
