"""What is audited: a project on disk and the manifest that says what it should be."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distillery.audit.findings import Finding
from distillery.audit.graph import Graph
from distillery.audit.manifest import Manifest
from distillery.files import sha256_of_file


@dataclass
class Project:
    """What is audited.

    Attributes:
        root: Top folder of the project.
        manifest: The manifest that is checked.
        known: All manifests of the profile, this one among them: what none lists was not made by a finished run.
        resolved: The profile as its file says now, or None if there is no such file.
        workers: Threads that hash.
        hashes: Path -> sha256 as found, None where the file is gone; filled by `rehash`.
    """

    root: Path
    manifest: Manifest
    known: list[Manifest]
    resolved: Any = None
    workers: int = 2

    @cached_property
    def graph(self) -> Graph:
        """The chain."""
        return Graph(self.manifest, self.root)

    @cached_property
    def hashes(self) -> dict[str, str | None]:
        """Path -> sha256 of each artefact and source file as it is now."""
        code = {path for job in self.manifest.jobs.values() for path in job["code"]}
        return self.hashes_of(sorted({*self.manifest.artefacts, *code}))

    @cached_property
    def members(self) -> dict[str, dict[str, str]]:
        """Index of predictions -> path of each of its results -> sha256; one pass over tens of thousands."""
        found: dict[str, dict[str, str]] = {}
        for path, entry in self.manifest.artefacts.items():
            if entry.get("member_of"):
                found.setdefault(entry["member_of"], {})[path] = entry["sha256"]
        return found

    def contents(self, path: str) -> frozenset[str]:
        """Hashes of the files of a dataset, by its list, or of the results of an index; many jobs read the same one."""
        if path not in self._contents:
            listed = json_object(self.root / path).get("files") if path.startswith("data/") else None
            if isinstance(listed, dict):
                self._contents[path] = frozenset(entry[0] for entry in listed.values())
            else:
                self._contents[path] = frozenset(self.members.get(path, {}).values())
        return self._contents[path]

    @cached_property
    def _contents(self) -> dict[str, frozenset[str]]:
        return {}

    def hashes_of(self, paths: list[str]) -> dict[str, str | None]:
        """Path -> sha256 of files as they are now; None for those that are gone or are no file of the project."""
        with ThreadPoolExecutor(self.workers) as pool:
            return dict(zip(paths, pool.map(self._hash, paths), strict=True))

    def _hash(self, path: str) -> str | None:
        file = self.root / path
        try:
            return sha256_of_file(file) if not Path(path).is_absolute() and ".." not in Path(path).parts else None
        except OSError:
            return None

    def finding(self, path: str, problem: str, expected: str | None = None, found: str | None = None) -> Finding:
        """A finding with the cells that rest on a file."""
        return Finding(path, problem, expected, found, self.graph.cells_of(path))


def json_object(file: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file.suffix == ".json" else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
