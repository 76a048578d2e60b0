"""The tracking benchmarks: each module reads one official layout into `Sequence`s, and nothing else."""

from __future__ import annotations

from types import ModuleType

from distillery.tracking.benchmarks import got10k, otb100

BENCHMARKS: dict[str, ModuleType] = {module.NAME: module for module in (got10k, otb100)}
"""Name on the command line -> module with `load` and `check`."""
