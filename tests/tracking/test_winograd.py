from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from distillery.tracking.backbones import CHANNELS, SIAMFC, SIAMRPN, AlexNet, fold_batch_norm
from distillery.tracking.packing import PackedAlexNet, pack
from distillery.tracking.winograd import WinogradConvolution, pays

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN")


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(3, 20),
    width=st.integers(3, 20),
    images=st.integers(1, 3),
    seed=st.integers(0, 1000),
    relu=st.booleans(),
)
@torch.no_grad()
def test_is_the_convolution_at_every_size(height: int, width: int, images: int, seed: int, relu: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, bias = torch.randn(7, 5, 3, 3, generator=generator), torch.randn(7, generator=generator)
    features = torch.randn(images, height, width, 5, generator=generator).permute(0, 3, 1, 2)
    expected = F.conv2d(features.double(), weight.double(), bias.double())
    expected = expected.relu() if relu else expected
    found = WinogradConvolution(weight, bias, 4)(features, relu=relu)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 1e-3


@torch.no_grad()
def test_one_pixel_by_hand() -> None:
    weight = torch.arange(9.0).view(1, 1, 3, 3)
    found = WinogradConvolution(weight, torch.tensor([0.5]), 1)(torch.ones(1, 1, 3, 3), relu=False)
    assert found.tolist() == [[[[pytest.approx(36.5, abs=1e-4)]]]]


def test_only_wide_convolutions_of_its_kind() -> None:
    assert pays(torch.zeros(384, 256, 3, 3), 1, 1)
    assert not pays(torch.zeros(384, 192, 3, 3), 1, 2)
    assert not pays(torch.zeros(384, 256, 3, 3), 2, 1)
    assert not pays(torch.zeros(384, 256, 5, 5), 1, 1)
    assert not pays(torch.zeros(96, 64, 3, 3), 1, 1)


@pytest.mark.parametrize("form", [SIAMFC, SIAMRPN])
@torch.no_grad()
def test_the_published_width_goes_through_it_and_keeps_its_numbers(form) -> None:
    torch.manual_seed(0)
    plain = fold_batch_norm(AlexNet(CHANNELS, "published", form).eval())
    packed = pack(plain, 255, 1)
    assert isinstance(packed, PackedAlexNet)
    kinds = [isinstance(layer, WinogradConvolution) for layer in packed._layers]
    assert kinds == [False, False, True, form is SIAMRPN, form is SIAMRPN]
    images = (255 * torch.rand(1, 255, 255, 3)).permute(0, 3, 1, 2)
    found, expected = packed(images)[0], plain(images)[0]
    assert float((found - expected).abs().max() / expected.abs().max()) < 5e-5
