"""A set that is put together from its archives beside the place where it will stand.

`.NAME.partial/` holds `tree`, what is unpacked so far, and `done.json`, which archives that was. Each archive is
unpacked whole beside the tree and then moved into it, so that a run that is killed at any moment is gone on with.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import normpath
from typing import Any

from distillery.config.registry import Archive, RegisteredSet
from distillery.data.archive_members import is_archive
from distillery.data.archives import Progress, unpack
from distillery.data.layout import find_root, lacking
from distillery.data.pins import Content
from distillery.data.room import full_disk
from distillery.errors import UserError
from distillery.files import read_json, write_json, write_text


class Assembly:
    """The set as far as it is there.

    Args:
        folder: `.NAME.partial`; used by one process at a time.
        row: The set's row in the register.
    """

    def __init__(self, folder: Path, row: RegisteredSet) -> None:
        self.folder, self.row = folder, row
        self.tree = folder / "tree"
        self.listing = folder / "listing.json"
        self._file = folder / "done.json"
        self.tree.mkdir(parents=True, exist_ok=True)
        self.done: dict[str, Any] = read_json(self._file) if self._file.is_file() else {}

    def add(self, archive: Archive, file: Path, content: Content, progress: Progress | None = None) -> None:
        """Unpacks or copies one verified file into the tree and notes it as done.

        Raises:
            UserError: If the archive is unfit, or holds other content under a name that is taken; the file is kept.
        """
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        if archive.packed or (archive.name not in {known.name for known in self.row.files} and not archive.urls):
            into = self._destination(archive.path) or archive.into
            self._unpack(file, new, into, archive.path, progress)
            self._unpack_inner(new)
            self._move(new)
        else:
            self._put(archive, file, new)
        with full_disk(self.tree, f"{file} is kept"):
            _merge(new, self.tree, archive.name)
        self.done[archive.name] = content._asdict()
        write_json(self._file, self.done)

    def write_names(self, names: Iterable[str]) -> None:
        """Writes the set's `list.txt`."""
        write_text(self.tree / "list.txt", "".join(f"{name}\n" for name in names))

    def finish(self, target: Path) -> None:
        """Gives the set its place, once it holds what the register says.

        Raises:
            UserError: If it does not; what was unpacked stays where it is.
        """
        root = find_root(self.tree, self.row.marks)
        if root is None:
            lost = lacking(self.tree, self.row.marks)
            raise UserError(
                f"was unpacked, but no folder of it holds {lost[0] if lost else self.row.marks[0]}, as the official "
                "layout does",
                file=self.tree,
                remedy=f"see what is missing, put it into order ({self.row.layout}) and pass the folder with --from",
            )
        for archive in self.row.files:  # files beside the archives belong beside what these hold
            loose = self.tree / archive.path
            if root != self.tree and loose.is_file():
                _merge(loose, root / archive.path, archive.name)
        if target.is_dir():
            target.rmdir()  # empty, which the caller has made sure of
        os.rename(root, target)

    def remove(self) -> None:
        """Clears everything away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _put(self, archive: Archive, file: Path, new: Path) -> None:
        """Copies a file that is not unpacked; weights are rewritten on the way."""
        with full_disk(new, f"{file} is kept"):
            (new / archive.into).mkdir(parents=True)
            if self.row.convert == "safetensors":
                from distillery.data.weights import convert

                convert(file, new / archive.into)
            else:
                shutil.copyfile(file, new / archive.path)

    def _destination(self, path: str) -> str | None:
        """Folder into which the register wants an archive of this path unpacked, if it says so."""
        folder, _, name = path.rpartition("/")
        for rule in self.row.inner:
            if fnmatchcase(path, rule.match):
                into = normpath(rule.into.format(folder=folder or ".", stem=_stem(name)))
                if into.startswith(("/", "..")):
                    raise UserError(
                        f"leads out of the set's folder for {path}", file=rule.into, remedy="correct the row"
                    )
                return into
        return None

    def _unpack(self, file: Path, new: Path, into: str, path: str, progress: Progress | None = None) -> None:
        """Unpacks into `new/<into>`; a single folder of the archive's own name is not doubled."""
        apart = self.folder / "apart"
        shutil.rmtree(apart, ignore_errors=True)
        unpack(file, apart, progress=progress)
        stem = _stem(Path(path).name)
        inside = [entry.name for entry in os.scandir(apart)]
        doubled = inside == [stem] and (apart / stem).is_dir() and Path(into).name == stem
        _merge(apart / stem if doubled else apart, new / into, file.name)
        shutil.rmtree(apart, ignore_errors=True)

    def _unpack_inner(self, new: Path) -> None:
        """Unpacks archives within the archive where the register says so, and removes them."""
        if not self.row.inner:
            return
        for file in sorted(path for path in new.rglob("*") if path.is_file()):
            path = file.relative_to(new).as_posix()
            into = self._destination(path)
            if into is not None and is_archive(file):
                self._unpack(file, new, into, path)
                file.unlink()

    def _move(self, new: Path) -> None:
        for pattern, to in self.row.moves.items():
            for found in sorted(new.glob(pattern)):
                if found.exists() and found != new / to:
                    _merge(found, new / to, pattern)


def _stem(name: str) -> str:
    lower = name.lower()
    ends = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip", ".tar")
    return next((name[: -len(end)] for end in ends if lower.endswith(end)), name)


def _merge(source: Path, target: Path, archive: str) -> None:
    """Moves a file or a folder with all it holds; equal files become one, others of one name are refused."""
    if not os.path.lexists(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(source, target)
    elif source.is_dir() and target.is_dir():
        for entry in sorted(source.iterdir()):
            _merge(entry, target / entry.name, archive)
        source.rmdir()
    elif source.is_file() and target.is_file() and filecmp.cmp(source, target, shallow=False):
        source.unlink()
    else:
        raise UserError(
            f"was unpacked from one archive, and {archive} holds something else of that name",
            file=target,
            remedy="unpack the archives yourself and pass the folder with --from",
        )
