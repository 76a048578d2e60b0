"""Training jobs of the person-search networks: the students of a run, on the same batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distillery.config.search_jobs import SearchTraining, StudentJob
from distillery.engine.devices import Device, prepare
from distillery.engine.job import Output, train
from distillery.engine.randomness import seed_torch
from distillery.errors import UserError
from distillery.person_search.checkpoints import load_detector
from distillery.person_search.dataset import ImageStore, training_batch
from distillery.person_search.lookup import load_table
from distillery.person_search.methods import method_of
from distillery.person_search.network import Batch, OIMNetwork, build_network
from distillery.person_search.splits import load_backbone, training_split, weights_of
from distillery.person_search.students import Student, start_from
from distillery.person_search.teaching import DetectionTeacher, check_fit


class SearchTask:
    """Trains person-search networks side by side; tables and queues are updated after each step.

    Every network sees the same batches and draws the same random numbers as if it were trained alone. The detection
    teacher looks at each batch once for all of them.

    Args:
        students: By the name of their variant, on the device.
        store: Training images.
        parameters: Of the job.
        device: Where it computes.
        teacher: The detection teacher, if a student has one.
    """

    def __init__(
        self,
        students: Mapping[str, Student],
        store: ImageStore,
        parameters: SearchTraining,
        device: Device,
        teacher: DetectionTeacher | None = None,
    ) -> None:
        self.module: nn.Module = nn.ModuleList(students.values())
        self._students = students
        self._store = store
        self._parameters = parameters
        self._device = device.torch
        self._teacher = teacher

    def batch(self, step: int) -> Batch:
        """The batch of a step, from (seed, step) alone."""
        return training_batch(
            self._store,
            seed=self._parameters.seed,
            step=step,
            size=self._parameters.optimisation.batch,
            stride=next(iter(self._students.values())).network.stem.stride,
            device=self._device,
        )

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Sum of the networks' weighted losses, and each term unweighted as `<variant>/<term>`."""
        batch = self.batch(step)
        view = self._teacher.look(batch.images) if self._teacher else None
        totals: list[Tensor] = []
        logged: dict[str, Tensor] = {}
        for name, student in self._students.items():
            seed_torch(self._parameters.seed, "step", step)  # the samplers draw from torch's global generator
            terms = student(batch, view)
            totals += [student.factors[term] * value for term, value in terms.items()]
            logged |= {f"{name}/{term}": value for term, value in terms.items()}
        return torch.stack(totals).sum(), logged

    def after_step(self, step: int) -> None:
        """Takes the step's id features into tables and queues."""
        for student in self._students.values():
            student.update()


class SearchMethod(NamedTuple):
    """What a module of `methods.METHODS` offers as `METHOD`.

    Attributes:
        build: A network from the job's parameters, its own, the number of identities and the rows of its table.
        task: What trains the networks.
        weights: Weight of every supervised loss of a network.
    """

    build: Callable[[SearchTraining, StudentJob, int, Tensor | None], OIMNetwork]
    task: Callable[[Mapping[str, Student], ImageStore, SearchTraining, Device, DetectionTeacher | None], SearchTask]
    weights: Callable[[SearchTraining], Mapping[str, float]]


METHOD = SearchMethod(build_network, SearchTask, lambda parameters: parameters.weights.model_dump())


def train_search(
    parameters: SearchTraining,
    manifest: Path,
    outputs: Mapping[str, Path],
    *,
    tables: Mapping[str, Path] | None = None,
    detector: Path | None = None,
    starts: Mapping[str, Path] | None = None,
) -> None:
    """Trains the networks of a job; with a table its rows replace the online ones.

    Args:
        parameters: Of the job.
        manifest: `….json` of a dataset with a training part, which lies in the folder of the same name.
        outputs: Checkpoint of each network by variant; sidecar and metrics lie beside it.
        tables: Look-up table of each variant that has one.
        detector: Checkpoint of the detection teacher, if a network learns from one.
        starts: Checkpoint from which a network starts.

    Raises:
        UserError: If the dataset, a table, a teacher, a start or the pre-trained weights are missing or do not fit.
    """
    tables, starts = tables or {}, starts or {}
    _check_names(parameters, outputs, tables, starts)
    method: SearchMethod = method_of(parameters.method)
    device = prepare(parameters.compute)
    split = training_split(manifest)
    teacher = _teacher(parameters, detector, device)
    inputs = {"data": manifest} | ({"detector": detector} if detector and teacher else {})
    inputs |= {f"table {name}": path for name, path in tables.items()}
    inputs |= {f"start {name}": path for name, path in starts.items()}
    students, sidecars = {}, {}
    for name, job in parameters.students.items():
        identities = min(split.identities, job.identities or split.identities)
        network = _network(parameters, method, job, (split.identities, identities), tables.get(name), starts.get(name))
        if teacher and job.detector and detector:
            check_fit(network, teacher.network, job.detector, student=name, file=detector)
        seed_torch(parameters.seed, "adapter")
        official = parameters.optimisation.optimiser == "sgd"
        students[name] = Student(network, job, method.weights(parameters), teacher, official_biases=official)
        students[name].to(device.torch)
        sidecars[name] = {
            "kind": parameters.method,
            "variant": name,
            "identities": identities,
            "table": name in tables,
        }
        inputs |= {f"{kind} {name}": path for kind, path in weights_of(job.shape).items()}
    train(
        method.task(students, ImageStore(split.images, parameters.resize), parameters, device, teacher),
        parameters,
        parameters.optimisation,
        device=device,
        inputs=inputs,
        outputs=[Output(outputs[name], student.network, sidecars[name]) for name, student in students.items()],
        label=f"train {'+'.join(students)} (seed {parameters.seed})",
    )


def _network(
    parameters: SearchTraining,
    method: SearchMethod,
    job: StudentJob,
    identities: tuple[int, int],
    table: Path | None,
    start: Path | None,
) -> OIMNetwork:
    """A network of the job for some of all identities; those of equal shape start equal, so differences are paired."""
    rows = None
    if table is not None and job.identification is not None:
        rows = load_table(table, identities[0], job.identification.dimension)[: identities[1]]
    seed_torch(parameters.seed, "initialisation")
    network = method.build(parameters, job, identities[1], rows)
    load_backbone(job.shape, network.stem, network.head)
    if start is not None:
        start_from(network, start)
    return network


def _teacher(parameters: SearchTraining, detector: Path | None, device: Device) -> DetectionTeacher | None:
    taught = {name: job.detector for name, job in parameters.students.items() if job.detector}
    if not taught:
        return None
    if detector is None:
        raise UserError(
            f"is missing, but {', '.join(taught)} learns from a detection teacher",
            place="--detector",
            remedy="name the checkpoint of a trained detector",
        )
    return DetectionTeacher(load_detector(detector).to(device.torch), list(taught.values()))


def _check_names(
    parameters: SearchTraining, outputs: Mapping[str, Path], tables: Mapping[str, Path], starts: Mapping[str, Path]
) -> None:
    """Every file must belong to a network of the job, and every network must have an output."""
    trained = sorted(parameters.students)
    if sorted(outputs) != trained:
        raise UserError(
            f"names {sorted(outputs)}, the job trains {trained}",
            place="--out",
            remedy="give one NAME=CHECKPOINT for each network",
        )
    for place, files in (("--table", tables), ("--start", starts)):
        for name in files:
            if name not in trained:
                raise UserError(
                    f"names {name!r}, the job trains {trained}", place=place, remedy="name a network of the job"
                )
            if place == "--table" and parameters.students[name].identification is None:
                raise UserError(
                    f"names {name!r}, a detector, which identifies nobody", place=place, remedy="leave it out"
                )
