"""One gradient of all ranks: each has that of its part of the loss, their sum is that of the whole batch.

torch's DistributedDataParallel is not used. It averages, where losses over unequal numbers of boxes must be summed; it
wants one module whose `forward` leads to the loss, while a job here is several networks whose losses meet; and it would
have to look in every step for parameters without gradient (frozen backbones, see `tracking.transfer`), which must stay
without one, since optimisers take a gradient of zero as a step. What is lost is its overlap of sending with the
backward pass.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from distillery.engine import distributed


def sum_over_ranks(module: nn.Module, loss: Tensor, terms: Mapping[str, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Sums the gradients of a module's parameters, in place, and the loss with its terms; one message a step.

    Args:
        module: After its backward pass.
        loss: Of this rank's share, as a part of the whole loss.
        terms: Named parts of the loss; the same names at every rank.

    Returns:
        Loss and terms of the whole batch, without gradient. A parameter that has no gradient at any rank has none.
    """
    if distributed.world() == 1:
        return loss, terms
    learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
    values = [loss.detach(), *(term.detach() for term in terms.values())]
    like = learnt[0] if learnt else loss.detach().float()
    had = like.new_tensor([parameter.grad is not None for parameter in learnt])
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in learnt]
    buffer = torch.cat([part.detach().to(like).flatten() for part in (*gradients, had, *values)])
    distributed.add(buffer)
    parts = iter(torch.split(buffer, [*(one.numel() for one in learnt), len(learnt), *(1 for _ in values)]))
    sums = [next(parts) for _ in learnt]
    have = next(parts)
    for index, (parameter, total) in enumerate(zip(learnt, sums, strict=True)):
        if parameter.grad is not None:
            parameter.grad.copy_(total.view_as(parameter))
        elif have[index] > 0:
            parameter.grad = total.view_as(parameter).clone()
    whole = [value.reshape(()) for value in parts]
    return whole[0], dict(zip(terms, whole[1:], strict=True))
