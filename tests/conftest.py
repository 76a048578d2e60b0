"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from project import Project
from small_workflow import commit, git

# Several processes test at once, each with jobs of its own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long one example takes says nothing on a machine that does other things too.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

# Nothing that a test does is remembered in the cache folder of whoever runs it.
os.environ["DISTILLERY_CACHE"] = ""

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent


# Folders whose tests run whole pipelines: they start first.
LONG = ("end_to_end", "cluster", "workflow")
OF_THE_SMOKE_RUN = ("tests/end_to_end/", "tests/cluster/test_pipeline.py")
"""Beginnings of files whose tests look at one run of the smoke pipeline."""


def group_of(nodeid: str) -> str:
    """Which tests stay in one process: those of a file, so that what a module's fixture made is made once."""
    file = nodeid.partition("::")[0]
    return "smoke run" if file.startswith(OF_THE_SMOKE_RUN) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """In several processes (`-n`) whole groups are handed out, in the order in which they were collected.

    Not by `--dist loadgroup`: xdist 3.8 marks groups in a field that pytest 9.2 no longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(folder) if (folder := _folder(item)) in LONG else len(LONG))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


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
    git(project.root, "init", "-q")
    commit(project.root, "the code that runs")
    return project, project.snakemake("--configfile", "config/smoke.yaml", timeout=900)
