"""Frames of the six fixed cameras: pixels, annotation, and that their bytes do not depend on the machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from distillery.config.data import EmbeddedPRW
from distillery.data.worlds.street_frame import PARTS, Frame, draw_frame
from distillery.data.worlds.street_placing import LEAST_VISIBLE
from distillery.data.worlds.street_views import VIEWS, frame_size, stage
from distillery.data.worlds.street_visits import plan_watches

# The pixels of one frame of each camera, pinned: they must come out the same on every machine. Whoever changes the
# drawing on purpose changes this value, and with it the data of every profile that uses the embedded PRW.
PINNED = "ee33a3d3b445d80c12cdb3658adccbcbe21eab9886ab5b14d52d3becdbfc9b4a"

_HASH_SIX_FRAMES = """
import hashlib
from distillery.config.data import EmbeddedPRW
from distillery.data.worlds.street_frame import draw_frame
from distillery.data.worlds.street_visits import plan_watches
spec = EmbeddedPRW(source="embedded", seed=5, train_frames=12, train_identities=8, test_frames=12,
                   test_identities=8, queries=6, mini_queries=6)
digest = hashlib.sha256()
for frame in plan_watches(spec)[0].frames[::2]:
    image, people = draw_frame(frame)
    digest.update(image.tobytes() + repr(people).encode())
"""


def frames(**changes: object) -> tuple[Frame, ...]:
    base = EmbeddedPRW(
        source="embedded",
        seed=5,
        train_frames=36,
        train_identities=12,
        test_frames=12,
        test_identities=8,
        queries=6,
        mini_queries=6,
    )
    return plan_watches(base.model_copy(update=changes))[0].frames


@pytest.mark.parametrize(("width", "height"), [(320, 240), (200, 180), (480, 270)])
def test_annotation_lies_in_the_frame_and_everyone_is_visible(width: int, height: int) -> None:
    for frame in frames(width=width, height=height, train_frames=18):
        image, people = draw_frame(frame)
        assert image.shape == (frame.height, frame.width, 3) and image.dtype == np.uint8
        assert (frame.width, frame.height) == frame_size(VIEWS[frame.camera - 1], width, height)
        assert [person.identity for person in people] == [passer.identity for passer in frame.passers]
        for person in people:
            x, y, w, h = (part / PARTS for part in person.box)
            assert w > 4 and h > 12
            assert -width / 80 - 1 < x and x + w < frame.width + width / 80 + 2
            assert y > -1 and y + h < frame.height + 2
            assert LEAST_VISIBLE <= person.visible <= 100


def test_box_is_where_the_person_is() -> None:
    """Repainting one person's clothes changes pixels inside that person's box (and its rim) only."""
    for frame in frames()[::9]:
        image, people = draw_frame(frame)
        for index, found in enumerate(people):
            passers = list(frame.passers)
            bright = replace(passers[index].look, upper=(255, 0, 255), accent=(0, 255, 0), trousers=(255, 255, 0))
            passers[index] = replace(passers[index], look=bright)
            repainted, again = draw_frame(replace(frame, passers=tuple(passers)))
            assert again == people
            rows, columns = np.nonzero(np.abs(repainted.astype(int) - image).max(2) > 60)
            x, y, w, h = (part / PARTS for part in found.box)
            assert rows.size > 0.05 * w * h * found.visible / 100
            assert x - 3 <= columns.min() and columns.max() <= x + w + 2
            assert y - 3 <= rows.min() and rows.max() <= y + h + 2


def test_cameras_can_be_told_apart_and_stand_still() -> None:
    """What a camera sees of the empty street is alike in all its frames, and unlike any other camera's."""
    seen: dict[int, list[np.ndarray]] = {}
    for frame in frames():
        picture = draw_frame(frame)[0].astype(float)
        size = picture.shape[0] // 8, picture.shape[1] // 8
        cells = picture[: size[0] * 8, : size[1] * 8].reshape(8, size[0], 8, size[1], 3).mean((1, 3))
        seen.setdefault(frame.camera, []).append(cells)
    typical = {camera: np.median(cells, axis=0) for camera, cells in seen.items()}
    assert sorted(typical) == [1, 2, 3, 4, 5, 6]
    for camera, cells in seen.items():
        for picture in cells:
            distance = {other: np.abs(picture - middle).mean() for other, middle in typical.items()}
            assert min(distance, key=distance.__getitem__) == camera
    colours = np.array([typical[camera].mean((0, 1)) for camera in sorted(typical)])
    apart = np.abs(colours[:, None] - colours[None]).max(2) + 99 * np.eye(6)
    assert apart.min() > 8, "each has a light of its own"


def test_the_same_stage_serves_all_frames_unharmed() -> None:
    frame = frames()[0]
    first = draw_frame(frame)[0]
    draw_frame(frames()[1])
    assert (draw_frame(frame)[0] == first).all()
    street = stage(1, 2, 0, 320, 240).street
    with pytest.raises(ValueError, match="read-only"):
        street[0, 0] = 0


def test_people_are_larger_before_a_camera_that_hangs_low() -> None:
    tall: dict[int, list[float]] = {}
    for frame in frames(train_frames=60, train_identities=24):
        for person in draw_frame(frame)[1]:
            tall.setdefault(frame.camera, []).append(person.box[3] / PARTS / frame.height)
    assert np.median(tall[1]) > np.median(tall[3]) + 0.03
    assert all(min(heights) > 0.17 and max(heights) < 0.7 for heights in tall.values())


def pixels_hash() -> str:
    scope: dict[str, object] = {}
    exec(_HASH_SIX_FRAMES, scope)
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
        [sys.executable, "-c", _HASH_SIX_FRAMES + check], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == PINNED
