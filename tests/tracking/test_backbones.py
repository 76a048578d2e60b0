from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from distillery.tracking.backbones import CHANNELS, LAYERS, STRIDE, AlexNet, fold_batch_norm

NARROW = (4, 8, 6, 6, 4)


def shaken(channels: tuple[int, ...] = NARROW, seed: int = 0) -> AlexNet:
    """A network whose normalisation has something to do."""
    torch.manual_seed(seed)
    network = AlexNet(channels)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 20)
            nn.init.uniform_(module.running_var, 10, 5000)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network.eval()


class TestPublishedSize:
    def test_parameters(self) -> None:
        count = sum(parameter.numel() for parameter in AlexNet().parameters())
        assert count == 2_336_320
        # By hand: kernel^2 * inputs / groups * outputs + bias, and scale and shift of four normalisations.
        rows = zip(LAYERS, (3, *CHANNELS[:-1]), CHANNELS, strict=True)
        assert count == sum(r.kernel**2 * i // r.groups * o + o for r, i, o in rows) + 2 * sum(CHANNELS[:-1])

    def test_parameters_as_measured_from_the_reference_code(self, real_data: Path) -> None:
        golden = json.loads((real_data / "golden.json").read_text())["parameters"]
        assert sum(p.numel() for p in AlexNet().parameters()) == golden["SiamFC AlexNetV1 (grouped)"]

    def test_normalisation_as_in_the_reference_code(self) -> None:
        normalisations = [module for module in AlexNet(NARROW).modules() if isinstance(module, nn.BatchNorm2d)]
        assert len(normalisations) == 4
        assert {(module.eps, module.momentum) for module in normalisations} == {(1e-6, 0.05)}
        assert [type(module) for module in AlexNet(NARROW).layers[-1]] == [nn.Conv2d]


@pytest.mark.parametrize(("side", "cells"), [(127, 6), (255, 22), (239, 20), (271, 24)])
def test_sizes_of_feature_maps(side: int, cells: int) -> None:
    features, taps = shaken()(torch.zeros(1, 3, side, side))
    assert features.shape == (1, 4, cells, cells)
    assert taps == {}


def test_taps_are_layers_before_pooling() -> None:
    network, image = shaken(), torch.rand(2, 3, 127, 127) * 255
    features, taps = network(image, (1, 2, 3, 4, 5))
    # (127 - 11) / 2 + 1 = 59, pooled to 29, minus 4 is 25, pooled to 12, then minus 2 each time.
    assert [taps[number].shape[2:] for number in range(1, 6)] == [(59, 59), (25, 25), (10, 10), (8, 8), (6, 6)]
    assert [taps[number].shape[1] for number in range(1, 6)] == list(NARROW)
    assert torch.equal(taps[5], features)
    assert all((taps[number] >= 0).all() for number in range(1, 5))
    assert (features < 0).any()  # the last convolution is bare
    assert set(network(image, (3,))[1]) == {3}
    # What follows a tap is computed from it, untouched.
    again = network.layers[2](network.pool(taps[2]))
    assert torch.equal(again, taps[3])


def test_the_stride_is_eight_pixels() -> None:
    network, image = shaken(), torch.rand(1, 3, 255, 255) * 255
    features, _ = network(image)
    moved, _ = network(image[..., STRIDE:, STRIDE:])
    torch.testing.assert_close(moved, features[..., 1:, 1:], rtol=1e-4, atol=1e-3)


class TestFolding:
    def test_equals_evaluation_mode(self) -> None:
        network, image = shaken(seed=3), torch.rand(2, 3, 127, 127) * 255
        expected = network(image)[0]
        found = fold_batch_norm(network)(image)[0]
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()

    def test_leaves_the_network_as_it_was(self) -> None:
        network, image = shaken(), torch.rand(1, 3, 127, 127) * 255
        before = network(image)[0]
        fold_batch_norm(network)
        assert torch.equal(network(image)[0], before)

    def test_has_no_normalisation_left(self) -> None:
        folded = fold_batch_norm(shaken())
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        assert not folded.training

    def test_twice_is_once(self) -> None:
        folded, image = fold_batch_norm(shaken()), torch.rand(1, 3, 127, 127) * 255
        assert torch.equal(fold_batch_norm(folded)(image)[0], folded(image)[0])
