"""Writes the street world in the layout of CUHK-SYSU, read by every loader that reads the real set.

Layout and types follow the real files (Xiao et al., CVPR 2017): MAT v5 structs nested as MATLAB's, boxes [x, y, w, h]
with 1-based whole pixels in the smallest of uint8 and uint16 that holds them, empty doubles where a gallery image does
not show the person. The .mat files are not compressed and carry a fixed header, so equal content is equal bytes.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distillery.config.data import EmbeddedCUHKSYSU
from distillery.data.worlds.output import write_jpeg
from distillery.data.worlds.street import Split, plan_street
from distillery.data.worlds.street_matlab import column, save, structs
from distillery.data.worlds.street_raster import shuffled
from distillery.data.worlds.street_scene import Appearance, Scene, draw_scene
from distillery.engine.randomness import numpy_generator
from distillery.errors import UserError
from distillery.files import atomic_folder

HARD_BELOW = 70
"""A person of whom less than this (per cent) is visible is marked `ishard`."""

Sighting = tuple[str, Appearance]
"""An image's name and a person as annotated there."""


def write_cuhk_sysu(
    root: Path, spec: EmbeddedCUHKSYSU, workers: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draws the street world and writes it to `root` in CUHK-SYSU layout; `root` is replaced as a whole.

    The bytes depend on `spec` alone, not on `workers` nor on the machine.

    Args:
        root: The dataset folder (`Image/SSM/`, `annotation/`).
        spec: Sizes and seed.
        workers: Processes that draw images; 1 draws in this process.
        progress: Called with (images done, images in all) after every image.

    Raises:
        UserError: When the identities do not fit into the images or a gallery is larger than the test split allows.
    """
    train, test = plan_street(spec)
    _check_galleries(spec, test)
    with atomic_folder(root) as folder:
        images, protocols = folder / "Image" / "SSM", folder / "annotation" / "test" / "train_test"
        images.mkdir(parents=True)
        protocols.mkdir(parents=True)
        scenes = sorted((*train.scenes, *test.scenes), key=lambda scene: int(scene.name[1:-4]))
        seen = dict(zip((scene.name for scene in scenes), _draw_all(scenes, images, workers, progress), strict=True))
        people = [*_sightings(train, seen), *_sightings(test, seen)]
        named = [(f"p{number}", sightings) for number, sightings in enumerate(people, start=1)]
        annotation = folder / "annotation"
        save(annotation / "Images.mat", "Img", _images(seen))
        save(annotation / "pool.mat", "pool", column([scene.name for scene in test.scenes]))
        save(annotation / "Person.mat", "Person", structs([_person(*person) for person in named]))
        train_people = column([structs([_person(*person)]) for person in named[: train.identities]])
        save(protocols / "Train.mat", "Train", train_people)
        for size in spec.gallery_sizes:
            entries = _protocol(spec.seed, named[train.identities :], [scene.name for scene in test.scenes], size)
            save(protocols / f"TestG{size}.mat", f"TestG{size}", entries)


def draw_image(task: tuple[Scene, Path]) -> list[Appearance]:
    """Draws one scene into a folder; what the worker processes run."""
    scene, folder = task
    pixels, people = draw_scene(scene)
    write_jpeg(folder / scene.name, pixels, quality=88)
    return people


def _draw_all(
    scenes: Sequence[Scene], folder: Path, workers: int, progress: Callable[[int, int], None] | None
) -> Iterator[list[Appearance]]:
    tasks = [(scene, folder) for scene in scenes]
    if workers <= 1:
        yield from _counted(map(draw_image, tasks), len(tasks), progress)
        return
    # Spawned, not forked: the caller may hold threads (torch, OpenMP) that do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from _counted(pool.map(draw_image, tasks, chunksize=8), len(tasks), progress)


def _counted(
    results: Iterator[list[Appearance]], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[list[Appearance]]:
    for done, result in enumerate(results, start=1):
        if progress is not None:
            progress(done, total)
        yield result


def _sightings(split: Split, seen: dict[str, list[Appearance]]) -> list[list[Sighting]]:
    """Where each labelled person of a split appears, in the order of the images."""
    people: list[list[Sighting]] = [[] for _ in range(split.identities)]
    for scene in split.scenes:
        for appearance in seen[scene.name]:
            if appearance.identity >= 0:
                people[appearance.identity].append((scene.name, appearance))
    return people


def _check_galleries(spec: EmbeddedCUHKSYSU, test: Split) -> None:
    """A gallery has room for all the query's positives, and never shows the query's own image."""
    times = Counter(walker.identity for scene in test.scenes for walker in scene.walkers if walker.identity >= 0)
    least, most = max(times.values()) - 1, spec.test_images - 1
    for size in spec.gallery_sizes:
        if not least <= size <= most:
            raise UserError(
                f"a gallery of {size} images cannot be drawn: a person has up to {least} positives, "
                f"and the test split has {most} images beside the query's own",
                place="data.cuhk_sysu.gallery_sizes",
                remedy=f"choose sizes from {least} to {most}, or change test_images",
            )


def _protocol(seed: int, people: Sequence[tuple[str, list[Sighting]]], pool: list[str], size: int) -> Any:
    """A TestG file: for each person one query, then its positives, then images without the person.

    Smaller galleries are the beginnings of larger ones: only the number of distractors differs between protocols.
    """
    entries = []
    for name, sightings in people:
        generator = numpy_generator(seed, "cuhk_sysu", "query", name)
        clear = [sighting for sighting in sightings if sighting[1].visible >= HARD_BELOW]
        candidates = clear or [max(sightings, key=lambda sighting: sighting[1].visible)]
        query = candidates[int(generator.integers(0, len(candidates)))]
        shown = {image for image, _ in sightings}
        absent = [image for image in pool if image not in shown]
        distractors = [absent[index] for index in shuffled(generator, len(absent))]
        gallery = [_scene(image, person) for image, person in sightings if image != query[0]]
        gallery += [_scene(image, None) for image in distractors[: size - len(gallery)]]
        entries.append({"Query": structs([_scene(*query) | {"idname": name}]), "Gallery": structs(gallery)})
    return structs(entries)


def _person(name: str, sightings: Sequence[Sighting]) -> dict[str, Any]:
    scenes = structs([_scene(image, appearance) for image, appearance in sightings])
    return {"idname": name, "nAppear": _number(len(sightings)), "scene": scenes}


def _scene(image: str, appearance: Appearance | None) -> dict[str, Any]:
    return {"imname": image, **_located(appearance)}


def _located(appearance: Appearance | None) -> dict[str, Any]:
    """(idlocate, ishard) of a person in an image; empty (1, 0) doubles where the person is not there."""
    if appearance is None:
        return {"idlocate": np.zeros((1, 0)), "ishard": np.zeros((1, 0))}
    box = np.array([appearance.box], np.uint8 if max(appearance.box) <= 255 else np.uint16)
    return {"idlocate": box, "ishard": _number(appearance.visible < HARD_BELOW)}


def _images(seen: dict[str, list[Appearance]]) -> Any:
    """The `Img` struct array: every image with the boxes of everyone in it, labelled or not."""
    return structs(
        [
            {"imname": name, "nAppear": _number(len(people)), "box": structs([_located(person) for person in people])}
            for name, people in seen.items()
        ]
    )


def _number(value: int) -> npt.NDArray[Any]:
    return np.array([[value]], np.uint8 if value <= 255 else np.uint16)
