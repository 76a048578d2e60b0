"""A training job from resolved parameters to checkpoints: what every trainer of the project does around the loop."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from distillery.config.training import Compute, Optimisation
from distillery.engine import checkpoint, devices, distributed, stopping
from distillery.engine.devices import Device
from distillery.engine.loop import Task, finish, fit, summary
from distillery.errors import UserError
from distillery.files import atomic_file, sha256_of, sha256_of_file


class TrainingParameters(Protocol):
    """What the parameters of every training job have."""

    @property
    def seed(self) -> int:
        """Seed of the job."""

    @property
    def compute(self) -> Compute:
        """Where it computes."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """The parameters as plain data."""


@dataclass(frozen=True)
class Output:
    """One network of a job.

    Attributes:
        path: Its checkpoint; sidecar and metrics lie beside it.
        module: What is saved.
        sidecar: `kind` and what builds the module again.
    """

    path: Path
    module: nn.Module
    sidecar: Mapping[str, Any]


def train(
    task: Task,
    parameters: TrainingParameters,
    optimisation: Optimisation,
    *,
    device: Device,
    inputs: Mapping[str, Path],
    outputs: Sequence[Output],
    label: str,
) -> None:
    """Fits `task`, then writes each output with its sidecar and metrics; resumes an interrupted run of the same job.

    How many ranks and threads compute is no parameter: a job that was killed goes on with others.

    Args:
        task: What to train.
        parameters: Resolved parameters; with the hashes of `inputs` they key the resume state.
        optimisation: Optimiser and schedule.
        device: Prepared device.
        inputs: Files that the result depends on (dataset manifest, teacher, table).
        outputs: Networks to save; resume state lies beside the first.
        label: For progress.

    Raises:
        UserError: If an output is not named `….safetensors`, ranks have other inputs, or the loss is no longer finite.
        StoppedError: If the process was asked to leave.
    """
    for output in outputs:
        if output.path.suffix != ".safetensors":  # the sidecar and the metrics take the other suffixes
            raise UserError("does not end in .safetensors", file=output.path, remedy="rename the output")
    plain = parameters.model_dump(mode="json")
    hashes = {name: sha256_of_file(path) for name, path in inputs.items()}
    # How often a run saves its state does not change what it computes.
    keyed = {**plain, "compute": {**plain["compute"], "save_every": None}}
    key, state = sha256_of({"parameters": keyed, "inputs": hashes}), outputs[0].path.with_suffix(".resume")
    distributed.agree(key, "reads other parameters or inputs", "give all nodes the same files and the same command")
    distributed.share(optimisation.batch)  # refused before anything is computed
    devices.note_threads(parameters.compute)
    with stopping.patient():  # what follows the last step takes less time than training it again
        metrics = fit(
            task,
            optimisation=optimisation,
            compute=parameters.compute,
            device=device,
            seed=parameters.seed,
            state=state,
            key=key,
            label=label,
        )
        if not distributed.first():
            return
        trained: dict[str, Any] = {"parameters": plain, "inputs": hashes, "training": summary(metrics)}
        trained |= _resources(parameters.compute)
        for output in outputs:
            checkpoint.save(output.path, output.module, {**output.sidecar, **trained})
        for output in outputs[1:]:
            with atomic_file(output.path.with_suffix(".jsonl")) as temporary:
                shutil.copyfile(metrics, temporary)
        finish(state, metrics, outputs[0].path.with_suffix(".jsonl"))


def _resources(compute: Compute) -> dict[str, int]:
    """What is no parameter and yet shows in the last digits, where it is not as usual."""
    ranks, threads = distributed.world(), devices.threads(compute)
    return ({"ranks": ranks} if ranks > 1 else {}) | ({"threads": threads} if threads < compute.threads else {})
