"""The methods of person search by name: what trains their networks, and what builds them of a checkpoint.

The modules are imported when they are asked for; the workflow declares them from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

METHODS: Mapping[str, str] = {
    "oim": "distillery.person_search.training",
    "detector": "distillery.person_search.training",
    "qeeps": "distillery.person_search.qeeps_training",
}
"""Method -> the module whose `METHOD` (`training.SearchMethod`) builds and trains its networks. A method's name is the
kind of its checkpoints, too."""

BUILDERS: Mapping[str, str] = {
    "oim": "distillery.person_search.network:build_network",
    "detector": "distillery.person_search.network:build_network",
    "qeeps": "distillery.person_search.qeeps:build_qeeps",
}
"""Method -> module and function that build a network from the parameters of its training, its own, and the number of
identities."""


def method_of(name: str) -> Any:
    """The `training.SearchMethod` of a name of `METHODS`."""
    return import_module(METHODS[name]).METHOD


def builder_of(name: str) -> Any:
    """The function of a name of `BUILDERS`."""
    module, function = BUILDERS[name].split(":")
    return getattr(import_module(module), function)


def building_modules(*names: str) -> list[str]:
    """Modules that build networks of these methods; other names have none."""
    return sorted({BUILDERS[name].split(":")[0] for name in names if name in BUILDERS})
