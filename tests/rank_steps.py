"""Some steps of a task, in one process and then by all ranks, and how far they are apart; run in every rank.

All is computed in double precision, so that a loss that is put together wrongly cannot pass for rounding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from distillery.engine import distributed, norms
from distillery.engine.loop import Task
from distillery.engine.randomness import seed_torch
from distillery.engine.reduction import sum_over_ranks

STEPS = 2


class Taken(NamedTuple):
    """Terms of every step, gradients of the first and the state after the last."""

    terms: list[dict[str, float]]
    gradients: dict[str, Tensor | None]
    state: dict[str, Tensor]


def in_double() -> None:
    """Makes everything that asks for float32 float64, whatever it comes from."""
    from_numpy, tensor = torch.from_numpy, torch.Tensor
    torch.set_default_dtype(torch.float64)
    tensor.float = tensor.double  # type: ignore[method-assign]

    def doubled(array: Any) -> Tensor:
        made = from_numpy(array)
        return made.double() if made.dtype == torch.float32 else made

    torch.from_numpy = doubled


def taken(task: Task) -> Taken:
    """Plain gradient descent: Adam would make a step of rounding errors, too."""
    norms.synchronise(task.module)
    task.module.train()
    optimiser = torch.optim.SGD(task.module.parameters(), lr=0.01, momentum=0.9)
    terms: list[dict[str, float]] = []
    gradients: dict[str, Tensor | None] = {}
    for step in range(STEPS):
        seed_torch(0, "step", step)
        loss, named = task.loss(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        loss, named = sum_over_ranks(task.module, loss, named)
        terms.append({name: float(value.detach()) for name, value in {"loss": loss, **named}.items()})
        if not step:
            named_parameters = task.module.named_parameters()
            gradients = {name: None if one.grad is None else one.grad.clone() for name, one in named_parameters}
        optimiser.step()
        task.after_step(step)
    return Taken(terms, gradients, {name: value.clone() for name, value in task.module.state_dict().items()})


def compare(cases: Mapping[str, Callable[[], Task]], folder: Path) -> None:
    """Takes the steps of every case alone and as ranks, and writes what differs to `<case>.json` of the first rank."""
    alone = {name: taken(make()) for name, make in cases.items()} if int(os.environ["RANK"]) == 0 else {}
    with distributed.joined():
        for name, make in cases.items():
            found = taken(make())
            unequal = [key for key, value in found.state.items() if not _same(value)]
            if distributed.first():
                (folder / f"{name}.json").write_text(json.dumps(_differences(found, alone[name]) | {"ranks": unequal}))


def _same(value: Tensor) -> bool:
    first, *others = distributed.stacked(value)
    return all(torch.equal(first, other) for other in others)


def _differences(found: Taken, wanted: Taken) -> dict[str, Any]:
    assert [list(line) for line in found.terms] == [list(line) for line in wanted.terms]
    absent = [{name for name, value in one.gradients.items() if value is None} for one in (found, wanted)]
    assert absent[0] == absent[1]
    scale = max(float(value.abs().max()) for value in wanted.gradients.values() if value is not None)
    return {
        "terms": wanted.terms[0],
        "term": max(
            abs(line[name] - value) / max(abs(value), 1e-6)
            for line, other in zip(found.terms, wanted.terms, strict=True)
            for name, value in other.items()
        ),
        "gradient": _furthest(found.gradients, wanted.gradients) / scale,
        "state": _furthest(found.state, wanted.state),
        "written": {name: int(value.any(-1).sum()) for name, value in wanted.state.items() if "identification" in name},
    }


def _furthest(found: Mapping[str, Tensor | None], wanted: Mapping[str, Tensor | None]) -> float:
    assert list(found) == list(wanted)
    return max(
        float((found[name] - value).abs().max())  # type: ignore[operator]
        for name, value in wanted.items()
        if value is not None and value.numel()
    )
