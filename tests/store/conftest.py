"""Small projects under the real DVC, cut off from the settings of user and machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import small_workflow
from project import Project
from small_workflow import SETUP, git


@pytest.fixture(scope="session", autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("dvc")
    for level in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
        patch.setenv(f"DVC_{level}_DIR", str(folder / level.lower()))
    yield
    patch.undo()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The repository's own DVC set-up around small folders that no workflow has made; no git yet."""
    from project import REPOSITORY

    root = tmp_path / "project"
    for name in SETUP:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    for name, text in {"data/smoke/otb100.json": "{}", "checkpoints/smoke/seed0.safetensors": "weights"}.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def inside_git(bare: Path) -> Path:
    """The same in a git repository."""
    git(bare, "init", "-q")
    return bare


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small workflow, run to its end and its pointers committed; not to be changed."""
    project = small_workflow.write(tmp_path_factory.mktemp("finished") / "a")
    project.snakemake("--configfile", small_workflow.CONFIG, "--cores", "8")
    small_workflow.commit(project.root, "published")
    return project


@pytest.fixture
def own(finished: Project, tmp_path: Path) -> Project:
    """A copy of it that may be changed."""
    shutil.copytree(finished.root, tmp_path / "own", symlinks=True)
    return Project(tmp_path / "own")


@pytest.fixture
def clone(finished: Project, tmp_path: Path) -> Project:
    """A fresh clone of it."""
    return small_workflow.clone(finished, tmp_path / "clone")
