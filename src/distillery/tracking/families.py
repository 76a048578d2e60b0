"""The families of trackers, by name: where each keeps its network, its training, its tracker and its cost.

Modules are named, not imported: a job loads, and its rule declares, its own family's code alone.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from distillery.config.base import Section, parse
from distillery.config.tracking import ARCHITECTURES
from distillery.errors import UserError
from distillery.files import read_json


class Family(NamedTuple):
    """One row: modules of the package."""

    network: str
    """Offers `build(architecture, geometry)` and `load(path)`."""
    training: str
    """Offers `responder(parameters, device)`."""
    tracker: str
    """Offers `from_checkpoint(path, compute, inference)`."""
    cost: str
    """Offers `prepare(checkpoint, compute, inference)`."""


_ROOM = "distillery.tracking"
FAMILIES = {
    "siamfc": Family(f"{_ROOM}.siamfc", f"{_ROOM}.siamfc_training", f"{_ROOM}.tracker", f"{_ROOM}.cost"),
    "siamrpn": Family(f"{_ROOM}.siamrpn", f"{_ROOM}.rpn_training", f"{_ROOM}.rpn_tracker", f"{_ROOM}.rpn_cost"),
    "siamrpnpp": Family(f"{_ROOM}.siamrpnpp", f"{_ROOM}.rpn_training", f"{_ROOM}.rpn_tracker", f"{_ROOM}.rpn_cost"),
}


def network_module(family: str) -> Any:
    """The module of a family's network."""
    return import_module(FAMILIES[family].network)


def training_module(family: str) -> Any:
    """The module that lets a family's networks answer a batch of training pairs."""
    return import_module(FAMILIES[family].training)


def tracker_module(family: str) -> Any:
    """The module of a family's tracker."""
    return import_module(FAMILIES[family].tracker)


def training_modules(family: str) -> list[str]:
    """Modules that a training job runs on, for the inputs of its rule."""
    row = FAMILIES[family]
    return [f"{_ROOM}.training", row.network, row.training]


def tracking_modules(family: str) -> list[str]:
    """Modules that a tracker runs on, for the inputs of its rule."""
    row = FAMILIES[family]
    return [f"{_ROOM}.running", row.network, row.tracker]


def searched_architecture(path: Path, family: str) -> Section:
    """The architecture that a search found.

    Raises:
        UserError: If the file is missing, malformed, or of another family.
    """
    found = read_json(path)
    if not isinstance(found, dict) or found.get("kind") != family:
        raise UserError(
            f"is not the result of a search for {family} students", file=path, place="kind", remedy="search again"
        )
    return parse(ARCHITECTURES[family], found.get("architecture"), source=str(path))
