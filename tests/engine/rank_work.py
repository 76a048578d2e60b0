"""What the ranks of `test_distributed.py` do; each writes what it got into a file of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from distillery.config.training import Compute, Optimisation
from distillery.engine import distributed, norms, stopping
from distillery.engine.checkpoint import save_tensors
from distillery.engine.devices import Device
from distillery.engine.loop import fit
from distillery.engine.reduction import sum_over_ranks
from distillery.errors import UserError

SPLITS = {"even": [3, 3], "uneven": [5, 1], "none": [6, 0]}
"""How the two ranks share six examples."""
STEPS, BATCH = 8, 5


def examples(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(6, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm(dimensions: int, momentum: float | None = 0.3) -> nn.Module:
    kind = nn.BatchNorm1d if dimensions == 1 else nn.BatchNorm2d
    layer = kind(4, momentum=momentum).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -1.0, 2.0, 1.0]))
        layer.bias.copy_(torch.tensor([0.1, 0.2, -0.3, 0.0]))
    return layer


class Several(nn.Module):
    """Parameters that all, one or no rank has a gradient for."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("all", "second", "none", "frozen"):
            setattr(self, name, nn.Parameter(torch.tensor([1.0, 2.0])))
        self.frozen.requires_grad_(False)


class Regression:
    """A small network with BatchNorm that learns from its rank's share of the batch of a step."""

    def __init__(self, stop_at: int | None = None, *, ask: bool = False) -> None:
        torch.manual_seed(4 + distributed.rank())  # other first weights at every rank: all take those of the first
        layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
        self.module: nn.Module = layers.double()
        self.stop_at, self.ask = stop_at, ask

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        if step == self.stop_at:
            if not self.ask:
                raise KeyboardInterrupt
            if distributed.rank() == distributed.world() - 1:
                stopping._asked = "SIGTERM"
        generator = torch.Generator().manual_seed(step)
        inputs = torch.randn(BATCH, 3, generator=generator, dtype=torch.float64)[distributed.share(BATCH)]
        error = (self.module(inputs) - inputs.sum(1, keepdim=True)).square().sum() / BATCH
        return error, {"mse": error}

    def after_step(self, step: int) -> None:
        pass


def train(task: Regression, state: Path, save_every: float = 1e-9) -> None:
    fit(
        task,
        optimisation=Optimisation(steps=STEPS, batch=BATCH, learning_rate=0.05, final_learning_rate=0.01, clip=1.0),
        compute=Compute(device="cpu", save_every=save_every),
        device=Device(torch.device("cpu"), torch.float32),
        seed=0,
        state=state,
        key="k",
        label="test",
    )


def messages(folder: Path) -> None:
    """All that ranks tell each other."""
    with distributed.joined():
        rank = distributed.rank()
        said: dict[str, object] = {
            "who": [rank, distributed.world(), distributed.first()],
            "totals": distributed.totals([rank + 1, 10]),
            "largest": distributed.largest([rank, -rank]),
            "anyone": [distributed.anyone(rank == 1), distributed.anyone(False)],
            "gathered": distributed.gathered(torch.full((2 - rank, 2), rank, dtype=torch.int64)).tolist(),
            "from one": distributed.gathered(torch.ones(rank)).tolist(),
            "mean": distributed.mean(torch.tensor([1.0, 2.0, 6.0][rank : 2 * rank + 1])).item(),
            "told": distributed.told(b"" if rank else b"from the first").decode(),
            "told nothing": distributed.told(b"").decode(),
            "share": [distributed.share(5).start, distributed.share(5).stop],
        }
        distributed.agree("same", "says something else", "-")
        refusals = []
        for ask in (lambda: distributed.agree(str(rank), "has another number", "agree"), lambda: distributed.share(1)):
            try:
                ask()
            except UserError as error:
                refusals.append(str(error))
        said["refusals"] = refusals
        (folder / f"messages{rank}.json").write_text(json.dumps(said))
        save_tensors(folder / f"norms{rank}.safetensors", normalised())
        save_tensors(folder / f"sums{rank}.safetensors", summed())
        trainings(folder)


def normalised() -> dict[str, Tensor]:
    found = {}
    for dimensions, shape in ((1, (4,)), (2, (4, 3, 2))):
        for name, split in SPLITS.items():
            layer = norm(dimensions, None if name == "uneven" else 0.3)
            norms.synchronise(layer)
            for turn in range(2):
                x = examples(*shape, seed=turn).split(split)[distributed.rank()].requires_grad_()
                y = layer(x)
                (y * examples(*shape, seed=7).split(split)[distributed.rank()]).sum().backward()
            found |= {f"{dimensions}/{name}/{key}": value for key, value in layer.state_dict().items()}
            found |= {f"{dimensions}/{name}/y": y, f"{dimensions}/{name}/x": x.grad}
            found |= {f"{dimensions}/{name}/of_{key}": value.grad for key, value in layer.named_parameters()}
            layer.eval()
            found[f"{dimensions}/{name}/test"] = layer(examples(*shape))
    return found


def summed() -> dict[str, Tensor]:
    module, rank = Several(), distributed.rank()
    loss = (module.all * (rank + 1)).sum() + (module.second.sum() * 5 if rank else 0)
    loss.backward()
    whole, terms = sum_over_ranks(module, loss, {"a": loss.detach() * 0 + rank, "b": torch.tensor(2.0)})
    assert module.none.grad is None and module.frozen.grad is None
    return {"loss": whole, **terms, "all": module.all.grad, "second": module.second.grad}


def trainings(folder: Path) -> None:
    rank = distributed.rank()
    for name, stop, ask in (("whole", None, False), ("killed", 5, False), ("left", 5, False), ("asked", 4, True)):
        state = folder / f"{name}-{rank}"  # ranks need not see the same disk
        try:
            train(Regression(stop, ask=ask), state, save_every=1e9 if ask else 1e-9)
        except (KeyboardInterrupt, stopping.StoppedError) as error:
            stopping._asked = None
            kept = {"code": getattr(error, "code", None), "said": getattr(error, "sentence", "")}
            (folder / f"{name}-said{rank}.json").write_text(json.dumps(kept))
    for name, state in (("whole", "whole"), ("killed", "killed"), ("asked", "asked"), ("from one", "one")):
        task = Regression()
        train(task, folder / f"{state}-{rank}")
        save_tensors(folder / f"{name}{rank}.safetensors", task.module.state_dict())
