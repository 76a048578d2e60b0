from __future__ import annotations

import pytest

from distillery.config.base import parse
from distillery.config.pairs import Pairs
from distillery.config.siamfc import CROP_SIDES, Layout, SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.errors import UserError


@pytest.mark.parametrize("layout", ["published", "compact"])
def test_crop_sides_follow_from_the_layers(layout: Layout) -> None:
    from distillery.tracking.backbones import LAYOUTS, STRIDES

    def side_after(side: int) -> int:
        for row in LAYOUTS[layout]:
            side = (side - row.kernel) // row.stride + 1
            side = (side - 3) // 2 + 1 if row.pool else side
        return side

    stride, smallest = CROP_SIDES[layout]
    assert stride == STRIDES[layout]
    assert [side_after(smallest + stride * k) for k in range(6)] == [1, 2, 3, 4, 5, 6]
    assert side_after({"published": 127, "compact": 63}[layout]) == 6


def test_the_published_and_the_compact_sides_are_accepted() -> None:
    assert SiamFCGeometry().misfit("published") is None
    compact = SiamFCGeometry(exemplar=63, search=127, train_search=119)
    assert compact.misfit("compact") is None
    assert "published AlexNet's stride is 8" in str(compact.misfit("published"))


@pytest.mark.parametrize(
    ("sides", "sentence"),
    [
        ({"exemplar": 126}, "exemplar must be 87, 95, 103 and so on"),
        ({"search": 254}, "search must be 87"),
        ({"exemplar": 39}, "exemplar must be 87"),
        ({"exemplar": 255, "search": 127}, "must not be smaller than the exemplar"),
    ],
)
def test_sides_that_no_layout_takes(sides: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse(SiamFCGeometry, sides, source="config")


def test_defaults_are_the_references() -> None:
    assert SiamFCArchitecture().layout == "published"
    inference = SiamFCInference()
    assert (inference.kind, inference.scales, inference.scale_step) == ("siamfc", 3, 1.0375)
    pairs = Pairs(epoch=1)
    assert (pairs.exemplar_stretch, pairs.exemplar_shift, pairs.stretch, pairs.shift) == (0.05, 4, 0.05, 4)
    assert (pairs.negative, pairs.blur, pairs.grey, pairs.colour, pairs.jitter, pairs.aspect) == (0, 0, 0, 0, 0, False)


@pytest.mark.parametrize("fault", [{"negative": 1.5}, {"stretch": 1.0}, {"shift": -1}, {"jitter": -1.0}])
def test_pairs_out_of_range(fault: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(fault))):
        parse(Pairs, {"epoch": 1} | fault, source="config")
