"""Tiny jobs of the person-search chain for the tests: seconds on one thread."""

from __future__ import annotations

from pathlib import Path

from distillery.config.person_search import (
    Identification,
    LossWeights,
    Proposals,
    Regions,
    ReIDTeacher,
    ReIDTraining,
    Resize,
    ResNetShape,
    SearchTraining,
)
from distillery.config.training import Compute, Optimisation
from person_search.builders import BOXES, PEOPLE, POOL, write_annotations, write_root

SHAPE = ResNetShape(block="basic", depths=(1, 1, 1, 1), width=4, stem_blocks=1, stride=8, norm="batch")
OPTIMISATION = Optimisation(steps=6, batch=2, optimiser="adamw", learning_rate=1e-3)
COMPUTE = Compute(device="cpu", save_every=1e-6)
DIMENSION = 8


def dataset(folder: Path) -> Path:
    """Writes the tiny root, with unlabelled people among the training images too, and returns its manifest."""
    root = write_root(folder / "cuhk_sysu")
    boxes = {name: [*people, (200, 40, 40, 110)] if name not in POOL else people for name, people in BOXES.items()}
    write_annotations(root, boxes, POOL, PEOPLE)
    manifest = folder / "cuhk_sysu.json"
    manifest.write_text("{}")
    return manifest


def search_training(**changes) -> SearchTraining:
    parameters = SearchTraining(
        seed=0,
        compute=COMPUTE,
        resize=Resize(shorter=100, longer=150),
        shape=SHAPE,
        proposals=Proposals(
            channels=16, anchor_sizes=(32,), anchor_ratios=(2.5,), pre_nms=(40, 40), post_nms=(20, 10), min_size=4.0
        ),
        regions=Regions(size=(6, 4), batch=12, positive_fraction=0.5, score=0.0),
        identification=Identification(dimension=DIMENSION, queue=5, batch_norm=True),
        weights=LossWeights(identity=0.3),
        optimisation=OPTIMISATION,
    )
    return parameters.model_copy(update=changes)


def reid_training(**changes) -> ReIDTraining:
    teacher = ReIDTeacher(shape=SHAPE, crop=(32, 16), optimisation=OPTIMISATION)
    parameters = ReIDTraining(seed=0, compute=COMPUTE, dimension=DIMENSION, teacher=teacher)
    return parameters.model_copy(update=changes)
