from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from distillery.config.siamfc import CROP_SIDES, Layout
from distillery.tracking.backbones import (
    CHANNELS,
    LAYOUTS,
    SIAMFC,
    SIAMRPN,
    STRIDES,
    AlexNet,
    Form,
    fold_batch_norm,
)

NARROW = (4, 8, 6, 6, 4)
FORMS = [SIAMFC, SIAMRPN]


def shaken(layout: Layout = "published", form: Form = SIAMFC, seed: int = 0) -> AlexNet:
    """A network whose normalisation has something to do; negative scales too, which pooling must come after."""
    torch.manual_seed(seed)
    network = AlexNet(NARROW, layout, form)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 20)
            nn.init.uniform_(module.running_var, 10, 5000)
            nn.init.uniform_(module.weight, -2, 2)
            nn.init.normal_(module.bias)
    return network.eval()


class TestPublishedSize:
    def test_parameters(self) -> None:
        count = sum(parameter.numel() for parameter in AlexNet().parameters())
        assert count == 2_336_320
        # By hand: kernel^2 * inputs / groups * outputs + bias, and scale and shift of four normalisations.
        rows = zip(LAYOUTS["published"], SIAMFC.groups, (3, *CHANNELS[:-1]), CHANNELS, strict=True)
        assert count == sum(r.kernel**2 * i // g * o + o for r, g, i, o in rows) + 2 * sum(CHANNELS[:-1])

    def test_parameters_as_measured_from_the_reference_code(self, real_data: Path) -> None:
        golden = json.loads((real_data / "golden.json").read_text())["parameters"]
        assert sum(p.numel() for p in AlexNet().parameters()) == golden["SiamFC AlexNetV1 (grouped)"]

    def test_normalisation_as_in_the_reference_code(self) -> None:
        normalisations = [module for module in AlexNet(NARROW).modules() if isinstance(module, nn.BatchNorm2d)]
        assert len(normalisations) == 4
        assert {(module.eps, module.momentum) for module in normalisations} == {(1e-6, 0.05)}
        assert [type(module) for module in AlexNet(NARROW).layers[-1]] == [nn.Conv2d]

    def test_normalisation_of_siamrpn(self) -> None:
        made = AlexNet(NARROW, form=SIAMRPN)
        assert all([type(module) for module in layer] == [nn.Conv2d, nn.BatchNorm2d] for layer in made.layers)
        assert {(layer[1].eps, layer[1].momentum) for layer in made.layers} == {(1e-5, 0.1)}
        assert {layer[0].groups for layer in made.layers} == {1}


@pytest.mark.parametrize(
    ("layout", "side", "cells"),
    [
        ("published", 127, 6),
        ("published", 255, 22),
        ("published", 239, 20),
        ("published", 271, 24),
        ("published", 287, 26),
        ("compact", 63, 6),
        ("compact", 127, 22),
        ("compact", 135, 24),
        ("compact", 143, 26),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_sizes_of_feature_maps(layout: Layout, side: int, cells: int, form: Form) -> None:
    features, taps = shaken(layout, form)(torch.zeros(1, 3, side, side))
    assert features.shape == (1, 4, cells, cells)
    assert taps == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_config_knows_the_smallest_crop_and_the_stride(layout: Layout) -> None:
    sides = CROP_SIDES[layout]
    assert sides.stride == STRIDES[layout]
    assert shaken(layout)(torch.zeros(1, 3, sides.smallest, sides.smallest))[0].shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        shaken(layout)(torch.zeros(1, 3, sides.smallest - sides.stride, sides.smallest - sides.stride))


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
    again = network.layers[2](network.pool(taps[2])).relu()
    assert torch.equal(again, taps[3])


def in_order(network: AlexNet, images: torch.Tensor, order: tuple[str, str]) -> torch.Tensor:
    """The backbone layer by layer, ReLU and pooling in a given order."""
    steps = {"relu": nn.ReLU(), "pool": nn.MaxPool2d(3, 2)}
    features = images
    for number, (layer, row) in enumerate(zip(network.layers, LAYOUTS[network.layout], strict=True), 1):
        features = layer(features)
        for name in order:
            if (name == "pool" and row.pool) or (name == "relu" and number < 5):
                features = steps[name](features)
    return features


@pytest.mark.parametrize("order", [("relu", "pool"), ("pool", "relu")])
@pytest.mark.parametrize("form", FORMS)
def test_the_order_of_siamfc_and_that_of_dasiamrpn_are_one_function(order: tuple[str, str], form: Form) -> None:
    network, image = shaken(form=form).train(), torch.rand(2, 3, 127, 127) * 255
    gradients = []
    for features in (network(image, (1, 2))[0], in_order(network, image, order)):
        network.zero_grad()
        features.square().sum().backward()
        gradients.append((features, [parameter.grad.clone() for parameter in network.parameters()]))
    (found, ours), (expected, theirs) = gradients
    assert torch.equal(found, expected)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_stride(layout: Layout) -> None:
    network, image = shaken(layout), torch.rand(1, 3, 255, 255) * 255
    features, _ = network(image)
    step = STRIDES[layout]
    moved, _ = network(image[..., step:, step:])
    torch.testing.assert_close(moved, features[..., 1:, 1:], rtol=1e-4, atol=1e-3)
    assert {"published": 8, "compact": 4}[layout] == step


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
class TestFolding:
    def test_equals_evaluation_mode(self, layout: Layout, form: Form) -> None:
        network, image = shaken(layout, form, seed=3), torch.rand(2, 3, 127, 127) * 255
        expected, taps = network(image, (1, 2, 3, 4, 5))
        found, again = fold_batch_norm(network)(image, (1, 2, 3, 4, 5))
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
        for number, tap in taps.items():
            assert (again[number] - tap).abs().max() < 1e-4 * tap.abs().max()

    def test_leaves_the_network_as_it_was(self, layout: Layout, form: Form) -> None:
        network, image = shaken(layout, form), torch.rand(1, 3, 127, 127) * 255
        before = network(image)[0]
        fold_batch_norm(network)
        assert torch.equal(network(image)[0], before)

    def test_has_no_normalisation_left(self, layout: Layout, form: Form) -> None:
        folded = fold_batch_norm(shaken(layout, form))
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        assert not folded.training
        assert folded.layout == layout
        assert all(parameter.device.type == "cpu" for parameter in folded.parameters())

    def test_twice_is_once(self, layout: Layout, form: Form) -> None:
        folded, image = fold_batch_norm(shaken(layout, form)), torch.rand(1, 3, 127, 127) * 255
        assert torch.equal(fold_batch_norm(folded)(image)[0], folded(image)[0])


class TestPair:
    def test_in_evaluation_it_is_two_calls(self) -> None:
        network = shaken(form=SIAMRPN)
        z, x = torch.rand(2, 3, 127, 127) * 255, torch.rand(2, 3, 255, 255) * 255
        (found_z, z_taps), (found_x, x_taps) = network.pair(z, x, (1, 4))
        for crops, found, taps in ((z, found_z, z_taps), (x, found_x, x_taps)):
            expected, again = network(crops, (1, 4))
            assert torch.equal(found, expected)
            assert set(taps) == {1, 4}
            assert all(torch.equal(taps[number], again[number]) for number in taps)

    @pytest.mark.parametrize("form", FORMS)
    def test_in_training_both_are_normalised_by_common_statistics(self, form: Form) -> None:
        """Mean and variance over all positions of both kinds of crop, as the running statistics will have them."""
        network = shaken("compact", form).train()
        z, x = torch.rand(3, 3, 63, 63) * 100, torch.rand(3, 3, 127, 127) * 255
        (_, z_taps), (_, x_taps) = network.pair(z, x, (1,))
        convolution, normalisation = network.layers[0]
        maps = [convolution(crops) for crops in (z, x)]
        values = torch.cat([features.transpose(0, 1).flatten(1) for features in maps], 1)
        mean, deviation = values.mean(1), (values.var(1, unbiased=False) + form.eps).sqrt()
        for features, taps in zip(maps, (z_taps, x_taps), strict=True):
            normal = (features - mean[:, None, None]) / deviation[:, None, None]
            expected = normal * normalisation.weight[:, None, None] + normalisation.bias[:, None, None]
            assert (taps[1] - expected.relu()).abs().max() < 1e-3

    def test_what_was_trained_is_what_is_evaluated(self) -> None:
        """With the statistics of the batch in the running means both modes agree; two calls would leave them apart."""
        apart = []
        for together in (True, False):
            network = shaken("compact", SIAMRPN)
            for layer in network.layers:
                layer[1].momentum = None  # the mean over all that was seen
            z, x = torch.rand(8, 3, 63, 63) * 100, torch.rand(8, 3, 127, 127) * 255
            network.train()
            if together:
                (_, _), (trained, _) = network.pair(z, x)
            else:
                network(z)
                trained = network(x)[0]
            # shaken() put numbers there that no batch had; the cumulative mean forgets them.
            distance = (network.eval()(x)[0] - trained).abs().mean() / trained.abs().mean()
            apart.append(distance.item())
        assert apart[0] < 0.02
        assert apart[1] > 0.1

    @pytest.mark.parametrize("form", FORMS)
    def test_gradients(self, form: Form) -> None:
        network = shaken("compact", form).train()
        (z, z_taps), (x, x_taps) = network.pair(torch.rand(2, 3, 63, 63), torch.rand(2, 3, 127, 127), (2, 3))
        (z.sum() + x.square().sum() + z_taps[2].sum() + x_taps[3].sum()).backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
