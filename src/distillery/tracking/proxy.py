"""The proxy task of a search: brief training on a small fixed set of pairs, accuracy on validation pairs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distillery.config.base import Section, parse
from distillery.config.pairs import Pairs
from distillery.config.selection import SelectionJob
from distillery.config.tracking import TRAININGS
from distillery.data.manifest import dataset_root
from distillery.distill.selection import Ratios, Space
from distillery.distill.students import Lesson, knowledge_transfer, lesson
from distillery.engine.devices import prepare
from distillery.engine.loop import learning_rate
from distillery.engine.optimisers import build_optimiser, step_optimiser
from distillery.engine.randomness import numpy_generator, seed_torch
from distillery.errors import UserError
from distillery.tracking.benchmarks import got10k
from distillery.tracking.families import network_module, training_module
from distillery.tracking.pairs import PairBatch, PairSampler
from distillery.tracking.spaces import ROWS, confident_overlap

CHUNK = 50
"""Pairs that are made, or judged, at a time."""
CALIBRATION = 4
"""Batches from which a child's BatchNorm statistics are taken anew after its training: running averages of a few dozen
steps still hold the initial values (precise BatchNorm, Wu and Johnson 2021)."""


class Proxy:
    """Trains children and measures their accuracy.

    Args:
        job: Parameters of the search.
        manifest: Of GOT-10k: pairs come from the training split, validation pairs from the validation split.
        teacher: Its checkpoint.

    Raises:
        UserError: If an input is faulty, or the checkpoint is not the teacher of the parameters.
    """

    def __init__(self, job: SelectionJob, manifest: Path, teacher: Path) -> None:
        self.job = job
        self.device = prepare(job.compute.model_copy(update={"threads": 1}))
        self.module: Any = network_module(job.family)
        parameters = training_parameters(job)
        self.geometry = parameters.geometry
        self._respond = training_module(job.family).responder(parameters, self.device)
        self.teacher: Any = self.module.load(teacher).to(self.device.torch).requires_grad_(False)
        if self.teacher.architecture != parameters.architectures["teacher"]:
            raise UserError(
                "is a checkpoint of another architecture than the teacher of the search",
                file=teacher,
                remedy="pass the teacher that the config names",
            )
        root, chosen = dataset_root(manifest), job.selection
        self._pairs = self._draw(root, "train", job.pairs, chosen.pairs)
        self._validation = self._draw(root, "val", plain(job.pairs), chosen.validation_pairs)
        self._lessons = self._ask_teacher()

    def teacher_accuracy(self) -> float:
        """Accuracy of the trained teacher on the validation pairs.

        Raises:
            UserError: If it finds nothing, so that no child can be compared with it.
        """
        found = self._accuracy(self.teacher)
        if found is None or found <= 0:
            raise UserError(
                "the teacher finds no target in the validation pairs", remedy="train the teacher for more steps"
            )
        return found

    def child_accuracy(self, ratios: Ratios) -> float | None:
        """Trains a child from scratch and measures it; None if its loss or its scores are no longer finite.

        Every child starts from the same seed and sees the same batches in the same order.
        """
        job = self.job
        seed_torch(job.seed, "initialisation", "child")
        architecture = child_architecture(self.teacher.architecture, ratios)
        child = self.module.build(architecture, self.geometry).to(self.device.torch)
        return self._accuracy(child) if self._train(child) else None

    def _train(self, child: nn.Module) -> bool:
        settings = self.job.selection.optimisation
        optimiser = build_optimiser(settings, child)
        scaler = torch.amp.GradScaler(self.device.torch.type, enabled=self.device.dtype == torch.float16)
        child.train()
        for step in range(settings.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, step)
            rows = self._rows(step)
            with self.device.autocast():
                loss = self._loss(child, rows, step)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            if settings.clip:
                scaler.unscale_(optimiser)
                nn.utils.clip_grad_norm_(child.parameters(), settings.clip)
            step_optimiser(optimiser, scaler)
        if not bool(torch.isfinite(loss)):
            return False
        self._calibrate(child)
        return True

    def _loss(self, child: nn.Module, rows: Tensor, step: int) -> Tensor:
        config = self.job.selection.distillation
        taps = () if config is None else config.compared_layers
        response = self._respond(child, _part(self._pairs, rows, self.device.torch), step, taps)
        if config is None or self._lessons is None:
            mean: Tensor = response.ground_truth.mean()
            return mean
        return knowledge_transfer(response, _lesson(self._lessons, rows, self.device.torch), config)[0]

    @torch.no_grad()
    def _calibrate(self, child: nn.Module) -> None:
        layers = [module for module in child.modules() if isinstance(module, nn.BatchNorm2d)]
        kept = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain average over the batches
        for step in range(CALIBRATION):
            batch = _part(self._pairs, self._rows(step), self.device.torch)
            with self.device.autocast():
                child(batch.exemplar, batch.search, ())
        for layer, momentum in zip(layers, kept, strict=True):
            layer.momentum = momentum

    @torch.no_grad()
    def _accuracy(self, network: Any) -> float | None:
        """Mean overlap of the N most confident proposals of each validation pair with its target."""
        network.eval()
        overlaps = []
        for begin in range(0, len(self._validation.box), CHUNK):
            rows = torch.arange(begin, min(begin + CHUNK, len(self._validation.box)))
            batch = _part(self._validation, rows, self.device.torch)
            with self.device.autocast():
                response = self._respond(network, batch, begin, ())
            scores = response.score.float().cpu().numpy()
            offsets = None if response.boxes is None else response.boxes.float().cpu().numpy()
            if not (np.isfinite(scores).all() and (offsets is None or np.isfinite(offsets).all())):
                return None
            overlaps.append(
                confident_overlap(
                    ROWS[self.job.family],
                    network.architecture,
                    self.geometry,
                    scores,
                    offsets,
                    batch.box.cpu().numpy(),
                    self.job.selection.proposals,
                )
            )
        return float(np.concatenate(overlaps).mean())

    def _rows(self, step: int) -> Tensor:
        """Pairs of a step: the fixed set in a new order in each epoch."""
        size, count = self.job.selection.optimisation.batch, len(self._pairs.box)
        wanted = np.arange(step * size, (step + 1) * size)
        orders = {
            epoch: numpy_generator(self.job.seed, "child order", epoch).permutation(count)
            for epoch in set((wanted // count).tolist())
        }
        return torch.tensor([int(orders[index // count][index % count]) for index in wanted.tolist()])

    def _draw(self, root: Path, split: str, pairs: Pairs, count: int) -> PairBatch:
        """`count` pairs, spread evenly over the clips of a split; crops as bytes."""
        clips = got10k.load(root, split)
        # An epoch is the whole set, so that every clip is drawn as often as every other.
        once = pairs.model_copy(update={"epoch": count})
        sampler = PairSampler(clips, once, self.geometry, self.job.seed)
        parts = [sampler.batch(step, CHUNK) for step in range(-(-count // CHUNK))]
        crops = [torch.cat([part[place].to(torch.uint8) for part in parts])[:count] for place in (0, 1)]
        others = [torch.cat([part[place] for part in parts])[:count] for place in (2, 3)]
        return PairBatch(*crops, *others)

    def _ask_teacher(self) -> Lesson | None:
        """What the teacher says to every training pair, once for all children."""
        config = self.job.selection.distillation
        if config is None:
            return None
        parts = []
        for begin in range(0, len(self._pairs.box), CHUNK):
            rows = torch.arange(begin, min(begin + CHUNK, len(self._pairs.box)))
            batch = _part(self._pairs, rows, self.device.torch)
            with torch.no_grad(), self.device.autocast():
                parts.append(lesson(self._respond(self.teacher, batch, begin, config.compared_layers), config))
        return _joined(parts)


def training_parameters(job: SelectionJob) -> Any:
    """The search's parameters as those of a training job of the family, with the teacher as its network."""
    value = {
        "family": job.family,
        "seed": job.seed,
        "compute": job.compute.model_dump(mode="json"),
        "geometry": job.geometry,
        "pairs": job.pairs.model_dump(mode="json"),
        "networks": ["teacher"],
        "architectures": {"teacher": job.teacher},
        "distillation": None,
        "optimisation": job.selection.optimisation.model_dump(mode="json"),
    }
    section = TRAININGS[job.family]
    if "labels" in section.model_fields:
        value["labels"] = job.labels or {}
    return parse(section, value, source="--params")


def child_architecture(teacher: Any, ratios: Ratios) -> Any:
    """The teacher's architecture with every layer's channels shrunk by an action.

    Actions shrink what the teacher has; the result is checked like any section of the config.
    """
    shrunk = tuple(own * action for own, action in zip(teacher.ratios, ratios, strict=True))
    made: Section = type(teacher)(**(teacher.model_dump() | {"ratios": shrunk}))
    return made


def space_of(job: SelectionJob) -> Space:
    """What a job searches."""
    parameters = training_parameters(job)
    teacher, row = parameters.architectures["teacher"], ROWS[job.family]
    channels_of = network_module(job.family).channels_of

    def channels(ratios: Ratios) -> tuple[int, ...]:
        found: tuple[int, ...] = channels_of(child_architecture(teacher, ratios))
        return found

    def size(numbers: tuple[int, ...]) -> int:
        return row.size(teacher, parameters.geometry, numbers)

    own = channels_of(teacher)
    layers = tuple(row.layers(teacher, own))
    return Space(layers, channels, lambda ratios: size(channels(ratios)), size(own), job.selection.budget)


def plain(pairs: Pairs) -> Pairs:
    """Pairs for measuring: the search crop's shift stays, or the target would always be in the middle; all else that
    changes an image is off, and every pair shows its target twice."""
    return Pairs(
        epoch=pairs.epoch, max_gap=pairs.max_gap, shift=pairs.shift, exemplar_stretch=0.0, exemplar_shift=0, stretch=0.0
    )


def _part(pairs: PairBatch, rows: Tensor, device: torch.device) -> PairBatch:
    part = PairBatch(*(values[rows] for values in pairs)).to(device)
    return part._replace(exemplar=part.exemplar.float(), search=part.search.float())


def _joined(parts: list[Lesson]) -> Lesson:
    def join(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else torch.cat(values).cpu()

    maps = {
        layer: (
            torch.cat([part.maps[layer][0] for part in parts]).cpu(),
            torch.cat([part.maps[layer][1] for part in parts]).cpu(),
        )
        for layer in parts[0].maps
    }
    return Lesson(**{entry.name: join(entry.name) for entry in fields(Lesson) if entry.name != "maps"}, maps=maps)


def _lesson(whole: Lesson, rows: Tensor, device: torch.device) -> Lesson:
    def pick(name: str) -> Any:
        values = getattr(whole, name)
        return None if values is None else values[rows].to(device)

    maps = {layer: (z[rows].to(device), x[rows].to(device)) for layer, (z, x) in whole.maps.items()}
    return Lesson(**{entry.name: pick(entry.name) for entry in fields(Lesson) if entry.name != "maps"}, maps=maps)
