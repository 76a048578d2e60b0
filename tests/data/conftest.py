"""What the tests of acquisition share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acquisition_desk import Desk
from web_server import Site


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Site() as site:
        yield Desk(tmp_path / "project", site)
