"""AlexNet as Siamese trackers use it: five convolutions without padding, in SiamFC's form and in SiamRPN's."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from distillery.config.siamfc import Layout


class Layer(NamedTuple):
    """One convolution of a layout."""

    kernel: int
    stride: int
    pool: bool
    """Whether a 3x3 max pooling of stride 2 follows."""


LAYOUTS: dict[Layout, tuple[Layer, ...]] = {
    # SiamFC, table 1.
    "published": (
        Layer(11, 2, True),
        Layer(5, 1, True),
        Layer(3, 1, False),
        Layer(3, 1, False),
        Layer(3, 1, False),
    ),
    # For crops of half the side: 63 px give the 6x6 map that 127 px give above.
    "compact": (
        Layer(5, 2, False),
        Layer(5, 1, True),
        Layer(3, 1, False),
        Layer(3, 1, False),
        Layer(3, 1, False),
    ),
}
"""Kernels and strides of conv1 to conv5, all without padding."""

CHANNELS = (96, 256, 384, 384, 256)
"""Published channels of conv1 to conv5."""

STRIDES: dict[Layout, int] = {
    layout: math.prod(row.stride * (2 if row.pool else 1) for row in rows) for layout, rows in LAYOUTS.items()
}
"""Pixels of the input between neighbouring positions of a layout's last map: 8 and 4."""


class Form(NamedTuple):
    """What tells one tracker's AlexNet from another's, kernels and strides aside."""

    groups: tuple[int, ...]
    normalise_last: bool
    """Whether BatchNorm follows conv5 too."""
    eps: float
    momentum: float


SIAMFC = Form((1, 2, 1, 2, 2), normalise_last=False, eps=1e-6, momentum=0.05)
"""The groups of the MATLAB original; normalisation of siamfc-pytorch's AlexNetV1 (2,336,320 parameters)."""

SIAMRPN = Form((1, 1, 1, 1, 1), normalise_last=True, eps=1e-5, momentum=0.1)
"""DaSiamRPN's `featureExtract`, and with it pysot's `alexnetlegacy`."""


class AlexNet(nn.Module):
    """Backbone: conv-BN(-pool)-ReLU four times, then a convolution without ReLU.

    Pooling the largest value and clipping at zero commute, so that SiamFC's order (ReLU, then pooling) and
    DaSiamRPN's (pooling, then ReLU) are one function with one gradient; the cheaper one is computed.

    Args:
        channels: Channels of the five convolutions.
        layout: Row of `LAYOUTS`.
        form: Groups and normalisation.
    """

    def __init__(self, channels: Sequence[int] = CHANNELS, layout: Layout = "published", form: Form = SIAMFC) -> None:
        super().__init__()
        self.layout: Layout = layout
        self.form = form
        self.layers = nn.ModuleList()
        last = 3
        for index, (row, groups, width) in enumerate(zip(LAYOUTS[layout], form.groups, channels, strict=True)):
            convolution = nn.Conv2d(last, width, row.kernel, row.stride, groups=groups)
            parts: list[nn.Module] = [convolution]
            if form.normalise_last or index < len(channels) - 1:
                parts.append(nn.BatchNorm2d(width, eps=form.eps, momentum=form.momentum))
            self.layers.append(nn.Sequential(*parts))
            last = width
        self.pool = nn.MaxPool2d(3, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, taps: Collection[int] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        """Features of a batch of crops.

        Args:
            images: (B, 3, H, W) RGB, 0..255, no mean subtracted (siamfc-pytorch, DaSiamRPN).
            taps: Layer numbers (1-based) whose output is wanted as well: after ReLU, before any pooling.

        Returns:
            (B, C5, H', W') and the tapped maps by layer number.
        """
        (features,), (tapped,) = self._run([images], taps)
        return features, tapped

    def pair(
        self, exemplar: Tensor, search: Tensor, taps: Collection[int] = ()
    ) -> tuple[tuple[Tensor, dict[int, Tensor]], tuple[Tensor, dict[int, Tensor]]]:
        """`forward` of exemplars and search regions which, in training, are normalised by common statistics.

        At test time both meet the same running statistics. Two calls of `forward` would train the network with the
        statistics of each kind of crop, which differ (an exemplar is mostly target), and its scores would shift at
        test time.
        """
        (z, x), (z_taps, x_taps) = self._run([exemplar, search], taps)
        return (z, z_taps), (x, x_taps)

    def _run(self, batches: list[Tensor], taps: Collection[int]) -> tuple[list[Tensor], list[dict[int, Tensor]]]:
        tapped: list[dict[int, Tensor]] = [{} for _ in batches]
        rows = LAYOUTS[self.layout]
        for number, (layer, row) in enumerate(zip(self.layers, rows, strict=True), start=1):
            batches = _together(layer, batches) if self.training else [layer(features) for features in batches]
            if number in taps and row.pool:
                for kept, features in zip(tapped, batches, strict=True):
                    kept[number] = F.relu(features)
            if row.pool:
                batches = [self.pool(features) for features in batches]
            if number < len(rows):
                batches = [F.relu(features, inplace=not self.training) for features in batches]
            if number in taps and not row.pool:
                for kept, features in zip(tapped, batches, strict=True):
                    kept[number] = features
        return batches, tapped


def _together(layer: nn.Module, batches: list[Tensor]) -> list[Tensor]:
    """Convolves each batch and normalises all of them at once."""
    convolution, *rest = layer.children()
    maps = [convolution(features) for features in batches]
    if not rest:
        return maps
    if len(maps) == 1:
        return [rest[0](maps[0])]
    joined: Tensor = rest[0](torch.cat([features.flatten(2) for features in maps], 2)[..., None])
    parts, start = [], 0
    for features in maps:
        count = features[0, 0].numel()
        parts.append(joined[:, :, start : start + count].reshape_as(features))
        start += count
    return parts


def fold_batch_norm(backbone: AlexNet) -> AlexNet:
    """The same function in evaluation mode with every BatchNorm folded into its convolution: fewer passes over memory.

    Args:
        backbone: In evaluation mode; may be folded already.

    Returns:
        A new backbone whose layers are convolutions alone.
    """
    folded = copy.copy(backbone)
    folded._modules = dict(backbone._modules)
    folded.layers = nn.ModuleList()
    for layer in backbone.layers:
        convolution, *rest = layer.children()
        fused = fuse_conv_bn_eval(convolution, rest[0]) if rest else copy.deepcopy(convolution)  # type: ignore[type-var, arg-type]
        folded.layers.append(nn.Sequential(fused))
    return folded.eval()
