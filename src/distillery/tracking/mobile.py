"""MobileNetV2 with stride 8 and dilated last stages, as SiamRPN++ sees crops (pysot's `mobile_v2`).

The blocks are torchvision's and tensors are named as there. What pysot changes: convolutions that reduce have no
padding, so that maps lie symmetrically in a crop of 8 k - 1 pixels; later stages dilate instead of reducing; the first
block has a 1x1 expansion as well (here `expand`); and there is no classifier with its 1x1 convolution.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.ops import Conv2dNormActivation

from distillery.config.siamfc import Layout
from distillery.tracking.residual import scaled, set_window


class Stage(NamedTuple):
    """One row of MobileNetV2's table 2 with pysot's strides and dilations."""

    expansion: int
    channels: int
    blocks: int
    stride: int
    entry: int
    """Dilation of the first block."""
    dilation: int
    """Dilation of the others."""
    level: int
    """Level that the stage belongs to; its last stage gives the level's map."""


STAGES = (
    Stage(1, 16, 1, 1, 1, 1, 1),
    Stage(6, 24, 2, 2, 1, 1, 1),
    Stage(6, 32, 3, 2, 1, 1, 2),
    Stage(6, 64, 4, 1, 1, 2, 3),
    Stage(6, 96, 3, 1, 2, 2, 3),
    Stage(6, 160, 3, 1, 2, 4, 4),
    Stage(6, 320, 1, 1, 4, 4, 4),
)


class AtrousMobileNetV2(nn.Module):
    """Backbone: convolution and up to seven stages of inverted residuals.

    Args:
        width: Factor on all channels (pysot: 1.4).
        layout: `compact` reads crops of half the side: level 1 does not reduce.
        deepest: Last level that is built, 1 to 4.

    Attributes:
        channels: Channels of every level.
    """

    def __init__(self, *, width: float = 1.0, layout: Layout = "published", deepest: int = 4) -> None:
        super().__init__()
        inputs = scaled(32, width)
        stem = Conv2dNormActivation(3, inputs, 3, stride=2, padding=0, activation_layer=nn.ReLU6)
        self.expand = Conv2dNormActivation(inputs, inputs, 1, activation_layer=nn.ReLU6)
        self.features = nn.ModuleList([stem])
        self.channels: dict[int, int] = {}
        self._level = [0]
        for row in STAGES:
            if row.level > deepest:
                break
            outputs = scaled(row.channels, width)
            for index in range(row.blocks):
                reduces = index == 0 and not (layout == "compact" and row.level == 1)
                block = InvertedResidual(inputs, outputs, row.stride if reduces else 1, row.expansion)
                set_window(block.conv[-3][0], row.entry if index == 0 else row.dilation)
                self.features.append(block)
                self._level.append(row.level)
                inputs = outputs
            self.channels[row.level] = outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """Maps of all levels; shapes are those of `AtrousResNet`."""
        features = self.expand(self.features[0](images))
        levels = {}
        for level, block in zip(self._level[1:], self.features[1:], strict=True):
            features = levels[level] = block(features)
        return levels

    def parts(self) -> dict[int, list[nn.Module]]:
        """Modules with parameters, by the level that they end in; 0 is what lies before level 1."""
        found: dict[int, list[nn.Module]] = {0: [self.expand]}
        for level, block in zip(self._level, self.features, strict=True):
            found.setdefault(level, []).append(block)
        return found
