"""Trained networks of this paper, from their checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from distillery.config.base import Section, parse
from distillery.config.person_search import ReIDTraining, SearchTraining
from distillery.engine.checkpoint import load_into, load_sidecar, sidecar_path
from distillery.errors import UserError
from distillery.person_search.network import OIMNetwork, build_network
from distillery.person_search.reid import ReIDNetwork

OIM = "oim"
"""Kind of a person-search checkpoint."""
REID = "reid"
"""Kind of a re-ID teacher's checkpoint."""

S = TypeVar("S", bound=Section)


def load_network(path: Path, kind: str | tuple[str, ...] = (OIM, REID)) -> OIMNetwork | ReIDNetwork:
    """Builds the network that a checkpoint's sidecar describes and loads its weights, in evaluation mode.

    Raises:
        UserError: If the checkpoint is missing, truncated, of another kind or of another architecture.
    """
    sidecar = load_sidecar(path, kind=kind)
    identities = sidecar.get("identities")
    if not isinstance(identities, int) or identities < 1:
        raise UserError(
            "does not say how many identities the network was trained with",
            file=sidecar_path(path),
            place="identities",
            remedy="restore the sidecar or train the network again",
        )
    network: OIMNetwork | ReIDNetwork
    if sidecar["kind"] == OIM:
        network = build_network(_parameters(path, sidecar, SearchTraining), identities)
    else:
        parameters = _parameters(path, sidecar, ReIDTraining)
        network = ReIDNetwork(parameters.teacher, parameters.dimension, identities)
    load_into(network, path)
    return network.eval()


def load_teacher(path: Path) -> ReIDNetwork:
    """`load_network` for a re-ID teacher."""
    network = load_network(path, REID)
    assert isinstance(network, ReIDNetwork)
    return network


def parameters_of(path: Path) -> SearchTraining | ReIDTraining:
    """The resolved parameters that a network was trained with."""
    sidecar = load_sidecar(path, kind=(OIM, REID))
    if sidecar["kind"] == OIM:
        return _parameters(path, sidecar, SearchTraining)
    return _parameters(path, sidecar, ReIDTraining)


def _parameters(path: Path, sidecar: dict[str, Any], section: type[S]) -> S:
    return parse(section, sidecar.get("parameters"), source=str(sidecar_path(path)))
