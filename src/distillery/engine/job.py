"""A training job from resolved parameters to checkpoints: what every trainer of the project does around the loop."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from distillery.config.training import Compute, Optimisation
from distillery.engine import checkpoint
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

    Args:
        task: What to train.
        parameters: Resolved parameters; with the hashes of `inputs` they key the resume state.
        optimisation: Optimiser and schedule.
        device: Prepared device.
        inputs: Files that the result depends on (dataset manifest, teacher, table).
        outputs: Networks to save; resume state lies beside the first.
        label: For progress.

    Raises:
        UserError: If an output is not named `….safetensors`, or the loss is no longer finite.
    """
    for output in outputs:
        if output.path.suffix != ".safetensors":  # the sidecar and the metrics take the other suffixes
            raise UserError("does not end in .safetensors", file=output.path, remedy="rename the output")
    plain = parameters.model_dump(mode="json")
    hashes = {name: sha256_of_file(path) for name, path in inputs.items()}
    # How often a run saves its state does not change what it computes.
    keyed = {**plain, "compute": {**plain["compute"], "save_every": None}}
    state = outputs[0].path.with_suffix(".resume")
    metrics = fit(
        task,
        optimisation=optimisation,
        compute=parameters.compute,
        device=device,
        seed=parameters.seed,
        state=state,
        key=sha256_of({"parameters": keyed, "inputs": hashes}),
        label=label,
    )
    trained = {"parameters": plain, "inputs": hashes, "training": summary(metrics)}
    for output in outputs:
        checkpoint.save(output.path, output.module, {**output.sidecar, **trained})
    for output in outputs[1:]:
        with atomic_file(output.path.with_suffix(".jsonl")) as temporary:
            shutil.copyfile(metrics, temporary)
    finish(state, metrics, outputs[0].path.with_suffix(".jsonl"))
