from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from distillery.distill.correlation import cross_correlate


def grouped(search: torch.Tensor, exemplar: torch.Tensor, padding: tuple[int, int] = (0, 0)) -> torch.Tensor:
    """The textbook form: one group of a convolution a sample."""
    batch, channels, *size = search.shape
    return F.conv2d(search.reshape(1, batch * channels, *size), exemplar, groups=batch, padding=padding)[0]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.tuples(st.integers(5, 8), st.integers(5, 8)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_equals_a_convolution_grouped_by_sample(
    batch: int, channels: int, size: tuple[int, int], kernel: tuple[int, int]
) -> None:
    draw = torch.Generator().manual_seed(batch * 100 + channels)
    ours = [torch.randn(batch, channels, *sides, generator=draw, dtype=torch.float64) for sides in (size, kernel)]
    peer = [tensor.clone() for tensor in ours]
    for tensor in (*ours, *peer):
        tensor.requires_grad_()
    found, expected = cross_correlate(*ours), grouped(*peer)
    torch.testing.assert_close(found, expected)
    # A gradient that differs from position to position catches a flipped or shifted backward pass.
    slope = torch.randn(found.shape, generator=draw, dtype=torch.float64)
    found.backward(slope)
    expected.backward(slope)
    for mine, theirs in zip(ours, peer, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_same_padding_keeps_the_size_of_the_search_map(side: int) -> None:
    draw = torch.Generator().manual_seed(side)
    search = torch.randn(2, 3, 7, 6, generator=draw, dtype=torch.float64)
    exemplar = torch.randn(2, 3, side, side, generator=draw, dtype=torch.float64)
    found = cross_correlate(search, exemplar, same=True)
    assert found.shape == (2, 7, 6)
    torch.testing.assert_close(found, grouped(search, exemplar, (side // 2, side // 2)))
    per_channel = [
        [correlate2d(x, z, mode="same") for x, z in zip(xs, zs, strict=True)]
        for xs, zs in zip(search.numpy(), exemplar.numpy(), strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), np.array(per_channel).sum(1), atol=1e-12)


def test_a_worked_example() -> None:
    search = torch.tensor([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]])
    exemplar = torch.tensor([[[[1.0, 0], [0, -1]]]])
    # Every 2x2 window: its upper left minus its lower right number.
    assert cross_correlate(search, exemplar).tolist() == [[[-4, -4], [-4, -4]]]


def test_each_sample_meets_its_own_exemplar() -> None:
    search, exemplar = torch.ones(2, 1, 3, 3), torch.stack((torch.zeros(1, 2, 2), torch.ones(1, 2, 2)))
    found = cross_correlate(search, exemplar)
    assert (found[0] == 0).all()
    assert (found[1] == 4).all()
