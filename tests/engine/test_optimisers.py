from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from distillery.config.training import Optimisation
from distillery.engine.optimisers import build_optimiser, step_optimiser

NO_SCALER = torch.amp.GradScaler("cpu", enabled=False)


def optimisation(**changes: object) -> Optimisation:
    plain = {"steps": 12, "batch": 8, "learning_rate": 0.05, "final_learning_rate": 0.01}
    return Optimisation.model_validate(plain | changes)


def test_kinds_and_settings() -> None:
    module = nn.Linear(2, 1)
    module.bias.requires_grad_(False)
    sgd = build_optimiser(optimisation(momentum=0.7, weight_decay=0.1), module)
    assert isinstance(sgd, torch.optim.SGD)
    assert len(sgd.param_groups[0]["params"]) == 1
    assert (sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.7, 0.1)
    assert isinstance(build_optimiser(optimisation(optimiser="adamw"), module), torch.optim.AdamW)


class Gentle(nn.Linear):
    """A part that wants its bias trained at a tenth of the rate."""

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        return [([self.bias], 0.1), ([self.weight], 1.0)]


def test_a_part_may_ask_for_a_gentler_rate() -> None:
    parts = nn.ModuleList([Gentle(1, 1), nn.Linear(1, 1)])
    groups = {group["factor"]: group["params"] for group in build_optimiser(optimisation(), parts).param_groups}
    assert [id(p) for p in groups[0.1]] == [id(parts[0].bias)]
    assert {id(p) for p in groups[1.0]} == {id(p) for p in parts.parameters()} - {id(parts[0].bias)}


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_step_is_torchs(kind: str) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    spec = optimisation(optimiser=kind, weight_decay=0.1)
    mine = build_optimiser(spec, ours)
    peer = {
        "adamw": lambda: torch.optim.AdamW(theirs.parameters(), lr=0.05, weight_decay=0.1),
        "sgd": lambda: torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=spec.momentum, weight_decay=0.1),
    }[kind]()
    for _ in range(4):
        inputs = torch.randn(8, 5)
        for module in (ours, theirs):
            module.zero_grad()
            module(inputs).square().sum().backward()
        step_optimiser(mine, NO_SCALER)
        peer.step()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


def test_steps_do_not_load_the_compiler() -> None:
    """It takes about as long to load as torch itself."""
    script = """
import sys, torch
from distillery.config.training import Optimisation
from distillery.engine.optimisers import build_optimiser, step_optimiser
for kind in ("adamw", "sgd"):
    module = torch.nn.Linear(2, 1)
    made = build_optimiser(Optimisation(steps=1, batch=1, optimiser=kind, learning_rate=0.1), module)
    module(torch.ones(1, 2)).sum().backward()
    step_optimiser(made, torch.amp.GradScaler("cpu", enabled=False))
    made.zero_grad()
    made.load_state_dict(made.state_dict())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
