"""Cross-correlation of each search map with its own exemplar map: the operation at the heart of a Siamese tracker."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_correlate(search: Tensor, exemplar: Tensor, *, same: bool = False) -> Tensor:
    """Correlates map by map, summed over channels: R[b] = sum_c search[b, c] * exemplar[b, c].

    One matrix product gives every kernel element's share at every position, folding adds the shifted shares. It equals
    a convolution grouped by sample, whose backward is several times slower on a CPU.

    Args:
        search: (B, C, H, W).
        exemplar: (B, C, h, w).
        same: Zero-pad to the search map's size (h and w odd); otherwise only whole overlaps count.

    Returns:
        (B, H - h + 1, W - w + 1), or (B, H, W) if `same`.
    """
    height, width = search.shape[2:]
    h, w = exemplar.shape[2:]
    shares = torch.bmm(exemplar.flatten(2).flip(2).transpose(1, 2), search.flatten(2))
    full = F.fold(shares, (height + h - 1, width + w - 1), (h, w))[:, 0]
    if same:
        top, left = h // 2, w // 2
        return full[:, top : top + height, left : left + width]
    return full[:, h - 1 : height, w - 1 : width]
