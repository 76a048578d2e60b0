"""Online Instance Matching (Xiao et al., CVPR 2017, section 3.2) and the fixed table of the distillation paper.

A feature x of a labelled person t is matched with the table V of identities (L rows) and the queue U of unlabelled
people (Q rows): p_i = exp(v_i x / tau) / (sum_j exp(v_j x / tau) + sum_k exp(u_k x / tau)), L_OIM = -E log p_t.
In "Knowledge Distillation for End-to-End Person Search" (BMVC 2019) V is computed before and stays as it is.

Two faults of the official Caffe layers are not repeated: there table rows are not normalised after an update, and
only the first 64 numbers of a feature enter the queue.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from distillery.engine import distributed


def oim_loss(features: Tensor, ids: Tensor, table: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy over the labelled features; no gradient reaches table or queue.

    Args:
        features: (N, D), L2-normalised.
        ids: (N,) int64: row of the table, or negative for a person without a label.
        table: (L, D), one row an identity.
        queue: (Q, D); rows never written are zero and take part with similarity 0, as in the official code.
        temperature: tau.

    Returns:
        A scalar. Without any labelled feature it is 0, still connected to `features`: the mean over nothing is NaN.
    """
    labelled = ids >= 0
    if not bool(labelled.any()):
        return features.sum() * 0.0
    with torch.autocast(features.device.type, enabled=False):
        loss: Tensor = _Matching.apply(
            features[labelled].float(), ids[labelled], table.detach(), queue.detach(), temperature
        )
    return loss


_MANY = 1 << 16
"""Logits from which oneDNN's products are the faster ones."""
_STEP = 16


def _usual(left: Tensor, right: Tensor) -> Tensor:
    """(N, D) and (R, D) to (N, R)."""
    return left @ right.T


def _onednn(left: Tensor, right: Tensor) -> Tensor:
    """The same in half the time where torch's own library (MKL) leaves a CPU's widest instructions alone."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return product


def _onednn_is_there(tensor: Tensor) -> bool:
    return (
        tensor.device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class _Matching(torch.autograd.Function):
    """The loss over labelled features with its gradient dL/dx = (sum_j p_j v_j + sum_k q_k u_k - v_t) / (tau N), worked
    out in the same pass: probabilities are needed for both, and they are the largest array by far.

    Table and queue are not joined, which would copy both: each has a softmax of its own, and a part in that over both.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, ids: Tensor, table: Tensor, queue: Tensor, temperature: float) -> Tensor:
        """Scalar loss; see `oim_loss`."""
        count, sources = len(features), [rows for rows in (table, queue) if len(rows)]
        targets, product = features / temperature, _usual
        if count * (len(table) + len(queue)) >= _MANY and _onednn_is_there(features):
            # oneDNN compiles anew for every number of features; zeros make that a multiple of a few.
            targets, product = F.pad(targets, (0, 0, 0, -count % _STEP)), _onednn
        logits = [product(targets, rows) for rows in sources]
        own = logits[0][torch.arange(count, device=ids.device), ids]
        highest = torch.stack([one.amax(1) for one in logits])
        probabilities = [one.softmax(1) for one in logits]
        top = highest.amax(0)
        # The highest logit of a source has the probability exp(0) over the source's sum of exponentials.
        sums = (highest - top).exp() / torch.stack([one.amax(1) for one in probabilities])
        total = sums.sum(0)
        loss = (total.log()[:count] - (own - top[:count])).mean()
        if ctx.needs_input_grad[0]:
            means = [product(one, rows.T)[:count] for one, rows in zip(probabilities, sources, strict=True)]
            parts = (sums / total)[:, :count, None]
            expected = torch.stack([part * mean for part, mean in zip(parts, means, strict=True)]).sum(0)
            ctx.save_for_backward((expected - table[ids]) / (temperature * count))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the features."""
        (saved,) = ctx.saved_tensors
        return gradients[0] * saved, None, None, None, None


@torch.no_grad()
def update_table(table: Tensor, features: Tensor, ids: Tensor, momentum: float) -> None:
    """v_t <- normalise(momentum v_t + (1 - momentum) x), in place, for every labelled feature in its order.

    Features of different identities do not meet, so one round takes the first feature of every identity, the next
    round the second, and so on: as many vectorised rounds as the most frequent identity has features.

    Args:
        table: (L, D).
        features: (N, D), L2-normalised.
        ids: (N,) int64; features with a negative id are left out.
        momentum: Share of the old row.
    """
    features, ids = features[ids >= 0].to(table.dtype), ids[ids >= 0]
    # How many earlier features have the same identity.
    rank = (ids[:, None] == ids[None, :]).tril(-1).sum(1)
    for turn in range(int(rank.max()) + 1 if len(ids) else 0):
        rows = ids[rank == turn]
        table[rows] = F.normalize(momentum * table[rows] + (1 - momentum) * features[rank == turn])


@torch.no_grad()
def push_queue(queue: Tensor, pointer: int, features: Tensor) -> int:
    """Writes features one by one into the circular queue, in place, from `pointer` on.

    Args:
        queue: (Q, D).
        pointer: Next row to write.
        features: (N, D); of more than Q the last Q remain.

    Returns:
        The new pointer.
    """
    size, count = len(queue), len(features)
    if not size or not count:
        return pointer
    positions = (pointer + torch.arange(count, device=queue.device)[-size:]) % size
    queue[positions] = features[-size:].to(queue.dtype)
    return (pointer + count) % size


class IdentificationTable(nn.Module):
    """Table and queue with the loss over them; everything that changes is a buffer, so a resumed training has it.

    Args:
        identities: L.
        dimension: D.
        queue: Q; 0 switches the queue off.
        temperature: tau.
        momentum: Share of the old row in an update.
        rows: (L, D) L2-normalised: a given table. None starts an online table from zeros.
        frozen: Whether given rows are never updated; otherwise the online table starts from them.
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
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.momentum = momentum
        self.frozen = frozen and rows is not None
        self.register_buffer("table", torch.zeros(identities, dimension) if rows is None else rows.detach().clone())
        self.register_buffer("queue", torch.zeros(queue, dimension))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor, ids: Tensor) -> Tensor:
        """`oim_loss` of (N, D) features and (N,) ids."""
        return oim_loss(features, ids, self.table, self.queue, self.temperature)

    @torch.no_grad()
    def update(self, features: Tensor, ids: Tensor) -> None:
        """Takes the features of a step in, after its backward pass: in forward it would change what autograd saved.

        Of several ranks each takes those of all, in the order of the images in the batch: their tables stay the same.
        """
        features, ids = distributed.gathered(features.detach()), distributed.gathered(ids)
        if not self.frozen:
            update_table(self.table, features, ids, self.momentum)
        self.pointer.fill_(push_queue(self.queue, int(self.pointer), features[ids < 0]))
