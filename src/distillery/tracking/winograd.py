"""A 3x3 convolution by Winograd's F(4x4, 3x3) (Lavin and Gray, CVPR 2016) on a CPU: a quarter of the multiplications.

Tiles of 6x6 positions overlap by two; 36 matrix products, one for each position of the transformed tile, take the place
of the convolution. oneDNN does them, as it does torch's own convolutions: torch.bmm is several times slower where MKL
does not know the processor. Sums run in another order and the transforms cost an order of magnitude in precision: about
1e-5 of the largest output in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distillery.engine.counting import counting

WORTH = 256 * 384
"""Input times output channels from which it pays: AlexNet's conv3. Below it the transforms cost more than they save."""

_INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_KERNEL = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


class WinogradConvolution:
    """A 3x3 convolution of stride 1 without padding and groups, for inference.

    Args:
        weight: (O, C, 3, 3) float32.
        bias: (O,).
        rows: Tiles of a typical call, to which oneDNN lays out the weights: images x ceil(side / 4)^2.

    Raises:
        AttributeError: If this torch lacks oneDNN's operations, which are no public interface.
    """

    def __init__(self, weight: Tensor, bias: Tensor, rows: int) -> None:
        kernel = torch.tensor(_KERNEL, dtype=torch.float64)
        transformed = torch.einsum("ij,ocjk,lk->iloc", kernel, weight.double(), kernel).flatten(0, 1).float()
        reorder: Any = torch.ops.mkldnn._reorder_linear_weight
        self._products = [reorder(matrix.contiguous(), rows) for matrix in transformed]
        self._multiply: Any = torch.ops.mkldnn._linear_pointwise
        self._weight, self._bias = weight, bias
        pairs = (torch.tensor(_INPUT), torch.tensor(_OUTPUT))
        self._into, self._out_of = (torch.kron(matrix, matrix) for matrix in pairs)

    def __call__(self, features: Tensor, *, relu: bool) -> Tensor:
        """(B, C, H, W) to (B, O, H - 2, W - 2), both laid out with the channels last."""
        if counting():
            found = F.conv2d(features, self._weight, self._bias)
            return found.relu_() if relu else found
        images, channels, height, width = features.shape
        down, across = -(-(height - 2) // 4), -(-(width - 2) // 4)
        rows = F.pad(features.permute(0, 2, 3, 1), (0, 0, 0, 4 * across + 2 - width, 0, 4 * down + 2 - height))
        rows = rows.contiguous()
        image, row, column, _ = rows.stride()
        tiles = rows.as_strided(
            (6, 6, images, down, across, channels), (row, column, image, 4 * row, 4 * column, 1)
        ).reshape(36, -1)
        moved = (self._into @ tiles).view(36, -1, channels)
        products = torch.stack(
            [
                self._multiply(part, matrix, None, "none", [], "")
                for part, matrix in zip(moved, self._products, strict=True)
            ]
        )
        found = (self._out_of @ products.view(36, -1)).view(4, 4, images, down, across, -1)
        found = found.permute(2, 3, 0, 4, 1, 5).reshape(images, 4 * down, 4 * across, -1)
        found = found[:, : height - 2, : width - 2] + self._bias
        return (found.relu_() if relu else found).permute(0, 3, 1, 2)


def pays(weight: Tensor, stride: int, groups: int) -> bool:
    """Whether a convolution (O, C, k, k) is of the kind and size that this makes faster."""
    return weight.shape[2:] == (3, 3) and stride == 1 and groups == 1 and weight.shape[0] * weight.shape[1] >= WORTH
