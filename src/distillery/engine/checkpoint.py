"""Checkpoints: safetensors weights with a JSON sidecar. Nothing here reads or writes pickle."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from distillery.errors import UserError
from distillery.files import atomic_file, read_json, sha256_of_file, write_json


def sidecar_path(path: str | Path) -> Path:
    """The JSON file beside a checkpoint."""
    return Path(path).with_suffix(".json")


def plain_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies as safetensors wants them: on the CPU, contiguous, none sharing memory with another, in sorted order."""
    return {name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)}


def save_tensors(path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes named tensors as safetensors: sorted names, CPU, contiguous, so equal tensors give equal bytes."""
    with atomic_file(path) as temporary:
        try:
            save_file(plain_tensors(tensors), temporary, metadata=metadata)
        except SafetensorError as error:
            # safetensors hides the operating system's error number in its text.
            found = re.search(r"os error (\d+)", str(error))
            if found:
                raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
            raise


def load_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Reads safetensors to the CPU.

    Raises:
        UserError: If the file is missing, truncated or not safetensors (a pickled checkpoint is never opened).
    """
    if not Path(path).is_file():
        raise UserError("does not exist", file=path, remedy="train it first or restore it")
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"is truncated or not a safetensors file ({error})", file=path, remedy="restore it or train it again"
        ) from error


def save(path: str | Path, module: nn.Module, sidecar: Mapping[str, Any]) -> None:
    """Writes a module's parameters and buffers, then the sidecar with its size and hash.

    Args:
        path: `….safetensors`.
        module: Its whole state dict is stored.
        sidecar: At least `kind`, and what is needed to build the module again; `parameter_count`, `bytes` (float32
            parameters alone, the field's convention for model size) and `sha256` are added.
    """
    save_tensors(path, module.state_dict())
    count = sum(parameter.numel() for parameter in module.parameters())
    write_json(
        sidecar_path(path),
        {**sidecar, "parameter_count": count, "bytes": 4 * count, "sha256": sha256_of_file(path)},
    )


def load_sidecar(path: str | Path, *, kind: str | tuple[str, ...]) -> dict[str, Any]:
    """Reads the sidecar of a checkpoint and checks what kind of network it describes."""
    kinds = (kind,) if isinstance(kind, str) else kind
    if not Path(path).is_file():
        raise UserError("does not exist", file=path, remedy="train it first or restore it")
    sidecar = read_json(sidecar_path(path))
    if not isinstance(sidecar, dict) or sidecar.get("kind") not in kinds:
        found = sidecar.get("kind") if isinstance(sidecar, dict) else None
        raise UserError(
            f"describes a checkpoint of kind {found!r}, not {' or '.join(map(repr, kinds))}",
            file=sidecar_path(path),
            place="kind",
            remedy="pass a checkpoint of the right kind",
        )
    return sidecar


def load_into(module: nn.Module, path: str | Path) -> None:
    """Loads weights into a module that was built from the sidecar.

    Raises:
        UserError: If names or shapes differ: the file belongs to another architecture.
    """
    tensors = load_tensors(path)
    expected = module.state_dict()
    fault = next(
        (f"has no tensor {name!r}" for name in expected if name not in tensors),
        next((f"holds the unknown tensor {name!r}" for name in tensors if name not in expected), None),
    )
    fault = fault or next(
        (
            f"tensor {name!r} has shape {tuple(tensors[name].shape)}, the network needs {tuple(value.shape)}"
            for name, value in expected.items()
            if tensors[name].shape != value.shape
        ),
        None,
    )
    if fault:
        raise UserError(
            f"is a checkpoint of another architecture: {fault}",
            file=path,
            remedy="pass the checkpoint that belongs to the sidecar",
        )
    module.load_state_dict(tensors)
