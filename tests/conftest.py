"""Fixtures shared by all tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import hypothesis
import pytest

from project import Project

# How long one example takes says nothing on a machine that does other things too.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Small pieces of real third-party data with known answers; they lie beside the repository, never in it."""
    folder = REPOSITORY.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("the real third-party test data (../shared/real) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A project in which the whole smoke pipeline has run on this machine, and what the run said; not to be changed."""
    project = Project.copy(tmp_path_factory.mktemp("clone") / "distillery")
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    return project, project.snakemake("--configfile", "config/smoke.yaml", timeout=900)
