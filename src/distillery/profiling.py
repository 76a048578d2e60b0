"""The command `distillery profile-networks`: size, operations and time of trained networks, measured one by one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from distillery.config.training import Compute
from distillery.engine import checkpoint, cost
from distillery.engine.progress import Progress
from distillery.files import write_json

MEASURES = {
    "siamfc": "distillery.tracking.cost",
    "oim": "distillery.person_search.cost",
    "reid": "distillery.person_search.cost",
}
"""Kind of checkpoint -> module with `measure(checkpoint, compute)`."""


def profile_networks(checkpoints: Mapping[str, Path], compute: Compute, out: Path) -> None:
    """Measures each network and writes one JSON file.

    Args:
        checkpoints: By name ("siamfc/teacher").
        compute: Where to measure.
        out: {convention, machine, networks: {name: {parameters, bytes, macs, milliseconds, fps, step}}}.
    """
    networks = {}
    with Progress("measure networks", len(checkpoints)) as progress:
        for name, path in checkpoints.items():
            sidecar = checkpoint.load_sidecar(path, kind=tuple(MEASURES))
            measured = import_module(MEASURES[sidecar["kind"]]).measure(path, compute)
            networks[name] = {"parameters": sidecar["parameter_count"], "bytes": sidecar["bytes"], **measured}
            progress.update()
    write_json(out, {"convention": cost.CONVENTION, "machine": cost.machine(), "networks": networks})
