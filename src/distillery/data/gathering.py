"""Puts a set together from its archives: those that a user gives, and those that come from the web."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.config.registry import Archive, RegisteredSet
from distillery.data.archive_members import foreign, is_archive
from distillery.data.assembly import Assembly
from distillery.data.download import Patience, download
from distillery.data.listings import read_listing
from distillery.data.partial import Part
from distillery.data.pins import Content, Pins
from distillery.data.registry_report import DOWNLOADS, how_to_get
from distillery.errors import UserError

Reporter = Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]
"""Called with what is being done; gives the callback for its bytes."""


@dataclass(frozen=True)
class Place:
    """The paths of a set in the folder of all sets."""

    folder: Path
    name: str

    @property
    def root(self) -> Path:
        """The set itself."""
        return self.folder / self.name

    @property
    def marker(self) -> Path:
        """The record of where it came from."""
        return self.folder / f"{self.name}.fetched.json"

    @property
    def downloads(self) -> Path:
        """Where its archives lie."""
        return self.folder / DOWNLOADS / self.name

    @property
    def partial(self) -> Path:
        """What is unpacked so far."""
        return self.folder / f".{self.name}.partial"


@dataclass(frozen=True)
class Gathering:
    """Getting one set from its archives.

    Attributes:
        place: Where it lies.
        row: Its row in the register.
        pins: The register's lock file.
        patience: How long servers are waited for.
        keep: Whether downloaded archives stay.
        report: Told what is being done.
    """

    place: Place
    row: RegisteredSet
    pins: Pins
    patience: Patience
    keep: bool
    report: Reporter

    def run(self, source: Path | None) -> dict[str, Any]:
        """From archives at `source`, in the folder of downloads, and from the web, until the set has its place.

        Returns:
            Archive -> {size, sha256} of all that it was made of.

        Raises:
            UserError: As `distillery.data.acquisition.fetch`.
        """
        assembly = Assembly(self.place.partial, self.row)
        given = self._given(source)
        loose = {file.name for file in self.row.files if not file.packed}
        if self.row.access != "open" and not given.keys() - loose and not assembly.done:
            assembly.remove()
            raise UserError(
                f"{self.row.title} has to be asked for ({self.row.access})",
                file=self.place.root,
                remedy=how_to_get(self.place.name, self.row, self.place.folder),
            )
        files = self._files(assembly, source, given)
        with self.report(f"{self.place.name}, files") as count:
            for number, archive in enumerate(files, 1):
                if archive.name not in assembly.done:
                    self._get(assembly, archive, given.get(archive.name))
                if count is not None:
                    count(number, len(files))
        assembly.finish(self.place.root)
        return assembly.done

    def _files(self, assembly: Assembly, source: Path | None, given: dict[str, Path]) -> list[Archive]:
        """What the set is put together from, in order."""
        listed = list(self.row.files)
        others = [Archive(name=name) for name in sorted(given) if name not in {file.name for file in listed}]
        if source is not None and others and not any(file.packed and file.name in given for file in listed):
            return others + [file for file in listed if not file.packed and (file.urls or file.name in given)]
        if self.row.index is not None:
            listing = read_listing(self.row.index, assembly.listing, self.patience)
            listed += listing.files
            if listing.names:
                assembly.write_names(listing.names)
        return [file for file in listed if file.urls or file.name in given or file.name in assembly.done] + others

    def _given(self, source: Path | None) -> dict[str, Path]:
        """Files that a user provides, by the name under which the register knows them."""
        if source is not None and not source.exists():
            raise UserError("does not exist", file=source, remedy="correct the path after --from")
        names = {file.name for file in self.row.files}
        alone = [file.name for file in self.row.files if file.packed and not file.urls]
        if source is not None and source.is_file():
            known = source.name if source.name in names or len(alone) != 1 or not is_archive(source) else alone[0]
            return {_plain(known): source}
        found: dict[str, Path] = {}
        for folder in filter(None, (source, self.place.downloads)):
            for file in sorted(path for path in folder.iterdir() if path.is_file()):
                if Part(file).url or file.name.endswith((".part", ".part.json")):
                    continue  # what arrives from the web is no user's, and is found when its turn comes
                if file.name in names or is_archive(file) or foreign(file):
                    found.setdefault(_plain(file.name), file)
        if source is not None and not found:
            raise UserError(
                f"holds neither {self.row.title} in its official layout nor an archive of it",
                file=source,
                remedy=f"pass the folder that holds {self.row.marks[0]}, or the archives",
            )
        others = [name for name in found if name not in names]
        if len(others) == len(alone) == 1 and alone[0] not in found:  # one archive is wanted and one is there
            found[alone[0]] = found.pop(others[0])
        return found

    def _get(self, assembly: Assembly, archive: Archive, given: Path | None) -> None:
        """Brings one file into the set: fetched unless it is given, verified before it is used."""
        file = given or self.place.downloads / archive.name
        content = self.pins.verify(self.place.name, archive, file) if given else self._download(archive, file)
        with self.report(f"unpack {archive.name}") as progress:
            assembly.add(archive, file, content, progress)
        if given is None and not self.keep and Part(file).url:
            file.unlink()
            Part(file).forget()

    def _download(self, archive: Archive, file: Path) -> Content:
        """From the first address that gives what is known of the file; what the last one gave stays, right or wrong."""
        urls = list(archive.urls)
        size, hashed = self.pins.known(self.place.name, archive)
        while True:
            with self.report(f"download {archive.name}") as progress:
                url = download(
                    urls,
                    file,
                    size=size,
                    told=self.pins.advice(self.place.name, archive),
                    verified=hashed,
                    patience=self.patience,
                    progress=progress,
                )
            try:
                return self.pins.verify(self.place.name, archive, file)
            except UserError:
                urls = [other for other in urls if other != url]
                if not urls or not url:
                    raise
                file.unlink()


def _plain(name: str) -> str:
    """A file's name as the register could write it."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
