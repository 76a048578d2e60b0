"""The command `distillery profile-networks`: size, operations and time of trained networks, measured one by one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from distillery.config.profiling import Inference
from distillery.config.training import Compute
from distillery.engine import checkpoint, cost, devices
from distillery.files import write_json
from distillery.tracking.families import FAMILIES

MEASURES = {
    **{family: row.cost for family, row in FAMILIES.items()},
    **dict.fromkeys(("oim", "qeeps", "detector", "reid"), "distillery.person_search.cost"),
}
"""Kind of checkpoint -> module with `prepare(checkpoint, compute, inference) -> Step`."""


def profile_networks(
    checkpoints: Mapping[str, Path], compute: Compute, out: Path, inference: Inference | None = None
) -> None:
    """Measures the networks, which take turns, and writes one JSON file.

    They are measured on the CPU and, where `compute` takes a GPU, on that too.

    Args:
        checkpoints: By name ("siamfc/teacher").
        compute: Precision and threads; `device: cpu` leaves a GPU out.
        out: {convention, machine, networks: {name: {parameters, bytes, macs, milliseconds, fps, step}}} of the CPU;
            where a GPU was measured also gpu: {convention, machine, networks: {name: {milliseconds, fps}}}.
        inference: Test-time settings of trackers; absent means the defaults.

    Raises:
        UserError: If a checkpoint is missing or damaged, or a GPU is asked for and there is none.
    """
    chosen = devices.prepare(compute)
    sidecars = {name: checkpoint.load_sidecar(path, kind=tuple(MEASURES)) for name, path in checkpoints.items()}
    settings = inference or Inference()

    def steps(where: Compute) -> dict[str, cost.Step]:
        made = {}
        for name, path in checkpoints.items():
            kind = sidecars[name]["kind"]
            made[name] = import_module(MEASURES[kind]).prepare(path, where, getattr(settings, kind, None))
        return made

    on_cpu = compute.model_copy(update={"device": "cpu"})
    calls = steps(on_cpu)
    found = _timed(calls, devices.prepare(on_cpu))
    for name, step in calls.items():
        found["networks"][name] |= {
            "parameters": sidecars[name]["parameter_count"],
            "bytes": sidecars[name]["bytes"],
            "macs": cost.operations(step.call),
            "step": step.description,
        }
    if chosen.torch.type == "cuda":
        found["gpu"] = _timed(steps(compute.model_copy(update={"device": "cuda"})), chosen)
    write_json(out, found)


def _timed(steps: Mapping[str, cost.Step], device: devices.Device) -> dict[str, Any]:
    times = cost.milliseconds([step.call for step in steps.values()], device=device.torch)
    return {
        "convention": cost.convention(device),
        "machine": cost.machine(device.torch),
        "networks": {name: {"milliseconds": time, "fps": 1e3 / time} for name, time in zip(steps, times, strict=True)},
    }
