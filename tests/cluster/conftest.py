"""A real SLURM of one node for the tests of this folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from cluster.slurm_node import Node, install


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
    finally:
        node.stop()
