"""The tracking loop around a network whose answers are known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from distillery.config.siamrpn import RPNGeometry, RPNInference, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.siamrpnpp import SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.config.training import Compute
from distillery.engine import checkpoint
from distillery.engine.devices import Device
from distillery.errors import UserError
from distillery.files import read_json, write_json
from distillery.tracking import siamrpnpp
from distillery.tracking.boxes import xywh_to_centre
from distillery.tracking.crops import crop, mean_colour
from distillery.tracking.rpn_tracker import RPNTracker, from_checkpoint
from distillery.tracking.siamrpn import SiamRPN, build

CPU = Device(torch.device("cpu"), torch.float32)
BOX = [100.0, 80.0, 40.0, 30.0]
CENTRE = (119.5, 94.5)
SIDE = math.sqrt(75 * 65)  # p = 0.5 * 70 = 35
IMAGE = np.random.default_rng(0).integers(0, 256, (180, 240, 3), dtype=np.uint8)
COMPACT = SiamRPNGeometry(
    exemplar=63, search=127, small_search=135, train_search=127, stride=4, anchor_scale=4, response_scale=0.02
)


class Fixed(nn.Module):
    """A network that answers as it is told, at the size that it is asked for."""

    def __init__(self, logits: np.ndarray | None = None, offsets: np.ndarray | None = None) -> None:
        super().__init__()
        self.geometry = RPNGeometry()
        self.logits, self.offsets = logits, offsets
        self.seen: list[Tensor] = []

    def for_inference(self) -> Fixed:
        return self

    def template(self, crops: Tensor) -> None:
        self.seen.append(crops)

    def respond(self, kernels: Any, search: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(search)
        cells = self.geometry.cells(search.shape[-1])
        logits = np.zeros((10, cells, cells)) if self.logits is None else self.logits
        offsets = np.zeros((20, cells, cells)) if self.offsets is None else self.offsets
        return torch.from_numpy(logits)[None].float(), torch.from_numpy(offsets)[None].float()


def peak(anchor: int, row: int, column: int, cells: int = 19, logit: float = 8.0) -> np.ndarray:
    """Logits with one anchor that looks like the target."""
    logits = np.zeros((10, cells, cells))
    logits[:5] = 8
    logits[5 + anchor, row, column] = 8 + logit
    return logits


def tracker(network: Fixed, **settings_: Any) -> RPNTracker:
    made = RPNTracker(network, RPNInference(**{"adaptive": False} | settings_), CPU)
    made.init(IMAGE, BOX)
    return made


def literal_step(
    logits: np.ndarray, offsets: np.ndarray, centre: list[float], size: list[float], settings_: RPNInference
) -> tuple[list[float], list[float]]:
    """DaSiamRPN's `SiamRPN_track` and `tracker_eval` for one frame of 240 x 180, anchor by anchor, in plain floats."""
    cells = logits.shape[-1]

    def side_of(width: float, height: float) -> float:
        padding = (width + height) * 0.5
        return math.sqrt((width + padding) * (height + padding))

    def change(value: float) -> float:
        return max(value, 1 / value)

    zoom = 127 / side_of(*size)
    best: tuple[float, ...] = (-1.0,)
    for k, ratio in enumerate((0.33, 0.5, 1, 2, 3)):
        anchor_width = int(math.sqrt(64 / ratio)) * 8
        anchor_height = int(int(math.sqrt(64 / ratio)) * ratio) * 8
        for row in range(cells):
            for column in range(cells):
                dx, dy, dw, dh = (offsets[c * 5 + k, row, column] for c in range(4))
                x = dx * anchor_width + (column - cells // 2) * 8
                y = dy * anchor_height + (row - cells // 2) * 8
                w, h = math.exp(dw) * anchor_width, math.exp(dh) * anchor_height
                background, target = logits[k, row, column], logits[5 + k, row, column]
                score = math.exp(target) / (math.exp(background) + math.exp(target))
                scale_change = change(side_of(w, h) / side_of(size[0] * zoom, size[1] * zoom))
                ratio_change = change((size[0] / size[1]) / (w / h))
                penalty = math.exp(-(ratio_change * scale_change - 1) * settings_.penalty)
                hanning = [0.5 - 0.5 * math.cos(2 * math.pi * i / (cells - 1)) for i in (row, column)]
                total = penalty * score * (1 - settings_.window) + hanning[0] * hanning[1] * settings_.window
                if total > best[0]:
                    best = (total, x, y, w, h, penalty * score * settings_.rate)
    _, x, y, w, h, rate = best
    found = [centre[0] + x / zoom, centre[1] + y / zoom]
    grown = [size[0] * (1 - rate) + w / zoom * rate, size[1] * (1 - rate) + h / zoom * rate]
    limits = (240, 180)
    return (
        [max(0, min(limit, value)) for value, limit in zip(found, limits, strict=True)],
        [max(10, min(limit, value)) for value, limit in zip(grown, limits, strict=True)],
    )


@given(st.integers(0, 10_000), st.sampled_from([(0.42, 0.055, 0.295), (0.40, 0.22, 0.30), (0.0, 0.04, 1.0)]))
@settings(max_examples=15, deadline=None)
def test_against_the_reference_formulas(seed: int, constants: tuple[float, float, float]) -> None:
    draw = np.random.default_rng(seed)
    logits, offsets = 3 * draw.standard_normal((10, 19, 19)), 0.4 * draw.standard_normal((20, 19, 19))
    window, penalty, rate = constants
    made = tracker(Fixed(logits, offsets), window=window, penalty=penalty, rate=rate)
    centre, size = list(CENTRE), BOX[2:]
    for _ in range(2):
        found = xywh_to_centre(made.update(IMAGE))
        centre, size = literal_step(logits, offsets, centre, size, made.inference)
        np.testing.assert_allclose(found, [*centre, *size], rtol=1e-4, atol=1e-3)


class TestBox:
    @pytest.mark.parametrize(("row", "column"), [(9, 9), (9, 12), (4, 9), (7, 15)])
    def test_a_cell_is_eight_pixels_of_the_crop(self, row: int, column: int) -> None:
        box = tracker(Fixed(peak(2, row, column)), window=0.0).update(IMAGE)
        expected = np.array(CENTRE) + np.array([column - 9, row - 9]) * 8 * SIDE / 127
        np.testing.assert_allclose(xywh_to_centre(box)[:2], expected, atol=1e-4)

    def test_offsets_move_and_stretch_the_anchor(self) -> None:
        offsets = np.zeros((20, 19, 19))
        offsets[[2, 7, 12, 17], 9, 9] = [0.25, -0.5, math.log(1.5), math.log(0.75)]
        box = tracker(Fixed(peak(2, 9, 9), offsets), window=0.0, penalty=0.0, rate=1.0).update(IMAGE)
        zoom, certain = 127 / SIDE, 1 / (1 + math.exp(-8))
        np.testing.assert_allclose(xywh_to_centre(box)[:2], [119.5 + 16 / zoom, 94.5 - 32 / zoom], atol=1e-3)
        # 64 x 1.5 = 96 by 64 x 0.75 = 48 pixels of the crop, taken over as far as the score is certain.
        expected = [old * (1 - certain) + new / zoom * certain for old, new in zip(BOX[2:], (96, 48), strict=True)]
        np.testing.assert_allclose(box[2:], expected, rtol=1e-4)

    def test_the_size_follows_slowly_and_the_centre_at_once(self) -> None:
        made = tracker(Fixed(peak(0, 9, 11)), window=0.0, penalty=0.0, rate=0.3)
        box = made.update(IMAGE)
        certain = 0.3 / (1 + math.exp(-8))
        assert box[2] == pytest.approx(40 * (1 - certain) + 104 * SIDE / 127 * certain, rel=1e-4)
        assert xywh_to_centre(box)[0] == pytest.approx(119.5 + 16 * SIDE / 127, abs=1e-3)

    def test_stays_in_the_frame(self) -> None:
        corner = tracker(Fixed(peak(2, 0, 0)), window=0.0)
        for _ in range(10):
            box = corner.update(IMAGE)
        assert xywh_to_centre(box)[:2].tolist() == [0, 0]

    @pytest.mark.parametrize(("offset", "expected"), [(9.0, [240, 180]), (-9.0, [10, 10])])
    def test_sides_have_bounds(self, offset: float, expected: list[float]) -> None:
        offsets = np.zeros((20, 19, 19))
        offsets[10:] = offset
        made = tracker(Fixed(peak(2, 9, 9, logit=30), offsets), window=0.0, penalty=0.0, rate=1.0)
        for _ in range(3):
            box = made.update(IMAGE)
        assert box[2:].tolist() == expected

    def test_a_frame_smaller_than_the_smallest_box(self) -> None:
        made = RPNTracker(Fixed(), RPNInference(adaptive=False), CPU)
        tiny = np.zeros((6, 8, 3), np.uint8)
        made.init(tiny, [2, 2, 3, 3])
        assert made.update(tiny)[2:].tolist() == [10, 10]

    def test_wild_answers_stay_finite(self) -> None:
        draw = np.random.default_rng(2)
        made = tracker(Fixed(1e6 * draw.standard_normal((10, 19, 19)), 1e6 * draw.standard_normal((20, 19, 19))))
        for _ in range(5):
            assert np.isfinite(made.update(IMAGE)).all()


class TestPenalty:
    def test_prefers_the_familiar_shape(self) -> None:
        """Of two equally certain anchors the one whose shape and size are the target's: 64 px, 4 : 3."""
        logits = peak(2, 9, 9)
        logits[5 + 4, 9, 9] = logits[5 + 2, 9, 9]  # 32 x 96 as certain as 64 x 64
        made = tracker(Fixed(logits), window=0.0, penalty=0.2, rate=1.0)
        width, height = made.update(IMAGE)[2:]
        assert abs(math.log(width / height)) < 0.3

    def test_a_window_prefers_the_nearer_of_two(self) -> None:
        logits = peak(2, 9, 16)
        logits[5 + 2, 9, 7] = logits[5 + 2, 9, 16]
        near = xywh_to_centre(tracker(Fixed(logits), window=0.3).update(IMAGE))
        assert near[0] == pytest.approx(119.5 - 16 * SIDE / 127, abs=1e-3)


class TestCrops:
    def test_what_the_network_sees(self) -> None:
        network = Fixed()
        made = tracker(network)
        later = IMAGE[::-1].copy()
        made.update(later)
        exemplar, search = (seen[0].permute(1, 2, 0).numpy().astype(np.uint8) for seen in network.seen)
        border = mean_colour(IMAGE)  # of the first frame
        assert np.array_equal(exemplar, crop(IMAGE, CENTRE, SIDE, 127, border))
        assert np.array_equal(search, crop(later, CENTRE, SIDE * 271 / 127, 271, border))

    @pytest.mark.parametrize(
        ("box", "adaptive", "side"),
        [
            ([100, 80, 13, 13.2], True, 287),  # 171.6 of 43,200 pixels: less than 0.4 %
            ([100, 80, 13, 13.4], True, 271),
            ([100, 80, 13, 13.2], False, 271),
        ],
    )
    def test_small_targets_get_a_larger_search_region(self, box: list[float], adaptive: bool, side: int) -> None:
        network = Fixed()
        made = RPNTracker(network, RPNInference(adaptive=adaptive), CPU)
        made.init(IMAGE, box)
        made.update(IMAGE)
        assert network.seen[-1].shape[-1] == side

    def test_init_starts_afresh(self) -> None:
        made = tracker(Fixed(peak(1, 8, 12)))
        first = made.update(IMAGE).tolist()
        made.update(IMAGE)
        made.init(IMAGE, BOX)
        assert made.update(IMAGE).tolist() == first


def fresh() -> SiamRPN:
    torch.manual_seed(0)
    return build(SiamRPNArchitecture(layout="compact", width=0.04), COMPACT)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    made = fresh()
    checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
    return tmp_path / "net.safetensors"


def test_from_checkpoint(saved: Path) -> None:
    settings_ = RPNInference(window=0.3)
    boxes = []
    for made in (from_checkpoint(saved, Compute(device="cpu"), settings_), RPNTracker(fresh().eval(), settings_, CPU)):
        made.init(IMAGE, BOX)
        boxes.append([made.update(IMAGE).tolist() for _ in range(2)])
    assert boxes[0] == boxes[1]


def test_serves_the_other_family(tmp_path: Path) -> None:
    torch.manual_seed(0)
    geometry = SiamRPNPPGeometry(
        exemplar=63, search=127, small_search=127, train_search=127, stride=4, anchor_scale=4, template=5
    )
    architecture = SiamRPNPPArchitecture(backbone="resnet18", layout="compact", width=0.1, head_channels=8)
    made = siamrpnpp.build(architecture, geometry).eval()
    checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
    loaded = from_checkpoint(tmp_path / "net.safetensors", Compute(device="cpu"), RPNInference())
    loaded.init(IMAGE, BOX)
    assert np.isfinite(loaded.update(IMAGE)).all()


def test_other_checkpoints_are_refused(saved: Path) -> None:
    sidecar = saved.with_suffix(".json")
    write_json(sidecar, read_json(sidecar) | {"kind": "siamfc"})
    with pytest.raises(UserError, match="describes a checkpoint of kind 'siamfc', not 'siamrpn' or 'siamrpnpp'"):
        from_checkpoint(saved, Compute(device="cpu"), RPNInference())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("box", [[0, 0, 1e155, 1e155], [1e300, -1e300, 40, 30], [0, 0, 1e308, 1e-3], [0, 0, 40, 1e200]])
@pytest.mark.parametrize("adaptive", [True, False])
def test_a_first_box_that_no_image_has(box: list[float], adaptive: bool) -> None:
    made = RPNTracker(Fixed(peak(2, 9, 9)), RPNInference(adaptive=adaptive), CPU)
    made.init(IMAGE, box)
    for _ in range(3):
        found = made.update(IMAGE)
        assert np.isfinite(found).all()
        assert (found[2:] <= (240, 180)).all()
