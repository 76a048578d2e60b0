"""What is the same for the networks of all three families."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from distillery.config import siamfc as fc
from distillery.config import siamrpn as rpn
from distillery.config import siamrpnpp as pp
from distillery.config.base import Section, parse
from distillery.engine import checkpoint
from distillery.errors import UserError
from distillery.files import read_json, write_json
from distillery.tracking import siamfc, siamrpn, siamrpnpp
from distillery.tracking.checkpoints import describe, require_fit, restore


class Family(NamedTuple):
    """One family's module, its sections, a narrow compact network, and crops that only the published layout sees."""

    module: Any
    network: Any
    architecture: type[Section]
    geometry: type[Section]
    narrow: dict[str, Any]
    crops: dict[str, Any]
    fault: str


HALF = {"exemplar": 63, "search": 127, "train_search": 127}
FAMILIES = {
    "siamfc": Family(
        siamfc,
        siamfc.SiamFC,
        fc.SiamFCArchitecture,
        fc.SiamFCGeometry,
        {"layout": "compact", "width": 0.03},
        HALF,
        "exemplar must be 87, 95, 103 and so on: published AlexNet's stride is 8 and it has no padding",
    ),
    "siamrpn": Family(
        siamrpn,
        siamrpn.SiamRPN,
        rpn.SiamRPNArchitecture,
        rpn.SiamRPNGeometry,
        {"layout": "compact", "width": 0.02},
        HALF | {"small_search": 127, "stride": 4, "anchor_scale": 4},
        "stride must be 8, that of the published layout",
    ),
    "siamrpnpp": Family(
        siamrpnpp,
        siamrpnpp.SiamRPNPP,
        pp.SiamRPNPPArchitecture,
        pp.SiamRPNPPGeometry,
        {"backbone": "resnet18", "layout": "compact", "width": 0.06, "head_channels": 4},
        HALF | {"small_search": 127, "stride": 4, "anchor_scale": 4},
        "stride must be 8, that of the published layout",
    ),
}


@pytest.fixture(params=FAMILIES, name="family")
def _family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture
def saved(family: Family, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    made = family.module.build(family.architecture(**family.narrow), family.geometry(**family.crops))
    checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
    return tmp_path / "net.safetensors"


def test_the_same_network_comes_back(family: Family, saved: Path) -> None:
    loaded = family.module.load(saved)
    assert isinstance(loaded, family.network)
    assert not loaded.training
    assert loaded.architecture == family.architecture(**family.narrow)
    assert loaded.geometry == family.geometry(**family.crops)
    torch.manual_seed(3)
    made = family.module.build(loaded.architecture, loaded.geometry)
    assert list(loaded.state_dict()) == list(made.state_dict())
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_a_sidecar_says_what_builds_the_network(family: Family, saved: Path) -> None:
    sidecar = read_json(saved.with_suffix(".json"))
    made = family.module.load(saved)
    channels = sidecar["channels"]
    assert {name: sidecar[name] for name in ("kind", "architecture", "channels", "geometry")} == made.sidecar()
    assert made.sidecar() == describe(family.network.kind, made.architecture, made.geometry, channels)
    assert parse(family.architecture, sidecar["architecture"], source="here") == made.architecture
    assert parse(family.geometry, sidecar["geometry"], source="here") == made.geometry


def test_crops_that_a_layout_cannot_see(family: Family) -> None:
    layers, crops = family.architecture(**family.narrow | {"layout": "published"}), family.geometry(**family.crops)
    said = f"config, geometry: {family.fault}; correct the geometry or the layout."
    for make in (family.network, family.module.build, require_fit):
        with pytest.raises(UserError) as caught:
            make(layers, crops)
        assert str(caught.value) == said


def test_crops_that_the_layout_of_a_checkpoint_cannot_see(family: Family, saved: Path) -> None:
    sidecar = saved.with_suffix(".json")
    found = read_json(sidecar)
    write_json(sidecar, found | {"architecture": found["architecture"] | {"layout": "published"}})
    with pytest.raises(UserError) as caught:
        family.module.load(saved)
    assert str(caught.value) == f"{sidecar}, geometry: {family.fault}; correct the geometry or the layout."


def test_a_checkpoint_of_another_family(family: Family, saved: Path) -> None:
    for name, other in FAMILIES.items():
        if other is not family:
            with pytest.raises(UserError, match=f"of kind '{family.network.kind}', not '{name}'"):
                other.module.load(saved)
            with pytest.raises(UserError, match=f"of kind '{family.network.kind}', not '{name}'"):
                restore(saved, other.network, name, other.architecture, other.geometry)
