"""Where a training job's lessons come from: the teacher itself, or a recording of what it says to each batch.

A recording serves all runs of a seed, since they see the same pairs in the same order. It is made of the same batches
by the same code, so a student learns the same bytes either way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from distillery.config.distillation import Distillation
from distillery.config.tracking import TrackerTraining
from distillery.distill.students import Lesson, lesson
from distillery.engine import distributed
from distillery.engine.checkpoint import save_tensors
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking.pair_batches import PairBatch, Sampler

Teacher = Callable[[int, PairBatch], Lesson]
"""The lesson of a step on its batch."""
_REMEDY = "record the teacher again"


def live(network: nn.Module, respond: Callable[..., Any], config: Distillation) -> Teacher:
    """The teacher itself, frozen and on the device."""

    def teach(step: int, batch: PairBatch) -> Lesson:
        with torch.no_grad():
            return lesson(respond(network, batch, step, config.compared_layers), config)

    return teach


def recorded(path: Path, parameters: TrackerTraining, key: str, device: torch.device) -> Teacher:
    """A recording.

    Args:
        path: What `record` wrote.
        parameters: Of the job that learns from it.
        key: `recording_key` of that job.
        device: Where lessons go.

    Raises:
        UserError: If the file is missing, damaged, or of other pairs, data or another teacher.
    """
    if not path.is_file():
        raise UserError("does not exist", file=path, remedy=_REMEDY)
    try:
        file = safe_open(path, framework="pt", device="cpu")
        found = (file.metadata() or {}).get("key")  # type: ignore[no-untyped-call]
        names = file.keys()  # type: ignore[no-untyped-call]
        slices = {name: file.get_slice(name) for name in names}  # type: ignore[no-untyped-call]
    except (SafetensorError, OSError) as error:
        raise UserError(f"is truncated or not a recording ({error})", file=path, remedy=_REMEDY) from error
    if found != key:
        raise UserError("is a recording of other pairs, data or another teacher", file=path, remedy=_REMEDY)
    size = parameters.optimisation.batch
    share = distributed.share(size)
    layers = sorted({name.split("/")[1] for name in slices if name.startswith("maps/")}, key=int)

    def teach(step: int, batch: PairBatch) -> Lesson:
        here = slice(step * size + share.start, step * size + share.stop)
        part = {name: values[here].to(device) for name, values in slices.items()}
        maps = {int(layer): (part[f"maps/{layer}/exemplar"], part[f"maps/{layer}/search"]) for layer in layers}
        boxes = _spread(part["boxes/place"], part["boxes/value"], part["score"]) if "boxes/place" in part else None
        return Lesson(part["score"], part["hard"], part.get("regression"), boxes, maps=maps)

    return teach


def recording_key(parameters: TrackerTraining, manifest: Path, teacher: Path) -> str:
    """Hash of all that a recording depends on: pairs, crops, labels, batches, losses' form, data and teacher."""
    plain = parameters.model_dump(mode="json")
    distillation = plain["distillation"]
    return sha256_of(
        {
            "family": plain["family"],
            "seed": plain["seed"],
            "pairs": plain["pairs"],
            "geometry": plain["geometry"],
            "labels": plain.get("labels"),
            "steps": plain["optimisation"]["steps"],
            "batch": plain["optimisation"]["batch"],
            "layers": distillation["layers"],
            "template": distillation["template"],
            "precision": plain["compute"]["precision"],
            "data": sha256_of_file(manifest),
            "teacher": sha256_of_file(teacher),
        }
    )


def record(
    network: nn.Module,
    respond: Callable[..., Any],
    sampler: Sampler,
    parameters: TrackerTraining,
    key: str,
    out: Path,
) -> None:
    """Writes the lessons of every step of a job.

    Args:
        network: The teacher, frozen, on its device.
        respond: Of its family.
        sampler: Source of the pairs.
        parameters: Of a job that will learn from it, with the target response's layers.
        key: `recording_key`.
        out: File to write.
    """
    assert parameters.distillation is not None
    teach = live(network, respond, parameters.distillation)
    steps, size = parameters.optimisation.steps, parameters.optimisation.batch
    device = next(network.parameters()).device
    told: dict[str, list[torch.Tensor]] = {}
    with Progress(f"record {parameters.networks[0]}", steps) as progress:
        for step in range(steps):
            for name, value in _named(teach(step, sampler.batch(step, size).to(device))).items():
                told.setdefault(name, []).append(value.cpu())
            progress.update()
    save_tensors(out, {name: torch.cat(_padded(parts)) for name, parts in told.items()}, {"key": key})


def _named(given: Lesson) -> dict[str, torch.Tensor]:
    """A lesson as tensors; of the boxes those alone that count, a few of thousands."""
    named = {"score": given.score, "hard": given.hard, "regression": given.regression}
    if given.boxes is not None:
        weight = given.boxes.new_ones(given.boxes.shape[:2]) if given.box_weight is None else given.box_weight
        places = weight.sort(dim=1, descending=True, stable=True).indices[:, : int((weight > 0).sum(1).max())]
        named["boxes/place"] = places.to(torch.int32)
        named["boxes/value"] = given.boxes.gather(1, places[:, :, None].expand(-1, -1, 4))
    for layer, (exemplar, search) in given.maps.items():
        named |= {f"maps/{layer}/exemplar": exemplar, f"maps/{layer}/search": search}
    return {name: value for name, value in named.items() if value is not None}


def _padded(parts: list[torch.Tensor]) -> list[torch.Tensor]:
    """Tensors of one shape: where a step keeps fewer boxes than another, its first is repeated (0 if it keeps none)."""
    if parts[0].ndim < 2 or len({part.shape[1] for part in parts}) == 1:
        return parts
    most = max(part.shape[1] for part in parts)
    zeros = [part.new_zeros((len(part), 1, *part.shape[2:])) for part in parts]
    first = [torch.cat((part, zero), 1)[:, :1] for part, zero in zip(parts, zeros, strict=True)]
    return [
        torch.cat((part, one.expand(-1, most - part.shape[1], *part.shape[2:])), 1)
        for part, one in zip(parts, first, strict=True)
    ]


def _spread(places: torch.Tensor, values: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """The boxes at their places among all locations, 0 elsewhere."""
    boxes = values.new_zeros((*score.shape, 4))
    return boxes.scatter(1, places.long()[:, :, None].expand(-1, -1, 4), values)
