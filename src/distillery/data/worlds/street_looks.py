"""Who walks in the street world: how a person looks, and groups of people who look nearly alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from distillery.data.worlds.street_raster import Colour, shuffled

GROUP = 4
"""Labelled people come in groups of this many near-duplicates."""

CLOTHES: tuple[Colour, ...] = (
    (34, 34, 40),
    (84, 86, 92),
    (152, 152, 150),
    (222, 220, 214),
    (176, 40, 44),
    (120, 30, 52),
    (214, 120, 44),
    (222, 188, 70),
    (54, 116, 66),
    (112, 122, 62),
    (44, 66, 128),
    (78, 132, 190),
    (64, 148, 152),
    (112, 66, 132),
    (214, 134, 158),
    (124, 86, 56),
    (186, 158, 120),
)
"""Colours of garments, bags and of the clutter in the streets (0..255 RGB)."""
_TROUSERS: tuple[Colour, ...] = (
    (32, 33, 40),
    (44, 54, 84),
    (70, 92, 132),
    (92, 92, 94),
    (150, 140, 116),
    (104, 78, 54),
    (196, 190, 180),
    (72, 80, 60),
)
_SKIN: tuple[Colour, ...] = ((236, 196, 168), (222, 174, 140), (190, 138, 102), (140, 96, 68), (94, 64, 46))
_HAIR: tuple[Colour, ...] = ((28, 24, 24), (62, 42, 30), (110, 74, 44), (186, 150, 92), (128, 126, 126), (134, 60, 34))
_SHOES: tuple[Colour, ...] = ((26, 26, 28), (92, 64, 44), (216, 214, 210), (150, 44, 44), (60, 70, 110))

PATTERNS = ("plain", "stripes", "bars", "checks", "dots", "logo", "two_tone", "open", "backprint")
"""Patterns of the upper body; `logo` and `open` show on the front only, `backprint` on the back only."""
LOWERS = ("trousers", "trousers", "trousers", "shorts", "skirt")
HAIRCUTS = ("short", "short", "long", "bun", "bald", "cap")
BAGS = ("none", "none", "backpack", "shoulder", "hand")
SLEEVES = ("long", "long", "short")


@dataclass(frozen=True)
class Look:
    """What stays the same in every image of a person: colours are 0..255 RGB, `height` and `build` per mille."""

    skin: Colour
    haircut: str
    hair: Colour
    hat: Colour
    pattern: str
    period: int
    upper: Colour
    accent: Colour
    sleeves: str
    coat: bool
    lower: str
    trousers: Colour
    shoes: Colour
    bag: str
    bag_colour: Colour
    height: int
    build: int


def draw_look(generator: np.random.Generator) -> Look:
    """A random person."""
    upper = _colour(generator, CLOTHES)
    return Look(
        skin=_colour(generator, _SKIN, 8),
        haircut=_pick(generator, HAIRCUTS),
        hair=_colour(generator, _HAIR, 10),
        hat=_colour(generator, CLOTHES),
        pattern=_pick(generator, PATTERNS),
        period=int(generator.integers(44, 90)),
        upper=upper,
        accent=_contrast(generator, upper),
        sleeves=_pick(generator, SLEEVES),
        coat=bool(generator.integers(0, 5) == 0),
        lower=_pick(generator, LOWERS),
        trousers=_colour(generator, _TROUSERS),
        shoes=_colour(generator, _SHOES, 8),
        bag=_pick(generator, BAGS),
        bag_colour=_colour(generator, CLOTHES),
        height=int(generator.integers(900, 1081)),
        build=int(generator.integers(860, 1181)),
    )


def draw_group(generator: np.random.Generator, size: int = GROUP) -> list[Look]:
    """`size` people in nearly the same clothes: each differs from the first in one or two small things."""
    first = draw_look(generator)
    group = [first]
    while len(group) < size:
        look = first
        for change in shuffled(generator, len(_CHANGES))[: int(generator.integers(1, 3))]:
            look = _CHANGES[change](generator, look)
        # Height and build are a person's own, and too small a cue to tell two people apart by themselves.
        look = replace(
            look,
            height=int(np.clip(first.height + generator.integers(-30, 31), 900, 1080)),
            build=int(np.clip(first.build + generator.integers(-60, 61), 860, 1180)),
        )
        if all(_distinct(look, other) for other in group):
            group.append(look)
    return group


def draw_people(generator: np.random.Generator, count: int) -> list[Look]:
    """`count` people in groups of near-duplicates, shuffled."""
    people: list[Look] = []
    while len(people) < count:
        people += draw_group(generator)
    return [people[index] for index in shuffled(generator, count)]


def _distinct(one: Look, other: Look) -> bool:
    """Whether two people of a group differ in something besides their size."""
    return replace(one, height=other.height, build=other.build) != other


def _pick(generator: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(generator.integers(0, len(options)))]


def _colour(generator: np.random.Generator, palette: tuple[Colour, ...], jitter: int = 14) -> Colour:
    base = palette[int(generator.integers(0, len(palette)))]
    r, g, b = (
        int(np.clip(c + d, 8, 246)) for c, d in zip(base, generator.integers(-jitter, jitter + 1, 3), strict=True)
    )
    return r, g, b


def _contrast(generator: np.random.Generator, against: Colour) -> Colour:
    """A clothing colour that is seen on `against`."""
    while True:
        colour = _colour(generator, CLOTHES)
        if sum(abs(a - b) for a, b in zip(colour, against, strict=True)) > 150:
            return colour


def _other(generator: np.random.Generator, options: tuple[str, ...], current: str) -> str:
    rest = tuple(option for option in dict.fromkeys(options) if option != current)
    return rest[int(generator.integers(0, len(rest)))]


def _shaded(generator: np.random.Generator, colour: Colour) -> Colour:
    """The same colour, clearly lighter or darker (lighter where there is no room to go darker, and vice versa)."""
    step = int(generator.integers(36, 60))
    step = -step if sum(colour) > 300 else step
    r, g, b = (int(np.clip(c + step, 8, 246)) for c in colour)
    return r, g, b


def _new_bag(generator: np.random.Generator, look: Look) -> Look:
    return replace(look, bag=_other(generator, BAGS, look.bag), bag_colour=_colour(generator, CLOTHES))


def _new_hair(generator: np.random.Generator, look: Look) -> Look:
    return replace(look, haircut=_other(generator, HAIRCUTS, look.haircut), hair=_colour(generator, _HAIR, 10))


def _new_trousers(generator: np.random.Generator, look: Look) -> Look:
    return replace(look, trousers=_shaded(generator, look.trousers))


def _new_shoes_and_sleeves(generator: np.random.Generator, look: Look) -> Look:
    return replace(look, shoes=_colour(generator, _SHOES, 8), sleeves="short" if look.sleeves == "long" else "long")


def _new_shade(generator: np.random.Generator, look: Look) -> Look:
    return replace(look, upper=_shaded(generator, look.upper))


_CHANGES = (_new_bag, _new_hair, _new_trousers, _new_shoes_and_sleeves, _new_shade)
