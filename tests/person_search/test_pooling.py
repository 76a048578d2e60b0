"""The poolings against torchvision's RoIAlign and torch's max pooling."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.ops import roi_align

from distillery.person_search import pooling
from distillery.person_search.pooling import MaxPool, align_regions

# Inside, across every border, wholly outside, without extent, larger than the map.
BOXES = [
    torch.tensor([[10.0, 8.0, 40.0, 60.0], [-30.0, -20.0, 25.0, 40.0], [70.0, 30.0, 140.0, 99.0]]),
    torch.zeros(0, 4),
    torch.tensor([[300.0, 300.0, 340.0, 360.0], [20.0, 20.0, 20.0, 20.0], [-50.0, -50.0, 300.0, 200.0]]),
]


def _gradients(function, features, weights):
    features = features.clone().requires_grad_()
    pooled = function(features)
    (pooled * weights).sum().backward()
    return pooled.detach(), features.grad


@pytest.mark.parametrize("size", [(7, 7), (10, 4), (1, 3)])
@pytest.mark.parametrize("sampling", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_aligned_regions_and_their_gradient(size, sampling, chunk, monkeypatch):
    monkeypatch.setattr(pooling, "_CHUNK", chunk)
    torch.manual_seed(0)
    features, weights = torch.randn(3, 5, 9, 13), torch.randn(6, 5, *size)
    ours, gradient = _gradients(lambda x: align_regions(x, BOXES, size, 1 / 8, sampling), features, weights)
    theirs, expected = _gradients(lambda x: roi_align(x, BOXES, size, 1 / 8, sampling, aligned=True), features, weights)
    assert torch.equal(ours, theirs)
    torch.testing.assert_close(gradient, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(7, 7), (10, 4), (1, 3)])
@pytest.mark.parametrize("sampling", [1, 2, 3])
def test_a_wide_map_without_gradient(size, sampling, monkeypatch):
    monkeypatch.setattr(pooling, "_WIDE", 1)
    torch.manual_seed(0)
    features = torch.randn(3, 5, 9, 13)
    ours = align_regions(features, BOXES, size, 1 / 8, sampling)
    expected = roi_align(features, BOXES, size, 1 / 8, sampling, aligned=True)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert align_regions(features, [torch.zeros(0, 4)] * 3, size, 1 / 8, sampling).shape == (0, 5, *size)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(*[st.floats(-60, 160, width=32)] * 4), min_size=1, max_size=4), st.integers(0, 9))
def test_gradient_of_any_boxes(corners, seed):
    boxes = [torch.tensor([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners])]
    torch.manual_seed(seed)
    features, weights = torch.randn(1, 2, 9, 13), torch.randn(len(corners), 2, 4, 3)
    ours = _gradients(lambda x: align_regions(x, boxes, (4, 3), 1 / 8, 2), features, weights)
    theirs = _gradients(lambda x: roi_align(x, boxes, (4, 3), 1 / 8, 2, aligned=True), features, weights)
    # A sample at a border of the map is in or out by the last bit of its coordinate; elsewhere nothing jumps.
    scaled = boxes[0] / 8 - 0.5
    steps = torch.cat([(torch.arange(8) + 0.5) / 8, (torch.arange(6) + 0.5) / 6])
    along = [scaled[:, axis, None] + steps * (scaled[:, axis + 2] - scaled[:, axis])[:, None] for axis in (0, 1)]
    edges = torch.tensor([-1.0, 9.0, 13.0])
    if min(float((part[..., None] - edges).abs().min()) for part in along) > 1e-4:
        torch.testing.assert_close(ours[1], theirs[1], atol=1e-3, rtol=1e-3)


def test_no_region_at_all():
    features = torch.randn(2, 3, 9, 13, requires_grad=True)
    pooled = align_regions(features, [torch.zeros(0, 4)] * 2, (7, 7), 1 / 8, 2)
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert features.grad is not None and not features.grad.any()


def test_boxes_get_no_gradient_and_half_precision_keeps_its_type():
    features = torch.randn(1, 3, 9, 13, requires_grad=True)
    boxes = BOXES[0].clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        narrow = features.bfloat16()
        narrow.retain_grad()
        pooled = align_regions(narrow, [boxes], (7, 7), 1 / 8, 2)
    pooled.float().sum().backward()
    assert boxes.grad is None
    assert narrow.grad is not None and narrow.grad.dtype == torch.bfloat16


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(3, 20), st.integers(3, 20), st.integers(0, 99))
def test_max_pooling_is_torchs_to_the_last_bit(batch, channels, height, width, seed):
    torch.manual_seed(seed)
    # Few values, so that many windows have several highest ones.
    x = torch.randint(0, 3, (batch, channels, height, width)).float()
    own, theirs = MaxPool(3, stride=2, padding=1), nn.MaxPool2d(3, stride=2, padding=1)
    weights = torch.randn_like(theirs(x))
    (ours, gradient), (expected, its) = _gradients(own, x, weights), _gradients(theirs, x, weights)
    assert ours.is_contiguous() and torch.equal(ours, expected)
    assert torch.equal(gradient, its)
    with torch.no_grad():
        assert torch.equal(own(x), expected)


def test_nan_comes_through_max_pooling():
    x = torch.zeros(1, 1, 6, 6)
    x[0, 0, 3, 3] = torch.nan
    assert torch.equal(MaxPool(3, stride=2, padding=1)(x).isnan(), nn.MaxPool2d(3, stride=2, padding=1)(x).isnan())
