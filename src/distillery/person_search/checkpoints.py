"""Trained networks of this paper, from their checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from distillery.config.base import Section, parse
from distillery.config.search_jobs import ReIDTraining, SearchTraining, StudentJob
from distillery.engine.checkpoint import load_into, load_sidecar, sidecar_path
from distillery.errors import UserError
from distillery.person_search.methods import builder_of
from distillery.person_search.network import OIMNetwork
from distillery.person_search.reid import ReIDNetwork

OIM = "oim"
"""Kind of an OIM network's checkpoint."""
QEEPS = "qeeps"
"""Kind of a QEEPS network's checkpoint."""
DETECTOR = "detector"
"""Kind of a detector's checkpoint."""
REID = "reid"
"""Kind of a re-ID network's checkpoint."""
KINDS = (OIM, QEEPS, DETECTOR, REID)
"""Kinds of networks; those of a person-search training are named as its method."""
TEACHERS = (REID, OIM, QEEPS)
"""Kinds that describe people."""

S = TypeVar("S", bound=Section)
Network = OIMNetwork | ReIDNetwork
"""QEEPS is an OIM network with parts added, a detector one with parts left out."""


def load_network(path: Path, kind: str | tuple[str, ...] = KINDS) -> Network:
    """Builds the network that a checkpoint's sidecar describes and loads its weights, in evaluation mode.

    Args:
        path: `….safetensors`; the sidecar lies beside it.
        kind: What it may be.

    Raises:
        UserError: If the checkpoint is missing, truncated, of another kind or of another architecture.
    """
    sidecar = load_sidecar(path, kind=kind)
    network: Network
    if sidecar["kind"] == REID:
        parameters = _parameters(path, sidecar, ReIDTraining)
        network = ReIDNetwork(parameters.teacher, parameters.dimension, _identities(path, sidecar))
    else:
        trained = _parameters(path, sidecar, SearchTraining)
        student = student_of(path, sidecar, trained)
        identities = 0 if student.identification is None else _identities(path, sidecar)
        network = builder_of(trained.method)(trained, student, identities)
    load_into(network, path)
    return network.eval()


def student_of(path: Path, sidecar: Mapping[str, Any], trained: SearchTraining) -> StudentJob:
    """The description of a checkpoint's own network among those of its job.

    Raises:
        UserError: If the sidecar does not say which one it is, or contradicts itself.
    """
    if sidecar["kind"] != trained.method:
        problem = f"describes a checkpoint of kind {sidecar['kind']!r} of a training with method {trained.method!r}"
        raise _refusal(path, "kind", problem)
    student = trained.students.get(str(sidecar.get("variant")))
    if student is None:
        raise _refusal(path, "variant", "does not say which of its job's networks it is")
    if (student.identification is None) != (trained.method == DETECTOR):
        word = "without" if student.identification is None else "with"
        problem = f"describes a network of method {trained.method!r} {word} identification"
        raise _refusal(path, f"students.{sidecar['variant']}", problem)
    return student


def load_teacher(path: Path) -> ReIDNetwork:
    """`load_network` for a re-ID network."""
    network = load_network(path, REID)
    assert isinstance(network, ReIDNetwork)
    return network


def load_detector(path: Path) -> OIMNetwork:
    """`load_network` for a detector."""
    network = load_network(path, DETECTOR)
    assert isinstance(network, OIMNetwork)
    return network


def parameters_of(path: Path) -> SearchTraining | ReIDTraining:
    """The resolved parameters that a network was trained with."""
    sidecar = load_sidecar(path, kind=KINDS)
    if sidecar["kind"] == REID:
        return _parameters(path, sidecar, ReIDTraining)
    return _parameters(path, sidecar, SearchTraining)


def _identities(path: Path, sidecar: Mapping[str, Any]) -> int:
    identities = sidecar.get("identities")
    if not isinstance(identities, int) or identities < 1:
        raise _refusal(path, "identities", "does not say how many identities the network was trained with")
    return identities


def _parameters(path: Path, sidecar: dict[str, Any], section: type[S]) -> S:
    return parse(section, sidecar.get("parameters"), source=str(sidecar_path(path)))


def _refusal(path: Path, place: str, problem: str) -> UserError:
    remedy = "restore the sidecar or train the network again"
    return UserError(problem, file=sidecar_path(path), place=place, remedy=remedy)
