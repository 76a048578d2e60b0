"""The pre-computed look-up table of ID features ("Knowledge Distillation for End-to-End Person Search", BMVC 2019).

The paper does not say how its rows are made. Here a row is the mean of the teacher's L2-normalised features of an
identity, normalised again, or the row of the teacher's own table when its training ended; `random` unit rows are the
control that tells a teacher's knowledge from a fixed target.
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
CHECK = "check the dataset with `distillery check`"
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
        UserError: If a feature holds NaN or infinity, an id lies outside the table, an identity has no feature, or its
            features cancel out.
    """
    if len(outside := ids[(ids < 0) | (ids >= identities)]):
        raise UserError(
            f"identity {int(outside[0])} of a feature lies outside the table of {identities} rows",
            remedy="take teacher, table and student from the same dataset; " + CHECK,
        )
    if len(broken := torch.unique(ids[~features.isfinite().all(dim=1)])):
        raise UserError(
            f"the features of identity {int(broken[0])} hold NaN or infinity ({len(broken)} such identities)",
            remedy="train the teacher again with a lower learning rate, or in float32",
        )
    sums = torch.zeros(identities, features.shape[1]).index_add_(0, ids, F.normalize(features.float()))
    empty = torch.where(torch.bincount(ids, minlength=identities) == 0)[0]
    if len(empty):
        raise UserError(
            f"identity {int(empty[0])} has no image to compute a feature from ({len(empty)} such identities)",
            remedy=CHECK,
        )
    if len(vanished := torch.where(sums.norm(dim=1) < 1e-6)[0]):
        raise UserError(
            f"the features of identity {int(vanished[0])} cancel out ({len(vanished)} such identities)",
            remedy="train the teacher longer: it tells nobody apart",
        )
    return F.normalize(sums)


def random_rows(identities: int, dimension: int, seed: int) -> Tensor:
    """Random directions (L, D) of length 1."""
    return F.normalize(torch.randn(identities, dimension, generator=torch_generator(seed, "lookup", "random")))


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
