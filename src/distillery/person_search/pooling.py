"""Poolings of torchvision and torch with the same results, at a fraction of their time on a CPU.

RoIAlign's own backward pass scatters sample after sample; bilinear samples on an upright grid are a product of a matrix
for the rows and one for the columns, so its gradient is two matrix products, and so is the pooling itself: of a wide
map, which needs no gradient, that is the faster way and leaves the channels last, which suits the convolutions that
follow. torch's max pooling of a contiguous map is not vectorised, that of a map with the channels last is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torchvision.ops import roi_align

_WIDE = 1 << 15
"""Numbers of a pooled region from which its products take less time than torchvision's loop."""
_CHUNK = 1 << 22
"""Numbers of an intermediate array of the backward pass: regions are taken a few at a time."""


def align_regions(
    features: Tensor, boxes: Sequence[Tensor], size: tuple[int, int], scale: float, sampling: int
) -> Tensor:
    """RoIAlign with half-pixel centres (torchvision's `aligned=True`).

    Args:
        features: (B, C, h, w).
        boxes: (R_b, 4) x1, y1, x2, y2 of each image, in pixels of the network's input.
        size: Height and width of the result.
        scale: Cells of the map to a pixel.
        sampling: Samples along each side of a bin.

    Returns:
        (R, C, *size).
    """
    if features.is_cuda:
        pooled: Tensor = roi_align(features, list(boxes), list(size), scale, sampling, aligned=True)
        return pooled
    learns = torch.is_grad_enabled() and features.requires_grad
    if not learns and features.dtype == torch.float32 and features.shape[1] * size[0] * size[1] >= _WIDE:
        return _align_wide(features, boxes, size, scale, sampling)
    aligned: Tensor = _Align.apply(features, torch.cat(list(boxes)), [len(own) for own in boxes], size, scale, sampling)
    return aligned


def _align_wide(
    features: Tensor, boxes: Sequence[Tensor], size: tuple[int, int], scale: float, sampling: int
) -> Tensor:
    """`align_regions`, region by region, from the part of the map on which it lies."""
    _, channels, height, width = features.shape
    pooled = features.new_empty(sum(map(len, boxes)), *size, channels)
    place = iter(pooled)
    for image, own in zip(features, boxes, strict=True):
        cells = image.permute(1, 2, 0).contiguous()
        edges = own.detach().float() * scale - 0.5
        rows = _samples(edges[:, 1], edges[:, 3], size[0], sampling, height)
        columns = _samples(edges[:, 0], edges[:, 2], size[1], sampling, width)
        limit = torch.tensor([width, height])
        begin = torch.minimum(edges[:, :2].floor().clamp(min=0), limit - 1).int().tolist()
        end = torch.minimum(edges[:, 2:].floor() + 2, limit).clamp(min=1).int().tolist()
        for row, column, (left, top), (right, bottom) in zip(rows, columns, begin, end, strict=True):
            mean = torch.matmul(column[:, left:right], cells[top:bottom, left:right])
            torch.mm(row[:, top:bottom], mean.flatten(1), out=next(place).view(size[0], -1))
    return pooled.permute(0, 3, 1, 2)


class _Align(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        boxes: Tensor,
        counts: list[int],
        size: tuple[int, int],
        scale: float,
        sampling: int,
    ) -> Tensor:
        """torchvision's."""
        ctx.save_for_backward(boxes)
        ctx.settings = features.shape, features.dtype, counts, size, scale, sampling
        own = torch.split(boxes, counts)
        pooled: Tensor = roi_align(features, list(own), list(size), scale, sampling, aligned=True)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the map; boxes have none, as in torchvision."""
        (boxes,) = ctx.saved_tensors
        shape, dtype, counts, size, scale, sampling = ctx.settings
        _, channels, height, width = shape
        edges = boxes.float() * scale - 0.5
        rows = _samples(edges[:, 1], edges[:, 3], size[0], sampling, height)
        columns = _samples(edges[:, 0], edges[:, 2], size[1], sampling, width)
        result = torch.zeros(shape, device=boxes.device)
        step = max(1, _CHUNK // (height * channels * size[1]))
        first = 0
        for image, count in zip(result, counts, strict=True):
            for begin in range(first, first + count, step):
                part = slice(begin, min(begin + step, first + count))
                inner = gradients[0][part].float().transpose(1, 2).flatten(2)
                # (R, H, C w), and from there (C H, R w) to the columns of the map.
                spread = torch.bmm(rows[part].transpose(1, 2), inner).view(-1, height, channels, size[1])
                spread = spread.permute(2, 1, 0, 3).reshape(channels * height, -1)
                image.view(channels * height, width).addmm_(spread, columns[part].flatten(0, 1))
            first += count
        return result.to(dtype), None, None, None, None, None


def _samples(low: Tensor, high: Tensor, bins: int, sampling: int, cells: int) -> Tensor:
    """Bilinear weights (R, bins, cells) of regions from `low` to `high` (R,), in cells, along one axis.

    A sample beyond the outer cells by more than one counts as zero, within that as the outer cell.
    """
    fractions = (torch.arange(bins * sampling, device=low.device) + 0.5) / (bins * sampling)
    at = low[:, None] + fractions * (high - low)[:, None]
    inside = (at >= -1) & (at <= cells)
    distance = at.clamp(0, cells - 1)[..., None] - torch.arange(cells, device=low.device)
    weights = (1 - distance.abs()).clamp(min=0) * inside[..., None]
    return weights.view(len(low), bins, sampling, cells).mean(2)


class MaxPool(nn.MaxPool2d):
    """`torch.nn.MaxPool2d` without dilation, the same to the last bit."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, H', W')."""
        if x.is_cuda:
            usual: Tensor = super().forward(x)
            return usual
        pooled: Tensor = _MaxPool.apply(x, [self.kernel_size] * 2, [self.stride] * 2, [self.padding] * 2)
        return pooled


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: list[int], stride: list[int], padding: list[int]) -> Tensor:
        """With the channels last, and back."""
        last = x.contiguous(memory_format=torch.channels_last)
        pooled, indices = torch.ops.aten.max_pool2d_with_indices(last, kernel, stride, padding)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x, indices.contiguous())
            ctx.settings = kernel, stride, padding
        result: Tensor = pooled.contiguous()
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """torch's, of contiguous maps."""
        x, indices = ctx.saved_tensors
        kernel, stride, padding = ctx.settings
        gradient = torch.ops.aten.max_pool2d_with_indices_backward(
            gradients[0].contiguous(), x, kernel, stride, padding, [1, 1], False, indices
        )
        return gradient, None, None, None
