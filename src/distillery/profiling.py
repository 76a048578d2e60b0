"""The command `distillery profile-networks`: size, operations and time of trained networks, measured one by one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from distillery.config.training import Compute
from distillery.engine import checkpoint, cost
from distillery.files import write_json
from distillery.tracking.families import FAMILIES

MEASURES = {
    **{family: row.cost for family, row in FAMILIES.items()},
    "oim": "distillery.person_search.cost",
    "reid": "distillery.person_search.cost",
}
"""Kind of checkpoint -> module with `prepare(checkpoint, compute) -> Step`."""


def profile_networks(checkpoints: Mapping[str, Path], compute: Compute, out: Path) -> None:
    """Measures the networks, which take turns, and writes one JSON file.

    Args:
        checkpoints: By name ("siamfc/teacher").
        compute: Where to measure.
        out: {convention, machine, networks: {name: {parameters, bytes, macs, milliseconds, fps, step}}}.
    """
    sidecars = {name: checkpoint.load_sidecar(path, kind=tuple(MEASURES)) for name, path in checkpoints.items()}
    steps: dict[str, cost.Step] = {
        name: import_module(MEASURES[sidecars[name]["kind"]]).prepare(path, compute)
        for name, path in checkpoints.items()
    }
    times = cost.milliseconds([step.call for step in steps.values()])
    networks = {
        name: {
            "parameters": sidecars[name]["parameter_count"],
            "bytes": sidecars[name]["bytes"],
            "macs": cost.operations(step.call),
            "milliseconds": time,
            "fps": 1e3 / time,
            "step": step.description,
        }
        for (name, step), time in zip(steps.items(), times, strict=True)
    }
    write_json(out, {"convention": cost.CONVENTION, "machine": cost.machine(), "networks": networks})
