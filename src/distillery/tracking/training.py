"""Training of trackers: networks from ground truth, or students of one teacher, all in one job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distillery.config.distillation import Distillation
from distillery.config.families import pretrained_files
from distillery.config.tracking import TrackerTraining
from distillery.data.manifest import dataset_root
from distillery.distill.losses import label_map
from distillery.distill.students import Response, total_loss
from distillery.engine import distributed
from distillery.engine.devices import Device, prepare, threads
from distillery.engine.job import Output, train
from distillery.engine.randomness import seed_torch
from distillery.errors import UserError
from distillery.tracking import lessons
from distillery.tracking.benchmarks import got10k
from distillery.tracking.crop_store import CropStore, crop_key
from distillery.tracking.families import network_module, searched_architecture, training_module
from distillery.tracking.pair_batches import Sampler
from distillery.tracking.pairs import PairSampler
from distillery.tracking.shard_pairs import ShardSampler


class TrackerTask:
    """What the training loop needs of a tracker job.

    Args:
        networks: By name, in the order of the run; on the device.
        respond: The family's function from a batch to a network's response.
        teacher: Source of lessons, or None for ground truth alone.
        sampler: Source of pairs.
        parameters: Of the job.
        device: Where tensors go.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        respond: Callable[..., Response],
        teacher: lessons.Teacher | None,
        sampler: Sampler,
        parameters: TrackerTraining,
        device: Device,
    ) -> None:
        # A list: torch forbids some names ("items", "a.b") as keys of a dict of modules.
        self.module: nn.Module = nn.ModuleList(networks.values())
        self._networks, self._respond, self._teacher, self._sampler = networks, respond, teacher, sampler
        self._parameters, self._device = parameters, device

    def loss(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a step; the teacher sees each batch once, however many students there are.

        Every term is a mean over pairs, so a rank's part of the whole is its mean times its share of the pairs.
        """
        size, config = self._parameters.optimisation.batch, self._parameters.distillation
        epoch = self._sampler.epoch(step, size)
        for network in self._networks.values():
            begin: Callable[[int], None] | None = getattr(network, "begin_epoch", None)
            if begin:  # pretrained backbones thaw by epochs
                begin(epoch)
        batch = self._sampler.batch(step, size).to(self._device.torch)
        taps = config.compared_layers if config is not None else ()
        students = {name: self._respond(network, batch, step, taps) for name, network in self._networks.items()}
        if self._teacher is None or config is None or epoch < config.warmup_epochs:
            return _part(*self._alone(students), len(batch.search) / size)
        given = self._teacher(step, batch)
        loss, terms = total_loss(students, given, config, epoch - config.warmup_epochs, mean=distributed.mean)
        return _part(loss, terms | {"teacher/ground_truth": given.ground_truth.mean()}, len(batch.search) / size)

    def after_step(self, step: int) -> None:
        """Nothing but weights changes."""

    def _alone(self, students: Mapping[str, Response]) -> tuple[Tensor, dict[str, Tensor]]:
        """Ground truth without a teacher."""
        terms: dict[str, Tensor] = {}
        for name, student in students.items():
            if self._parameters.control == "label_map" and student.labels is not None:
                terms[f"{name}/label_map"] = label_map(student.score, student.labels).mean()
                terms[f"{name}/logistic"] = Distillation().lam * student.hard.mean()
                continue
            terms[f"{name}/logistic"] = student.hard.mean()
            if student.regression is not None:
                terms[f"{name}/regression"] = student.regression.mean()
        return torch.stack(list(terms.values())).sum(), terms


def _part(loss: Tensor, terms: dict[str, Tensor], share: float) -> tuple[Tensor, dict[str, Tensor]]:
    """A rank's part of loss and terms."""
    return (loss, terms) if share == 1 else (loss * share, {name: term * share for name, term in terms.items()})


def train_trackers(
    parameters: TrackerTraining,
    manifest: Path,
    outputs: Mapping[str, Path],
    teacher: Path | None = None,
    *,
    recording: Path | None = None,
    searched: Mapping[str, Path] | None = None,
    crops: Path | None = None,
) -> None:
    """One training job: every network of the run, with or without a teacher.

    Args:
        parameters: Resolved parameters, of a family.
        manifest: Of the GOT-10k training set, or where the pairs have sources the sidecar of their shards
            (`build_shards`); the data lie in the folder of the same name.
        outputs: Checkpoint of each network by name.
        teacher: Checkpoint of the teacher, if the run has one.
        recording: What the teacher says to each batch (`record_teacher`); without it the teacher is asked.
        searched: Results of the search, for networks that the parameters do not describe.
        crops: Crops of the training set (`crop_clips`); without it frames are decoded.

    Raises:
        UserError: If names, teacher and parameters do not belong together, or an input is faulty.
    """
    if set(outputs) != set(parameters.networks):
        raise UserError(
            f"names {sorted(outputs)}, the job trains {sorted(parameters.networks)}",
            place="--out",
            remedy="give one NAME=CHECKPOINT for each network",
        )
    if (teacher is None) != (parameters.distillation is None):
        raise UserError("a teacher and distillation parameters go together", place="--teacher", remedy="give both")
    device = prepare(parameters.compute)
    networks = build_networks(parameters, searched or {}, device)
    respond = training_module(parameters.family).responder(parameters, device)
    sampler = pair_sampler(parameters, manifest, crops)
    teach = None if teacher is None else _teacher(parameters, manifest, teacher, recording, respond, device)
    inputs = {"data": manifest} | ({} if teacher is None else {"teacher": teacher}) | dict(searched or {})
    inputs |= {f"pretrained {name}": Path(file) for name, file in pretrained_files(parameters.architectures).items()}
    train(
        TrackerTask(networks, respond, teach, sampler, parameters, device),
        parameters,
        parameters.optimisation,
        device=device,
        inputs=inputs,
        outputs=[Output(outputs[name], network, network.sidecar()) for name, network in networks.items()],
        label="train " + "+".join(networks),
    )


def record_teacher(
    parameters: TrackerTraining, manifest: Path, teacher: Path, out: Path, *, crops: Path | None = None
) -> None:
    """Records what a teacher says to every batch of the runs that share these parameters' pairs and steps.

    Args:
        parameters: Of one of those runs (which one does not matter).
        manifest: Of the training set.
        teacher: Checkpoint.
        out: Recording to write.
        crops: Crops of the training set; without it frames are decoded.
    """
    device = prepare(parameters.compute)
    respond = training_module(parameters.family).responder(parameters, device)
    key = lessons.recording_key(parameters, manifest, teacher)
    with device.autocast():
        sampler = pair_sampler(parameters, manifest, crops)
        lessons.record(_load(parameters, teacher, device), respond, sampler, parameters, key, out)


def build_networks(parameters: TrackerTraining, searched: Mapping[str, Path], device: Device) -> dict[str, Any]:
    """The networks of a job, freshly initialised, in the run's order.

    Each network starts the same in every run of a seed, whoever is trained beside it: differences are paired.

    Raises:
        UserError: If a network is neither described by the parameters nor among the search results.
    """
    module, described = network_module(parameters.family), parameters.architectures
    networks = {}
    for name in parameters.networks:
        if name not in described and name not in searched:
            raise UserError(
                f"nothing says what the network {name!r} looks like",
                place="--searched",
                remedy="give NAME=SEARCH_RESULT",
            )
        architecture = (
            described[name] if name in described else searched_architecture(searched[name], parameters.family)
        )
        seed_torch(parameters.seed, "initialisation", name)
        networks[name] = module.build(architecture, parameters.geometry).to(device.torch)
    return networks


def pair_sampler(parameters: TrackerTraining, manifest: Path, crops: Path | None = None) -> Sampler:
    """The pairs of a job, from shards of several sets, from crops that lie ready or from frames."""
    pairs, geometry, count = parameters.pairs, parameters.geometry, threads(parameters.compute)
    # On a processor the next batch would be made by as many threads again as compute.
    ahead = parameters.compute.device != "cpu" and torch.cuda.is_available()
    if pairs.sources:
        return ShardSampler(manifest, pairs, geometry, parameters.seed, threads=count, ahead=ahead)
    clips = got10k.load(dataset_root(manifest), "train")
    store = CropStore(crops, crop_key(pairs, geometry, manifest)) if crops else None
    return PairSampler(clips, pairs, geometry, parameters.seed, threads=count, ahead=ahead, store=store)


def _load(parameters: TrackerTraining, teacher: Path, device: Device) -> nn.Module:
    network: nn.Module = network_module(parameters.family).load(teacher)
    return network.to(device.torch).requires_grad_(False)


def _teacher(
    parameters: TrackerTraining,
    manifest: Path,
    teacher: Path,
    recording: Path | None,
    respond: Callable[..., Response],
    device: Device,
) -> lessons.Teacher:
    assert parameters.distillation is not None
    if recording is None:
        return lessons.live(_load(parameters, teacher, device), respond, parameters.distillation)
    key = lessons.recording_key(parameters, manifest, teacher)
    return lessons.recorded(recording, parameters, key, device.torch)
