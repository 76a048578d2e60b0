"""Whether code and config are those of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from distillery.audit.findings import Finding
from distillery.audit.project import Project
from distillery.files import sha256_of


def code_is_that_of_the_run(project: Project) -> Iterator[Finding]:
    """Source files are those that the jobs ran, and those were the commit's."""
    code = project.manifest.content["code"]
    for path in code.get("changed") or ():
        yield _of_code(project, path, f"was not as in commit {(code.get('commit') or 'unknown')[:12]} at the run")
    for path, digests in sorted(_code(project).items()):
        if len(digests) > 1:
            yield _of_code(project, path, "was changed between jobs of the run")
        elif project.hashes[path] not in digests:
            yield _of_code(project, path, "is not what the run executed", next(iter(digests)), project.hashes[path])


def _code(project: Project) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for job in project.manifest.jobs.values():
        for path, digest in job["code"].items():
            found.setdefault(path, set()).add(digest)
    return found


def _of_code(
    project: Project, path: str, problem: str, expected: str | None = None, found: str | None = None
) -> Finding:
    outputs = [job["outputs"][0] for job in project.manifest.jobs.values() if path in job["code"] and job["outputs"]]
    cells = dict.fromkeys(cell for output in outputs for cell in project.graph.cells_of(output))
    return Finding(path, problem, expected, found, tuple(cells))


def config_is_that_of_the_run(project: Project) -> Iterator[Finding]:
    """The profile says now what it said at the run."""
    config = project.manifest.content["config"]
    now = None if project.resolved is None else sha256_of(project.resolved)
    if now != config.get("resolved"):
        everything = [path for path in project.manifest.artefacts if "/tables/" in path and path.endswith(".csv")]
        tables = tuple(f"table {Path(path).stem}" for path in everything)
        yield Finding(str(config.get("file")), "was changed after the run", config.get("resolved"), now, tables)
