from __future__ import annotations

import pytest
import torch

from distillery.config.siamfc import Layout
from distillery.tracking import packing
from distillery.tracking.backbones import SIAMFC, SIAMRPN, AlexNet, Form, fold_batch_norm
from distillery.tracking.packing import PackedAlexNet, pack


def folded(layout: Layout = "published", form: Form = SIAMFC) -> AlexNet:
    torch.manual_seed(0)
    made = AlexNet((6, 16, 12, 12, 10), layout, form)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
    return fold_batch_norm(made.eval())


@pytest.fixture
def supported() -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch was built without oneDNN")


@pytest.mark.usefixtures("supported")
@pytest.mark.parametrize("form", [SIAMFC, SIAMRPN])
@pytest.mark.parametrize(("layout", "exemplar", "search"), [("published", 127, 255), ("compact", 63, 127)])
@torch.no_grad()
def test_the_same_function_at_every_size(form: Form, layout: Layout, exemplar: int, search: int) -> None:
    plain = folded(layout, form)
    packed = pack(plain, search, 3)
    assert isinstance(packed, PackedAlexNet)
    for count, side in ((3, search), (1, exemplar), (2, search - 8)):
        images = (255 * torch.rand(count, side, side, 3)).permute(0, 3, 1, 2)
        found, taps = packed(images)
        torch.testing.assert_close(found, plain(images)[0], rtol=1e-4, atol=1e-2)
        assert taps == {}
        assert torch.equal(found, packed(images)[0])


@pytest.mark.usefixtures("supported")
def test_no_tapped_maps() -> None:
    with pytest.raises(ValueError, match="last map alone"):
        PackedAlexNet(folded(), 127, 1)(torch.zeros(1, 3, 127, 127), (3,))


def test_the_plain_network_where_packing_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = folded()

    def broken(*_: object) -> None:
        raise AttributeError("module has no attribute 'mkldnn_reorder_conv2d_weight'")

    monkeypatch.setattr(packing, "PackedAlexNet", broken)
    assert pack(plain, 127, 1) is plain


def test_the_plain_network_where_packing_gives_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = folded()
    monkeypatch.setattr(packing, "PackedAlexNet", lambda *_: lambda images: (1.01 * plain(images)[0], {}))
    assert pack(plain, 127, 1) is plain


def test_packing_draws_no_random_numbers() -> None:
    plain = folded()
    state = torch.get_rng_state()
    pack(plain, 127, 1)
    assert torch.equal(torch.get_rng_state(), state)
