"""A real SLURM of one node for the tests of this folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest

from cluster.slurm_node import Node, NotStartedError, install


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """SLURM with four CPUs and two GPUs, which it only believes to have; installed where that is allowed."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed; requirements.lock has it (`make setup`)")
    missing = install()
    if missing:
        pytest.skip(missing)
    node = Node(tmp_path_factory.mktemp("slurm"))
    try:
        node.start()
        yield node
    except NotStartedError as error:
        if os.environ.get("DISTILLERY_TEST_SLURM") == "required":
            raise
        pytest.skip(f"SLURM is installed and does not start here: {error}")
    finally:
        node.stop()
