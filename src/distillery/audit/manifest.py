"""The manifest of a run: every artefact with its hash, and the job that made it of which inputs.

It is written once, after everything but what is made of it and the store that holds both, from the records that the
jobs left (`records.py`) and from the files as they are then. An audit compares both with what it finds later.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from distillery.audit import repository
from distillery.audit.dvc_hash import hash_of
from distillery.audit.records import JobRecord, read_records
from distillery.errors import UserError
from distillery.files import read_json, sha256_of, sha256_of_file

FORMAT = 1
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "opencv-python-headless", "pillow")
"""Libraries of which the bytes of results may depend."""
ENDS = {"headline": "results/{profile}", "ablations": "results/{profile}/ablations"}
"""Folder of what a target shows."""
OPTIONAL = "recording"
"""Kind of artefact that only saves work and may be thrown away at any time."""
EMPTY = hashlib.sha256().hexdigest()
"""Hash of what a restored project has in the place of a recording, which is not stored."""
# The first pattern that matches says what an artefact is.
_KINDS = [
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"data/", "data"),
        (r"recordings/", OPTIONAL),
        (r"checkpoints/.*/lookup/.*\.safetensors", "lookup table"),
        (r"checkpoints/.*\.safetensors", "checkpoint"),
        (r"checkpoints/.*\.jsonl", "curve"),
        (r"checkpoints/", "sidecar"),
        (r"results/.*/(predictions|parts)/", "predictions"),
        (r"results/.*/metrics/", "metrics"),
        (r"results/.*/tables/", "table"),
        (r"results/.*/figures/", "figure"),
        (r"results/.*/selection/", "search"),
        (r"results/.*claims\.(json|md)", "claims"),
        (r"results/.*report\.html", "report"),
    )
]


@dataclass
class Manifest:
    """A manifest as it was read.

    Attributes:
        path: Where it lies, relative to the project.
        content: All of it.
    """

    path: str
    content: dict[str, Any]

    @property
    def artefacts(self) -> dict[str, dict[str, Any]]:
        """Path -> {sha256, bytes, kind, job, member_of}."""
        return self.content["artefacts"]  # type: ignore[no-any-return]

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """Name -> what the job ran on."""
        return self.content["jobs"]  # type: ignore[no-any-return]


def manifest_path(profile: str, target: str) -> Path:
    """Where the manifest of a target lies, relative to the project."""
    return Path(ENDS[target].format(profile=profile), "manifest.json")


def kind_of(path: str) -> str:
    """What an artefact is, by its place."""
    return next((kind for pattern, kind in _KINDS if pattern.match(path)), "other")


def build(
    root: Path, profile: str, target: str, *, ends: Iterable[str], config: Path, resolved: Any, workers: int = 2
) -> dict[str, Any]:
    """Hashes everything that a target's last files were made of, and lists the jobs between.

    Args:
        root: Top folder of the project.
        profile: Name of the profile.
        target: `headline` or `ablations`.
        ends: The last files, relative to `root`: tables, figures, claims, report.
        config: The profile's file.
        resolved: The profile with all defaults.
        workers: Threads that hash.

    Raises:
        UserError: If a file has no record of the job that made it, or is gone.
    """
    jobs = _jobs_of(read_records(root, profile), list(ends))
    artefacts = _artefacts(root, jobs, workers)
    code = repository.state(root, [pair for job in jobs for pair in job.code.items()])
    return {
        "format": FORMAT,
        "profile": profile,
        "target": target,
        "code": code,
        "environment": _environment(root),
        "machine": machine() | {"threads": _threads(resolved)},
        "config": {
            "file": str(config),
            "sha256": sha256_of_file(root / config) if (root / config).is_file() else None,
            "resolved": sha256_of(resolved),
        },
        "data": {
            Path(path).stem: _data(root, path, entry["sha256"], workers)
            for path, entry in artefacts.items()
            if entry["kind"] == "data"
        },
        "jobs": {job.name: _job(job) for job in jobs},
        "artefacts": artefacts,
    }


def load(root: Path, path: Path) -> Manifest:
    """Reads a manifest.

    Raises:
        UserError: If it is absent, or not a manifest of this format.
    """
    content = read_json(root / path)
    parts = {"profile": str, "target": str, "jobs": dict, "artefacts": dict, "code": dict, "config": dict, "data": dict}
    sound = isinstance(content, dict) and all(isinstance(content.get(key), kind) for key, kind in parts.items())
    if sound and content.get("format") != FORMAT:
        raise UserError(
            f"is a manifest of format {content.get('format')!r}, not {FORMAT}",
            file=root / path,
            remedy="audit it with the version of distillery that wrote it",
        )
    if not sound or not all(
        isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and isinstance(entry.get("kind"), str)
        for entry in content["artefacts"].values()
    ):
        raise UserError("is not a manifest", file=root / path, remedy="restore it, or run snakemake to the end again")
    for job in content["jobs"].values():
        if not (isinstance(job, dict) and isinstance(job.get("rule"), str) and isinstance(job.get("outputs"), list)):
            raise UserError("names a job that is none", file=root / path, place="jobs", remedy="restore the manifest")
        if not all(isinstance(job.get(key), dict) for key in ("inputs", "code")):
            raise UserError("names a job that is none", file=root / path, place="jobs", remedy="restore the manifest")
    return Manifest(str(path), content)


def _jobs_of(records: list[JobRecord], ends: list[str]) -> list[JobRecord]:
    """The jobs between data and the last files, by name."""
    makers = {output: job for job in records for output in job.outputs}
    found: dict[str, JobRecord] = {}
    pending = list(ends)
    while pending:
        path = pending.pop()
        job = makers.get(path)
        if job is None:
            raise UserError(
                "no record says which job made it",
                file=path,
                remedy="delete it and run snakemake again, or restore `.snakemake/metadata`",
            )
        if job.name in found:
            continue
        if job.unhashed:
            raise UserError(
                f"was read without its checksum being recorded, by {job.rule}",
                file=job.unhashed[0],
                remedy="run the job again with profiles/default, which sets max-checksum-file-size",
            )
        found[job.name] = job
        # Inputs that no job makes lie outside: weights of the user's, say. Their hash is in the job's inputs.
        pending += [path for path in job.inputs if path in makers]
    return [found[name] for name in sorted(found)]


def _artefacts(root: Path, jobs: list[JobRecord], workers: int) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {
        output: {"kind": kind_of(output), "job": job.name} for job in jobs for output in job.outputs
    }
    for index in [path for path, entry in entries.items() if entry["kind"] == "predictions" and path.endswith(".json")]:
        folder = root / index.removesuffix(".json")
        if folder.is_dir():
            for file in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
                name = str(file.relative_to(root))
                entries[name] = {"kind": "predictions", "job": entries[index]["job"], "member_of": index}
    gone = [path for path, entry in entries.items() if entry["kind"] == OPTIONAL and not (root / path).is_file()]
    for path in gone:
        del entries[path]
    paths = sorted(entries)
    lost = next((path for path in paths if not (root / path).is_file()), None)
    if lost is not None:
        raise UserError("is gone", file=root / lost, remedy="run snakemake again, it makes it anew")
    with ThreadPoolExecutor(workers) as pool:
        hashes = list(pool.map(lambda path: sha256_of_file(root / path), paths))
    return {
        path: {"sha256": value, "bytes": os.path.getsize(root / path)} | entries[path]
        for path, value in zip(paths, hashes, strict=True)
    }


def _job(job: JobRecord) -> dict[str, Any]:
    return {
        "rule": job.rule,
        "command": job.command,
        "inputs": job.inputs,
        "code": job.code,
        "outputs": job.outputs,
        "params": job.parameters,
        "parameters": None if job.parameters is None else sha256_of(job.parameters),
        "started": job.started,
        "seconds": job.seconds,
        "cpu_seconds": job.cpu_seconds,
        "peak_mb": job.peak_mb,
        "log": job.log,
    }


def _data(root: Path, path: str, digest: str, workers: int) -> dict[str, Any]:
    """What a set is; DVC holds those that were made here, of linked ones their list alone."""
    content, folder = read_json(root / path), root / path.removesuffix(".json")
    dvc = None if folder.is_symlink() else hash_of(folder, content["files"], workers)
    return {"manifest": path, "sha256": digest, "files": len(content["files"]), "bytes": content["bytes"], "dvc": dvc}


def _environment(root: Path) -> dict[str, Any]:
    lock = root / "requirements.lock"
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "lock": sha256_of_file(lock) if lock.is_file() else None,
        "python": platform.python_version(),
        "packages": versions,
    }


def machine() -> dict[str, Any]:
    """What this machine is: processor, cores, GPUs, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": _gpus(),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _threads(resolved: Any) -> int | None:
    """Threads that a job computes with, by the profile."""
    compute = resolved.get("compute") if isinstance(resolved, dict) else None
    return compute.get("threads") if isinstance(compute, dict) else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpus() -> list[str]:
    """Names of NVIDIA's GPUs as the driver gives them; without its folder there are none."""
    found = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = file.read_text(encoding="utf-8").splitlines()
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
    return found
