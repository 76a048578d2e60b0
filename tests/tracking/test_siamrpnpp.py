from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distillery.config.siamrpnpp import Pretraining, SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.engine import checkpoint
from distillery.errors import UserError
from distillery.files import read_json, write_json
from distillery.tracking.siamrpnpp import SiamRPNPP, build, load

BACKBONES = ("resnet50", "resnet34", "resnet18", "mobilenet_v2")
HALF: dict[str, Any] = {"exemplar": 63, "search": 127, "small_search": 127, "train_search": 127, "anchor_scale": 4}
SMALL = SiamRPNPPGeometry(**HALF, template=5)


def architecture(backbone: str = "resnet18", **options: Any) -> SiamRPNPPArchitecture:
    options = {"width": 0.25 if backbone == "mobilenet_v2" else 0.0625, "head_channels": 8} | options
    return SiamRPNPPArchitecture(backbone=backbone, **options)  # type: ignore[arg-type]


def network(backbone: str = "resnet18", geometry: SiamRPNPPGeometry = SMALL, **options: Any) -> SiamRPNPP:
    """A narrow network whose BatchNorm has seen data."""
    torch.manual_seed(1)
    made = build(architecture(backbone, **options), geometry).train()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    with torch.no_grad():
        for _ in range(4):
            made(*pair(geometry, 4))
    return made.eval()


def pair(geometry: SiamRPNPPGeometry = SMALL, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    crops = [255 * torch.rand(batch, 3, side, side) for side in (geometry.exemplar, geometry.search)]
    return crops[0], crops[1]


class TestPublishedSize:
    """Counted in pysot's own networks (commit d04028f): parameters, and floats of BatchNorm's statistics.

    The sizes of the literature, 216.06 MB and 44.82 MB, are those of both together.
    """

    @pytest.mark.parametrize(
        ("options", "parameters", "statistics", "megabytes"),
        [
            ({"backbone": "resnet50"}, 53_950_624, 63_872, 216.06),
            ({"backbone": "mobilenet_v2", "width": 1.4, "weighted": False}, 11_150_446, 54_812, 44.82),
            ({"backbone": "resnet34"}, 30_395_296, None, 121.69),
            ({"backbone": "resnet18"}, 20_287_136, None, 81.23),
        ],
    )
    def test_parameters(
        self, options: dict[str, Any], parameters: int, statistics: int | None, megabytes: float
    ) -> None:
        with torch.device("meta"):
            made = SiamRPNPP(SiamRPNPPArchitecture(**options), SiamRPNPPGeometry())
        count = sum(parameter.numel() for parameter in made.parameters())
        kept = sum(value.numel() for value in made.buffers() if value.is_floating_point())
        assert count == parameters
        assert statistics is None or kept == statistics
        assert round(4e-6 * (count + kept), 2) == megabytes

    def test_where_they_are(self) -> None:
        with torch.device("meta"):
            made = SiamRPNPP(SiamRPNPPArchitecture(), SiamRPNPPGeometry())
        parts = {name: sum(p.numel() for p in part.parameters()) for name, part in made.named_children()}
        adjust = sum(p.numel() for name, p in made.heads.named_parameters() if "adjust" in name)
        # pysot: backbone 45,528,128, neck 919,040, heads 7,503,456 of which 6 weigh the levels.
        assert parts == {"backbone": 45_528_128, "heads": 919_040 + 7_503_450, "weights": 6}
        assert adjust == 919_040


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(
    ("layout", "geometry", "cells"),
    [
        ("published", SMALL, 11),
        ("published", SiamRPNPPGeometry(**HALF), 9),
        ("compact", SiamRPNPPGeometry(**HALF, stride=4), 25),
    ],
)
def test_sizes(backbone: str, layout: str, geometry: SiamRPNPPGeometry, cells: int) -> None:
    made = build(architecture(backbone, layout=layout), geometry).eval()
    scores, boxes, z_taps, x_taps = made(*pair(geometry), (1, 2, 4))
    assert scores.shape == (2, 10, cells, cells)
    assert boxes.shape == (2, 20, cells, cells)
    assert cells == geometry.cells(geometry.search)
    assert list(z_taps) == list(x_taps) == [1, 2, 4]
    for level in (2, 4):
        assert z_taps[level].shape[2:] == (geometry.positions(geometry.exemplar),) * 2
        assert x_taps[level].shape[2:] == (geometry.positions(geometry.search),) * 2
        assert x_taps[level].shape[1] == made.backbone.channels[level]


def test_sizes_with_the_published_crops() -> None:
    geometry = SiamRPNPPGeometry(anchor_ratios=(0.5, 1, 2))
    scores, boxes, z_taps, _ = build(architecture(), geometry).eval()(*pair(geometry, 1), (3,))
    assert scores.shape == (1, 6, 25, 25)
    assert boxes.shape == (1, 12, 25, 25)
    assert z_taps[3].shape[2:] == (15, 15)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_template_is_kept_and_compared_again(backbone: str) -> None:
    made, (exemplar, search) = network(backbone), pair(batch=3)
    scores, boxes, _, _ = made(exemplar, search)
    for found, expected in zip(made.respond(made.template(exemplar), search), (scores, boxes), strict=True):
        torch.testing.assert_close(found, expected)
    # One exemplar for all search regions.
    alone = made.respond(made.template(exemplar[1:2]), search)
    expected = made(exemplar[1:2].expand(3, -1, -1, -1), search)
    torch.testing.assert_close(alone[0], expected[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(alone[1], expected[1], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(alone[0][0], scores[0], atol=1e-2)


class TestLevels:
    def test_their_outputs_are_weighed_by_a_softmax(self) -> None:
        made, crops = network(), pair()
        equal = made(*crops)[0]
        single = []
        for index in range(3):
            with torch.no_grad():
                made.weights["classification"].fill_(-1e4)[index] = 1e4
            single.append(made(*crops)[0])
        torch.testing.assert_close(torch.stack(single).mean(0), equal)
        with torch.no_grad():
            made.weights["classification"].copy_(torch.tensor([0.0, 1.0, 2.0]))
        shares = torch.tensor([1.0, torch.e, torch.e**2]) / (1 + torch.e + torch.e**2)
        expected = sum(share * one for share, one in zip(shares, single, strict=True))
        torch.testing.assert_close(made(*crops)[0], expected)

    def test_without_weights_they_are_averaged(self) -> None:
        weighted, plain, crops = network(), network(weighted=False), pair()
        plain.load_state_dict({n: v for n, v in weighted.state_dict().items() if not n.startswith("weights.")})
        for found, expected in zip(plain(*crops)[:2], weighted(*crops)[:2], strict=True):
            torch.testing.assert_close(found, expected)

    def test_a_subset(self) -> None:
        made = network(levels=(2, 3))
        assert len(made.heads) == 2
        assert list(made.backbone.channels) == [1, 2, 3]
        assert made(*pair())[0].shape == (2, 10, 11, 11)


class TestInference:
    @pytest.mark.parametrize("backbone", BACKBONES)
    def test_folded_equals_evaluation_mode(self, backbone: str) -> None:
        made = network(backbone).double()
        folded = made.for_inference()
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        assert not folded.training
        exemplar, search = (crops.double() for crops in pair())
        found = folded.respond(folded.template(exemplar), search)
        for ours, expected in zip(found, made(exemplar, search), strict=False):
            assert (ours - expected).abs().max() < 1e-9 * expected.abs().max()

    def test_leaves_the_network_as_it_was(self) -> None:
        made, crops = network(), pair()
        made.train()
        before = {name: value.clone() for name, value in made.state_dict().items()}
        made.for_inference()(*crops)
        assert made.training
        assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())

    def test_twice_is_once(self) -> None:
        folded, crops = network().for_inference(), pair()
        assert torch.equal(folded.for_inference()(*crops)[0], folded(*crops)[0])


class TestTraining:
    @pytest.mark.parametrize("backbone", BACKBONES)
    def test_every_parameter_learns(self, backbone: str) -> None:
        made = network(backbone).train()
        scores, boxes, z_taps, _ = made(*pair(batch=4), (2,))
        (scores.sin().sum() + boxes.cos().sum() + z_taps[2].sum()).backward()
        silent = [name for name, p in made.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []

    def test_a_step_follows_from_the_seed(self) -> None:
        losses = []
        for _ in range(2):
            made = network().train()
            optimiser = torch.optim.AdamW(made.parameters(), 1e-3)
            torch.manual_seed(3)
            exemplar, search = pair(batch=4)
            losses.append([])
            for _ in range(6):
                loss = (made(exemplar, search)[0] - 1).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses[-1].append(float(loss.detach()))
        assert losses[0] == losses[1]
        assert losses[0][-1] < losses[0][0]

    def test_groups_of_parameters(self) -> None:
        made = network(pretraining=None)
        assert [factor for _, factor in made.parameter_groups()] == [1.0, 1.0]
        held = [id(parameter) for group, _ in made.parameter_groups() for parameter in group]
        assert sorted(held) == sorted(id(parameter) for parameter in made.parameters())
        gentle = Pretraining(weights="unused.safetensors", rate=0.2)
        made = SiamRPNPP(architecture(pretraining=gentle), SMALL)
        (backbone, slow), (others, full) = made.parameter_groups()
        assert (slow, full) == (0.2, 1.0)
        assert {id(p) for p in backbone} == {id(p) for p in made.backbone.parameters()}
        assert not {id(p) for p in backbone} & {id(p) for p in others}


class TestCheckpoint:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        made = network("mobilenet_v2", levels=(2, 4))
        checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
        return tmp_path / "net.safetensors"

    def test_round_trip(self, saved: Path) -> None:
        loaded, made, crops = load(saved), network("mobilenet_v2", levels=(2, 4)), pair()
        assert loaded.architecture == made.architecture
        assert loaded.geometry == SMALL
        assert not loaded.training
        assert torch.equal(loaded(*crops)[0], made(*crops)[0])

    def test_sidecar(self, saved: Path) -> None:
        sidecar = read_json(saved.with_suffix(".json"))
        assert sidecar["kind"] == "siamrpnpp"
        assert sidecar["channels"] == [6, 8, 24, 80]
        assert sidecar["bytes"] == 4 * sum(p.numel() for p in network("mobilenet_v2", levels=(2, 4)).parameters())

    def test_pretrained_weights_are_not_needed_again(self, tmp_path: Path) -> None:
        made = SiamRPNPP(architecture(pretraining=Pretraining(weights="gone.safetensors")), SMALL)
        checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
        loaded, crops = load(tmp_path / "net.safetensors"), pair()
        assert loaded.architecture.pretraining == made.architecture.pretraining
        assert torch.equal(loaded(*crops)[0], made.eval()(*crops)[0])

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"kind": "siamrpn"}, "describes a checkpoint of kind 'siamrpn', not 'siamrpnpp'"),
            ({"architecture": {"backbone": "resnet18"}}, "is a checkpoint of another architecture"),
            ({"architecture": {"depth": 3}}, "depth: unknown key"),
            ({"architecture": None}, "the whole document"),
            ({"geometry": {"exemplar": -1}}, "exemplar"),
            ({"geometry": {**HALF, "stride": 4}}, "stride must be 8, that of the published layout"),
        ],
    )
    def test_a_sidecar_that_does_not_fit(self, saved: Path, change: dict[str, object], sentence: str) -> None:
        sidecar = saved.with_suffix(".json")
        write_json(sidecar, read_json(sidecar) | change)
        with pytest.raises(UserError, match=sentence):
            load(saved)

    def test_a_truncated_file(self, saved: Path) -> None:
        saved.write_bytes(saved.read_bytes()[:-100])
        with pytest.raises(UserError, match="truncated"):
            load(saved)
