"""The one training loop: seeded, resumable to the byte, with metrics as JSON lines."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor, nn

from distillery.config.training import Compute, Optimisation
from distillery.engine import distributed, norms, stopping
from distillery.engine.checkpoint import plain_tensors, save_tensors
from distillery.engine.devices import Device
from distillery.engine.optimisers import build_optimiser, step_optimiser
from distillery.engine.progress import Progress
from distillery.engine.randomness import seed_torch
from distillery.engine.reduction import sum_over_ranks
from distillery.errors import UserError
from distillery.files import write_text

LOGGED_STEPS = 500
"""A training leaves at most about this many lines of metrics."""


class Task(Protocol):
    """What the loop trains.

    Attributes:
        module: Everything that is optimised or changes while training (tables and queues are its buffers).
    """

    module: nn.Module

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Total loss of `step` and its named terms. Data and augmentation derive from (seed, step) alone.

        As one of several ranks: of this rank's share of the batch, as parts whose sum over the ranks is the whole.
        """

    def after_step(self, step: int) -> None:
        """Called after the update, for state that is not learnt by gradient."""


def learning_rate(optimisation: Optimisation, step: int) -> float:
    """Learning rate of `step` (0-based)."""
    start, end = optimisation.learning_rate, optimisation.final_learning_rate
    if step < optimisation.warmup_steps:
        return start * (1e-3 + (1 - 1e-3) * (step + 1) / optimisation.warmup_steps)
    progress = step / max(optimisation.steps - 1, 1)
    curves: dict[str, float] = {
        "constant": start,
        "exponential": start * (end / start) ** progress,
        "cosine": end + 0.5 * (start - end) * (1 + math.cos(math.pi * progress)),
        "step": start if progress < optimisation.step_at else end,
    }
    return curves[optimisation.schedule]


def fit(
    task: Task,
    *,
    optimisation: Optimisation,
    compute: Compute,
    device: Device,
    seed: int,
    state: Path,
    key: str,
    label: str,
) -> Path:
    """Trains `task.module` in place; goes on from `state` if it belongs to the same `key`.

    Of several ranks the first alone reads and writes files and shows progress; all end with the same parameters.

    Args:
        task: What to train; already on `device`.
        optimisation: Optimiser and schedule.
        compute: For the interval of saving.
        device: For precision.
        seed: Seeds torch's global generator anew at each step, for library samplers.
        state: Folder for resume state, outside the declared outputs; the caller removes it after writing its outputs.
        key: Hash of resolved parameters and data: a changed config never resumes old state.
        label: For progress.

    Returns:
        Path of the metrics (JSON lines: `step`, `learning_rate`, `loss` and every term), inside `state`; of the first
        rank alone.

    Raises:
        UserError: If the loss is no longer finite.
        StoppedError: If the process was asked to leave; the state is saved.
    """
    module, metrics, writes = task.module, state / "metrics.jsonl", distributed.first()
    norms.synchronise(module)
    optimiser = build_optimiser(optimisation, module)
    scaler = torch.amp.GradScaler(device.torch.type, enabled=device.dtype == torch.float16)
    begin = _begin(state, key, module, optimiser, scaler)
    if writes:
        _truncate(metrics, begin)
    log_every = max(1, optimisation.steps // LOGGED_STEPS)
    saved = time.monotonic()
    module.train()
    lines = metrics if writes else Path(os.devnull)
    show = Progress(label, optimisation.steps, done=begin, stream=None if writes else io.StringIO())
    with lines.open("a", encoding="utf-8") as log, show as progress:
        for step in range(begin, optimisation.steps):
            rate = learning_rate(optimisation, step)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["factor"]
            seed_torch(seed, "step", step)
            with device.autocast():
                loss, terms = task.loss(step)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            loss, terms = sum_over_ranks(module, loss, terms)
            if optimisation.clip:
                scaler.unscale_(optimiser)
                # Networks of one job are clipped one by one, as if each were trained alone.
                for part in module if isinstance(module, nn.ModuleList) else [module]:
                    nn.utils.clip_grad_norm_(part.parameters(), optimisation.clip)
            step_optimiser(optimiser, scaler)
            task.after_step(step)
            note = ""
            if step % log_every == 0 or step == optimisation.steps - 1:
                note = _log(log, label, step, rate, loss, terms)
            leaving = distributed.anyone(stopping.asked() is not None) and step + 1 < optimisation.steps
            if not leaving:  # whoever reads the progress may have left already
                progress.update(note=note)
            if leaving or time.monotonic() - saved >= compute.save_every:
                log.flush()
                if writes:
                    _save(state, key, step + 1, module, optimiser, scaler)
                saved = time.monotonic()
            if leaving:
                distributed.anyone(False)  # all wait until the state is on the disk
                raise stopping.StoppedError(_farewell(label, step + 1, optimisation.steps))
    _check_equal(module)
    return metrics


def finish(state: Path, metrics: Path, destination: Path) -> None:
    """Moves the metrics to their declared place and removes the resume state: the last act of a training job."""
    metrics.replace(destination)
    shutil.rmtree(state, ignore_errors=True)


def summary(metrics: Path, last: float = 0.1) -> dict[str, float]:
    """Mean of loss and terms over the last part of a training's metrics, for the sidecar."""
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    tail = lines[-max(1, int(len(lines) * last)) :]
    names = [name for name in tail[-1] if name not in ("step", "learning_rate")]
    return {name: sum(line[name] for line in tail) / len(tail) for name in names}


def _farewell(label: str, step: int, steps: int) -> str:
    by = stopping.asked() or "a signal to another rank"
    return f"{label} was stopped by {by} after step {step} of {steps}; its state is saved, the same command goes on."


def _check_equal(module: nn.Module) -> None:
    """Ranks that drifted apart (a faulty device, different libraries) must not go unnoticed."""
    if distributed.world() > 1:
        distributed.agree(
            hashlib.sha256(safetensors.save(plain_tensors(module.state_dict()))).hexdigest(),
            "has ended with other parameters",
            "run the ranks on equal machines with equal software, or train in one process",
        )


def _log(stream: Any, label: str, step: int, rate: float, loss: Tensor, terms: Mapping[str, Tensor]) -> str:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise UserError(
            f"the loss of {label} is {value} at step {step}",
            remedy="lower optimisation.learning_rate or set optimisation.clip",
        )
    line = {"step": step, "learning_rate": rate, "loss": value}
    line |= {name: float(term.detach()) for name, term in terms.items()}
    stream.write(json.dumps(line) + "\n")
    return f"loss {value:.4f}"


def _truncate(metrics: Path, begin: int) -> None:
    """Drops lines of steps that will be taken again; at once, since the job may be killed here too."""
    lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True) if begin and metrics.exists() else []
    # A line cut off by a kill is of a step after the saved one, so the reading stops there.
    kept = []
    for line in lines:
        if not line.endswith("\n") or json.loads(line)["step"] >= begin:
            break
        kept.append(line)
    write_text(metrics, "".join(kept))


def _save(
    state: Path,
    key: str,
    step: int,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> None:
    tensors, metadata = _state(step, module, optimiser, scaler)
    save_tensors(state / "state.safetensors", tensors, {"key": key, **metadata})


State = tuple[dict[str, Tensor], dict[str, str]]
"""Tensors and metadata from which a training goes on."""


def _state(step: int, module: nn.Module, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> State:
    tensors = {f"module/{name}": value for name, value in module.state_dict().items()}
    for index, entries in optimiser.state_dict()["state"].items():
        tensors |= {
            f"optimiser/{index}/{name}": value for name, value in entries.items() if isinstance(value, torch.Tensor)
        }
    return tensors, {"step": str(step), "scaler": json.dumps(scaler.state_dict())}


def _begin(
    state: Path, key: str, module: nn.Module, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> int:
    """Restores a saved state of the same key at every rank; returns the step to go on with."""
    begin = 0
    if distributed.first():
        found = _read(state, key)
        begin = _restore(found, module, optimiser, scaler) if found else 0
    if distributed.world() > 1:
        # All take what the first has, whether they see its files or not, and whatever their libraries drew at first.
        tensors, metadata = _state(begin, module, optimiser, scaler)
        data = distributed.told(safetensors.save(plain_tensors(tensors)) if distributed.first() else b"")
        metadata = json.loads(distributed.told(json.dumps(metadata).encode()))
        if not distributed.first():
            begin = _restore((safetensors.load(data), metadata), module, optimiser, scaler)
    return begin


def _read(state: Path, key: str) -> State | None:
    path = state / "state.safetensors"
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            if metadata.get("key") != key:
                shutil.rmtree(state, ignore_errors=True)
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError):
        # No state, or one that cannot be read: training begins anew, nothing is lost but time.
        return None


def _restore(found: State, module: nn.Module, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> int:
    tensors, metadata = found
    saved = {name.removeprefix("module/"): value for name, value in tensors.items() if name.startswith("module/")}
    expected = module.state_dict()
    if {name: value.shape for name, value in saved.items()} != {name: v.shape for name, v in expected.items()}:
        return 0  # saved by other code that read the same parameters
    module.load_state_dict(saved)
    restored = optimiser.state_dict()
    restored["state"] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser/"):
            _, index, entry = name.split("/")
            restored["state"].setdefault(int(index), {})[entry] = value
    optimiser.load_state_dict(restored)
    if scaler.is_enabled():
        scaler.load_state_dict(json.loads(metadata["scaler"]))
    return int(metadata["step"])
