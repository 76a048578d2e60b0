"""Gets a registered dataset: from the web, from archives or a folder of the user's, or from DVC.

In the folder of all sets, `NAME` is the set, `NAME.fetched.json` says where it came from, `downloads/NAME` holds
archives (those that arrive, and those that a user puts there), and `.NAME.partial` what is unpacked so far. A run that
was stopped at any moment is gone on with by the next; a set that is there is left alone.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from distillery.config.registry import RegisteredSet, Registry
from distillery.data.assembly import Assembly
from distillery.data.download import Patience
from distillery.data.dvc_copy import restore
from distillery.data.gathering import Gathering, Place, Reporter
from distillery.data.layout import find_root, holds, lacking
from distillery.data.pins import Pins, exclusive
from distillery.data.room import full_disk
from distillery.errors import UserError
from distillery.files import write_json


class Fetched(NamedTuple):
    """Where a set is now, and what was done to get it there."""

    root: Path
    marker: Path
    done: str


def fetch(
    name: str,
    folder: Path,
    *,
    registry: Registry,
    pins: Pins,
    source: Path | None = None,
    revision: str | None = None,
    keep: bool = False,
    patience: Patience | None = None,
    report: Reporter | None = None,
) -> Fetched:
    """Gets a set into `folder/NAME`, unless it is there.

    Args:
        name: Name or title of the set.
        folder: Folder of all sets.
        registry: The register.
        pins: Its lock file.
        source: A folder in the official layout, which is linked; or an archive, or a folder of archives, which are
            unpacked and otherwise left alone.
        revision: From DVC, of this revision; "" for the pointer that is there.
        keep: Whether downloaded archives stay after they were unpacked.
        patience: How long servers are waited for.
        report: Told what is being done.

    Returns:
        Where it is, and what was done in words.

    Raises:
        UserError: If the set has to be asked for, and how; if something else is in its place; if an archive is damaged,
            hostile or not the one that is known; if the disk is full. Nothing that was there is lost.
    """
    key, row = registry.find(name)
    place = Place(folder, key)
    with full_disk(place.folder, "what has arrived is kept"), exclusive(place.downloads):
        if holds(place.root, row.marks):
            return _adopt(place, row)
        _require_free(place, row)
        if revision is not None:
            return _from_dvc(place, row, revision)
        found = find_root(source or place.downloads, row.marks)
        if found is not None:
            return _link(place, row, found)
        gathering = Gathering(place, row, pins, patience or Patience(), keep, report or _silent)
        done = gathering.run(source)
        _record(place, row, "archives", done)
        return _done(place, f"is there, made of {len(done)} files" if len(done) > 1 else "is there, made of one file")


def _done(place: Place, words: str) -> Fetched:
    """Clears away what a set that is whole no longer needs; archives of the user's stay."""
    shutil.rmtree(place.partial, ignore_errors=True)
    for folder in (place.downloads, place.downloads.parent):
        with suppress(OSError):  # not empty
            folder.rmdir()
    return Fetched(place.root, place.marker, words)


def _silent(_: str) -> AbstractContextManager[None]:
    return nullcontext()


def _adopt(place: Place, row: RegisteredSet) -> Fetched:
    """A set that is there: of an earlier run, or put there by hand."""
    if place.marker.is_file():
        return _done(place, "is there already, nothing to do")
    done = Assembly(place.partial, row).done  # of a run that was killed after the set got its place
    _record(place, row, "archives" if done else "found in place", done)
    return _done(place, "was there already, and is recorded now")


def _require_free(place: Place, row: RegisteredSet) -> None:
    """Raises a `UserError` if something else is in the set's place."""
    root = place.root
    if root.is_symlink() and not root.exists():
        raise UserError(
            f"is a link to {os.readlink(root)}, which does not exist", file=root, remedy="mount it, or remove the link"
        )
    if os.path.lexists(root) and not (root.is_dir() and not root.is_symlink() and not any(root.iterdir())):
        lost = lacking(root, row.marks)
        raise UserError(
            f"is not {row.title} in its official layout, {lost[0]} is missing",
            file=root,
            remedy="complete it, or move it away and run the same command again",
        )


def _link(place: Place, row: RegisteredSet, found: Path) -> Fetched:
    if place.root.is_dir():
        place.root.rmdir()
    os.symlink(found.resolve(), place.root, target_is_directory=True)
    _record(place, row, f"folder {found.resolve()}", {})
    return _done(place, f"is linked to {found}")


def _from_dvc(place: Place, row: RegisteredSet, revision: str) -> Fetched:
    if place.root.is_dir():
        place.root.rmdir()
    restored = restore(place.root, revision)
    if not holds(place.root, row.marks):
        raise UserError(
            f"came from DVC and is not {row.title}, {lacking(place.root, row.marks)[0]} is missing",
            file=place.root,
            remedy="move it away and fetch the set another way",
        )
    _record(place, row, f"DVC, {restored}", {})
    return _done(place, "was restored from DVC")


def _record(place: Place, row: RegisteredSet, origin: str, archives: dict[str, Any]) -> None:
    """Writes the marker; files and bytes are counted where the set is not a link, which may lead to a slow disk."""
    counted: dict[str, Any] = {"files": None, "bytes": None}
    if not place.root.is_symlink():
        sizes = [
            os.stat(os.path.join(parent, file)).st_size for parent, _, files in os.walk(place.root) for file in files
        ]
        counted = {"files": len(sizes), "bytes": sum(sizes)}
    told = {"name": place.name, "title": row.title, "page": row.page, "from": origin, "archives": archives}
    write_json(place.marker, told | counted)
