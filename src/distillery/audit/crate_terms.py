"""The words of a crate: profiles, types of files, and how references and times are written."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distillery.audit.manifest import Manifest

WFRUN = "https://w3id.org/ro/wfrun"
PROFILES = {
    f"{WFRUN}/process/0.5": ("Process Run Crate", "0.5"),
    f"{WFRUN}/workflow/0.5": ("Workflow Run Crate", "0.5"),
    f"{WFRUN}/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
"""Profiles that a crate conforms to -> name and version."""
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
BESIDE = ("requirements.lock", "LICENSE", "README.md", "CITATION.cff", "config/claims.yaml")
"""Files of the project that are described where they lie there."""
WRITTEN_FROM_IT = ("checklist.md", "ledger.csv", "ledger.md", "claims.json", "claims.md")
"""Files beside the manifest that are made from the run."""
_TYPES = {
    ".safetensors": "application/octet-stream",
    ".npz": "application/zip",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".tex": "application/x-tex",
    ".lock": "text/plain",
    ".cff": "application/yaml",
    ".smk": "text/plain",
}
ENGINE = "#snakemake"


def command_of(job: dict[str, Any]) -> str:
    """The command of the package that a job ran, or the rule where it ran another one."""
    found = re.search(r"python -m distillery (\S+)", job["command"])
    return found[1] if found else str(job["rule"])


def ordered(manifest: Manifest) -> list[str]:
    """Rules, each after those whose files it reads; by name where nothing decides."""
    makers = {output: job["rule"] for job in manifest.jobs.values() for output in job["outputs"]}
    reads: dict[str, set[str]] = {}
    for job in manifest.jobs.values():
        sources = {makers[path] for path in job["inputs"] if path in makers}
        reads.setdefault(job["rule"], set()).update(sources - {job["rule"]})
    done: list[str] = []
    while len(done) < len(reads):
        ready = sorted(rule for rule in reads if rule not in done and reads[rule] <= set(done))
        done += ready or sorted(rule for rule in reads if rule not in done)  # a circle of rules: any order
    return done


def ref(name: str) -> dict[str, str]:
    """A reference to an entity."""
    return {"@id": name}


def refs(names: Iterable[str]) -> list[dict[str, str]] | dict[str, str]:
    """References; a single one stands alone, as RO-Crate recommends."""
    found = [ref(name) for name in names]
    return found[0] if len(found) == 1 else found


def time_of(seconds: float) -> str:
    """ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), tz=UTC).isoformat()


def media_type(path: str) -> str:
    """The media type of a file by its name; text where nothing is known."""
    return _TYPES.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "text/plain"
