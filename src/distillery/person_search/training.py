"""Training jobs of the second paper: the re-ID teacher, the look-up table, the person-search network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distillery.config.person_search import LookUpJob, ReIDTraining, ResNetShape, SearchTraining
from distillery.engine.devices import Device, prepare
from distillery.engine.job import Output, train
from distillery.engine.randomness import numpy_generator, seed_torch
from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.person_search.benchmarks.base import SearchSplit
from distillery.person_search.benchmarks.cuhk_sysu import load_train
from distillery.person_search.checkpoints import OIM, REID, load_teacher
from distillery.person_search.dataset import (
    ImageStore,
    crop,
    crops_as_input,
    jittered,
    order,
    training_batch,
)
from distillery.person_search.lookup import load_table, mean_rows, quality, random_rows, save_table
from distillery.person_search.network import Identified, OIMNetwork, build_network
from distillery.person_search.reid import ReIDNetwork, labelled_people
from distillery.person_search.resnet import Head, Stem, load_pretrained


class SearchTask:
    """Trains the person-search network; tables and queue are updated after each step.

    Args:
        network: On the device.
        store: Training images.
        parameters: Of the job.
        device: Where it computes.
    """

    def __init__(self, network: OIMNetwork, store: ImageStore, parameters: SearchTraining, device: Device) -> None:
        self.module: nn.Module = network
        self._network = network
        self._store = store
        self._parameters = parameters
        self._weights = parameters.weights.model_dump()
        self._device = device.torch
        self._identified: Identified | None = None

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Weighted sum of the five losses, and each of them unweighted."""
        batch = training_batch(
            self._store,
            seed=self._parameters.seed,
            step=step,
            size=self._parameters.optimisation.batch,
            stride=self._network.stem.stride,
            device=self._device,
        )
        terms, self._identified = self._network(batch)
        return torch.stack([self._weights[name] * term for name, term in terms.items()]).sum(), terms

    def after_step(self, step: int) -> None:
        """Takes the step's id features into table and queue."""
        assert self._identified is not None
        self._network.identification.update(*self._identified)
        self._identified = None


class ReIDTask:
    """Trains the re-ID teacher on the labelled people's crops, augmented at random.

    Args:
        network: On the device.
        store: Training images in their own size.
        parameters: Of the job.
        device: Where it computes.
    """

    def __init__(self, network: ReIDNetwork, store: ImageStore, parameters: ReIDTraining, device: Device) -> None:
        self.module: nn.Module = network
        self._network = network
        self._store = store
        self._parameters = parameters
        self._device = device.torch
        self._people = labelled_people(store.images)

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Identity loss, and the share of crops that are classified rightly."""
        teacher, seed = self._parameters.teacher, self._parameters.seed
        generator = numpy_generator(seed, "augmentation", step)
        crops, ids = [], []
        for index in order(seed, step, teacher.optimisation.batch, len(self._people)):
            image, person = self._people[int(index)]
            annotated = self._store.images[image]
            part = crop(
                self._store[image][0], jittered(annotated.boxes[person], teacher.jitter, generator), teacher.crop
            )
            crops.append(part[:, ::-1] if generator.random() < 0.5 else part)
            ids.append(annotated.ids[person])
        labels = torch.from_numpy(np.array(ids)).to(self._device)
        loss = self._network.loss(self._network(crops_as_input(crops, self._device)), labels)
        return loss, {"identity": loss}

    def after_step(self, step: int) -> None:
        """Nothing is learnt but by gradient."""


def train_search(parameters: SearchTraining, manifest: Path, table: Path | None, out: Path) -> None:
    """Trains a person-search network; with a table its rows replace the online ones and stay as they are.

    Args:
        parameters: Of the job.
        manifest: `….json` of a dataset in CUHK-SYSU layout, which lies in the folder of the same name.
        table: Look-up table, or None for plain OIM.
        out: Checkpoint to write; sidecar and metrics lie beside it.

    Raises:
        UserError: If the dataset, the table or the pre-trained weights are missing or do not fit.
    """
    device = prepare(parameters.compute)
    split = _training_split(manifest)
    dimension = parameters.identification.dimension
    rows = None if table is None else load_table(table, split.identities, dimension)
    seed_torch(parameters.seed, "initialisation")
    network = build_network(parameters, split.identities, rows)
    _load_backbone(parameters.shape, network.stem, network.head)
    network.to(device.torch)
    inputs = {"data": manifest} | ({} if table is None else {"table": table}) | _weights_of(parameters.shape)
    train(
        SearchTask(network, ImageStore(split.images, parameters.resize), parameters, device),
        parameters,
        parameters.optimisation,
        device=device,
        inputs=inputs,
        outputs=[Output(out, network, {"kind": OIM, "identities": split.identities, "table": table is not None})],
        label=f"train person search ({'fixed table' if table else 'online table'}, seed {parameters.seed})",
    )


def train_reid(parameters: ReIDTraining, manifest: Path, out: Path) -> None:
    """Trains a re-ID teacher on the labelled people of the training images.

    Args:
        parameters: Of the job.
        manifest: `….json` of a dataset in CUHK-SYSU layout.
        out: Checkpoint to write; sidecar and metrics lie beside it.

    Raises:
        UserError: If the dataset or the pre-trained weights are missing or do not fit.
    """
    device = prepare(parameters.compute)
    split = _training_split(manifest)
    seed_torch(parameters.seed, "initialisation")
    network = ReIDNetwork(parameters.teacher, parameters.dimension, split.identities)
    _load_backbone(parameters.teacher.shape, network.stem, network.head)
    network.to(device.torch)
    train(
        ReIDTask(network, ImageStore(split.images), parameters, device),
        parameters,
        parameters.teacher.optimisation,
        device=device,
        inputs={"data": manifest} | _weights_of(parameters.teacher.shape),
        outputs=[Output(out, network, {"kind": REID, "identities": split.identities})],
        label=f"train re-ID teacher (seed {parameters.seed})",
    )


def build_table(parameters: LookUpJob, manifest: Path, teacher: Path | None, out: Path) -> None:
    """Writes the look-up table of a dataset's training identities.

    Args:
        parameters: Of the job.
        manifest: `….json` of a dataset in CUHK-SYSU layout.
        teacher: Checkpoint of the re-ID teacher; random rows do without.
        out: Table to write; the sidecar lies beside it.

    Raises:
        UserError: If the dataset or the teacher is missing or does not fit.
    """
    device = prepare(parameters.compute)
    split = _training_split(manifest)
    inputs = {"data": sha256_of_file(manifest)}
    described: dict[str, Any] = {}
    if parameters.table.construction == "mean":
        if teacher is None:
            raise UserError("the mean of teacher features needs a re-ID teacher", file=out, remedy="pass --teacher")
        network = load_teacher(teacher).to(device.torch)
        people = labelled_people(split.images)
        ids = torch.tensor([int(split.images[image].ids[person]) for image, person in people])
        features = network.embed_people(ImageStore(split.images), people, device.torch)
        rows = mean_rows(features, ids, split.identities)
        inputs["teacher"] = sha256_of_file(teacher)
        described = {"features": len(people), "quality": quality(rows, features, ids)}
    else:
        dimension = parameters.dimension
        if dimension is None and teacher is not None:
            dimension = load_teacher(teacher).embedding.out_features
        if dimension is None:
            raise UserError("random rows need a length", place="dimension", remedy="set it to identification.dimension")
        rows = random_rows(split.identities, dimension, parameters.seed)
        described = {"quality": quality(rows)}
    if parameters.dimension not in (None, rows.shape[1]):
        raise UserError(
            f"makes features of length {rows.shape[1]}, the table is to have {parameters.dimension}",
            file=teacher,
            remedy="train the teacher with the student's identification.dimension",
        )
    sidecar = {
        "construction": parameters.table.construction,
        "parameters": parameters.model_dump(mode="json"),
        "inputs": inputs,
        **described,
    }
    save_table(out, rows, sidecar)


def _training_split(manifest: Path) -> SearchSplit:
    """The training images that belong to a manifest."""
    if not manifest.is_file():
        raise UserError("does not exist", file=manifest, remedy="write the dataset with `distillery dataset`")
    split = load_train(manifest.with_suffix(""))
    if not any((image.ids >= 0).any() for image in split.images):
        raise UserError(
            "has no labelled person in its training images",
            file=manifest.with_suffix(""),
            remedy="check it with `distillery check`",
        )
    return split


def _load_backbone(shape: ResNetShape, stem: Stem, head: Head) -> None:
    if shape.pretrained is not None:
        load_pretrained(stem, head, shape.pretrained)
        if shape.norm == "frozen":
            # The official code keeps conv1 (learning rate 0), as its BatchNorm is.
            stem.conv1.requires_grad_(False)
    elif shape.norm == "frozen":
        raise UserError(
            "a frozen BatchNorm without pre-trained weights would normalise nothing",
            file="config",
            place="shape.norm",
            remedy="set norm: batch, or name ImageNet weights under shape.pretrained",
        )


def _weights_of(shape: ResNetShape) -> dict[str, Path]:
    return {} if shape.pretrained is None else {"pretrained": Path(shape.pretrained)}
