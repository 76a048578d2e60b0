"""What an answer about a finished run is, and the run as its manifest and the small files beside it tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from distillery.audit.manifest import Manifest
from distillery.audit.project import json_object

Verdict = Literal["yes", "partly", "no", "does not apply", "not from the run"]


_FEW = 6
"""Files that an answer names; the others are counted."""


@dataclass(frozen=True)
class Answer:
    """An answer to one question.

    Attributes:
        verdict: In short; "not from the run" where only a person can say.
        text: In sentences.
        files: What it rests on, relative to the project.
    """

    verdict: Verdict
    text: str
    files: tuple[str, ...] = ()


class Run:
    """A finished run, as its manifest and the small files beside it tell it."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root, self.manifest = root, manifest
        self.content = manifest.content

    def of_kind(self, kind: str, suffix: str = "") -> list[str]:
        """Artefacts of a kind."""
        found = [path for path, entry in self.manifest.artefacts.items() if entry["kind"] == kind]
        return sorted(path for path in found if path.endswith(suffix))

    def jobs(self, *starts: str) -> list[str]:
        """Names of the jobs whose rule starts so."""
        return [name for name, job in self.manifest.jobs.items() if job["rule"].startswith(starts)]

    def json(self, path: str) -> dict[str, Any]:
        """A JSON object of the project."""
        return json_object(self.root / path)

    def sha256(self, path: str) -> str | None:
        """Recorded hash of a file: an artefact's, or a source file's."""
        entry = self.manifest.artefacts.get(path)
        if entry is not None:
            return str(entry["sha256"])
        return next((job["code"][path] for job in self.manifest.jobs.values() if path in job["code"]), None)

    def there(self, *paths: str) -> tuple[str, ...]:
        """Those of some files that exist."""
        return tuple(path for path in paths if (self.root / path).is_file())

    @cached_property
    def sidecars(self) -> dict[str, dict[str, Any]]:
        """Checkpoint -> its sidecar."""
        return {path: self.json(path.removesuffix(".safetensors") + ".json") for path in self.of_kind("checkpoint")}

    @cached_property
    def datasets(self) -> dict[str, dict[str, Any]]:
        """Dataset -> counts and where its images come from."""
        found = {}
        for name, entry in self.content["data"].items():
            job = self.manifest.jobs.get(self.manifest.artefacts.get(entry["manifest"], {}).get("job", ""), {})
            params = job.get("params")
            source = params.get("source", "unknown") if isinstance(params, dict) else "unknown"
            counts = self.json(entry["manifest"]).get("counts")
            found[name] = {**entry, "source": source, "counts": counts if isinstance(counts, dict) else {}}
        return dict(sorted(found.items()))

    @property
    def embedded(self) -> bool:
        """Whether all data were generated."""
        return all(one["source"] == "embedded" for one in self.datasets.values())


def few(paths: Iterable[str]) -> tuple[str, ...]:
    """The first files of many, and how many more there are."""
    listed = tuple(paths)
    return listed if len(listed) <= _FEW else (*listed[:_FEW], f"and {len(listed) - _FEW} more")
