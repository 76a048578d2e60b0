"""The pre-computed look-up table of ID features ("Knowledge Distillation for End-to-End Person Search", BMVC 2019).

The paper does not say how its rows are made. Here a row is the mean of the teacher's L2-normalised features of an
identity, normalised again; `random` unit rows are the control that tells a teacher's knowledge from a fixed
target.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distillery.engine.checkpoint import load_sidecar, load_tensors, save_tensors, sidecar_path
from distillery.engine.randomness import torch_generator
from distillery.errors import UserError
from distillery.files import sha256_of_file, write_json

KIND = "lookup"
ROWS = "rows"
"""Name of the tensor in the file: (L, D) float32, every row of length 1."""
_UNIT_TOLERANCE = 1e-3


def mean_rows(features: Tensor, ids: Tensor, identities: int) -> Tensor:
    """Normalised mean of the normalised features of every identity.

    Args:
        features: (N, D).
        ids: (N,) int64 in 0 .. identities - 1.
        identities: L.

    Returns:
        (L, D) of length 1.

    Raises:
        UserError: If an identity has no feature, or its features cancel out.
    """
    sums = torch.zeros(identities, features.shape[1]).index_add_(0, ids, F.normalize(features))
    empty = torch.where(sums.norm(dim=1) < 1e-6)[0]
    if len(empty):
        raise UserError(
            f"identity {int(empty[0])} has no image to compute a feature from ({len(empty)} such identities)",
            file="annotation/test/train_test/Train.mat",
            remedy="check the dataset with `distillery check`",
        )
    return F.normalize(sums)


def random_rows(identities: int, dimension: int, seed: int) -> Tensor:
    """Random directions (L, D) of length 1."""
    return F.normalize(torch.randn(identities, dimension, generator=torch_generator(seed, "lookup", "random")))


def quality(rows: Tensor, features: Tensor | None = None, ids: Tensor | None = None) -> dict[str, float]:
    """How well a table separates the identities it was made from, in cosines.

    Args:
        rows: (L, D) of length 1.
        features: (N, D) of length 1, from which it was made.
        ids: (N,) their identities.

    Returns:
        `intra_class`: mean of a feature with its own row; `inter_class`: mean of two rows; `nearest`: mean of a row
        with the nearest other one; `top1`: share of features that are nearest to their own row. Without features
        only those of the rows.
    """
    similarity = rows @ rows.T
    count = len(rows)
    numbers = {"inter_class": 0.0, "nearest": 0.0}
    if count > 1:
        numbers["inter_class"] = float((similarity.sum() - similarity.trace()) / (count * (count - 1)))
        numbers["nearest"] = float(similarity.fill_diagonal_(-2).amax(1).mean())
    if features is not None and ids is not None:
        own = features @ rows.T
        numbers["intra_class"] = float(own.gather(1, ids[:, None]).mean())
        numbers["top1"] = float((own.argmax(1) == ids).float().mean())
    return numbers


def save_table(path: Path, rows: Tensor, sidecar: Mapping[str, Any]) -> None:
    """Writes the table, and beside it the sidecar with its size and hash."""
    save_tensors(path, {ROWS: rows.float()})
    described = {"kind": KIND, "identities": rows.shape[0], "dimension": rows.shape[1]}
    write_json(sidecar_path(path), {**described, **sidecar, "sha256": sha256_of_file(path)})


def load_table(path: Path, identities: int, dimension: int) -> Tensor:
    """Reads a table for a student with `identities` identities and id features of length `dimension`.

    Returns:
        (identities, dimension) float32.

    Raises:
        UserError: If it is missing, truncated, not a table, of another size, or its rows are not of length 1.
    """
    load_sidecar(path, kind=KIND)
    rows = load_tensors(path).get(ROWS)
    if rows is None or rows.ndim != 2:
        raise _refusal(path, "is not a look-up table (it has no matrix of that name)")
    if rows.shape[1] != dimension:
        raise _refusal(path, f"has rows of length {rows.shape[1]}, the student's id feature has {dimension}")
    if rows.shape[0] != identities:
        raise _refusal(path, f"has {rows.shape[0]} rows, the training set has {identities} identities")
    rows = rows.float()
    if not bool(((rows.norm(dim=1) - 1).abs() <= _UNIT_TOLERANCE).all()):
        raise _refusal(path, "holds rows that are not of length 1")
    return rows


def _refusal(path: Path, problem: str) -> UserError:
    remedy = "build the table again with `distillery lookup` from the same dataset and identification.dimension"
    return UserError(problem, file=path, place=f"tensor {ROWS!r}", remedy=remedy)
