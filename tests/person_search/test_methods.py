"""The tables of methods, from which training, checkpoints and the workflow look modules up."""

from __future__ import annotations

from typing import get_args

import pytest

from distillery.config.person_search import Method
from distillery.config.search_distillation import QueryGuidance
from distillery.person_search.checkpoints import KINDS, REID
from distillery.person_search.methods import BUILDERS, METHODS, builder_of, building_modules, method_of
from distillery.person_search.network import OIMNetwork, build_network
from distillery.person_search.qeeps import QEEPSNetwork
from distillery.sources import closure
from person_search.search_jobs import search_training, student


def test_every_method_of_the_config_has_its_rows():
    assert set(METHODS) == set(BUILDERS) == set(get_args(Method)) == set(KINDS) - {REID}


@pytest.mark.parametrize(("name", "kind"), [("oim", OIMNetwork), ("detector", OIMNetwork), ("qeeps", QEEPSNetwork)])
def test_a_method_trains_the_networks_that_its_checkpoints_are_built_as(name, kind):
    job = search_training(method=name, query=QueryGuidance() if name == "qeeps" else None)
    one, identities = (student(identification=None), 0) if name == "detector" else (student(), 3)
    built, trained = builder_of(name)(job, one, identities), method_of(name).build(job, one, identities, None)
    assert type(built) is type(trained) is kind
    assert {key: value.shape for key, value in trained.state_dict().items()} == {
        key: value.shape for key, value in built.state_dict().items()
    }


def test_modules_that_build():
    assert builder_of("oim") is build_network
    assert building_modules("qeeps") == ["distillery.person_search.qeeps"]
    assert building_modules("oim", "detector") == ["distillery.person_search.network"]
    assert building_modules("reid", "baseline", "None") == []
    # What looks a method up by name must not declare the others' training.
    files = closure("distillery.person_search.tables", *building_modules("oim"))
    names = {file.stem for file in files if file.parent.name == "person_search"}
    assert "network" in names
    assert not {"training", "qeeps", "qeeps_training"} & names
