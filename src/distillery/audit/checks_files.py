"""Whether the files are those of the manifest, all of them and no others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from distillery.audit.findings import Finding
from distillery.audit.manifest import EMPTY, ENDS, OPTIONAL
from distillery.audit.project import Project, json_object

WRITTEN_LATER = (
    *("manifest.json", "determinism.json", "determinism.md"),
    *("checklist.md", "ledger.csv", "ledger.md"),
    *("store.json", "snakemake.json.xz"),
)
"""Files of a target that are written after its manifest, or from it."""
SENT = ("submissions", "predictions/trackingnet_test", "predictions/got10k_test")
"""Folders of what is sent to servers, which may be made after a run; only answers become numbers."""


def artefacts_are_unchanged(project: Project) -> Iterator[Finding]:
    """Each artefact's bytes are those of the manifest."""
    for path, entry in sorted(project.manifest.artefacts.items()):
        found = project.hashes[path]
        if found in (None, EMPTY) and entry["kind"] == OPTIONAL:
            continue
        if found is None:
            yield project.finding(path, "is gone", entry["sha256"])
        elif found != entry["sha256"]:
            yield project.finding(path, "was changed after the run", entry["sha256"], found)


def data_are_unchanged(project: Project) -> Iterator[Finding]:
    """Each file of each dataset is the one that its manifest lists; linked sets are compared by size."""
    for entry in project.manifest.content["data"].values():
        name = entry["manifest"]
        files = json_object(project.root / name).get("files")
        if not isinstance(files, dict):
            yield project.finding(name, "lists no files")
            continue
        folder = name.removesuffix(".json")
        linked = (project.root / folder).is_symlink()
        paths = [f"{folder}/{file}" for file in files]
        found = {} if linked else project.hashes_of(paths)
        for path, listed in zip(paths, files.values(), strict=True):
            digest, size = listed
            if linked:
                there = os.path.getsize(project.root / path) if (project.root / path).is_file() else None
                if there != size:
                    yield _of_data(project, name, path, f"{size} bytes", None if there is None else f"{there} bytes")
            elif found[path] != digest:
                yield _of_data(project, name, path, digest, found[path])
        if not linked:
            yield from _strangers(project, name, folder, set(paths))


def _of_data(project: Project, name: str, path: str, expected: str, found: str | None) -> Finding:
    problem = "is gone from its dataset" if found is None else "was changed in its dataset"
    return Finding(path, problem, expected, found, project.graph.cells_of(name))


def _strangers(project: Project, name: str, folder: str, listed: set[str]) -> Iterator[Finding]:
    for place, folders, files in os.walk(project.root / folder):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for file in files:
            path = str(Path(place, file).relative_to(project.root))
            if path not in listed and not file.startswith("."):
                yield Finding(path, "was added to its dataset", None, "a file", project.graph.cells_of(name))


def the_store_holds_the_same(project: Project) -> Iterator[Finding]:
    """What DVC holds is what the manifest lists; of a run that was not stored there is nothing to say."""
    end = ENDS[project.manifest.content["target"]].format(profile=project.manifest.content["profile"])
    record = project.root / end / "store.json"
    files = json_object(record).get("files") if record.is_file() else {}
    if not isinstance(files, dict):
        yield project.finding(f"{end}/store.json", "lists no files")
        return
    for path, entry in sorted(project.manifest.artefacts.items()):
        held = files.get(path)
        if isinstance(held, dict) and held.get("sha256") != entry["sha256"]:
            yield project.finding(path, "is another file in the store", entry["sha256"], str(held.get("sha256")))


def nothing_else_lies_there(project: Project) -> Iterator[Finding]:
    """Every file under the run's folders was made by a rule of a finished run."""
    profile = project.manifest.content["profile"]
    listed = {path for manifest in project.known for path in manifest.artefacts}
    listed |= {manifest.path for manifest in project.known}
    later = {f"{end.format(profile=profile)}/{name}" for end in ENDS.values() for name in WRITTEN_LATER}
    # Of measurements the manifest has taken up what they say; the summary is the store's, for DVC's own plots.
    aside = {Path("results", profile, name) for name in ("benchmarks", "summary", *SENT)}
    for top in ("checkpoints", "results"):
        for place, folders, files in os.walk(project.root / top / profile):
            folders[:] = sorted(one for one in folders if not one.startswith(".") and not one.endswith(".resume"))
            where = Path(place).relative_to(project.root)
            if where in aside:
                folders[:] = []
                continue
            for file in sorted(files):
                path = str(where / file)
                if path not in listed and not file.startswith(".") and path not in later:
                    yield Finding(path, "was made by no rule of a finished run")
