"""The tracking loop around a network whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.config.training import Compute
from distillery.engine import checkpoint
from distillery.engine.devices import Device
from distillery.tracking.boxes import iou
from distillery.tracking.crops import crop, mean_colour
from distillery.tracking.siamfc import SiamFC
from distillery.tracking.tracker import Enlargement, SiamFCTracker, from_checkpoint

CPU = Device(torch.device("cpu"), torch.float32)
BOX = [100.0, 80.0, 40.0, 30.0]
CENTRE = np.array([119.5, 94.5])
# p = 0.5 * 70 = 35, exemplar side sqrt(75 * 65), search side 255/127 of it.
SEARCH = np.sqrt(75 * 65) * 255 / 127
IMAGE = np.random.default_rng(0).integers(0, 256, (180, 240, 3), dtype=np.uint8)
# The peak of a cell is enlarged to 16 positions, of which one of the middle two is taken: half a position off.
HALF = 0.5 * 8 / 16 * SEARCH / 255 + 1e-6

Make = Callable[..., SiamFCTracker]


def network() -> SiamFC:
    torch.manual_seed(0)
    return SiamFC(SiamFCArchitecture(width=0.03), SiamFCGeometry()).eval()


def bump(row: float, column: float, height: float = 1.0) -> np.ndarray:
    rows, columns = np.mgrid[:17, :17]
    return height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """A tracker, initialised on BOX, whose network answers with the given response of each scale."""

    def build(responses: list[np.ndarray], **settings: float) -> SiamFCTracker:
        tracker = SiamFCTracker(network(), SiamFCInference(**settings), CPU)
        answer = torch.from_numpy(np.stack(responses)).float()
        monkeypatch.setattr(tracker.network, "respond", lambda kernel, crops: answer)
        tracker.init(IMAGE, BOX)
        return tracker

    return build


def centre(box: np.ndarray) -> np.ndarray:
    return box[:2] + (box[2:] - 1) / 2


class TestDisplacement:
    @pytest.mark.parametrize(("row", "column"), [(8, 8), (8, 11), (5, 8), (3, 12), (14, 2)])
    def test_a_cell_is_eight_pixels_of_the_crop(self, make: Make, row: int, column: int) -> None:
        box = make([bump(row, column)] * 3, window=0.0).update(IMAGE)
        expected = CENTRE + np.array([column - 8, row - 8]) * 8 * SEARCH / 255
        assert np.abs(centre(box) - expected).max() <= HALF
        assert box[2:].tolist() == BOX[2:]

    @pytest.mark.parametrize("position", [-0.5, 0.5])
    def test_a_position_of_the_enlarged_response(self, make: Make, position: float) -> None:
        """Positions lie half a step either side of the middle of an even number of them."""
        tracker = make([bump(8, 8 + position / 16)] * 3, window=0.0)
        moved = centre(tracker.update(IMAGE))[0] - CENTRE[0]
        assert moved == pytest.approx(position * 8 / 16 * SEARCH / 255, abs=1e-6)

    def test_between_two_cells(self, make: Make) -> None:
        box = make([bump(8, 9.5)] * 3, window=0.0).update(IMAGE)
        assert centre(box)[0] == pytest.approx(CENTRE[0] + 1.5 * 8 * SEARCH / 255, abs=2 * HALF)

    def test_displacements_add_up(self, make: Make) -> None:
        tracker = make([bump(8, 10)] * 3, window=0.0)
        boxes = np.array([tracker.update(IMAGE) for _ in range(3)])
        steps = np.diff(boxes[:, 0])
        assert steps == pytest.approx([2 * 8 * SEARCH / 255] * 2, abs=HALF)

    def test_the_pixels_of_a_larger_scale_are_larger(self, make: Make) -> None:
        small = bump(8, 12, 0.5)
        box = make([small, small, bump(8, 12)], window=0.0).update(IMAGE)
        assert centre(box)[0] == pytest.approx(CENTRE[0] + 4 * 8 * 1.0375 * SEARCH / 255, abs=2 * HALF)


class TestScale:
    def test_damping(self, make: Make) -> None:
        weak = bump(8, 8, 0.5)
        larger = make([weak, weak, bump(8, 8)]).update(IMAGE)
        assert larger[2:] == pytest.approx(np.array(BOX[2:]) * (0.41 + 0.59 * 1.0375))
        smaller = make([bump(8, 8), weak, weak]).update(IMAGE)
        assert smaller[2:] == pytest.approx(np.array(BOX[2:]) * (0.41 + 0.59 / 1.0375))
        assert np.abs(centre(smaller) - CENTRE).max() <= HALF

    def test_a_change_of_scale_must_be_worth_its_penalty(self, make: Make) -> None:
        # 0.9745 of the changed scale's peak against the whole of the unchanged one.
        assert make([bump(8, 8, 0.98), bump(8, 8, 0.96), bump(8, 8, 0.9)]).update(IMAGE)[2] == BOX[2]
        assert make([bump(8, 8, 0.99), bump(8, 8, 0.96), bump(8, 8, 0.9)]).update(IMAGE)[2] < BOX[2]

    def test_the_context_grows_with_the_target(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        weak = bump(8, 8, 0.5)
        tracker = make([weak, weak, bump(8, 12)], window=0.0)
        first = tracker.update(IMAGE)
        second = tracker.update(IMAGE)
        moved = centre(second)[0] - centre(first)[0]
        assert moved / (centre(first)[0] - CENTRE[0]) == pytest.approx(0.41 + 0.59 * 1.0375, rel=0.01)

    @pytest.mark.parametrize("scales", [1, 3, 5])
    def test_numbers_of_scales(self, make: Make, scales: int) -> None:
        tracker = make([bump(8, 8)] * scales, scales=scales)
        assert tracker._factors == pytest.approx(1.0375 ** np.arange(-(scales // 2), scales // 2 + 1))
        assert tracker.update(IMAGE)[2] == BOX[2]


class TestWindow:
    def test_alone_it_stays(self, make: Make) -> None:
        box = make([np.ones((17, 17))] * 3).update(IMAGE)
        assert np.abs(centre(box) - CENTRE).max() <= HALF
        assert box[2:].tolist() == BOX[2:]

    def test_prefers_the_nearer_of_two_equal_peaks(self, make: Make) -> None:
        two = np.maximum(bump(8, 14), bump(8, 6))
        expected = CENTRE[0] - 2 * 8 * SEARCH / 255
        assert centre(make([two] * 3, window=0.3).update(IMAGE))[0] == pytest.approx(expected, abs=1)

    def test_is_a_normalised_cosine(self, make: Make) -> None:
        tracker = make([bump(8, 8)] * 3)
        assert tracker._window.shape == (272, 272)
        assert tracker._window.sum() == pytest.approx(1, rel=1e-5)
        cosine = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(272) / 271)
        np.testing.assert_allclose(tracker._window, np.outer(cosine, cosine) / cosine.sum() ** 2, atol=1e-9)


class TestPeak:
    """The last step of a frame against the reference's, written out with OpenCV."""

    @staticmethod
    def literal(responses: np.ndarray, window_share: float) -> tuple[int, np.ndarray]:
        """Best scale and the response in which siamfc-pytorch looks for the peak (`siamfc.py: update`)."""
        enlarged = np.stack([cv2.resize(one, (272, 272), interpolation=cv2.INTER_CUBIC) for one in responses])
        enlarged[0] *= 0.9745
        enlarged[2] *= 0.9745
        best = int(np.argmax(enlarged.max((1, 2))))
        response = enlarged[best].astype(float)
        response -= response.min()
        response /= response.sum() + 1e-16
        window = np.outer(np.hanning(272), np.hanning(272))
        return best, (1 - window_share) * response + window_share * window / window.sum()

    @pytest.mark.parametrize("seed", range(20))
    @pytest.mark.parametrize("window", [0.0, 0.176, 1.0])
    def test_equals_the_reference(self, seed: int, window: float) -> None:
        noise = np.random.default_rng(seed)
        responses = noise.normal(size=(3, 17, 17)).astype(np.float32) * np.float32(noise.choice([1e-3, 1.0, 1e3]))
        responses += np.float32(noise.choice([0.0, -5.0, 50.0]))
        tracker = SiamFCTracker(network(), SiamFCInference(window=window), CPU)
        best, row, column = tracker._peak(responses)
        expected_best, expected = self.literal(responses, window)
        assert best == expected_best
        # Equal up to the rounding of the two interpolations.
        assert expected[row, column] >= expected.max() - 2e-4 * (expected.max() - expected.min())

    def test_flat_responses_leave_the_window_alone(self) -> None:
        tracker = SiamFCTracker(network(), SiamFCInference(), CPU)
        flat = np.full((3, 17, 17), 0.1, np.float32)
        best, row, column = tracker._peak(flat)
        assert best == 1
        assert {row, column} <= {135, 136}

    @pytest.mark.parametrize(("cells", "factor"), [(17, 16), (15, 16), (9, 4), (5, 1)])
    def test_enlargement_is_opencvs(self, cells: int, factor: int) -> None:
        maps = np.random.default_rng(0).normal(size=(2, cells, cells)).astype(np.float32)
        side = cells * factor
        expected = np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in maps])
        np.testing.assert_allclose(Enlargement(cells, factor)(maps), expected, atol=3e-6)


class TestCompact:
    GEOMETRY = SiamFCGeometry(exemplar=63, search=127, train_search=119)

    def tracker(self) -> SiamFCTracker:
        torch.manual_seed(0)
        made = SiamFC(SiamFCArchitecture(width=0.03, layout="compact"), self.GEOMETRY).eval()
        return SiamFCTracker(made, SiamFCInference(window=0.0), CPU)

    def test_a_cell_is_four_pixels_of_the_crop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tracker = self.tracker()
        answer = torch.from_numpy(np.stack([bump(5, 11)] * 3)).float()
        monkeypatch.setattr(tracker.network, "respond", lambda kernel, crops: answer)
        tracker.init(IMAGE, BOX)
        search = np.sqrt(75 * 65) * 127 / 63
        expected = CENTRE + np.array([3, -3]) * 4 * search / 127
        assert np.abs(centre(tracker.update(IMAGE)) - expected).max() <= 0.5 * 4 / 16 * search / 127 + 1e-6

    def test_the_network_answers_in_17_by_17(self) -> None:
        tracker = self.tracker()
        tracker.init(IMAGE, BOX)
        assert tracker._kernel.shape[2:] == (6, 6)
        assert tracker._window.shape == (272, 272)
        assert np.isfinite(tracker.update(IMAGE)).all()


def test_a_lower_precision_is_the_networks_alone() -> None:
    tracker = SiamFCTracker(network(), SiamFCInference(), Device(torch.device("cpu"), torch.bfloat16))
    tracker.init(IMAGE, BOX)
    assert tracker._kernel.dtype == torch.bfloat16
    assert tracker._window.dtype == np.float32
    assert np.isfinite(tracker.update(IMAGE)).all()


def test_what_the_network_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = SiamFCTracker(network(), SiamFCInference(window=0.0), CPU)
    embed, seen = tracker.network.embed, []
    monkeypatch.setattr(tracker.network, "embed", lambda crops: seen.append(crops) or embed(crops))
    tracker.init(IMAGE, BOX)
    tracker.update(IMAGE[::-1].copy())
    exemplar, search = (crops.permute(0, 2, 3, 1).numpy().astype(np.uint8) for crops in seen)
    border = mean_colour(IMAGE)  # of the first frame
    assert np.array_equal(exemplar[0], crop(IMAGE, tuple(CENTRE), SEARCH * 127 / 255, 127, border))
    for shown, factor in zip(search, (1 / 1.0375, 1, 1.0375), strict=True):
        assert np.array_equal(shown, crop(IMAGE[::-1].copy(), tuple(CENTRE), SEARCH * factor, 255, border))


def test_follows_a_moving_target_if_the_network_recognises_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Template matching on the very crops that the network gets, at its stride, stands for an ideal network."""
    noise = np.random.default_rng(1)
    ground = cv2.resize(noise.integers(0, 256, (18, 24, 3), dtype=np.uint8), (240, 180))
    patch = cv2.resize(noise.integers(0, 256, (6, 6, 3), dtype=np.uint8), (36, 30))
    tracker = SiamFCTracker(network(), SiamFCInference(), CPU)

    def respond(kernel: torch.Tensor, crops: torch.Tensor) -> torch.Tensor:
        template = kernel[0].permute(1, 2, 0).numpy()[32:95, 32:95]
        images = crops.permute(0, 2, 3, 1).numpy()
        maps = [cv2.matchTemplate(image, template, cv2.TM_CCOEFF_NORMED)[32:161:8, 32:161:8] for image in images]
        return torch.from_numpy(np.stack(maps))

    monkeypatch.setattr(tracker.network, "embed", lambda crops: crops)
    monkeypatch.setattr(tracker.network, "respond", respond)
    overlaps = []
    for step in range(20):
        x, y = 20 + 8 * step, 30 + 4 * step
        frame = ground.copy()
        frame[y : y + 30, x : x + 36] = patch
        if step == 0:
            tracker.init(frame, [x, y, 36.0, 30.0])
        else:
            overlaps.append(float(iou(tracker.update(frame), [x, y, 36, 30])))
    assert min(overlaps) > 0.7


def test_init_starts_afresh(make: Make) -> None:
    tracker = make([bump(8, 10), bump(8, 10), bump(4, 10, 2)])
    first = tracker.update(IMAGE)
    tracker.update(IMAGE)
    tracker.init(IMAGE, BOX)
    assert tracker.update(IMAGE).tolist() == first.tolist()


def test_lost_far_outside_the_frame_it_goes_on() -> None:
    tracker = SiamFCTracker(network(), SiamFCInference(), CPU)
    tracker.init(IMAGE, [-500.0, 900.0, 40, 30])
    for _ in range(3):
        assert np.isfinite(tracker.update(IMAGE)).all()


def test_one_network_may_serve_several_trackers() -> None:
    shared = network()
    boxes = []
    for _ in range(2):
        tracker = SiamFCTracker(shared, SiamFCInference(), CPU)
        tracker.init(IMAGE, BOX)
        boxes.append(tracker.update(IMAGE).tolist())
    assert boxes[0] == boxes[1]


def test_from_checkpoint(tmp_path: Path) -> None:
    made = network()
    checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
    loaded = from_checkpoint(tmp_path / "net.safetensors", Compute(device="cpu"), SiamFCInference(scales=1))
    direct = SiamFCTracker(made, SiamFCInference(scales=1), CPU)
    for tracker in (loaded, direct):
        tracker.init(IMAGE, BOX)
    assert loaded.update(IMAGE).tolist() == direct.update(IMAGE).tolist()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("box", [[0, 0, 1e155, 1e155], [1e300, -1e300, 40, 30], [0, 0, 40, 1e200]])
def test_a_first_box_that_no_image_has(box: list[float]) -> None:
    tracker = SiamFCTracker(network(), SiamFCInference(), CPU)
    tracker.init(np.zeros((60, 80, 3), np.uint8), box)
    assert np.isfinite(tracker.update(np.zeros((60, 80, 3), np.uint8))).all()
