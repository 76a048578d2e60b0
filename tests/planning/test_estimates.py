"""The table of estimates: every number has its evidence, and what is said to be counted is counted here again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from distillery.config.base import parse
from distillery.config.profile import Profile, load
from distillery.config.registry import load_registry
from distillery.config.siamfc import SiamFCArchitecture
from distillery.config.siamrpn import SiamRPNArchitecture
from distillery.engine.cost import operations
from distillery.errors import UserError
from distillery.person_search.resnet import Head, Stem
from distillery.planning import networks
from distillery.planning.estimates import Estimates, load_estimates
from distillery.tracking import siamfc, siamrpn, siamrpnpp

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture(scope="module")
def estimates() -> Estimates:
    return load_estimates(CONFIG / "estimates.yaml")


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load(CONFIG / "paper.yaml")


def counted(call: Callable[[], Any]) -> int:
    with torch.no_grad():
        return operations(call)


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def crops(side: int, count: int = 1) -> torch.Tensor:
    return torch.zeros(count, 3, side, side)


class TestCountedAgain:
    """Against torch's own counter, on networks of other widths than those that the table was counted with."""

    def test_siamfc(self, estimates: Estimates, profile: Profile) -> None:
        family = profile.tracking.siamfc
        shape = SiamFCArchitecture(width=1.0, ratios=(0.5, 0.25, 0.75, 0.5, 1.0))
        network = siamfc.build(shape, family.geometry).eval()
        changed = family.model_copy(update={"architectures": {"some": shape}})
        cost = networks.tracker(estimates, "siamfc", changed, "some")
        assert counted(lambda: network(crops(127), crops(239))) == pytest.approx(cost.pair, rel=0.01)
        assert counted(lambda: network.backbone(crops(255, 3))) == pytest.approx(cost.frame, rel=0.01)
        assert parameters(network) == pytest.approx(cost.parameters, rel=0.01)

    def test_siamrpn(self, estimates: Estimates, profile: Profile) -> None:
        family = profile.tracking.siamrpn
        assert family is not None
        shape = SiamRPNArchitecture(width=0.25, ratios=(1.0, 0.5, 0.75, 1.0, 0.5, 1.0))
        network = siamrpn.build(shape, family.geometry).eval()
        changed = family.model_copy(update={"architectures": {"some": shape}})
        cost = networks.tracker(estimates, "siamrpn", changed, "some")
        kernels = network.template(crops(127))
        assert counted(lambda: network(crops(127), crops(255))) == pytest.approx(cost.pair, rel=0.02)
        assert counted(lambda: network.respond(kernels, crops(271))) == pytest.approx(cost.frame, rel=0.02)
        assert parameters(network) == pytest.approx(cost.parameters, rel=0.02)

    @pytest.mark.parametrize("name", ["r18", "mobile"])
    def test_siamrpnpp(self, estimates: Estimates, profile: Profile, name: str) -> None:
        family = profile.tracking.siamrpnpp
        assert family is not None
        shape = family.architectures[name].model_copy(update={"pretraining": None})
        network = siamrpnpp.build(shape, family.geometry).eval()
        cost = networks.tracker(estimates, "siamrpnpp", family, name)
        assert counted(lambda: network(crops(127), crops(255))) == pytest.approx(cost.pair, rel=0.01)
        assert parameters(network) == pytest.approx(cost.parameters, rel=0.001)

    @pytest.mark.parametrize("name", ["large", "small", "narrow"])
    def test_person_search(self, estimates: Estimates, profile: Profile, name: str) -> None:
        shape = profile.person_search.networks[name].model_copy(update={"pretrained": None, "norm": "batch"})
        stem, head, parts = Stem(shape).eval(), Head(shape).eval(), networks.searcher(estimates, shape)
        features = stem(crops(256))
        near = 0.03 if shape.width == 64 else 0.1  # of other widths all but the first convolution go with the square
        assert counted(lambda: stem(crops(256))) == pytest.approx(parts.stem * 256**2, rel=near)
        assert counted(lambda: head(torch.zeros(1, features.shape[1], 14, 14))) == pytest.approx(parts.region, rel=0.03)


def test_a_searched_network_has_the_size_of_its_budget(estimates: Estimates, profile: Profile) -> None:
    for name in ("siamfc", "siamrpn"):
        family = profile.tracking.families[name]
        assert family.selection is not None
        teacher, dim = (networks.tracker(estimates, name, family, network) for network in ("teacher", "dim"))
        assert teacher.parameters / dim.parameters == pytest.approx(family.selection.budget, rel=0.2)


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("otb100", "images", "scored_frames"),
        ("dtb70", "images", "frames"),
        ("vot2018", "images", "frames"),
        ("lasot", "images", "test_frames"),
        ("prw", "images", "frames"),
        ("cuhk_sysu", "images", "images"),
    ],
)
def test_amounts_are_those_of_the_register(estimates: Estimates, name: str, ours: str, theirs: str) -> None:
    row = load_registry(CONFIG / "datasets.yaml").sets[name]
    assert getattr(estimates.datasets[name], ours) == row.counts[theirs]


def test_protocols_are_those_of_the_register(estimates: Estimates) -> None:
    sets = load_registry(CONFIG / "datasets.yaml").sets
    for name in ("cuhk_sysu", "prw"):
        row, counts = estimates.protocols[name], sets[name].counts
        images = counts.get("test_images", counts.get("test_frames"))
        trained = counts.get("train_images", counts.get("train_frames"))
        assert (row.train, row.gallery, row.queries) == (trained, images, counts["queries"])


class TestFile:
    def test_a_number_without_evidence_is_refused(self) -> None:
        content = yaml.safe_load((CONFIG / "estimates.yaml").read_text())
        content["devices"]["gpu_macs"]["evidence"] = "somebody said so"
        with pytest.raises(UserError, match=r"devices\.gpu_macs\.evidence"):
            parse(Estimates, content, source="x.yaml")

    def test_an_unknown_key_is_named(self, tmp_path: Path) -> None:
        text = (CONFIG / "estimates.yaml").read_text().replace("gpu_macs:", "gpu_mac:")
        (tmp_path / "e.yaml").write_text(text)
        with pytest.raises(UserError, match="did you mean `gpu_macs`"):
            load_estimates(tmp_path / "e.yaml")

    @pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"[1, 2]"])
    def test_what_is_no_table(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "e.yaml").write_bytes(content)
        with pytest.raises(UserError, match=r"e\.yaml"):
            load_estimates(tmp_path / "e.yaml")

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="cannot be read"):
            load_estimates(tmp_path / "none.yaml")
