"""A folded network answers as the network, and has no BatchNorm left in its blocks."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from distillery.config.search_network import ResNetShape
from distillery.person_search.folding import folded
from distillery.person_search.resnet import HalvingPool, Head, Stem

SHAPES = [
    ResNetShape(block="basic", depths=(1, 1, 2, 1), width=4, stem_blocks=1, stride=8, norm="batch"),
    ResNetShape(block="bottleneck", depths=(2, 1, 1, 1), width=2, stem_blocks=1, stride=16, norm="frozen"),
]


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_same_answers_without_batch_norm(shape):
    torch.manual_seed(0)
    halves = nn.ModuleList([Stem(shape), Head(shape)]).eval()
    for part in halves.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.weight, part.running_var):
                value.uniform_(0.5, 1.5)
            for value in (part.bias, part.running_mean):
                value.uniform_(-0.3, 0.3)
    expected_stem, expected_head = copy.deepcopy(halves)
    assert folded(halves) is halves
    assert not any(isinstance(part, nn.BatchNorm2d) for part in halves.modules())
    images = torch.randn(2, 3, 48, 80)
    maps = halves[0](images)
    torch.testing.assert_close(maps, expected_stem(images), rtol=1e-4, atol=1e-5)
    regions = torch.randn(3, halves[0].channels, 6, 4)
    torch.testing.assert_close(halves[1](regions), expected_head(regions), rtol=1e-4, atol=1e-5)


def test_training_mode_is_refused():
    with pytest.raises(AssertionError):
        folded(Stem(SHAPES[0]).train())


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (9, 8), (1, 1), (2, 5)])
def test_halving_pool_is_torchs(size):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, *size)
    expected = nn.MaxPool2d(3, stride=2, padding=1)(maps)
    assert torch.equal(HalvingPool()(maps), expected)
    learnt = maps.clone().requires_grad_()
    assert torch.equal(HalvingPool()(learnt), expected)
    HalvingPool()(learnt).sum().backward()
    assert float(learnt.grad.sum()) == expected.numel()
