from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distillery.tracking.depthwise import Branch, LevelHead, correlate_channels, middle


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(0, 4), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_correlation_against_a_literal_loop(
    batch: int, channels: int, side: int, more: int, one_exemplar: bool, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    search = torch.randn(batch, channels, side + more, side + more, generator=draw, dtype=torch.float64)
    shape = (1 if one_exemplar else batch, channels, side, side)
    kernel = torch.randn(shape, generator=draw, dtype=torch.float64)
    found = correlate_channels(search, kernel)
    assert found.shape == (batch, channels, more + 1, more + 1)
    for b in range(batch):
        for c in range(channels):
            for y in range(more + 1):
                for x in range(more + 1):
                    window = search[b, c, y : y + side, x : x + side]
                    expected = (window * kernel[0 if one_exemplar else b, c]).sum()
                    torch.testing.assert_close(found[b, c, y, x], expected)


def test_gradients_of_the_correlation() -> None:
    search = torch.randn(2, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(correlate_channels, (search, kernel))


@pytest.mark.parametrize(("side", "expected"), [(7, range(4, 11)), (15, range(15)), (1, range(7, 8))])
def test_the_middle(side: int, expected: range) -> None:
    rows = torch.arange(15.0).expand(1, 1, 15, 15)
    assert middle(rows, side)[0, 0, 0].tolist() == list(expected)
    assert middle(rows.mT, side)[0, 0, :, 0].tolist() == list(expected)


def test_sizes_through_a_level() -> None:
    head = LevelHead(6, 4, anchors=5, template=7).eval()
    kernels = head.kernels(torch.rand(2, 6, 15, 15))
    assert [kernel.shape for kernel in kernels] == [(2, 4, 5, 5)] * 2
    scores, boxes = head(kernels, torch.rand(2, 6, 31, 31))
    assert scores.shape == (2, 10, 25, 25)
    assert boxes.shape == (2, 20, 25, 25)


def test_the_template_is_the_middle_alone() -> None:
    head, exemplar = LevelHead(3, 4, anchors=1, template=7).eval(), torch.rand(1, 3, 15, 15)
    changed = exemplar.clone()
    changed[..., :4, :] = changed[..., :, 11:] = 9
    for kernel, other in zip(head.kernels(exemplar), head.kernels(changed), strict=True):
        assert torch.equal(kernel, other)


def test_size_of_a_branch() -> None:
    """By hand: two 3x3 convolutions with BatchNorm, a 1x1 one with BatchNorm, a 1x1 one with bias."""
    count = sum(parameter.numel() for parameter in Branch(256, 10).parameters())
    assert count == 2 * (9 * 256**2 + 512) + (256**2 + 512) + (256 * 10 + 10)


def test_scores_and_boxes_have_weights_of_their_own() -> None:
    head = LevelHead(3, 4, anchors=1, template=3)
    owners = [{id(p) for p in branch.parameters()} for branch in (head.classification, head.regression)]
    assert not owners[0] & owners[1]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in head.modules()) == 7
