"""What makes a clip difficult, judged by what was drawn: the attributes of OTB-100, DTB70 and LaSOT.

A benchmark names the attributes that it wants, in the order of its files. Where the benchmarks' definitions differ,
the names do too; thresholds without a paper are this module's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from distillery.data.worlds.raster import SUB, TURN, Pose
from distillery.data.worlds.video import Frame
from distillery.data.worlds.video_camera import shifts
from distillery.data.worlds.video_scene import Script

RATIO = 2
"""Scale (all) and aspect ratio (LaSOT, table 2; DTB70): a box leaves [1/2, 2] times that of the first frame."""
LOW_RESOLUTION = 400
"""A box holds fewer pixels than this (OTB-100, table 2; LaSOT's 1000 are those of larger frames)."""
FAST_SHARE = 1 / 22
"""Fast motion: the centre moves more than this share of the frame height; OTB-100's 20 pixels at 440 lines."""
LIGHT_CHANGE = 38
"""Illumination: some channel's gain differs by this much from the first frame's, 1/256."""
MISSING_SHARE = 0.05
"""Occlusion, out of view: more than this share of the object is hidden, or out of the picture."""
BLUR_LENGTH = 4
"""Motion blur: the blur is at least this long, in pixels."""
BEND = 500
"""Deformation: at least this wide, 1/256 sprite pixel."""
SPIN = TURN // 24
"""In-plane rotation: the object turns by at least this much (15 degrees)."""
SLIM = 205
"""Out-of-plane rotation: foreshortening to at most this share of the width, 1/256."""
NEIGHBOUR = 2
"""Similar objects around: a look-alike's centre is within so many diameters of the target's, in half of the frames."""


def illumination(script: Script, _: Sequence[Frame]) -> bool:
    """The light changes."""
    return any(
        abs(gain - start) >= LIGHT_CHANGE
        for light in script.light
        for gain, start in zip(light, script.light[0], strict=True)
    )


def scale(_: Script, frames: Sequence[Frame]) -> bool:
    """The box's area changes."""
    areas = [frame.box[2] * frame.box[3] for frame in frames]
    return any(area > RATIO * areas[0] or RATIO * area < areas[0] for area in areas)


def aspect(_: Script, frames: Sequence[Frame]) -> bool:
    """The box's ratio of height and width changes."""
    width, height = frames[0].box[2:]
    shapes = [frame.box[2:] for frame in frames]
    return any(w * height > RATIO * h * width or RATIO * w * height < h * width for w, h in shapes)


def occlusion(_: Script, frames: Sequence[Frame]) -> bool:
    """Something hides a part of the object or all of it."""
    return any(hidden(frame) for frame in frames)


def hidden(frame: Frame) -> bool:
    """Whether something hides a part of the object or all of it in a frame."""
    return frame.inside - frame.visible > MISSING_SHARE * frame.area


def full_occlusion(_: Script, frames: Sequence[Frame]) -> bool:
    """Something hides what is in the picture of the object."""
    return any(frame.buried for frame in frames)


def out_of_view(_: Script, frames: Sequence[Frame]) -> bool:
    """A part of the object is out of the picture, or all of it."""
    return any(frame.area - frame.inside > MISSING_SHARE * frame.area for frame in frames)


def completely_out_of_view(_: Script, frames: Sequence[Frame]) -> bool:
    """All of the object is out of the picture."""
    return any(frame.away for frame in frames)


def deformation(script: Script, _: Sequence[Frame]) -> bool:
    """The object bends."""
    return max(pose.bend for pose in script.target.poses) >= BEND


def motion_blur(_: Script, frames: Sequence[Frame]) -> bool:
    """The object is blurred by its motion or the camera's."""
    return max(frame.blur for frame in frames) >= BLUR_LENGTH


def _moves(frames: Sequence[Frame]) -> list[int]:
    """Squares of twice the displacement of the box's centre, from frame to frame."""
    centres = [(2 * x + w, 2 * y + h) for x, y, w, h in (frame.box for frame in frames)]
    return [(bx - ax) ** 2 + (by - ay) ** 2 for (ax, ay), (bx, by) in pairwise(centres)]


def fast_motion(script: Script, frames: Sequence[Frame]) -> bool:
    """The object moves by more than a share of the frame's height."""
    return max(_moves(frames)) > (2 * FAST_SHARE * script.height) ** 2


def large_motion(_: Script, frames: Sequence[Frame]) -> bool:
    """The object moves by more than its box's size, the root of the area (LaSOT, table 2)."""
    return any(move > 4 * frame.box[2] * frame.box[3] for move, frame in zip(_moves(frames), frames[1:], strict=True))


def _spin(script: Script) -> int:
    """Range of the object's in-plane rotation, 1/4096 turn."""
    first = script.target.poses[0].angle
    spins = [(pose.angle - first + TURN // 2) % TURN - TURN // 2 for pose in script.target.poses]
    return max(spins) - min(spins)


def in_plane_rotation(script: Script, _: Sequence[Frame]) -> bool:
    """The object turns in the picture."""
    return _spin(script) >= SPIN


def out_of_plane_rotation(script: Script, _: Sequence[Frame]) -> bool:
    """The object turns out of the picture."""
    return min(pose.width for pose in script.target.poses) <= SLIM


def clutter(script: Script, _: Sequence[Frame]) -> bool:
    """The background looks like the object."""
    return "clutter" in script.staged


def similar_objects(script: Script, _: Sequence[Frame]) -> bool:
    """A look-alike keeps near."""
    return any(
        2 * sum(_together(a, b) for a, b in zip(actor.poses, script.target.poses, strict=True)) > len(actor.poses)
        for actor in script.distractors
    )


def _together(one: Pose, other: Pose) -> bool:
    return max(abs(one.x - other.x), abs(one.y - other.y)) <= NEIGHBOUR * other.size


def camera_motion(script: Script, _: Sequence[Frame]) -> bool:
    """The camera moves by more than a share of the frame's height from one frame to the next."""
    return max(dx * dx + dy * dy for dx, dy in shifts(script.camera)) > (FAST_SHARE * script.height * SUB) ** 2


def low_resolution(_: Script, frames: Sequence[Frame]) -> bool:
    """The box holds few pixels."""
    return min(frame.box[2] * frame.box[3] for frame in frames) < LOW_RESOLUTION


Fact = Callable[[Script, Sequence[Frame]], bool]
"""Whether a clip has an attribute."""


def judge(facts: dict[str, Fact], script: Script, frames: Sequence[Frame]) -> dict[str, bool]:
    """Which of the named attributes a clip has."""
    return {name: fact(script, frames) for name, fact in facts.items()}


def row(flags: dict[str, bool]) -> str:
    """The flags as the benchmarks' attribute files have them: `1,0,…`."""
    return ",".join(str(int(flag)) for flag in flags.values())
