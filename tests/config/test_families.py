"""Families of trackers: networks that cannot see the crops, at the place where they are written; weights in files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from distillery.config.base import Section, fault_at, parse
from distillery.config.families import SiamFCFamily, SiamRPNFamily, SiamRPNPPFamily
from distillery.config.tracking import parse_training
from distillery.errors import UserError

ALEXNET = {"exemplar": 63, "search": 127, "train_search": 119}
ANCHORS = {"exemplar": 63, "search": 127, "small_search": 127, "train_search": 127, "stride": 4, "anchor_scale": 4}
FAMILIES: dict[str, tuple[type[Section], dict[str, Any], str]] = {
    "siamfc": (SiamFCFamily, ALEXNET, "exemplar must be 87, 95, 103 and so on"),
    "siamrpn": (SiamRPNFamily, ANCHORS, "stride must be 8, that of the published layout"),
    "siamrpnpp": (SiamRPNPPFamily, ANCHORS, "stride must be 8, that of the published layout"),
}
OPTIMISATION = {"steps": 1, "batch": 2}
every_family = pytest.mark.parametrize("family", FAMILIES)


def config(geometry: dict[str, Any], **layouts: str) -> dict[str, Any]:
    return {
        "geometry": geometry,
        "pairs": {"epoch": 8},
        "architectures": {name: {"layout": layout} for name, layout in layouts.items()},
        "runs": {"teacher": {"networks": ["teacher"], "optimisation": OPTIMISATION}},
    }


@every_family
def test_in_a_profile(family: str) -> None:
    section, crops, fault = FAMILIES[family]
    parse(section, config(crops, teacher="compact", dim="compact"), source="my.yaml")
    parse(section, config({}, teacher="published"), source="my.yaml")
    with pytest.raises(UserError) as caught:
        parse(section, config(crops, teacher="compact", dim="published"), source="my.yaml")
    said = str(caught.value)
    assert said.startswith(f"my.yaml, architectures.dim: cannot see the crops of `geometry`: {fault}")
    assert said.endswith('(found {"layout": "published"}); correct the value (see docs/config.md).')


@pytest.mark.parametrize("family", ["siamrpn", "siamrpnpp"])  # SiamFC's compact layout sees the published crops too
def test_with_the_default_crops(family: str) -> None:
    with pytest.raises(UserError, match=r"my\.yaml, architectures\.teacher: cannot see the crops"):
        parse(FAMILIES[family][0], config({}, teacher="compact"), source="my.yaml")


@every_family
def test_in_the_parameters_of_a_job(family: str) -> None:
    _, crops, fault = FAMILIES[family]
    parameters = {
        "family": family,
        "geometry": crops,
        "architectures": {"dim": {"layout": "compact"}},
        "seed": 0,
        "compute": {},
        "pairs": {"epoch": 8},
        "networks": ["dim"],
        "distillation": None,
        "optimisation": OPTIMISATION,
    } | ({} if family == "siamfc" else {"labels": {}})
    parse_training(json.dumps(parameters))
    # A searched network is not described.
    parse_training(json.dumps(parameters | {"architectures": {}}))
    with pytest.raises(UserError) as caught:
        parse_training(json.dumps(parameters | {"architectures": {"dim": {"layout": "published"}}}))
    assert str(caught.value).startswith(f"--params, architectures.dim: cannot see the crops of `geometry`: {fault}")


def test_files_of_pretrained_weights() -> None:
    described = config({}, teacher="published", scratch="published", torchvisions="published")
    for name, weights in (("teacher", "weights/r50.safetensors"), ("torchvisions", "imagenet")):
        described["architectures"][name]["pretraining"] = {"weights": weights}
    described["runs"]["students"] = {"networks": ["scratch", "torchvisions"], "optimisation": OPTIMISATION}
    family = parse(SiamRPNPPFamily, described, source="here")
    assert family.pretrained("teacher") == {"teacher": "weights/r50.safetensors"}
    assert family.pretrained("students") == {"torchvisions": "datasets/weights/resnet50.safetensors"}
    alexnets = parse(SiamRPNFamily, config({}, teacher="published"), source="here")
    assert alexnets.pretrained("teacher") == {}


def test_a_fault_deeper_than_its_section_keeps_its_words() -> None:
    fault = fault_at(("a", "b"), "holds {braces}", {"c": 1})
    (error,) = fault.errors()
    assert (error["loc"], error["msg"], error["input"]) == (("a", "b"), "holds {braces}", {"c": 1})
