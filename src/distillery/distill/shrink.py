"""Channel shrinking: how a student's channel numbers follow from its teacher's."""

from __future__ import annotations

from collections.abc import Sequence


def shrink(channels: Sequence[int], ratios: Sequence[float], *, multiple: int = 2) -> tuple[int, ...]:
    """Shrinks each layer's channels by its ratio (the layer-shrinkage actions of the paper, section on selection).

    Args:
        channels: Channels of each layer of the teacher.
        ratios: One ratio in (0, 1] a layer; larger ones widen.
        multiple: Channels are rounded to the nearest multiple of this (2 keeps two-group convolutions possible).

    Returns:
        Channels of the student, at least `multiple` each.
    """
    if len(channels) != len(ratios):
        raise ValueError(f"{len(ratios)} ratios for {len(channels)} layers")
    return tuple(
        max(multiple, round(channel * ratio / multiple) * multiple)
        for channel, ratio in zip(channels, ratios, strict=True)
    )
