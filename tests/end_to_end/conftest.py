"""The smoke pipeline, run once for all tests of this folder."""

from __future__ import annotations

import pytest

from project import Project
from small_workflow import commit, git

SMOKE = ("--configfile", "config/smoke.yaml")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """The finished project, and what the run said."""
    project = Project.copy(tmp_path_factory.mktemp("clone") / "distillery")
    git(project.root, "init", "-q")
    commit(project.root, "the code that runs")
    return project, project.snakemake(*SMOKE, timeout=900)


@pytest.fixture(scope="session")
def project(run: tuple[Project, str]) -> Project:
    return run[0]
