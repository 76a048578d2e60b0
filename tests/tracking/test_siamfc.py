from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry
from distillery.engine import checkpoint
from distillery.errors import UserError
from distillery.files import read_json, write_json
from distillery.tracking.siamfc import SiamFC, build, channels_of, load

NARROW = SiamFCArchitecture(width=0.05)


def network(architecture: SiamFCArchitecture = NARROW, **geometry: float) -> SiamFC:
    torch.manual_seed(1)
    return SiamFC(architecture, SiamFCGeometry(**geometry)).eval()


def megabytes(width: float = 1.0, ratio: float = 1.0) -> float:
    made = SiamFC(SiamFCArchitecture(width=width, ratios=(ratio,) * 5), SiamFCGeometry())
    return 4e-6 * sum(parameter.numel() for parameter in made.parameters())


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1.0, 9.354), (0.5, 2.375), (0.28, 0.747), (0.277, 0.736), (0.25, 0.613)],
)
def test_sizes_as_measured_for_the_published_networks(ratio: float, expected: float) -> None:
    # The dim student's channels are rounded to even numbers, which moves its size by a few per cent.
    assert megabytes(ratio=ratio) == pytest.approx(expected, rel=1e-3 if ratio in (1.0, 0.5, 0.25) else 0.03)
    assert megabytes(width=ratio) == megabytes(ratio=ratio)


def test_channels() -> None:
    assert channels_of(SiamFCArchitecture()) == (96, 256, 384, 384, 256)
    assert channels_of(SiamFCArchitecture(width=0.5, ratios=(1, 0.5, 1, 1, 0.5))) == (48, 64, 192, 192, 64)


@pytest.mark.parametrize(("side", "cells"), [(255, 17), (239, 15)])
def test_size_of_the_response(side: int, cells: int) -> None:
    response, z_taps, x_taps = network()(torch.rand(2, 3, 127, 127), torch.rand(2, 3, side, side), (2, 5))
    assert response.shape == (2, cells, cells)
    assert set(z_taps) == set(x_taps) == {2, 5}
    assert z_taps[5].shape[2:] == (6, 6)


@pytest.mark.parametrize(("side", "cells"), [(127, 17), (119, 15)])
def test_size_of_the_compact_response(side: int, cells: int) -> None:
    geometry = {"exemplar": 63, "search": 127, "train_search": 119}
    made = network(SiamFCArchitecture(width=0.05, layout="compact"), **geometry)
    response, z_taps, _ = made(torch.rand(2, 3, 63, 63), torch.rand(2, 3, side, side), (5,))
    assert made.stride == 4
    assert response.shape == (2, cells, cells)
    assert z_taps[5].shape[2:] == (6, 6)


def test_a_layout_that_cannot_see_the_crops_is_an_error() -> None:
    with pytest.raises(UserError, match=r"geometry: exemplar must be 87, 95, 103 and so on: published AlexNet"):
        build(NARROW, SiamFCGeometry(exemplar=63, search=127, train_search=119))
    made = build(NARROW, SiamFCGeometry())
    assert isinstance(made, SiamFC)
    assert made.stride == 8


def test_the_response_is_a_scaled_correlation_of_the_features() -> None:
    made = network(response_scale=0.02)
    exemplar, search = 255 * torch.rand(2, 3, 127, 127), 255 * torch.rand(2, 3, 255, 255)
    response, _, _ = made(exemplar, search)
    z, x = made.embed(exemplar), made.embed(search)
    for index in range(2):
        expected = 0.02 * F.conv2d(x[index : index + 1], z[index : index + 1])[0, 0]
        torch.testing.assert_close(response[index], expected, rtol=1e-4, atol=1e-3)
        alone = made.respond(z[index : index + 1], search)
        assert alone.shape == (2, 17, 17)
        torch.testing.assert_close(alone[index], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("packed", [True, False])
@torch.no_grad()
def test_the_network_for_inference_computes_the_same(packed: bool) -> None:
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    ready = made.for_inference(3, packed=packed)
    exemplar, search = 255 * torch.rand(1, 3, 127, 127), 255 * torch.rand(3, 3, 255, 255)
    kernel = ready.embed(exemplar)
    torch.testing.assert_close(kernel, made.embed(exemplar), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        ready.respond(kernel, search), made.respond(made.embed(exemplar), search), rtol=1e-3, atol=1e-3
    )
    assert made.backbone is not ready.backbone
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_a_shifted_target_shifts_the_peak() -> None:
    """The exemplar cut from the search region itself, 16 px right of and 24 px below the middle."""
    made = network()
    search = F.interpolate(torch.rand(1, 3, 64, 64), (255, 255), mode="bilinear") * 255
    x = made.embed(search)
    left, top = 64 + 16, 64 + 24
    z = made.embed(search[..., top : top + 127, left : left + 127])
    torch.testing.assert_close(z, x[..., 11 : 11 + 6, 10 : 10 + 6], rtol=1e-3, atol=1e-2)
    # Normalised, the peak of a correlation of a map with a part of itself is where the part was.
    energy = F.conv2d(x.square().sum(1, keepdim=True), torch.ones(1, 1, 6, 6))[0, 0].sqrt()
    peak = (made.respond(z, search)[0] / energy).argmax().item()
    assert divmod(peak, 17) == (8 + 3, 8 + 2)


class TestCheckpoint:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        made = network(response_scale=0.5)
        made.backbone.layers[0][1].running_mean.fill_(3)
        checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
        return tmp_path / "net.safetensors"

    def test_round_trip(self, saved: Path) -> None:
        loaded = load(saved)
        assert loaded.architecture == NARROW
        assert loaded.geometry.response_scale == 0.5
        assert not loaded.training
        assert loaded.backbone.layers[0][1].running_mean.tolist() == [3] * 4
        for name, value in network().state_dict().items():
            if name != "backbone.layers.0.1.running_mean":
                assert torch.equal(loaded.state_dict()[name], value)

    def test_sidecar(self, saved: Path) -> None:
        sidecar = read_json(saved.with_suffix(".json"))
        assert sidecar["kind"] == "siamfc"
        assert sidecar["channels"] == list(channels_of(NARROW)) == [4, 12, 20, 20, 12]
        assert sidecar["bytes"] == 4 * sum(p.numel() for p in network().parameters())

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"kind": "oim"}, "kind: describes a checkpoint of kind 'oim', not 'siamfc'"),
            ({"architecture": {"width": 0.1}}, "is a checkpoint of another architecture: tensor 'backbone"),
            ({"architecture": {"width": 100.0}}, "width: input should be less than or equal to 4"),
            ({"architecture": {"depth": 3}}, "depth: unknown key"),
            ({"architecture": None}, "the whole document"),
            ({"geometry": {"exemplar": -1}}, "exemplar"),
            ({"geometry": {"exemplar": 63}}, "net.json, geometry: exemplar must be 87"),
        ],
    )
    def test_a_sidecar_that_does_not_fit(self, saved: Path, change: dict[str, object], sentence: str) -> None:
        sidecar = saved.with_suffix(".json")
        write_json(sidecar, read_json(sidecar) | change)
        with pytest.raises(UserError, match=sentence):
            load(saved)
