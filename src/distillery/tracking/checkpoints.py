"""What the networks of all families have in common: crops that their layout can see, sidecars, and restoring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from distillery.config.base import Section, parse
from distillery.engine import checkpoint
from distillery.errors import UserError

N = TypeVar("N", bound=nn.Module)
A = TypeVar("A", bound=Section)
G = TypeVar("G", bound=Section)


def require_fit(architecture: Any, geometry: Any, *, source: str = "config") -> None:
    """Every network's first question: can its layout see the crops?

    The config refuses what does not fit; search results and checkpoints are read past it.

    Args:
        architecture: Section of a family's architecture.
        geometry: Section of the family's crops.
        source: Where both were read, for the error.

    Raises:
        UserError: If the architecture's layout cannot see the geometry's crops.
    """
    if fault := geometry.misfit(architecture.layout):
        raise UserError(fault, file=source, place="geometry", remedy="correct the geometry or the layout")


def describe(kind: str, architecture: Section, geometry: Section, channels: Iterable[int]) -> dict[str, Any]:
    """What a checkpoint needs to build its network again (and, for people, the channels of its layers)."""
    return {
        "kind": kind,
        "architecture": architecture.model_dump(mode="json"),
        "channels": list(channels),
        "geometry": geometry.model_dump(mode="json"),
    }


def restore(path: Path, make: Callable[[A, G], N], kind: str, architecture: type[A], geometry: type[G], /) -> N:
    """Builds the network that a checkpoint's sidecar describes and loads its weights.

    Args:
        path: `….safetensors`, with its sidecar beside it.
        make: The network's class.
        kind: Kind of the checkpoint that is wanted.
        architecture: Type of the section that describes layers and channels.
        geometry: Type of the section that describes crops.

    Returns:
        The network in evaluation mode.

    Raises:
        UserError: If the checkpoint is missing, damaged, of another kind or of another architecture.
    """
    sidecar = checkpoint.load_sidecar(path, kind=kind)
    source = str(checkpoint.sidecar_path(path))
    layers = parse(architecture, sidecar.get("architecture"), source=source)
    crops = parse(geometry, sidecar.get("geometry"), source=source)
    require_fit(layers, crops, source=source)
    network = make(layers, crops)
    checkpoint.load_into(network, path)
    return network.eval()
