"""The street world: who appears in which image of the training and the test split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distillery.config.data import EmbeddedCUHKSYSU
from distillery.data.worlds.street_looks import draw_look, draw_people
from distillery.data.worlds.street_raster import shuffled
from distillery.data.worlds.street_scene import Scene, Walker
from distillery.engine.randomness import derive, numpy_generator
from distillery.errors import UserError

MOST_PEOPLE = 4
"""People in an image at most."""
_APPEARANCES = (2, 3, 3, 4, 4)
"""Images of a labelled person, drawn evenly where there is room: 3.2 on average (CUHK-SYSU: 2.8)."""
_CROWDS = (2, 2, 3, 3, 3, 4)
"""People in an image, drawn evenly; more where the labelled ones need it."""


@dataclass(frozen=True)
class Split:
    """A split: its scenes, and the number of labelled people in it (identities 0 .. n - 1, each in >= 2 scenes)."""

    scenes: tuple[Scene, ...]
    identities: int


def plan_street(spec: EmbeddedCUHKSYSU) -> tuple[Split, Split]:
    """Plans the training and the test split; they share no person.

    Images are named s1.jpg, s2.jpg … in an order that mixes both splits, as in CUHK-SYSU.

    Raises:
        UserError: When the identities do not fit into the images.
    """
    total = spec.train_images + spec.test_images
    names = [f"s{index + 1}.jpg" for index in shuffled(numpy_generator(spec.seed, "street", "names"), total)]
    train = _plan_split(spec, "train", sorted(names[: spec.train_images], key=_number), spec.train_identities)
    test = _plan_split(spec, "test", sorted(names[spec.train_images :], key=_number), spec.test_identities)
    return train, test


def _number(name: str) -> int:
    return int(name[1:].removesuffix(".jpg"))


def _plan_split(spec: EmbeddedCUHKSYSU, split: str, names: list[str], identities: int) -> Split:
    """Draws the people, gives the labelled ones their images, and fills up with people who appear once."""
    if len(names) < 2 or 2 * identities > MOST_PEOPLE * len(names):
        raise UserError(
            f"{identities} identities, each in two images or more, do not fit into {len(names)} images "
            f"with up to {MOST_PEOPLE} people",
            place=f"data.cuhk_sysu.{split}_identities",
            remedy=f"raise {split}_images to {max(2, -(-2 * identities // MOST_PEOPLE))} or lower the identities",
        )
    looks = draw_people(numpy_generator(spec.seed, "street", split, "looks"), identities)
    generator = numpy_generator(spec.seed, "street", split, "appearances")
    present = _distribute(generator, len(names), identities)
    others = numpy_generator(spec.seed, "street", split, "others")
    seed = derive(spec.seed, "street", split)
    scenes = []
    for name, people in zip(names, present, strict=True):
        crowd = _CROWDS[int(generator.integers(0, len(_CROWDS)))]
        walkers = [Walker(identity, looks[identity]) for identity in people]
        walkers += [Walker(-1, draw_look(others)) for _ in range(crowd - len(walkers))]
        order = shuffled(generator, len(walkers))
        scenes.append(Scene(name, seed, spec.width, spec.height, tuple(walkers[index] for index in order)))
    return Split(tuple(scenes), identities)


def _distribute(generator: np.random.Generator, images: int, identities: int) -> list[list[int]]:
    """The identities in each image: everyone is in two images or more; no image is without anyone, if possible."""
    present: list[list[int]] = [[] for _ in range(images)]
    # Everyone's first two images are the emptiest ones, so these always fit; ties are broken by lot.
    for identity in range(identities):
        for image in sorted(shuffled(generator, images), key=lambda image: len(present[image]))[:2]:
            present[image].append(identity)
    for identity in range(identities):
        for _ in range(_APPEARANCES[int(generator.integers(0, len(_APPEARANCES)))] - 2):
            free = [i for i, people in enumerate(present) if identity not in people and len(people) < MOST_PEOPLE]
            free = [i for i in free if not present[i]] or free
            if free:
                present[free[int(generator.integers(0, len(free)))]].append(identity)
    return present
