from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.config.pairs import Pairs
from distillery.config.siamfc import SiamFCGeometry
from distillery.errors import UserError
from distillery.tracking import pairs as module
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.benchmarks.got10k import GOT10kSequence
from distillery.tracking.crops import context_side
from distillery.tracking.pairs import PairBatch, PairSampler, usable_frames, wide_crop

GEOMETRY = SiamFCGeometry()
PLAIN = {"exemplar_stretch": 0.0, "exemplar_shift": 0, "stretch": 0.0, "shift": 0}
RPN = {"stretch": 0.18, "shift": 64, "aspect": True, "blur": 0.2, "jitter": 1.0, "negative": 0.2, "grey": 0.2}
"""As pysot."""
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
        batch = sampler.batch(step, size)
        for z, x in zip(batch.exemplar, batch.search, strict=True):
            z_colour, x_colour = (image[:, image.shape[1] // 2, image.shape[2] // 2].numpy() for image in (z, x))
            rows.append([z_colour[0] / 10, z_colour[1] / 5, x_colour[0] / 10, x_colour[1] / 5])
    return np.array(rows)


def equal(one: PairBatch, other: PairBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


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
        batch = PairSampler(textured(tmp_path), Pairs(epoch=8), GEOMETRY, 0).batch(0, 5)
        z, x = batch.exemplar, batch.search
        assert (z.shape, x.shape) == ((5, 3, 127, 127), (5, 3, 239, 239))
        assert (batch.box.shape, batch.positive.shape) == ((5, 4), (5,))
        assert z.dtype == x.dtype == batch.box.dtype == torch.float32
        assert batch.positive.dtype == torch.bool
        assert x.min() >= 0
        assert 200 < x.max() <= 255

    @pytest.mark.parametrize("options", [{"colour": 0.2}, RPN])
    def test_depends_on_seed_and_step_alone(self, tmp_path: Path, options: dict[str, float]) -> None:
        clips, pairs = textured(tmp_path), Pairs(epoch=7, **options)
        one, other = (PairSampler(clips, pairs, GEOMETRY, 3) for _ in range(2))
        before = [one.batch(step, 4) for step in range(6)]
        for step in (5, 0, 2, 2):  # in another order, across epochs, repeatedly
            assert equal(other.batch(step, 4), before[step])
        assert not torch.equal(before[0].search, before[1].search)
        assert not torch.equal(PairSampler(clips, pairs, GEOMETRY, 4).batch(0, 4).search, before[0].search)

    def test_threads_change_nothing(self, tmp_path: Path) -> None:
        clips, pairs = textured(tmp_path), Pairs(epoch=7, **RPN)
        alone, many = PairSampler(clips, pairs, GEOMETRY, 3), PairSampler(clips, pairs, GEOMETRY, 3, threads=3)
        for step, size in ((0, 4), (1, 4), (2, 4), (7, 4), (8, 2), (3, 2)):
            assert equal(many.batch(step, size), alone.batch(step, size))

    def test_a_fault_in_the_background_is_told(self, tmp_path: Path) -> None:
        clips = textured(tmp_path)
        sampler = PairSampler(clips, Pairs(epoch=8), GEOMETRY, 0, threads=2)
        for made in clips:
            for frame in made.frames:
                frame.unlink()
        for step in (0, 1):
            with pytest.raises(UserError, match="does not exist"):
                sampler.batch(step, 4)

    def test_the_cache_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clips, pairs = textured(tmp_path), Pairs(epoch=8)
        full = PairSampler(clips, pairs, GEOMETRY, 0)
        expected = [full.batch(step, 4) for step in range(4)]
        assert len(full._kept) > 1
        assert full._bytes == sum(kept.image.nbytes for kept in full._kept.values())
        one = next(iter(full._kept.values())).image.nbytes
        for room in (0, one + 1):  # none, or one crop
            monkeypatch.setattr(module, "CACHE_BYTES", room)
            small = PairSampler(clips, pairs, GEOMETRY, 0)
            found = [small.batch(step, 4) for step in range(4)]
            assert len(small._kept) == (1 if room else 0)
            assert all(equal(pair, wanted) for pair, wanted in zip(found, expected, strict=True))

    def test_global_generators_are_left_alone(self, tmp_path: Path) -> None:
        sampler = PairSampler(textured(tmp_path), Pairs(epoch=8), GEOMETRY, 0)
        np.random.seed(0)
        torch.manual_seed(0)
        first = sampler.batch(0, 2).exemplar
        np.random.seed(1)
        torch.manual_seed(1)
        assert torch.equal(sampler.batch(0, 2).exemplar, first)


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
        batch = self.sampler(tmp_path, **PLAIN).batch(0, 2)
        for crops, side in ((batch.exemplar, 127), (batch.search, 239)):
            for image in crops:
                column, row, area = centroid(image)
                assert (column, row) == pytest.approx([(side - 1) / 2] * 2, abs=0.1)
                assert area == pytest.approx(40 * 30 * scale**2, rel=0.01)

    @pytest.mark.parametrize("options", [{}, {"stretch": 0.18, "shift": 64}, {"stretch": 0.3, "aspect": True}])
    def test_the_box_is_where_the_target_is(self, tmp_path: Path, options: dict[str, float]) -> None:
        batch = self.sampler(tmp_path, **options).batch(0, 48)
        for image, (x1, y1, x2, y2) in zip(batch.search, batch.box.tolist(), strict=True):
            column, row, area = centroid(image)
            assert (column, row) == pytest.approx([(x1 + x2) / 2, (y1 + y2) / 2], abs=0.1)
            assert area == pytest.approx((x2 - x1) * (y2 - y1), rel=0.02)
            # Half of the rise at an edge lies on the side of the box.
            across = (image[0].amax(0) / 255).sum()
            assert float(across) == pytest.approx(x2 - x1, abs=0.6)
        sides = batch.box[:, 2:] - batch.box[:, :2]
        assert (len((sides[:, 0] / sides[:, 1]).round(decimals=3).unique()) > 1) == options.get("aspect", False)

    def test_a_target_larger_than_its_crop_is_shrunk_once_without_moving(self, tmp_path: Path) -> None:
        image = np.zeros((600, 700, 3), np.uint8)
        image[133:433, 201:451] = 255
        made = clip(tmp_path / "a", [image] * 2, np.tile([201.0, 133, 250, 300], (2, 1)))
        sampler = PairSampler([made], Pairs(epoch=64, **PLAIN), GEOMETRY, 0)
        assert len(sampler._wide(0, 0).image) == pytest.approx(sampler.margin_size, abs=2)
        batch = sampler.batch(0, 1)
        column, row, area = centroid(255.0 * (batch.search[0] > 160))  # outside the frame is its mean colour, 50
        assert (column, row) == pytest.approx((119, 119), abs=0.1)
        x1, y1, x2, y2 = batch.box[0].tolist()
        assert area == pytest.approx((x2 - x1) * (y2 - y1), rel=0.03)  # whole pixels

    def test_the_shift_is_of_the_order_asked_for(self, tmp_path: Path) -> None:
        batch = self.sampler(tmp_path, stretch=0.0, shift=4, exemplar_shift=2, exemplar_stretch=0.0).batch(0, 64)
        for crops, middle, largest in ((batch.search, 119, 4), (batch.exemplar, 63, 2)):
            offsets = np.array([centroid(image)[:2] for image in crops]) - middle
            assert np.abs(offsets).max() == pytest.approx(largest, abs=0.1)
            assert len(np.unique(np.round(offsets[:, 0]))) == 2 * largest + 1
            assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.4

    def test_the_stretch_is_of_the_order_asked_for(self, tmp_path: Path) -> None:
        sampler = self.sampler(tmp_path, exemplar_stretch=0.1, exemplar_shift=0, stretch=0.1, shift=0)
        batch = sampler.batch(0, 64)
        plain = 40 * 30 * (127 / context_side(40, 30, 0.5)) ** 2
        both = batch.exemplar, batch.search
        factors = np.array([[np.sqrt(centroid(image)[2] / plain) for image in crops] for crops in both])
        assert 0.89 < factors.min() < 0.92
        assert 1.08 < factors.max() < 1.11
        assert abs(np.corrcoef(factors)[0, 1]) < 0.4  # each crop has its own

    @pytest.mark.parametrize(
        "pairs",
        [
            {},
            {"stretch": 0.3, "shift": 8},
            {"stretch": 0.0, "shift": 30},
            {"stretch": 0.18, "shift": 64, "aspect": True, "blur": 1.0},
            {"exemplar_stretch": 0.5, "exemplar_shift": 90},
        ],
    )
    @pytest.mark.parametrize("box", [BOX, (5.0, 3.0, 120.0, 90.0)])  # smaller and larger than its crop
    def test_the_margin_is_wide_enough(
        self, tmp_path: Path, pairs: dict[str, float], box: tuple[float, float, float, float]
    ) -> None:
        """Black corners would tell the network where the middle is."""
        flat = np.full((300, 300, 3), 200, np.uint8)
        made = clip(tmp_path / "a", [flat] * 2, np.tile(box, (2, 1)))
        batch = PairSampler([made], Pairs(epoch=64, **pairs), GEOMETRY, 0).batch(0, 64)
        assert (batch.exemplar == 200).all()
        assert (batch.search == 200).all()

    def test_outside_the_frame_is_its_mean_colour(self) -> None:
        image = np.zeros((H, W, 3), np.uint8)
        image[: H // 2] = (200, 100, 50)
        made = wide_crop(image, np.array([0.0, 0.0, 40.0, 30.0]), 261, GEOMETRY).image
        assert made[0, 0].tolist() == [100, 50, 25]

    def test_boxes_count_from_one_in_the_file(self, tmp_path: Path) -> None:
        sampler = self.sampler(tmp_path, **PLAIN)
        assert sampler.clips[0][0].truth[0].tolist() == [131, 136, 40, 30]
        image, middle, _ = sampler._wide(0, 0)
        assert centroid(torch.from_numpy(image).permute(2, 0, 1))[:2] == pytest.approx(middle, abs=0.1)


class TestNegative:
    def test_the_exemplar_is_of_another_clip(self, tmp_path: Path) -> None:
        clips = [tinted(tmp_path, index, 3) for index in range(4)]
        sampler = PairSampler(clips, Pairs(epoch=400, negative=0.3, **PLAIN), GEOMETRY, 0)
        rows = drawn(sampler, range(10), 40)
        positive = torch.cat([sampler.batch(step, 40).positive for step in range(10)]).numpy()
        assert ((rows[:, 0] == rows[:, 2]) == positive).all()
        assert 0.2 < 1 - positive.mean() < 0.4
        strangers = rows[~positive]
        assert {(int(a), int(b)) for a, b in strangers[:, [0, 2]]} == {
            (a, b) for a in range(4) for b in range(4) if a != b
        }
        assert set(strangers[:, 1]) == {0, 1, 2}
        # The search regions stay those of the epoch's order.
        assert np.bincount(rows[:, 2].astype(int)).tolist() == [100] * 4

    def test_none_without_another_clip(self, tmp_path: Path) -> None:
        sampler = PairSampler([tinted(tmp_path, 1, 3)], Pairs(epoch=8, negative=1.0), GEOMETRY, 0)
        assert sampler.batch(0, 8).positive.all()


@settings(deadline=None)
@given(
    frames=st.sets(st.integers(0, 30), min_size=1, max_size=12),
    gap=st.integers(1, 10),
    one=st.floats(0, 1, exclude_max=True),
    other=st.floats(0, 1, exclude_max=True),
)
def test_frames_against_the_definition(frames: set[int], gap: int, one: float, other: float) -> None:
    usable = np.array(sorted(frames))
    first, second = module._frames(usable, gap, one, other)
    chosen = usable[int(one * len(usable))]
    near = [frame for frame in usable if frame != chosen and abs(frame - chosen) <= gap]
    partner = near[int(other * len(near))] if near else chosen
    assert (first, second) == (min(chosen, partner), max(chosen, partner))


def test_a_header_is_enough_to_filter_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = textured(tmp_path)
    monkeypatch.setattr(module, "read_image", lambda path: pytest.fail("a frame was decoded"))
    assert len(PairSampler(clips, Pairs(epoch=8), GEOMETRY, 0).clips) == 3
