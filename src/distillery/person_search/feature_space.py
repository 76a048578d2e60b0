"""The command `distillery feature-space`: features of training people beside the rows that they were trained towards.

A network carries its rows itself: the given table where it was frozen, its own online table otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distillery.config.search_jobs import SearchTraining
from distillery.config.training import Compute
from distillery.engine.checkpoint import load_sidecar
from distillery.engine.devices import Device, prepare
from distillery.errors import UserError
from distillery.files import atomic_file
from distillery.person_search.benchmarks.base import SearchSplit
from distillery.person_search.checkpoints import OIM, QEEPS, load_network, parameters_of, student_of
from distillery.person_search.network import OIMNetwork
from distillery.person_search.splits import training_split
from distillery.person_search.teachers import describe_labelled

PEOPLE = 8
"""Identities that are shown: those with the most boxes in the training set."""
_TOLERANCE = 1e-3
_REMEDY = "pass networks that were trained on this dataset with one identification.dimension"


class _Described(NamedTuple):
    """Rows (L, D), features (M, D) and their identities (M,), and whether the rows were given."""

    rows: Tensor
    features: Tensor
    ids: Tensor
    given: bool


def write_feature_space(
    checkpoints: Mapping[str, Path], manifest: Path, out: Path, compute: Compute | None = None
) -> None:
    """Describes the annotated boxes of a few training people by each network and writes one .npz without pickled
    objects; equal inputs give equal bytes.

    The file holds, of S networks, K people with N boxes in all, and M boxes of everybody with an identity in the same
    images: `networks` (S,) str; `given` (S,) bool, whether the rows are a given, frozen table; `identities` (K,) int64;
    `rows` (S, K, D) float32; `ids` (N,) int64, positions in `identities`; `features` (S, N, D) float32; `own` and
    `other` (S, M) float32, cosine of a feature with its own row and with the nearest other of the whole table; `seed`.

    Args:
        checkpoints: OIM or QEEPS networks by name ("oim/large-oim"), of one seed.
        manifest: `….json` of the dataset that they were trained on.
        out: The .npz file.
        compute: Where it computes; absent is the default.

    Raises:
        UserError: If a checkpoint is missing, damaged, of another kind, or belongs to other people, or the networks'
            features have different lengths.
    """
    device = prepare(compute or Compute())
    split = training_split(manifest)
    networks = {name: _rows(path, split) for name, path in checkpoints.items()}
    known = torch.stack([(rows.norm(dim=1) - 1).abs() < _TOLERANCE for rows in networks.values()]).all(0)
    chosen = most_frequent(split, known.numpy())
    if not len(chosen):
        raise UserError("has no identity with a row in every network's table", file=manifest, remedy=_REMEDY)
    images = [image for image in split.images if np.isin(image.ids, chosen).any()]
    described = [_described(path, SearchSplit(images, split.identities), device) for path in checkpoints.values()]
    if len({one.features.shape[1] for one in described}) > 1:
        raise UserError("have features of different lengths", place="--checkpoints", remedy=_REMEDY)
    ids = described[0].ids.numpy()
    shown = np.isin(ids, chosen)
    cosines = [own_and_other(one.rows, one.features, one.ids) for one in described]
    arrays = {
        "networks": np.array(list(checkpoints)),
        "given": np.array([one.given for one in described]),
        "identities": chosen,
        "rows": torch.stack([one.rows[torch.from_numpy(chosen)] for one in described]).numpy(),
        "ids": np.searchsorted(chosen, ids[shown]).astype(np.int64),
        "features": torch.stack([one.features[torch.from_numpy(shown)] for one in described]).numpy(),
        "own": torch.stack([own for own, _ in cosines]).numpy(),
        "other": torch.stack([other for _, other in cosines]).numpy(),
        "seed": np.array(_trained(next(iter(checkpoints.values()))).seed),
    }
    with atomic_file(out) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def most_frequent(
    split: SearchSplit, usable: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The `PEOPLE` usable identities with the most boxes, the lower number first among equals; ascending.

    Args:
        split: Training images.
        usable: (L,) which identities may be taken.
    """
    ids = np.concatenate([image.ids for image in split.images] or [np.empty(0, np.int64)])
    counts = np.bincount(ids[ids >= 0], minlength=len(usable)) * usable
    order = np.argsort(-counts, kind="stable")[:PEOPLE]
    return np.sort(order[counts[order] > 0]).astype(np.int64)


def own_and_other(rows: Tensor, features: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine (M,) of each feature with its own row, and with the nearest other one.

    Args:
        rows: (L, D); rows that were never written are zero and count as cosine 0.
        features: (M, D) of length 1.
        ids: (M,) their rows.
    """
    similarity = features @ rows.T
    own = similarity.gather(1, ids[:, None])[:, 0]
    return own, similarity.scatter(1, ids[:, None], -2.0).amax(1)


def _trained(path: Path) -> SearchTraining:
    trained = parameters_of(path)
    assert isinstance(trained, SearchTraining)
    return trained


def _rows(path: Path, split: SearchSplit) -> Tensor:
    """The table of a network (L, D)."""
    network = load_network(path, (OIM, QEEPS))
    assert isinstance(network, OIMNetwork)
    assert network.identification is not None
    rows = network.identification.table
    if len(rows) != split.identities:
        problem = f"has a table of {len(rows)} rows, the training set has {split.identities} identities"
        raise UserError(problem, file=path, remedy=_REMEDY)
    return rows.detach().float()


def _described(path: Path, split: SearchSplit, device: Device) -> _Described:
    rows, sidecar, trained = _rows(path, split), load_sidecar(path, kind=(OIM, QEEPS)), _trained(path)
    network = load_network(path, (OIM, QEEPS)).to(device.torch)
    features, ids = describe_labelled(network, trained.resize, split.images, device)
    given = bool(sidecar.get("table")) and student_of(path, sidecar, trained).frozen
    return _Described(rows, features, ids, given)
