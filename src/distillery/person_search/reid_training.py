"""Training of the re-identification teacher on crops of people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from distillery.config.search_jobs import ReIDTraining
from distillery.engine import distributed
from distillery.engine.devices import Device, prepare
from distillery.engine.job import Output, train
from distillery.engine.randomness import numpy_generator, seed_torch
from distillery.person_search.checkpoints import REID
from distillery.person_search.dataset import augmented, crops_as_input, jittered, order
from distillery.person_search.people import PeopleStore
from distillery.person_search.reid import ReIDNetwork
from distillery.person_search.splits import load_backbone, training_split, weights_of


class ReIDTask:
    """Trains the re-ID teacher on the labelled people's crops, augmented at random.

    Args:
        network: On the device.
        store: Labelled people of the training images, with a margin of at least `jitter`.
        parameters: Of the job.
        device: Where it computes.
    """

    def __init__(self, network: ReIDNetwork, store: PeopleStore, parameters: ReIDTraining, device: Device) -> None:
        self.module: nn.Module = network
        self._network = network
        self._store = store
        self._parameters = parameters
        self._device = device.torch

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Identity loss of a step's crops; of several ranks each has its part of it."""
        teacher, seed = self._parameters.teacher, self._parameters.seed
        size = teacher.optimisation.batch
        generator, own = numpy_generator(seed, "augmentation", step), distributed.share(size)
        crops, ids = [], []
        for place, index in enumerate(order(seed, step, size, len(self._store.people))):
            person = self._store.people[int(index)]
            box = jittered(self._store.box(person), teacher.jitter, generator)
            mine = own.start <= place < own.stop
            # What chance does to the other ranks' crops does not depend on what they show.
            part = self._store.crop(person, box, teacher.crop) if mine else np.zeros((*teacher.crop, 3), np.uint8)
            part = augmented(part, teacher.colour, teacher.erasing, generator)
            if mine:
                crops.append(part)
                ids.append(person.identity)
        labels = torch.tensor(ids, device=self._device)
        loss = self._network.loss(self._network(crops_as_input(crops, self._device)), labels)
        if len(crops) < size:
            loss = loss * (len(crops) / size)
        return loss, {"identity": loss}

    def after_step(self, step: int) -> None:
        """Nothing is learnt but by gradient."""


def train_reid(parameters: ReIDTraining, manifest: Path, out: Path) -> None:
    """Trains a re-ID teacher on the labelled people of the training images.

    Args:
        parameters: Of the job.
        manifest: `….json` of a dataset with a training part, which lies in the folder of the same name.
        out: Checkpoint to write; sidecar and metrics lie beside it.

    Raises:
        UserError: If the dataset or the pre-trained weights are missing or do not fit.
    """
    device = prepare(parameters.compute)
    split = training_split(manifest)
    seed_torch(parameters.seed, "initialisation")
    network = ReIDNetwork(parameters.teacher, parameters.dimension, split.identities)
    load_backbone(parameters.teacher.shape, network.stem, network.head)
    network.to(device.torch)
    train(
        ReIDTask(network, PeopleStore(split.images, parameters.teacher.jitter), parameters, device),
        parameters,
        parameters.teacher.optimisation,
        device=device,
        inputs={"data": manifest} | weights_of(parameters.teacher.shape),
        outputs=[Output(out, network, {"kind": REID, "identities": split.identities})],
        label=f"train re-ID teacher (seed {parameters.seed})",
    )
