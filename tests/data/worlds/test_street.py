"""The street world: its plan, its people, its annotation, and that its bytes do not depend on the machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.config.data import EmbeddedCUHKSYSU
from distillery.data.worlds.street import MOST_PEOPLE, Split, plan_street
from distillery.data.worlds.street_clutter import KINDS, draw_clutter
from distillery.data.worlds.street_looks import Look, draw_group, draw_look, draw_people
from distillery.data.worlds.street_person import Pose, draw_person
from distillery.data.worlds.street_placing import LEAST_VISIBLE
from distillery.data.worlds.street_raster import Sprite, piecewise, shuffled, value_noise
from distillery.data.worlds.street_scene import draw_scene

# The pixels of three images, pinned: they must come out the same on every machine. Whoever changes the drawing on
# purpose changes this value, and with it the data of every profile that uses the embedded world.
PINNED = "012f84b1b57a46f0fc95d292bb4b8a629030160b1ad3808154a29b50259d89fc"

_HASH_THREE_IMAGES = """
import hashlib
from distillery.config.data import EmbeddedCUHKSYSU
from distillery.data.worlds.street import plan_street
from distillery.data.worlds.street_scene import draw_scene
spec = EmbeddedCUHKSYSU(source="embedded", seed=5, train_images=3, train_identities=4, test_images=3,
                        test_identities=2, gallery_sizes=(2,))
digest = hashlib.sha256()
for scene in plan_street(spec)[0].scenes:
    image, people = draw_scene(scene)
    digest.update(image.tobytes() + repr(people).encode())
"""


def spec(**changes: object) -> EmbeddedCUHKSYSU:
    base = EmbeddedCUHKSYSU(
        source="embedded",
        seed=5,
        train_images=10,
        train_identities=8,
        test_images=8,
        test_identities=6,
        gallery_sizes=(4, 6),
    )
    return base.model_copy(update=changes)


def person(height_px: int = 120, yaw: int = 0, **changes: object) -> Sprite:
    look = replace(draw_look(np.random.default_rng(3)), bag="none", haircut="short", **changes)  # type: ignore[arg-type]
    return draw_person(look, Pose(yaw=yaw, phase=20, light=0), height_px)


# -- the plan ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    images=st.integers(2, 40),
    share=st.floats(0.05, 1.0),
)
def test_plan_holds_its_promises_for_any_size(seed: int, images: int, share: float) -> None:
    identities = max(2, int(share * images * MOST_PEOPLE / 2))
    train, test = plan_street(
        spec(
            seed=seed, train_images=images, train_identities=identities, test_images=images, test_identities=identities
        )
    )
    names = [scene.name for split in (train, test) for scene in split.scenes]
    assert sorted(names, key=lambda name: int(name[1:-4])) == [f"s{n}.jpg" for n in range(1, 2 * images + 1)]
    for split in (train, test):
        assert all(1 <= len(scene.walkers) <= MOST_PEOPLE for scene in split.scenes)
        for scene in split.scenes:
            labelled = [walker.identity for walker in scene.walkers if walker.identity >= 0]
            assert len(labelled) == len(set(labelled)), "a person is not twice in one image"
        times = Counter(walker.identity for scene in split.scenes for walker in scene.walkers if walker.identity >= 0)
        assert set(times) == set(range(identities))
        assert min(times.values()) >= 2


def looks_of(split: Split) -> dict[int, set[Look]]:
    looks: dict[int, set[Look]] = {}
    for scene in split.scenes:
        for walker in scene.walkers:
            looks.setdefault(walker.identity, set()).add(walker.look)
    return looks


def test_identity_keeps_its_look_and_splits_share_nobody() -> None:
    train, test = (looks_of(split) for split in plan_street(spec()))
    assert all(len(looks) == 1 for identity, looks in (train | test).items() if identity >= 0)
    assert not set.union(*train.values()) & set.union(*test.values())


def test_mini_size_has_many_identities_of_few_boxes() -> None:
    train, test = plan_street(spec(train_images=400, train_identities=250, test_images=300, test_identities=200))
    for split, identities in ((train, 250), (test, 200)):
        walkers = [walker for scene in split.scenes for walker in scene.walkers]
        labelled = sum(walker.identity >= 0 for walker in walkers)
        assert 2.9 <= labelled / identities <= 3.5
        assert len(walkers) - labelled >= 0.2 * labelled, "unlabelled people walk there too"
        assert all(any(walker.identity >= 0 for walker in scene.walkers) for scene in split.scenes)


def test_seed_decides_everything() -> None:
    assert plan_street(spec()) == plan_street(spec())
    assert plan_street(spec(seed=6))[0].scenes[0] != plan_street(spec())[0].scenes[0]


# -- people -----------------------------------------------------------------------------------------------------------


def test_near_duplicates_differ_in_few_things_and_strangers_in_many() -> None:
    def differences(one: Look, other: Look) -> int:
        names = [field.name for field in fields(Look) if field.name not in ("height", "build")]
        return sum(getattr(one, name) != getattr(other, name) for name in names)

    for seed in range(20):
        generator = np.random.default_rng(seed)
        first, *others = draw_group(generator)
        assert all(1 <= differences(first, other) <= 4 for other in others)
        assert differences(first, draw_look(generator)) > 6


def test_people_are_all_different() -> None:
    people = draw_people(np.random.default_rng(0), 500)
    assert len(set(people)) == 500


@pytest.mark.parametrize(
    ("pattern", "shown_in_front", "shown_behind"),
    [("logo", True, False), ("open", True, False), ("backprint", False, True)],
)
def test_some_patterns_differ_between_front_and_back(pattern: str, shown_in_front: bool, shown_behind: bool) -> None:
    clothes = {"upper": (60, 60, 60), "accent": (20, 240, 20), "trousers": (30, 30, 90), "skin": (200, 150, 120)}
    for yaw, shown in ((0, shown_in_front), (128, shown_behind)):
        rgb = person(yaw=yaw, pattern=pattern, **clothes).rgb
        accents = np.count_nonzero((rgb[..., 1] > 120) & (rgb[..., 0] < 60) & (rgb[..., 2] < 60))
        assert (accents > 20) == shown


def test_person_has_the_size_asked_for_at_any_scale() -> None:
    for height_px in (12, 50, 90, 130, 400):
        sprite = person(height_px, height=1000)
        assert abs(sprite.alpha.shape[0] - height_px) <= max(2, height_px * 5 // 100)
        assert 0.2 < sprite.alpha.shape[1] / sprite.alpha.shape[0] < 0.6


def test_same_person_drawn_larger_looks_the_same() -> None:
    small, large = person(60, pattern="two_tone"), person(120, pattern="two_tone")
    means = [sprite.rgb[sprite.alpha >= 128].mean(0) for sprite in (small, large)]
    assert np.abs(means[0] - means[1]).max() < 6


@pytest.mark.parametrize("kind", KINDS)
def test_clutter_stands_on_the_ground(kind: str) -> None:
    sprite = draw_clutter(kind, 77, 100, 0)
    assert abs(sprite.top + sprite.alpha.shape[0]) <= 6  # the ground is row 0
    assert sprite.alpha.max() == 256


# -- scenes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(320, 240), (64, 64), (200, 96), (96, 200)])
def test_everyone_is_annotated_inside_the_image_and_visible(width: int, height: int) -> None:
    for split in plan_street(spec(width=width, height=height)):
        for scene in split.scenes:
            image, people = draw_scene(scene)
            assert image.shape == (height, width, 3)
            assert image.dtype == np.uint8
            assert [found.identity for found in people] == [walker.identity for walker in scene.walkers]
            for found in people:
                x, y, w, h = found.box
                assert x >= 1 and y >= 1 and w >= 1 and h >= 2
                assert x + w - 1 <= width and y + h - 1 <= height
                assert LEAST_VISIBLE <= found.visible <= 100


def test_box_is_where_the_person_is() -> None:
    """Repainting one person's clothes changes pixels inside that person's box (and its rim) only."""
    scene = plan_street(spec())[0].scenes[0]
    image, people = draw_scene(scene)
    for index, found in enumerate(people):
        walkers = list(scene.walkers)
        bright = replace(walkers[index].look, upper=(255, 0, 255), accent=(0, 255, 0), trousers=(255, 255, 0))
        walkers[index] = replace(walkers[index], look=bright)
        repainted, again = draw_scene(replace(scene, walkers=tuple(walkers)))
        assert again == people
        rows, columns = np.nonzero(np.abs(repainted.astype(int) - image).max(2) > 60)
        x, y, w, h = found.box
        assert rows.size > 0.1 * w * h * found.visible / 100
        assert x - 2 <= columns.min() and columns.max() <= x + w
        assert y - 2 <= rows.min() and rows.max() <= y + h


def test_occlusion_is_common_but_not_the_rule() -> None:
    train, _ = plan_street(spec(train_images=60, train_identities=40))
    visible = [found.visible for scene in train.scenes for found in draw_scene(scene)[1]]
    assert 0.08 < np.mean([share < 97 for share in visible]) < 0.4
    assert min(visible) < 70


def test_heights_spread_with_depth() -> None:
    train, _ = plan_street(spec(train_images=30, train_identities=20))
    boxes = np.array([found.box for scene in train.scenes for found in draw_scene(scene)[1]])
    assert 40 <= boxes[:, 3].min() < 65
    assert 105 < boxes[:, 3].max() <= 145


# -- bytes ------------------------------------------------------------------------------------------------------------


def pixels_hash() -> str:
    scope: dict[str, object] = {}
    exec(_HASH_THREE_IMAGES, scope)
    digest = scope["digest"]
    assert isinstance(digest, type(hashlib.sha256()))
    return digest.hexdigest()


def test_pixels_are_the_pinned_ones() -> None:
    assert pixels_hash() == PINNED


def test_pixels_do_not_depend_on_the_vector_units() -> None:
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    except ImportError:  # numpy 1.26
        from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    usable = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    if not usable:
        pytest.skip("numpy has no optional vector units to switch off on this machine")
    check = f"""
try:
    from numpy._core._multiarray_umath import __cpu_features__ as features
except ImportError:
    from numpy.core._multiarray_umath import __cpu_features__ as features
assert not any(features[name] for name in {usable!r}), "the vector units were not switched off"
print(digest.hexdigest())
"""
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(usable)}
    done = subprocess.run(
        [sys.executable, "-c", _HASH_THREE_IMAGES + check], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == PINNED


# -- integer drawing --------------------------------------------------------------------------------------------------


@given(st.integers(-500, 500))
def test_piecewise_agrees_with_numpy(at: int) -> None:
    points = [(-100, 5), (0, 60), (37, -20), (300, 400)]
    exact = np.interp(at, *zip(*points, strict=True))
    assert abs(int(piecewise(points, np.array([at], np.int32))[0]) - exact) <= 1


def test_noise_is_smooth_bounded_and_meets_its_lattice() -> None:
    noise = value_noise(np.random.default_rng(0), 60, 90, 10, 50)
    assert noise.shape == (60, 90)
    assert np.abs(noise).max() <= 50
    assert np.abs(np.diff(noise, axis=1)).max() <= 2 * 50 // 10 + 1
    lattice = np.random.default_rng(0).integers(-50, 51, (8, 11), dtype=np.int32)
    assert (noise[::10, ::10] == lattice[:6, :9]).all()


def test_shuffled_is_a_fair_permutation() -> None:
    generator = np.random.default_rng(0)
    draws = np.array([shuffled(generator, 5) for _ in range(3000)])
    assert (np.sort(draws, axis=1) == np.arange(5)).all()
    counts = np.array([[np.count_nonzero(draws[:, place] == value) for value in range(5)] for place in range(5)])
    assert np.abs(counts - 600).max() < 110  # five standard deviations of a binomial
