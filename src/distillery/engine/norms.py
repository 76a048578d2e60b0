"""BatchNorm over the batch of all ranks, with torch's own numbers up to rounding.

torch's SyncBatchNorm computes on GPUs alone. This one is written in plain operations, so that what the tests see on
processors is what runs on GPUs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from distillery.engine import distributed


def synchronise(module: nn.Module) -> None:
    """Makes every trained BatchNorm of a module, in place, normalise by the statistics of all ranks' examples.

    Names, tensors and evaluation mode stay as they are; subclasses, such as frozen ones, are left alone. Every rank
    must call a layer equally often, if need be with no example.
    """
    if distributed.world() > 1:
        for part in module.modules():
            if type(part) in _SYNCHRONISED:
                part.__class__ = _SYNCHRONISED[type(part)]


class _Statistics(torch.autograd.Function):
    """Normalises (N, C, L) by the mean and variance over all ranks' N and L; also returns these, and how many."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x (N, C, L), of any type; statistics and result are those of weight's type and x's."""
        values = x.to(weight.dtype)
        count = values.new_tensor([x.shape[0] * x.shape[2]])
        mean = values.sum((0, 2)) / count.clamp_min(1)
        squares = (values - mean[:, None]).square().sum((0, 2))
        # Of each rank (2 C + 1) numbers; combined as by Chan et al., without the loss of a sum of squares.
        everyone = distributed.stacked(torch.cat([mean, squares, count]))
        means, parts, counts = torch.split(everyone, [len(mean), len(mean), 1], 1)
        number = counts.sum()
        mean = (means * counts).sum(0) / number
        variance = (parts + counts * (means - mean).square()).sum(0) / number
        factor = (variance + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, factor, number)
        result = (values - mean[:, None]) * (factor * weight)[:, None] + bias[:, None]
        ctx.mark_non_differentiable(mean, variance, number)
        return result.to(x.dtype), mean, variance, number

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of this rank's x and its part of that of weight and bias."""
        x, weight, mean, factor, number = ctx.saved_tensors
        outer = gradients[0].to(weight.dtype)
        normal = (x.to(weight.dtype) - mean[:, None]) * factor[:, None]
        of_bias, of_weight = outer.sum((0, 2)), (outer * normal).sum((0, 2))
        inner = None
        if ctx.needs_input_grad[0]:
            sums = torch.cat([of_bias, of_weight])
            distributed.add(sums)
            whole_bias, whole_weight = torch.split(sums / number, len(mean))
            inner = outer - whole_bias[:, None] - normal * whole_weight[:, None]
            inner = (inner * (factor * weight)[:, None]).to(x.dtype)
        return inner, of_weight, of_bias, None


class _Synchronised(nn.modules.batchnorm._BatchNorm):
    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same shape; see `synchronise`."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        result, mean, variance, number = _Statistics.apply(
            x.reshape(x.shape[0], x.shape[1], -1 if x.numel() else x.shape[2:].numel()),
            self.weight,
            self.bias,
            self.eps,
        )
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            unbiased = variance * (number / (number - 1).clamp_min(1))
            self.running_mean.lerp_(mean.to(self.running_mean), share)
            self.running_var.lerp_(unbiased.to(self.running_var), share)
        normalised: Tensor = result.view(x.shape)
        return normalised


class _Norm1d(_Synchronised, nn.BatchNorm1d):
    pass


class _Norm2d(_Synchronised, nn.BatchNorm2d):
    pass


_SYNCHRONISED: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm1d: _Norm1d, nn.BatchNorm2d: _Norm2d}
