from __future__ import annotations

from typing import Any

import pytest

from distillery.config.base import parse
from distillery.config.siamrpn import RPNInference, RPNLabels, SiamRPNArchitecture, SiamRPNGeometry
from distillery.errors import UserError

COMPACT: dict[str, Any] = {
    "exemplar": 63,
    "search": 135,
    "small_search": 143,
    "train_search": 127,
    "stride": 4,
    "anchor_scale": 4,
}


def test_defaults_are_those_of_the_large_network() -> None:
    geometry = SiamRPNGeometry()
    assert (geometry.exemplar, geometry.search, geometry.small_search, geometry.train_search) == (127, 271, 287, 255)
    assert [geometry.cells(side) for side in (255, 271, 287)] == [17, 19, 21]
    assert geometry.anchors == 5
    assert geometry.misfit("published") is None
    settings = RPNInference()
    assert (settings.window, settings.penalty, settings.rate, settings.adaptive) == (0.42, 0.055, 0.295, True)


def test_compact_crops_give_the_same_responses() -> None:
    geometry = parse(SiamRPNGeometry, COMPACT, source="test")
    assert [geometry.cells(side) for side in (127, 135, 143)] == [17, 19, 21]
    assert geometry.misfit("compact") is None
    assert geometry.misfit("published") == "stride must be 8, that of the published layout"


@pytest.mark.parametrize(
    ("section", "change", "sentence"),
    [
        (SiamRPNGeometry, {"search": 270}, r"search must be 103, 111, 119 and so on: published AlexNet's stride is 8"),
        (SiamRPNGeometry, {"exemplar": 95}, r"exemplar must be 103"),  # no 3x3 left for the head
        (SiamRPNGeometry, {"search": 119}, r"must not be smaller than the exemplar"),
        (SiamRPNGeometry, {"small_search": 119}, r"must not be smaller than the exemplar"),
        (SiamRPNGeometry, {"stride": 5}, r"stride must be 8"),
        (SiamRPNGeometry, {"anchor_ratios": []}, r"anchor_ratios: "),
        (SiamRPNGeometry, {"anchor_ratios": [0.01]}, r"an anchor of ratio 0.01 has no pixel at anchor_base 8"),
        (SiamRPNGeometry, {"anchor_ratios": [100.0]}, r"an anchor of ratio 100.0 has no pixel"),
        (SiamRPNGeometry, {"anchor_ratios": [-1.0]}, r"anchor_ratios"),
        (SiamRPNArchitecture, {"ratios": [1, 1, 1, 1, 1]}, r"ratios"),
        (SiamRPNArchitecture, {"ratios": [1, 1, 1, 1, 1, 0]}, r"ratios"),
        (SiamRPNArchitecture, {"layout": "small"}, r"layout"),
        (RPNLabels, {"negative": 0.7}, r"the negative overlap must not exceed the positive one"),
        (RPNLabels, {"positives": 64}, r"selected must leave room for negatives"),
        (RPNLabels, {"smoothing": 0.5}, r"smoothing"),
        (RPNInference, {"kind": "siamfc"}, r"kind"),
        (RPNInference, {"window": 1.5}, r"window"),
    ],
)
def test_faults(section: Any, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse(section, change, source="test")
