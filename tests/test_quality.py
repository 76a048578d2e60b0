"""The quality gates of `make lint`, and the small promises of the repository's own files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement

from project import environment, project_files

ROOT = Path(__file__).resolve().parents[1]
GATES = {
    "ruff check": ["ruff", "check", "--no-cache", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "."],
    "mypy": ["mypy"],
    "snakefmt": ["snakefmt", "--check", "Snakefile", "workflow"],
    "snakemake --lint": ["snakemake", "--lint"],
}


@pytest.mark.parametrize("gate", GATES)
def test_quality_gate(gate: str) -> None:
    tool, *options = GATES[gate]
    command = [str(Path(sys.executable).parent / tool), *options]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_make_lint_runs_the_same_gates() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for tool, *options in GATES.values():
        shown = " ".join([f"$(BIN)/{tool}", *(option for option in options if option != "--no-cache")])
        assert f"\t{shown}\n" in makefile


def locked() -> dict[str, list[tuple[str, Marker | None]]]:
    """Name -> (version, marker) of every pin in requirements.lock."""
    pins: dict[str, list[tuple[str, Marker | None]]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        pin = re.fullmatch(r"([a-z0-9._-]+)==([^ ]+)(?: ; (.+?))?(?: \\)?", line)
        if pin:
            pins.setdefault(pin[1], []).append((pin[2], Marker(pin[3]) if pin[3] else None))
    return pins


def dependencies(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = project["dependencies"] + [text for extra in extras for text in project["optional-dependencies"][extra]]
    return [Requirement(text) for text in texts]


def test_the_lock_has_hashes_and_no_place() -> None:
    """Exact versions with hashes; no index host, no local path, no URL."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|@ |--index|--extra|--find|--trusted|^-e|^/", text, re.MULTILINE)
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


@pytest.mark.parametrize("python", ["3.11.9", "3.12.9", "3.13.9"])
def test_the_lock_holds_every_dependency_for_every_python(python: str) -> None:
    pins = locked()
    short = ".".join(python.split(".")[:2])
    here = {"python_full_version": python, "python_version": short, "sys_platform": "linux"}
    for requirement in dependencies("workflow", "dev"):
        versions = [version for version, marker in pins[requirement.name] if marker is None or marker.evaluate(here)]
        assert len(versions) == 1, f"{requirement.name} on Python {python}: {versions}"
        assert requirement.specifier.contains(versions[0], prereleases=True)
    assert "setuptools" in pins, "the package is installed without fetching a build environment"


def test_the_conda_environment_has_the_versions_of_the_lock() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict)]
    (python,) = [entry.split("=")[1] for entry in conda["dependencies"] if str(entry).startswith("python=")]
    here = {"python_full_version": f"{python}.9", "python_version": python, "sys_platform": "linux"}
    pinned = {Requirement(text).name: str(Requirement(text).specifier) for text in pip}
    assert set(pinned) == {requirement.name for requirement in dependencies("workflow")}
    for name, version in pinned.items():
        exact = [v for v, marker in locked()[name] if marker is None or marker.evaluate(here)]
        assert version == f"=={exact[0]}", name


def test_make_says_in_one_sentence_which_python_it_needs(tmp_path: Path) -> None:
    old = tmp_path / "old python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    command = ["make", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'none'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"Python 3.11, 3.12 or 3.13 is needed and {old} is not one" in done.stderr
    assert not (tmp_path / "none").exists()


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"(?m)^\.PHONY: (.*)$", (ROOT / "Makefile").read_text())[0].split())
    assert set(re.findall(r"(?m)^make ([\w-]+)", done.stdout)) == targets


def test_ci_is_a_sound_script_that_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.read_text(encoding="utf-8").rstrip().endswith("exec make test")


def test_the_citation_agrees_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["title"].lower() == project["name"]


def test_no_large_or_generated_file_is_part_of_the_project() -> None:
    files = project_files()
    assert Path("Snakefile") in files
    for file in files:
        assert (ROOT / file).stat().st_size < 1_000_000, file
        assert file.suffix not in {".safetensors", ".npz", ".mat", ".pyc"}, file
