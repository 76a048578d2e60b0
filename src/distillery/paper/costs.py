"""What networks cost: the compute profile and the sidecars of checkpoints, which must agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from distillery.errors import UserError
from distillery.files import read_json
from distillery.paper.origin import origin_of
from distillery.paper.validation import Record, validate


class Compute(Record):
    """Cost of one network."""

    parameters: Annotated[int, Field(ge=0)]
    """Number of learnt parameters."""
    bytes: Annotated[int, Field(ge=0)]
    """Their size as 32-bit floats."""
    macs: Annotated[float, Field(ge=0)] | None = None
    """Multiply-accumulate operations of one step."""
    milliseconds: Annotated[float, Field(gt=0)] | None = None
    """Median time of one step."""
    fps: Annotated[float, Field(gt=0)] | None = None
    """Steps a second."""
    step: str | None = None
    """What one step is ("one frame: 3 scales of 255 px")."""


class Time(Record):
    """Time of one network's step on a second device."""

    milliseconds: Annotated[float, Field(gt=0)]
    """Median time of one step."""
    fps: Annotated[float, Field(gt=0)]
    """Steps a second."""


class Times(Record):
    """What was measured on a GPU."""

    convention: str
    """How it was measured, in words."""
    machine: dict[str, Any]
    """Where: `device`, `processor`, `threads`."""
    networks: Annotated[dict[str, Time], Field(min_length=1)]
    """Time by `model/variant`, of person search by `training set/method/variant`."""

    @property
    def place(self) -> str:
        """The machine in words."""
        return _place(self.machine)


class ComputeProfile(Record):
    """compute.json: what every network costs, measured on one machine in one way."""

    convention: str
    """How it was measured, in words."""
    machine: dict[str, Any]
    """Where: `device`, `processor`, `threads`."""
    networks: Annotated[dict[str, Compute], Field(min_length=1)]
    """Cost by `model/variant`, of person search by `training set/method/variant`."""

    gpu: Times | None = None
    """The same steps on a GPU, where one was measured."""

    @property
    def place(self) -> str:
        """The machine in words."""
        return _place(self.machine)


def _place(machine: Mapping[str, Any]) -> str:
    device, threads = str(machine.get("device", "unknown device")), machine.get("threads")
    if device != "cpu":
        return device
    processor = f"one CPU ({machine['processor']})" if machine.get("processor") else "one CPU"
    return f"{processor}, {threads} thread{'' if threads == 1 else 's'}" if threads else processor


class Sidecar(Record):
    """What tables need of a checkpoint's sidecar."""

    parameter_count: Annotated[int, Field(ge=0)]
    """Number of learnt parameters."""
    bytes: Annotated[int, Field(ge=0)]
    """Their size as 32-bit floats."""


def read_compute(path: Path) -> ComputeProfile:
    """Reads compute.json."""
    return validate(ComputeProfile, read_json(path), path, "run `distillery profile-networks` again")


def read_sidecars(paths: Iterable[Path]) -> dict[str, Sidecar]:
    """Reads sidecars of checkpoints: size by the name that compute.json uses; files of several seeds must agree.

    Sidecars that describe no network (look-up tables) are passed over.
    """
    found: dict[str, Sidecar] = {}
    for path in paths:
        value = read_json(path)
        if isinstance(value, dict) and "parameter_count" not in value:
            continue
        sidecar, key = validate(Sidecar, value, path, "train it again"), origin_of(path).network
        if found.setdefault(key, sidecar) != sidecar:
            raise UserError(
                f"has {sidecar.parameter_count} parameters, another seed of {key} has {found[key].parameter_count}",
                file=path,
                remedy="train all seeds with one config",
            )
    return found


def check_sizes(compute: ComputeProfile, sidecars: Mapping[str, Sidecar], source: Path) -> None:
    """Refuses a compute profile that describes other networks than the checkpoints."""
    for key, sidecar in sidecars.items():
        cost = compute.networks.get(key)
        if cost is not None and cost.parameters != sidecar.parameter_count:
            raise UserError(
                f"counts {cost.parameters} parameters, the checkpoint has {sidecar.parameter_count}",
                file=source,
                place=f"networks.{key}",
                remedy="run `distillery profile-networks` again",
            )
