"""Training of trackers: networks from ground truth, or students of one teacher, all in one job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from distillery.config.tracking import TrackerTraining
from distillery.data.manifest import dataset_root
from distillery.distill.losses import balanced_logistic
from distillery.distill.students import Response, total_loss
from distillery.engine.devices import Device, prepare
from distillery.engine.job import Output, train
from distillery.engine.randomness import seed_torch
from distillery.errors import UserError
from distillery.tracking.backbones import STRIDE
from distillery.tracking.benchmarks import got10k
from distillery.tracking.pairs import PairSampler, labels
from distillery.tracking.siamfc import SiamFC, load

LABEL_RADIUS = 16.0
"""rPos of SiamFC: positives lie within 16 px of the target's centre."""


class TrackerTask:
    """What the training loop needs of a tracker job.

    Args:
        networks: By name, in the order of the run; on the device.
        teacher: Frozen, or None for ground truth alone.
        sampler: Source of pairs.
        parameters: Of the job.
        device: Where tensors go.
    """

    def __init__(
        self,
        networks: Mapping[str, SiamFC],
        teacher: SiamFC | None,
        sampler: PairSampler,
        parameters: TrackerTraining,
        device: Device,
    ) -> None:
        # A list: torch forbids some names ("items", "a.b") as keys of a dict of modules.
        self.module: nn.Module = nn.ModuleList(networks.values())
        self._networks, self._teacher, self._sampler = networks, teacher, sampler
        self._parameters, self._device = parameters, device
        geometry = parameters.geometry
        cells = (geometry.train_search - geometry.exemplar) // STRIDE + 1
        self._labels = labels(cells, LABEL_RADIUS, STRIDE).to(device.torch)
        config = parameters.distillation
        self._taps = config.layers if config is not None and config.omega > 0 else ()

    def loss(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a step; the teacher sees each batch once, however many students there are."""
        size = self._parameters.optimisation.batch
        exemplar, search = (crops.to(self._device.torch) for crops in self._sampler.batch(step, size))
        students = {name: self._response(network, exemplar, search) for name, network in self._networks.items()}
        if self._teacher is None or self._parameters.distillation is None:
            terms = {f"{name}/logistic": student.hard.mean() for name, student in students.items()}
            return torch.stack(list(terms.values())).sum(), terms
        with torch.no_grad():
            teacher = self._response(self._teacher, exemplar, search)
        loss, terms = total_loss(
            students, teacher, self._parameters.distillation, epoch=self._sampler.epoch(step, size)
        )
        return loss, terms | {"teacher/logistic": teacher.hard.mean()}

    def after_step(self, step: int) -> None:
        """Nothing but weights changes."""

    def _response(self, network: SiamFC, exemplar: Tensor, search: Tensor) -> Response:
        response, z_taps, x_taps = network(exemplar, search, self._taps)
        score = response.flatten(1).float()
        return Response(score, balanced_logistic(score, self._labels), exemplar=z_taps, search=x_taps)


def train_trackers(
    parameters: TrackerTraining, manifest: Path, outputs: Mapping[str, Path], teacher: Path | None = None
) -> None:
    """One training job: every network of the run, with or without a teacher.

    Args:
        parameters: Resolved parameters.
        manifest: Of the GOT-10k training set; the data lie in the folder of the same name.
        outputs: Checkpoint of each network by name.
        teacher: Checkpoint of the teacher, if the run has one.

    Raises:
        UserError: If names, teacher and parameters do not belong together, or an input is faulty.
    """
    if set(outputs) != set(parameters.architectures):
        raise UserError(
            f"names {sorted(outputs)}, the job trains {sorted(parameters.architectures)}",
            place="--out",
            remedy="give one NAME=CHECKPOINT for each network",
        )
    if (teacher is None) != (parameters.distillation is None):
        raise UserError("a teacher and distillation parameters go together", place="--teacher", remedy="give both")
    device = prepare(parameters.compute)
    clips = got10k.load(dataset_root(manifest), "train")
    sampler = PairSampler(clips, parameters.pairs, parameters.geometry, parameters.seed)
    networks = {}
    for name, architecture in parameters.architectures.items():
        # Each network starts the same in every run of a seed, whoever is trained beside it: differences are paired.
        seed_torch(parameters.seed, "initialisation", name)
        networks[name] = SiamFC(architecture, parameters.geometry).to(device.torch)
    frozen = None
    if teacher is not None:
        frozen = load(teacher).to(device.torch).requires_grad_(False)
    inputs = {"data": manifest} | ({} if teacher is None else {"teacher": teacher})
    train(
        TrackerTask(networks, frozen, sampler, parameters, device),
        parameters,
        parameters.optimisation,
        device=device,
        inputs=inputs,
        outputs=[Output(outputs[name], network, network.sidecar()) for name, network in networks.items()],
        label="train " + "+".join(networks),
    )
