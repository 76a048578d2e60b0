from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from distillery.config.tracking import Pairs, SiamFCGeometry
from distillery.errors import UserError
from distillery.tracking import pairs as module
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.benchmarks.got10k import GOT10kSequence
from distillery.tracking.crops import context_side
from distillery.tracking.pairs import PairSampler, labels, usable_frames, wide_crop

GEOMETRY = SiamFCGeometry()
PLAIN = {"stretch": 0.0, "shift": 0}
W, H = 160, 120


def clip(
    folder: Path,
    images: list[np.ndarray],
    boxes: np.ndarray,
    *,
    cover: list[int] | None = None,
) -> Sequence:
    """A sequence of lossless images; boxes are 0-based here and 1-based in the sequence."""
    folder.mkdir(parents=True)
    frames = []
    for number, image in enumerate(images, 1):
        frames.append(folder / f"{number:08d}.png")
        cv2.imwrite(str(frames[-1]), image[..., ::-1])
    truth = np.asarray(boxes, float) + np.array([1, 1, 0, 0])
    shared = {"name": folder.name, "frames": tuple(frames), "truth": truth, "truth_file": folder / "groundtruth.txt"}
    if cover is None:
        return Sequence(**shared)
    return GOT10kSequence(**shared, cover=np.array(cover), absence=np.zeros(len(cover), bool))


def tinted(folder: Path, index: int, frames: int, box: tuple[float, ...] = (60, 40, 40, 30)) -> Sequence:
    """Flat frames whose colour tells the clip (red, tens) and the frame (green, fives)."""
    images = [np.full((H, W, 3), (10 * index, 5 * frame, 77), np.uint8) for frame in range(frames)]
    return clip(folder / str(index), images, np.tile(box, (frames, 1)))


def drawn(sampler: PairSampler, steps: range, size: int) -> np.ndarray:
    """(pairs, 4): clip and frame of the exemplar, clip and frame of the search region, read off their colours."""
    rows = []
    for step in steps:
        for z, x in zip(*sampler.batch(step, size), strict=True):
            z_colour, x_colour = (image[:, image.shape[1] // 2, image.shape[2] // 2].numpy() for image in (z, x))
            rows.append([z_colour[0] / 10, z_colour[1] / 5, x_colour[0] / 10, x_colour[1] / 5])
    return np.array(rows)


def textured(folder: Path, clips: int = 3, frames: int = 4) -> list[Sequence]:
    made = []
    for index in range(clips):
        noise = np.random.default_rng(index)
        images = [cv2.resize(noise.integers(0, 256, (12, 16, 3), dtype=np.uint8), (W, H)) for _ in range(frames)]
        boxes = np.column_stack([noise.uniform(-5, 100, frames), noise.uniform(-5, 70, frames), *[[41.0] * frames] * 2])
        made.append(clip(folder / str(index), images, boxes))
    return made


class TestBatch:
    def test_shapes_and_range(self, tmp_path: Path) -> None:
        z, x = PairSampler(textured(tmp_path), Pairs(epoch=8), GEOMETRY, 0).batch(0, 5)
        assert (z.shape, x.shape) == ((5, 3, 127, 127), (5, 3, 239, 239))
        assert z.dtype == x.dtype == torch.float32
        assert x.min() >= 0
        assert 200 < x.max() <= 255

    def test_depends_on_seed_and_step_alone(self, tmp_path: Path) -> None:
        clips, pairs = textured(tmp_path), Pairs(epoch=7, colour=0.2)
        one, other = (PairSampler(clips, pairs, GEOMETRY, 3) for _ in range(2))
        before = [one.batch(step, 4) for step in range(6)]
        for step in (5, 0, 2, 2):  # in another order, across epochs, repeatedly
            assert all(torch.equal(a, b) for a, b in zip(other.batch(step, 4), before[step], strict=True))
        assert not torch.equal(before[0][1], before[1][1])
        assert not torch.equal(PairSampler(clips, pairs, GEOMETRY, 4).batch(0, 4)[1], before[0][1])

    def test_the_cache_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clips, pairs = textured(tmp_path), Pairs(epoch=8)
        full = PairSampler(clips, pairs, GEOMETRY, 0)
        expected = [full.batch(step, 4) for step in range(4)]
        assert len(full._crops) > 0
        for room in (0, 3 * 270**2):  # none, or one crop
            monkeypatch.setattr(module, "CACHE_BYTES", room)
            small = PairSampler(clips, pairs, GEOMETRY, 0)
            found = [small.batch(step, 4) for step in range(4)]
            assert len(small._crops) == (1 if room else 0)
            for pair, wanted in zip(found, expected, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(pair, wanted, strict=True))

    def test_global_generators_are_left_alone(self, tmp_path: Path) -> None:
        sampler = PairSampler(textured(tmp_path), Pairs(epoch=8), GEOMETRY, 0)
        np.random.seed(0)
        torch.manual_seed(0)
        first = sampler.batch(0, 2)[0]
        np.random.seed(1)
        torch.manual_seed(1)
        assert torch.equal(sampler.batch(0, 2)[0], first)


class TestDraw:
    def test_two_frames_of_one_clip_within_the_gap(self, tmp_path: Path) -> None:
        clips = [tinted(tmp_path, index, 12) for index in range(3)]
        sampler = PairSampler(clips, Pairs(epoch=30, max_gap=3, **PLAIN), GEOMETRY, 0)
        rows = drawn(sampler, range(20), 6)
        assert (rows[:, 0] == rows[:, 2]).all()
        gap = rows[:, 3] - rows[:, 1]
        assert set(gap) == {1, 2, 3}  # as in siamfc-pytorch the exemplar's frame comes first
        assert set(rows[:, 1]) | set(rows[:, 3]) == set(range(12))

    def test_every_epoch_takes_every_clip_equally_often_in_another_order(self, tmp_path: Path) -> None:
        clips = [tinted(tmp_path, index, 3) for index in range(4)]
        sampler = PairSampler(clips, Pairs(epoch=12, **PLAIN), GEOMETRY, 0)
        rows = drawn(sampler, range(6), 6)[:, 0]
        for epoch in (rows[:12], rows[12:24], rows[24:]):
            assert np.bincount(epoch.astype(int)).tolist() == [3, 3, 3, 3]
        assert rows[:12].tolist() != rows[12:24].tolist()

    def test_epochs(self, tmp_path: Path) -> None:
        sampler = PairSampler([tinted(tmp_path, 0, 3)], Pairs(epoch=10), GEOMETRY, 0)
        assert [sampler.epoch(step, 4) for step in range(6)] == [0, 0, 0, 1, 1, 2]

    def test_a_lonely_frame_is_its_own_partner(self, tmp_path: Path) -> None:
        images = [np.full((H, W, 3), (10, 5 * frame, 77), np.uint8) for frame in range(6)]
        boxes = np.tile([60, 40, 40, 30], (6, 1))
        boxes[1:5, 2] = 5  # only the first and the last frame can be learnt from
        sampler = PairSampler([clip(tmp_path / "a", images, boxes)], Pairs(epoch=8, max_gap=2, **PLAIN), GEOMETRY, 0)
        rows = drawn(sampler, range(4), 4)
        assert (rows[:, 1] == rows[:, 3]).all()
        assert set(rows[:, 1]) == {0, 5}

    def test_clips_without_two_usable_frames_are_left_out(self, tmp_path: Path) -> None:
        clips = [tinted(tmp_path, 1, 4), tinted(tmp_path, 2, 4, box=(60, 40, 10, 30))]
        rows = drawn(PairSampler(clips, Pairs(epoch=6, **PLAIN), GEOMETRY, 0), range(3), 4)
        assert set(rows[:, 0]) == {1}
        with pytest.raises(UserError, match="no training clip has two frames with a usable box"):
            PairSampler(clips[1:], Pairs(epoch=6), GEOMETRY, 0)
        with pytest.raises(UserError, match="no training clip"):
            PairSampler([], Pairs(epoch=6), GEOMETRY, 0)


def test_filter_is_the_formula_of_the_reference_code(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    n = 3000
    sides = np.exp(draw.uniform(np.log(2), np.log(900), (n, 2)))
    sides[:40] = draw.choice([20, 500, 80, 60, 160], (40, 2))  # on the limits
    truth = np.column_stack([np.ones((n, 2)), sides])
    cover = draw.integers(0, 9, n)
    image = np.zeros((800, 1200, 3), np.uint8)
    made = clip(tmp_path / "a", [image], truth, cover=cover.tolist())
    expected = []
    for index, (w, h) in enumerate(sides):
        fits = w * h >= 20 and min(w, h) >= 20 and max(w, h) <= 500
        fits = fits and 0.01 <= w / 1200 <= 0.5 and 0.01 <= h / 800 <= 0.5
        fits = fits and 0.25 <= w / max(1, h) <= 4 and cover[index] > max(1, 0.3 * cover.max())
        if fits:
            expected.append(index)
    assert usable_frames(made).tolist() == expected
    assert 100 < len(expected) < n / 2


@pytest.mark.parametrize(("best", "kept"), [(8, [3, 8]), (2, [2]), (1, [])])
def test_filter_of_hidden_targets(tmp_path: Path, best: int, kept: list[int]) -> None:
    levels = [0, 1, 2, 3, best]
    boxes = np.tile([60.0, 40, 40, 30], (5, 1))
    if best < 3:
        boxes[3, 2] = 0
        levels[3] = 0
        levels[2] = min(2, best)
    made = clip(tmp_path / "a", [np.zeros((H, W, 3), np.uint8)], boxes, cover=levels)
    assert sorted({levels[frame] for frame in usable_frames(made)}) == kept


def centroid(image: torch.Tensor) -> tuple[float, float, float]:
    """x, y and area of what is bright."""
    bright = image[0].double() / 255
    rows, columns = torch.meshgrid(*(torch.arange(side).double() for side in bright.shape), indexing="ij")
    area = bright.sum()
    return float((bright * columns).sum() / area), float((bright * rows).sum() / area), float(area)


class TestGeometry:
    BOX = (130.0, 135.0, 40.0, 30.0)

    def sampler(self, folder: Path, **pairs: float) -> PairSampler:
        image = np.zeros((300, 300, 3), np.uint8)
        x, y, w, h = (int(value) for value in self.BOX)
        image[y : y + h, x : x + w] = 255
        made = clip(folder / "a", [image] * 2, np.tile(self.BOX, (2, 1)))
        return PairSampler([made], Pairs(epoch=64, **pairs), GEOMETRY, 0)

    def test_the_target_is_in_the_middle_at_the_exemplars_scale(self, tmp_path: Path) -> None:
        scale = 127 / context_side(40, 30, 0.5)
        z, x = self.sampler(tmp_path, **PLAIN).batch(0, 2)
        for crops, side in ((z, 127), (x, 239)):
            for image in crops:
                column, row, area = centroid(image)
                assert (column, row) == pytest.approx([(side - 1) / 2] * 2, abs=0.1)
                assert area == pytest.approx(40 * 30 * scale**2, rel=0.01)

    def test_the_shift_is_of_the_order_asked_for(self, tmp_path: Path) -> None:
        _, x = self.sampler(tmp_path, stretch=0.0, shift=4).batch(0, 64)
        offsets = np.array([centroid(image)[:2] for image in x]) - 119
        assert np.abs(offsets).max() == pytest.approx(4, abs=0.1)
        assert len(np.unique(np.round(offsets[:, 0]))) == 9
        assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.4

    def test_the_stretch_is_of_the_order_asked_for(self, tmp_path: Path) -> None:
        z, x = self.sampler(tmp_path, stretch=0.1, shift=0).batch(0, 64)
        plain = 40 * 30 * (127 / context_side(40, 30, 0.5)) ** 2
        factors = np.array([[np.sqrt(centroid(image)[2] / plain) for image in crops] for crops in (z, x)])
        assert 0.89 < factors.min() < 0.92
        assert 1.08 < factors.max() < 1.11
        assert abs(np.corrcoef(factors)[0, 1]) < 0.4  # each crop has its own

    @pytest.mark.parametrize("pairs", [{}, {"stretch": 0.3, "shift": 8}, {"stretch": 0.0, "shift": 30}])
    def test_the_margin_is_wide_enough(self, tmp_path: Path, pairs: dict[str, float]) -> None:
        """Black corners would tell the network where the middle is."""
        flat = np.full((300, 300, 3), 200, np.uint8)
        made = clip(tmp_path / "a", [flat] * 2, np.tile(self.BOX, (2, 1)))
        z, x = PairSampler([made], Pairs(epoch=64, **pairs), GEOMETRY, 0).batch(0, 64)
        assert (z == 200).all()
        assert (x == 200).all()

    def test_outside_the_frame_is_its_mean_colour(self) -> None:
        image = np.zeros((H, W, 3), np.uint8)
        image[: H // 2] = (200, 100, 50)
        made = wide_crop(image, np.array([0.0, 0.0, 40.0, 30.0]), 261, GEOMETRY)
        assert made[0, 0].tolist() == [100, 50, 25]
        assert made.shape == (261, 261, 3)

    def test_boxes_count_from_one_in_the_file(self, tmp_path: Path) -> None:
        sampler = self.sampler(tmp_path, **PLAIN)
        assert sampler.clips[0][0].truth[0].tolist() == [131, 136, 40, 30]
        image = sampler._wide(0, 0)
        assert centroid(torch.from_numpy(image).permute(2, 0, 1))[0] == pytest.approx((len(image) - 1) / 2, abs=0.1)


def test_colour_changes_brightness_within_its_limits(tmp_path: Path) -> None:
    flat = np.full((H, W, 3), 200, np.uint8)
    made = clip(tmp_path / "a", [flat] * 2, np.tile([61.0, 40, 40, 30], (2, 1)))
    z, _ = PairSampler([made], Pairs(epoch=64, colour=0.5), GEOMETRY, 0).batch(0, 64)
    values = z.flatten(1).mean(1)
    assert values.min() >= 100
    assert values.max() == 255  # clipped, not wrapped around
    assert len(values.unique()) > 20


class TestLabels:
    @pytest.mark.parametrize("cells", [15, 17])
    def test_positives_are_within_two_cells_in_block_distance(self, cells: int) -> None:
        found = labels(cells, 16, 8).reshape(cells, cells)
        middle = cells // 2
        expected = {(middle + i, middle + j) for i in range(-2, 3) for j in range(-2, 3) if abs(i) + abs(j) <= 2}
        assert len(expected) == 13
        assert {(int(i), int(j)) for i, j in found.nonzero()} == expected
        assert found.sum() == 13

    def test_the_radius_is_in_pixels(self) -> None:
        assert labels(5, 8, 8).reshape(5, 5).sum() == 5
        assert labels(5, 0, 8).sum() == 1
        assert labels(4, 8, 8).sum() == 4  # no cell is in the middle of an even map
