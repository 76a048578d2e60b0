"""Facts of the run that the report states: the code, the machine, the libraries, the data, the config."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import yaml

from distillery import __version__
from distillery.config.paper_job import PaperJob
from distillery.paper.records import Results

_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "opencv-python-headless",
    "matplotlib",
    "snakemake",
    "dvc",
)


def git_state() -> str:
    """Commit of the working directory, and whether tracked files differ from it; "unknown" outside a repository."""

    def ask(*arguments: str) -> str:
        return subprocess.run(
            ("git", *arguments), capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        commit, dirty = ask("rev-parse", "HEAD"), ask("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "unknown (no git repository here)"
    return f"{commit}{', with uncommitted changes' if dirty else ', no uncommitted changes'}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def run_facts(job: PaperJob) -> list[tuple[str, str]]:
    """Name and value of what the result depends on outside the config."""
    libraries = [f"{name} {version}" for name in _PACKAGES if (version := _version(name))]
    return [
        ("Profile", job.profile),
        ("Seeds", ", ".join(map(str, job.seeds))),
        ("Code", git_state()),
        ("Distillery", __version__),
        ("Python", f"{platform.python_version()} on {platform.system()} ({platform.machine()})"),
        ("Cores of the machine that wrote this report", str(os.cpu_count())),
        ("Libraries", ", ".join(libraries)),
    ]


def data_facts(job: PaperJob, results: Results) -> list[tuple[str, str]]:
    """Size of each dataset: what the config asks for, and what the metrics say was scored."""
    facts: list[tuple[str, str]] = []
    data: Mapping[str, Any] = (job.config or {}).get("data", {})
    for name, spec in data.items():
        if spec is None:
            continue
        if spec.get("source") == "local":
            facts.append((f"{name}, as configured", "a local copy of the real dataset"))
        else:
            sizes = [f"{_phrase(key)} {_plain(value)}" for key, value in spec.items() if key != "source"]
            facts.append((f"{name}, as configured", f"{spec.get('source')}: {', '.join(sizes)}"))
    for benchmark in dict.fromkeys(result.benchmark for result in results.results):
        first = next(result for result in results.results if result.benchmark == benchmark)
        sizes = [f"{_phrase(key)} {_plain(value)}" for key, value in first.counts.items()]
        sizes.append(f"protocol {first.protocol}")
        facts.append((f"{benchmark}, as scored", ", ".join(sizes) or "not stated"))
    return facts


def _phrase(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " / ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 99_999 else str(value)


def config_text(job: PaperJob) -> str | None:
    """The whole profile as YAML, with every default written out."""
    return None if job.config is None else yaml.safe_dump(job.config, sort_keys=False, width=110, allow_unicode=True)
