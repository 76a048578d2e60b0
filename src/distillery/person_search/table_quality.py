"""How well a look-up table tells the identities apart: the numbers that stand beside it.

All similarities are cosines. Numbers over N features and L rows are computed in blocks: N x L may be 80 million.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 1024


def between_rows(rows: Tensor) -> dict[str, float]:
    """Numbers of the rows alone.

    Args:
        rows: (L, D) of length 1.

    Returns:
        `inter_class`: mean of two rows; `nearest`: mean of a row with the nearest other one. Both are 0 of one row.
    """
    count = len(rows)
    if count < 2:
        return {"inter_class": 0.0, "nearest": 0.0}
    total, own = rows.double().sum(0).square().sum(), rows.double().square().sum()
    nearest = [
        (part @ rows.T).scatter_(1, index[:, None], -2.0).amax(1)
        for part, index in _blocks(rows, torch.arange(count, device=rows.device))
    ]
    return {
        "inter_class": float((total - own) / (count * (count - 1))),
        "nearest": float(torch.cat(nearest).mean()),
    }


def against_rows(rows: Tensor, features: Tensor, ids: Tensor) -> dict[str, float]:
    """Numbers of features against the rows of a table.

    Args:
        rows: (L, D) of length 1.
        features: (N, D) of length 1, N > 0.
        ids: (N,) int64 their identities.

    Returns:
        `intra_class`: mean of a feature with its own row; `top1`: share of features that are nearest to their own row.
    """
    own, hits = [], []
    for part, index in _blocks(features, ids):
        similarity = part @ rows.T
        own.append(similarity.gather(1, index[:, None]))
        hits.append(similarity.argmax(1) == index)
    return {"intra_class": float(torch.cat(own).mean()), "top1": float(torch.cat(hits).float().mean())}


def held_out(features: Tensor, ids: Tensor, identities: int) -> dict[str, float]:
    """Whether a table of means finds somebody in a picture that it was not made of.

    Each crop in turn is kept out: the row of its identity is made of the identity's other crops, all other rows stay,
    and the crop looks for its nearest row. Identities with a single crop are rows to be mistaken for, no more.
    (The teacher has seen all these crops in training; only the table has not.)

    Args:
        features: (N, D) of length 1.
        ids: (N,) int64 in 0 .. identities - 1, each at least once.
        identities: L.

    Returns:
        `held_out_top1`: share of kept-out crops that are nearest to the row of their identity; `held_out`: their
        number, without which there is no share.
    """
    sums = torch.zeros(identities, features.shape[1]).index_add_(0, ids, features)
    rows = F.normalize(sums)
    several = torch.bincount(ids, minlength=identities)[ids] > 1
    hits = [torch.zeros(0, dtype=torch.bool)]
    for part, index in _blocks(features[several], ids[several]):
        own = (part * F.normalize(sums[index] - part)).sum(1, keepdim=True)
        hits.append((part @ rows.T).scatter_(1, index[:, None], own).argmax(1) == index)
    found = torch.cat(hits)
    numbers = {"held_out": float(len(found))}
    return numbers | ({"held_out_top1": float(found.float().mean())} if len(found) else {})


def mean_cosine(rows: Tensor, others: Tensor) -> float:
    """Mean similarity of a table's rows (L, D) with those of another one, all of length 1."""
    return float((rows * others).sum(1).mean())


def _blocks(features: Tensor, ids: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for at in range(0, len(features), _BLOCK):
        yield features[at : at + _BLOCK], ids[at : at + _BLOCK]
