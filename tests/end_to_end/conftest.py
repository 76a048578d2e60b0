"""The smoke pipeline, run once for all tests of this folder."""

from __future__ import annotations

import pytest

from project import Project


@pytest.fixture(scope="session")
def run(smoke_run: tuple[Project, str]) -> tuple[Project, str]:
    """The finished project, and what the run said."""
    return smoke_run


@pytest.fixture(scope="session")
def project(run: tuple[Project, str]) -> Project:
    return run[0]
