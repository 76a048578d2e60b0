"""Person-search networks that two ranks train; see `rank_steps`."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from distillery.config.search_distillation import DetectorDistillation, QueryGuidance
from distillery.config.search_jobs import SearchTraining
from distillery.engine.devices import prepare
from distillery.engine.loop import Task
from distillery.engine.randomness import seed_torch
from distillery.person_search.dataset import ImageStore
from distillery.person_search.lookup import random_rows
from distillery.person_search.methods import method_of
from distillery.person_search.people import PeopleStore
from distillery.person_search.reid import ReIDNetwork
from distillery.person_search.reid_training import ReIDTask
from distillery.person_search.splits import training_split
from distillery.person_search.students import Student
from distillery.person_search.teaching import DetectionTeacher
from person_search.search_jobs import (
    COMPUTE,
    DIMENSION,
    OPTIMISATION,
    SHAPE,
    reid_training,
    search_training,
    student,
)
from rank_steps import compare, in_double

IMAGES = 3
"""In a batch: one for the first rank, two for the second."""
OPTIMISED = OPTIMISATION.model_copy(update={"batch": IMAGES})
NARROW = SHAPE.model_copy(update={"width": 2})


def search(manifest: Path, method: str, *, taught: bool = False) -> Task:
    """Two students: a wide one with a fixed table, a narrow one with its own."""
    split = training_split(manifest)
    levels = DetectorDistillation() if taught else None
    jobs = {"fixed": student(detector=levels), "online": student(shape=NARROW, detector=levels)}
    guidance = QueryGuidance(reduction=2) if method == "qeeps" else None
    job: SearchTraining = search_training(method=method, students=jobs, optimisation=OPTIMISED, query=guidance)
    chosen, teacher = method_of(method), None
    if taught:
        seed_torch(3)
        detector = method_of("detector").build(job, student(identification=None), 0, None)
        for part in detector.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.running_var, 0.5, 1.5)
        assert levels is not None
        teacher = DetectionTeacher(detector, [levels])
    made = {}
    for name, one in jobs.items():
        seed_torch(1)
        rows = random_rows(split.identities, DIMENSION, 0).double() if name == "fixed" else None
        network = chosen.build(job, one, split.identities, rows)
        made[name] = Student(network, one, chosen.weights(job), teacher)
    return chosen.task(made, ImageStore(split.images, job.resize), job, prepare(COMPUTE), teacher)


def reid(manifest: Path) -> Task:
    split, job = training_split(manifest), reid_training()
    changed = job.teacher.model_copy(update={"optimisation": OPTIMISED, "colour": 0.2, "erasing": 0.5})
    job = job.model_copy(update={"teacher": changed})
    seed_torch(1)
    network = ReIDNetwork(job.teacher, DIMENSION, split.identities)
    return ReIDTask(network, PeopleStore(split.images, job.teacher.jitter), job, prepare(COMPUTE))


def searchers(manifest: Path, folder: Path) -> None:
    """OIM with tables, OIM under a detection teacher, QEEPS, and the re-ID network."""
    in_double()
    cases = {
        "oim": lambda: search(manifest, "oim"),
        "taught": lambda: search(manifest, "oim", taught=True),
        "qeeps": lambda: search(manifest, "qeeps"),
        "reid": lambda: reid(manifest),
    }
    compare(cases, folder)
