"""Optimisers: their parameter groups, and steps that do not load torch's compiler.

torch guards its optimisers against its compiler and imports the compiler to do so: about as much start-up as torch
itself, in every one of many short jobs. Nothing here is compiled, so the guards are left out.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from distillery.config.training import Optimisation


def build_optimiser(optimisation: Optimisation, module: nn.Module) -> torch.optim.Optimizer:
    """Optimiser over the parameters of a module, with the factors on the learning rate that its parts ask for.

    A part that offers `parameter_groups() -> [(parameters, factor)]` names all its parameters, whether they are trained
    in this epoch or not, so that the optimiser's state keeps its places; of the others those that require gradients.
    A third entry, False, frees a group from weight decay.
    """
    groups = parameter_groups(module)
    if optimisation.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=optimisation.learning_rate,
            momentum=optimisation.momentum,
            weight_decay=optimisation.weight_decay,
        )
    return torch.optim.AdamW(groups, lr=optimisation.learning_rate, weight_decay=optimisation.weight_decay)


def parameter_groups(module: nn.Module) -> list[dict[str, Any]]:
    """The parameters of a module by their factor on the learning rate and whether they decay, in the module's order."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {(1.0, True): []}
    for part in module if isinstance(module, nn.ModuleList) else [module]:
        own = getattr(part, "parameter_groups", None)
        asked = own() if own else [([p for p in part.parameters() if p.requires_grad], 1.0)]
        for parameters, factor, *decays in asked:
            groups.setdefault((factor, all(decays)), []).extend(parameters)
    return [
        {"params": parameters, "factor": factor} | ({} if decays else {"weight_decay": 0.0})
        for (factor, decays), parameters in groups.items()
        if parameters
    ]


def step_optimiser(optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
    """One update of the parameters from their gradients, scaled or not."""
    if scaler.is_enabled():
        scaler.step(optimiser)
        scaler.update()
        return
    with torch.no_grad():
        inspect.unwrap(type(optimiser).step)(optimiser)


def _unguard() -> None:
    """Each guarded method remembers its guard once it was called; it gets the method itself for one."""
    for method in vars(torch.optim.Optimizer).values():
        guarded = getattr(method, "__wrapped__", None)
        if guarded is not None and not hasattr(guarded, "__dynamo_disable"):
            guarded.__dynamo_disable = guarded


_unguard()
