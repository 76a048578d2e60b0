"""Networks from their checkpoints: every kind comes back, and what contradicts itself is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from distillery.config.person_search import Method
from distillery.config.search_distillation import QueryGuidance
from distillery.config.search_jobs import ReIDTraining, SearchTraining
from distillery.engine.checkpoint import save
from distillery.errors import UserError
from distillery.person_search.checkpoints import (
    KINDS,
    load_detector,
    load_network,
    load_teacher,
    parameters_of,
)
from distillery.person_search.methods import METHODS, method_of
from distillery.person_search.reid import ReIDNetwork
from person_search.search_jobs import DIMENSION, NAME, reid_training, search_training, student


def trained(kind: str) -> SearchTraining | ReIDTraining:
    if kind == "reid":
        return reid_training()
    query = QueryGuidance() if kind == "qeeps" else None
    students = {NAME: student(identification=None) if kind == "detector" else student()}
    return search_training(method=kind, query=query, students=students)


def written(folder: Path, kind: str, /, **changes: Any) -> tuple[Path, torch.nn.Module]:
    """An untrained network of a kind and its checkpoint."""
    parameters = trained(kind)
    if isinstance(parameters, ReIDTraining):
        network: torch.nn.Module = ReIDNetwork(parameters.teacher, parameters.dimension, 3)
    else:
        network = method_of(kind).build(parameters, parameters.students[NAME], 3, None)
    described = {"kind": kind, "identities": 3, "parameters": parameters.model_dump(mode="json")}
    if kind != "reid":
        described["variant"] = NAME
    save(folder / "n.safetensors", network, {**described, **changes})
    return folder / "n.safetensors", network


def test_every_method_has_a_kind():
    assert set(METHODS) | {"reid"} == set(KINDS)
    assert set(METHODS) == set(Method.__args__)


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(tmp_path, kind):
    path, network = written(tmp_path, kind)
    restored = load_network(path)
    assert type(restored) is type(network) and not restored.training
    expected = network.state_dict()
    assert restored.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in restored.state_dict().items())
    assert parameters_of(path) == trained(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_only(tmp_path, kind):
    path, _ = written(tmp_path, kind)
    for wanted, load in (("reid", load_teacher), ("detector", load_detector)):
        if kind == wanted:
            assert not load(path).training
        else:
            with pytest.raises(UserError, match=f"describes a checkpoint of kind '{kind}', not '{wanted}'"):
                load(path)


@pytest.mark.parametrize("kind", ["siamfc", None, 3, ["oim"]])
def test_unknown_kind(tmp_path, kind):
    path, _ = written(tmp_path, "oim", kind=kind)
    for load in (load_network, parameters_of):
        with pytest.raises(UserError, match="not 'oim' or 'qeeps' or 'detector' or 'reid'"):
            load(path)


@pytest.mark.parametrize("identities", [None, 0, -1, "three", 2.5])
def test_identities(tmp_path, identities):
    for kind in ("oim", "reid"):
        path, _ = written(tmp_path, kind, identities=identities)
        with pytest.raises(UserError, match="does not say how many identities the network was trained with"):
            load_network(path)
    path, _ = written(tmp_path, "detector", identities=identities)
    load_network(path)  # it identifies nobody


@pytest.mark.parametrize("variant", [None, "other", 1])
def test_variant(tmp_path, variant):
    path, _ = written(tmp_path, "qeeps", variant=variant)
    with pytest.raises(UserError, match="does not say which of its job's networks it is"):
        load_network(path)


def test_kind_and_method_contradict_each_other(tmp_path):
    path, _ = written(tmp_path, "oim", kind="detector")
    with pytest.raises(UserError, match="of kind 'detector' of a training with method 'oim'"):
        load_network(path)


@pytest.mark.parametrize(("kind", "word"), [("oim", "without"), ("qeeps", "without"), ("detector", "with")])
def test_identification_and_method_contradict_each_other(tmp_path, kind, word):
    path, _ = written(tmp_path, kind)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    other = trained("oim" if kind == "detector" else "detector").model_dump(mode="json")["students"]
    sidecar["parameters"]["students"] = other
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    with pytest.raises(UserError, match=f"describes a network of method '{kind}' {word} identification"):
        load_network(path)


@pytest.mark.parametrize("parameters", [None, {}, [], {"seed": 0}])
def test_parameters_that_describe_nothing(tmp_path, parameters):
    for kind in ("oim", "reid"):
        path, _ = written(tmp_path, kind, parameters=parameters)
        with pytest.raises(UserError, match=r"n\.json"):
            load_network(path)


def test_weights_of_another_table_size(tmp_path):
    path, _ = written(tmp_path, "oim", identities=4)
    with pytest.raises(UserError, match=rf"'identification.table' has shape \(3, {DIMENSION}\), .* \(4, {DIMENSION}\)"):
        load_network(path)
