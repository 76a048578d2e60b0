"""Tiny jobs of the person-search chain for the tests: seconds on one thread."""

from __future__ import annotations

from pathlib import Path

from distillery.config.search_distillation import ReIDTeacher
from distillery.config.search_jobs import ReIDTraining, SearchTraining, StudentJob
from distillery.config.search_network import Identification, LossWeights, Proposals, Regions, Resize, ResNetShape
from distillery.config.training import Compute, Optimisation
from distillery.person_search.training import train_search
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


IDENTIFICATION = Identification(dimension=DIMENSION, queue=5, batch_norm=True)
NAME = "large-oim"
"""Variant of the only student of `search_training`."""


def student(**changes) -> StudentJob:
    return StudentJob(shape=SHAPE, identification=IDENTIFICATION).model_copy(update=changes)


def search_training(**changes) -> SearchTraining:
    parameters = SearchTraining(
        seed=0,
        compute=COMPUTE,
        method="oim",
        resize=Resize(shorter=100, longer=150),
        proposals=Proposals(
            channels=16, anchor_sizes=(32,), anchor_ratios=(2.5,), pre_nms=(40, 40), post_nms=(20, 10), min_size=4.0
        ),
        regions=Regions(size=(6, 4), batch=12, positive_fraction=0.5, score=0.0),
        weights=LossWeights(identity=0.3),
        students={NAME: student()},
        optimisation=OPTIMISATION,
    )
    return parameters.model_copy(update=changes)


def train_one(parameters: SearchTraining, manifest: Path, table: Path | None, out: Path) -> None:
    """A job of one student."""
    train_search(parameters, manifest, {NAME: out}, tables={} if table is None else {NAME: table})


def reid_training(**changes) -> ReIDTraining:
    teacher = ReIDTeacher(shape=SHAPE, crop=(32, 16), optimisation=OPTIMISATION)
    parameters = ReIDTraining(seed=0, compute=COMPUTE, dimension=DIMENSION, teacher=teacher)
    return parameters.model_copy(update=changes)
