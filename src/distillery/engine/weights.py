"""Local files of weights that a network starts from: safetensors, or torch's own format without its pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from distillery.config.weights import FILES
from distillery.engine.checkpoint import load_tensors
from distillery.errors import UserError

TORCH = (".pth", ".pt")
"""Suffixes of torch's own format."""


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """Reads the tensors of a file of weights to the CPU.

    Of a `.pth` file only tensors and plain containers are taken (`weights_only`): whatever else it holds is not run.
    Where the tensors lie under `state_dict`, as training scripts save them, they are taken from there.

    Args:
        path: `….safetensors`, `….pth` or `….pt`.

    Raises:
        UserError: If the file is missing, broken, or holds other things than tensors.
    """
    file = Path(path)
    if not file.is_file():
        told = "run `distillery fetch weights`" if str(path) in FILES else "put it there, or name another in the config"
        raise UserError("does not exist", file=path, remedy=told)
    if file.suffix not in TORCH:
        return load_tensors(path)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises many types on what is no file of weights
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"is truncated or holds other things than tensors ({reason})", file=path, remedy="get the file again"
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError("holds other things than named tensors", file=path, remedy="save a state dict")
    return {str(name): value for name, value in found.items()}
