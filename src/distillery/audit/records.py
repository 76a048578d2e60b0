"""What each job left behind: Snakemake's record of every output, and the measurements of the job.

Snakemake writes `.snakemake/metadata/<base64 of the path>` for every output: the rule, its command, and the checksum of
every input at the time the job ran, source files among them (`profiles/default` raises the size limit, so that none is
left out). `benchmark:` files hold seconds and memory. A job on a cluster leaves the same files.
"""

from __future__ import annotations

import ast
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery.errors import UserError

METADATA = Path(".snakemake/metadata")
"""Where Snakemake keeps its records, relative to the project."""
_CODE = ("src/", "workflow/", "Snakefile")
_PREFIX = "sha256:"


@dataclass
class JobRecord:
    """One job that ran.

    Attributes:
        rule: Name of the rule.
        command: The shell command as it ran.
        inputs: Path -> sha256 of each input at that time, source files left out.
        code: Path -> sha256 of each source file of the package or workflow that the rule declares.
        outputs: Paths, sorted.
        parameters: The resolved parameters (`--params`), or None for a job that takes none.
        started: Seconds since the epoch.
        seconds: Wall clock.
        cpu_seconds: Of all processes, if it was measured.
        peak_mb: Largest resident memory, if it was measured.
        log: Its log file.
    """

    rule: str
    command: str
    inputs: dict[str, str]
    code: dict[str, str]
    outputs: list[str]
    parameters: Any
    started: float
    seconds: float
    cpu_seconds: float | None = None
    peak_mb: float | None = None
    log: str | None = None
    unhashed: list[str] = field(default_factory=list)
    """Inputs of which Snakemake recorded no checksum."""

    @property
    def name(self) -> str:
        """`<rule>:<first output>`, unique in a project."""
        return f"{self.rule}:{self.outputs[0]}"


def read_records(root: Path, profile: str) -> list[JobRecord]:
    """Every job of a profile of which there is a record, in the order of their names.

    Args:
        root: Top folder of the project.
        profile: Its name is a folder in the paths of its files: `results/<profile>/…`.

    Raises:
        UserError: If there are no records, or one is not what Snakemake writes.
    """
    folder = root / METADATA
    if not folder.is_dir():
        raise UserError(
            "does not exist, so nothing says how the results were made",
            file=folder,
            remedy="run snakemake here, or restore it with a bundle",
        )
    jobs: dict[tuple[str, str], JobRecord] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        output = _path_of(file, folder)
        if output is None or f"/{profile}/" not in f"/{output}":
            continue
        record = _read(file)
        if record.get("incomplete"):
            continue
        # Outputs of one job share its command, which names them all.
        key = (record["rule"], str(record.get("shellcmd") or output))
        if key in jobs:
            jobs[key].outputs.append(output)
        else:
            jobs[key] = _job(record, output, file)
    for job in jobs.values():
        job.outputs.sort()
        _measure(job, root)
    return sorted(jobs.values(), key=lambda job: job.name)


def _path_of(file: Path, folder: Path) -> str | None:
    """The output that a record is of; long names are split over folders, each but the last marked by `@`."""
    parts = [part.removeprefix("@") for part in file.relative_to(folder).parts]
    try:
        return base64.b64decode("".join(parts), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _read(file: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError("is not a record of Snakemake", file=file, remedy="run the job again") from error
    if not isinstance(record, dict) or not isinstance(record.get("rule"), str):
        raise UserError("is not a record of Snakemake", file=file, remedy="run the job again")
    return record


def _job(record: Mapping[str, Any], output: str, file: Path) -> JobRecord:
    try:
        sums = {str(path): str(value).removeprefix(_PREFIX) for path, value in record["input_checksums"].items()}
        inputs = [str(path) for path in record["input"]]
        started, ended = float(record["starttime"]), float(record["endtime"])
        logs = list(record["log"])
        params = [str(one) for one in record["params"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"lacks {error} of a record of Snakemake 9",
            file=file,
            remedy="run the job again with Snakemake 9.20 or newer",
        ) from error
    hashed = {path: sums[path] for path in inputs if path in sums}
    return JobRecord(
        rule=record["rule"],
        command=str(record.get("shellcmd") or "").strip(),
        inputs={path: value for path, value in hashed.items() if not path.startswith(_CODE)},
        code={path: value for path, value in hashed.items() if path.startswith(_CODE)},
        outputs=[output],
        parameters=_parameters(params),
        started=started,
        seconds=round(ended - started, 3),
        log=logs[0] if logs else None,
        unhashed=sorted(set(inputs) - set(sums)),
    )


def _parameters(params: list[str]) -> Any:
    """The resolved parameters among a rule's params, which Snakemake keeps as Python literals."""
    for text in params:
        try:
            value = ast.literal_eval(text)
            found = json.loads(value) if isinstance(value, str) and value.startswith("{") else None
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict):
            return found
    return None


def _measure(job: JobRecord, root: Path) -> None:
    """Takes up the job's benchmark file, which lies where its log does, below `results/<profile>/benchmarks`."""
    if job.log is None or not job.log.startswith("logs/"):
        return
    _, profile, *rest = Path(job.log).parts
    file = Path(root, "results", profile, "benchmarks", *rest).with_suffix(".jsonl")
    try:
        measured = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
        job.cpu_seconds, job.peak_mb = float(measured["cpu_time"]), float(measured["max_rss"])
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return  # short jobs are not measured
