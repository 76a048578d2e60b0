"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# How long one example takes says nothing on a machine that does other things too.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

# Nothing that a test does is remembered in the cache folder of whoever runs it.
os.environ["DISTILLERY_CACHE"] = ""

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
