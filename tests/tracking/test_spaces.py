"""What a search must know of a family: sizes against the built networks, overlaps worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry
from distillery.config.siamrpn import SiamRPNArchitecture, SiamRPNGeometry
from distillery.tracking import siamfc, siamrpn
from distillery.tracking.spaces import ROWS, confident_overlap

RATIOS = st.lists(st.integers(1, 10).map(lambda tenth: tenth / 10), min_size=6, max_size=6)
FC = SiamFCGeometry(exemplar=63, search=127, train_search=71)  # 3 x 3 positions, 4 px apart, crop's middle at 35
RPN = SiamRPNGeometry(
    exemplar=63,
    search=127,
    small_search=127,
    train_search=95,  # 9 x 9 positions less the head's 4, as the network gives them
    stride=4,
    anchor_ratios=(1.0,),
    anchor_base=8,
    anchor_scale=4,
)
COMPACT = SiamFCArchitecture(layout="compact")


class TestSize:
    @settings(max_examples=10, deadline=None)
    @given(RATIOS, st.sampled_from(["published", "compact"]))
    def test_is_that_of_the_built_network(self, ratios: list[float], layout: Any) -> None:
        fc = SiamFCArchitecture(layout=layout, width=0.1, ratios=tuple(ratios[:5]))  # type: ignore[arg-type]
        fc_geometry = FC if layout == "compact" else SiamFCGeometry()
        rpn = SiamRPNArchitecture(layout=layout, width=0.05, ratios=tuple(ratios))  # type: ignore[arg-type]
        rpn_geometry = RPN if layout == "compact" else SiamRPNGeometry()
        for family, module, architecture, geometry in (
            ("siamfc", siamfc, fc, fc_geometry),
            ("siamrpn", siamrpn, rpn, rpn_geometry),
        ):
            network: Any = module.build(architecture, geometry)  # type: ignore[attr-defined]
            channels = module.channels_of(architecture)  # type: ignore[attr-defined]
            built = sum(parameter.numel() for parameter in network.parameters())
            assert ROWS[family].size(architecture, geometry, channels) == built

    def test_published_sizes(self) -> None:
        assert ROWS["siamfc"].size(SiamFCArchitecture(), SiamFCGeometry(), siamfc.CHANNELS) == 2_336_320
        assert ROWS["siamrpn"].size(SiamRPNArchitecture(), SiamRPNGeometry(), siamrpn.CHANNELS) == 90_436_132


@pytest.mark.parametrize(
    ("family", "module", "architecture"),
    [("siamfc", siamfc, SiamFCArchitecture()), ("siamrpn", siamrpn, SiamRPNArchitecture())],
)
def test_one_layer_an_action(family: str, module: Any, architecture: Any) -> None:
    channels = module.channels_of(architecture)
    layers = ROWS[family].layers(architecture, channels)
    assert len(layers) == len(architecture.ratios)
    assert [layer.channels for layer in layers] == list(channels)
    assert [layer.kernel for layer in layers] == [11, 5, 3, 3, 3, 3][: len(layers)]
    # Classification and regression branch are one layer here, and so take one action.
    assert [layer.kind for layer in layers] == [0, 0, 0, 0, 0, 1][: len(layers)]


class TestSiamFCOverlap:
    """A target of 8 x 8 px; a position off by 4 px either way shares 4 * 4 of 2 * 64 - 16 px: 1/7."""

    def overlap(self, scores: Any, box: Any, proposals: int) -> float:
        row = np.array([scores], np.float32)
        return float(confident_overlap(ROWS["siamfc"], COMPACT, FC, row, None, [box], proposals)[0])

    def test_by_hand(self) -> None:
        scores = [9, 0, 0, 0, 8, 0, 0, 0, 7]  # a corner, then the middle, then the other corner
        assert self.overlap(scores, [31, 31, 39, 39], 1) == pytest.approx(1 / 7)
        assert self.overlap(scores, [31, 31, 39, 39], 2) == pytest.approx((1 / 7 + 1) / 2)
        assert self.overlap(scores, [31, 31, 39, 39], 3) == pytest.approx((1 / 7 + 1 + 1 / 7) / 3)

    def test_columns_are_x(self) -> None:
        scores = [0, 0, 0, 0, 0, 1, 0, 0, 0]  # the middle row's last column: 4 px to the right
        assert self.overlap(scores, [35, 31, 43, 39], 1) == pytest.approx(1)
        assert self.overlap(scores, [31, 35, 39, 43], 1) == pytest.approx(1 / 7)

    def test_equal_scores_take_the_first(self) -> None:
        assert self.overlap([0] * 9, [31, 31, 39, 39], 1) == pytest.approx(1 / 7)

    def test_more_proposals_than_there_are(self) -> None:
        # The middle, four sides (4 * 8 of 96: 1/3), four corners.
        assert self.overlap(range(9), [31, 31, 39, 39], 99) == pytest.approx((1 + 4 / 3 + 4 / 7) / 9)


class TestSiamRPNOverlap:
    """One anchor of 32 x 32 px at each of 9 x 9 positions, 4 px apart."""

    def overlap(self, offset: Any, place: int) -> float:
        scores = np.zeros((1, 81), np.float32)
        scores[0, place] = 5
        offsets = np.zeros((1, 81, 4), np.float32)
        offsets[0, place] = offset
        truth = [[47 - 16, 47 - 16, 47 + 16, 47 + 16]]
        found = confident_overlap(ROWS["siamrpn"], SiamRPNArchitecture(), RPN, scores, offsets, truth, 1)
        return float(found[0])

    def test_by_hand(self) -> None:
        assert self.overlap([0, 0, 0, 0], 40) == pytest.approx(1)
        # 4 px to the right: 28 * 32 of 2 * 1024 - 896.
        assert self.overlap([0, 0, 0, 0], 41) == pytest.approx(896 / 1152)
        assert self.overlap([-4 / 32, 0, 0, 0], 41) == pytest.approx(1)
        # Twice as wide and as high: a quarter is shared.
        assert self.overlap([0, 0, np.log(2), np.log(2)], 40) == pytest.approx(0.25)
