"""Online Instance Matching (Xiao et al., CVPR 2017, section 3.2) and the fixed table of the distillation paper.

A feature x of a labelled person t is matched with the table V of identities (L rows) and the queue U of unlabelled
people (Q rows): p_i = exp(v_i x / tau) / (sum_j exp(v_j x / tau) + sum_k exp(u_k x / tau)), L_OIM = -E log p_t.
In "Knowledge Distillation for End-to-End Person Search" (BMVC 2019) V is computed before and stays as it is.

Two faults of the official Caffe layers are not repeated: there table rows are not normalised after an update, and
only the first 64 numbers of a feature enter the queue.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def oim_logits(features: Tensor, table: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Similarities over the temperature.

    Args:
        features: (N, D), L2-normalised.
        table: (L, D), one row an identity.
        queue: (Q, D); rows never written are zero and take part with similarity 0, as in the official code.
        temperature: tau.

    Returns:
        (N, L + Q).
    """
    return features @ torch.cat([table, queue]).T / temperature


def oim_loss(features: Tensor, ids: Tensor, table: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy over the labelled features; no gradient reaches table or queue.

    Args:
        features: (N, D), L2-normalised.
        ids: (N,) int64: row of the table, or negative for a person without a label.
        table: (L, D).
        queue: (Q, D).
        temperature: tau.

    Returns:
        A scalar. Without any labelled feature it is 0, still connected to `features`: the mean over nothing is NaN.
    """
    labelled = ids >= 0
    if not bool(labelled.any()):
        return features.sum() * 0.0
    logits = oim_logits(features[labelled].float(), table.detach(), queue.detach(), temperature)
    return F.cross_entropy(logits, ids[labelled])


def updated_table(table: Tensor, features: Tensor, ids: Tensor, momentum: float) -> Tensor:
    """The table after v_t <- normalise(momentum v_t + (1 - momentum) x) for every labelled feature in its order.

    Features of different identities do not meet, so one round takes the first feature of every identity, the next
    round the second, and so on: as many vectorised rounds as the most frequent identity has features.

    Args:
        table: (L, D).
        features: (N, D), L2-normalised.
        ids: (N,) int64; features with a negative id are left out.
        momentum: Share of the old row.

    Returns:
        A new (L, D) tensor.
    """
    features, ids = features[ids >= 0].to(table.dtype), ids[ids >= 0]
    table = table.clone()
    # How many earlier features have the same identity.
    rank = (ids[:, None] == ids[None, :]).tril(-1).sum(1)
    for turn in range(int(rank.max()) + 1 if len(ids) else 0):
        rows = ids[rank == turn]
        table[rows] = F.normalize(momentum * table[rows] + (1 - momentum) * features[rank == turn])
    return table


def pushed_queue(queue: Tensor, pointer: int, features: Tensor) -> tuple[Tensor, int]:
    """The circular queue after writing features one by one from `pointer` on.

    Args:
        queue: (Q, D).
        pointer: Next row to write.
        features: (N, D); of more than Q the last Q remain.

    Returns:
        A new queue, and the new pointer.
    """
    size, count = len(queue), len(features)
    if not size or not count:
        return queue, pointer
    positions = (pointer + torch.arange(count, device=queue.device)[-size:]) % size
    queue = queue.clone()
    queue[positions] = features[-size:].to(queue.dtype)
    return queue, (pointer + count) % size


class IdentificationTable(nn.Module):
    """Table and queue with the loss over them; everything that changes is a buffer, so a resumed training has it.

    Args:
        identities: L.
        dimension: D.
        queue: Q; 0 switches the queue off.
        temperature: tau.
        momentum: Share of the old row in an update.
        rows: (L, D) L2-normalised: a fixed table, never updated. None starts an online table from zeros.
    """

    table: Tensor
    queue: Tensor
    pointer: Tensor

    def __init__(
        self,
        identities: int,
        dimension: int,
        queue: int,
        *,
        temperature: float,
        momentum: float,
        rows: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.momentum = momentum
        self.frozen = rows is not None
        self.register_buffer("table", torch.zeros(identities, dimension) if rows is None else rows.detach().clone())
        self.register_buffer("queue", torch.zeros(queue, dimension))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor, ids: Tensor) -> Tensor:
        """`oim_loss` of (N, D) features and (N,) ids."""
        return oim_loss(features, ids, self.table, self.queue, self.temperature)

    @torch.no_grad()
    def update(self, features: Tensor, ids: Tensor) -> None:
        """Takes the features of a step in, after its backward pass: in forward it would change what autograd saved."""
        features = features.detach()
        if not self.frozen:
            self.table.copy_(updated_table(self.table, features, ids, self.momentum))
        queue, pointer = pushed_queue(self.queue, int(self.pointer), features[ids < 0])
        self.queue.copy_(queue)
        self.pointer.fill_(pointer)
