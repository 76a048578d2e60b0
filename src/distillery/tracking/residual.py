"""Residual networks with stride 8 and dilated last stages, as SiamRPN++ sees crops (pysot's `resnet_atrous`).

The blocks are torchvision's and tensors are named as there. What pysot changes: convolutions that reduce have no
padding, so that maps lie symmetrically in a crop of 8 k - 1 pixels; stages 3 and 4 dilate instead of reducing; and the
shortcuts of stages 2 to 4 are 3x3 convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from distillery.config.siamfc import Layout

Block = type[BasicBlock] | type[Bottleneck]


class Stage(NamedTuple):
    """One row of the table of stages."""

    stride: int
    entry: int
    """Dilation with which the first block reads the map before it."""
    dilation: int
    """Dilation of the others."""


STAGES = (Stage(1, 1, 1), Stage(2, 1, 1), Stage(1, 1, 2), Stage(1, 2, 4))
"""Stages 1 to 4, which are the levels of the network."""

NETWORKS: Mapping[str, tuple[Block, tuple[int, int, int, int]]] = {
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
}
"""Block and number of blocks of every stage."""


class AtrousResNet(nn.Module):
    """Backbone: convolution, (pooling,) and up to four stages.

    Args:
        name: Row of `NETWORKS`.
        width: Factor on all channels.
        layout: `compact` reads crops of half the side: conv1 is 3x3 and no pooling follows.
        deepest: Last stage that is built, 1 to 4.

    Attributes:
        channels: Channels of every level.
    """

    def __init__(self, name: str, *, width: float = 1.0, layout: Layout = "published", deepest: int = 4) -> None:
        super().__init__()
        block, depths = NETWORKS[name]
        planes = scaled(64, width)
        self.conv1 = nn.Conv2d(3, planes, 7 if layout == "published" else 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if layout == "published" else nn.Identity()
        self.channels: dict[int, int] = {}
        inputs = planes
        for level, depth in enumerate(depths[:deepest], start=1):
            self.add_module(f"layer{level}", _stage(block, inputs, planes, depth, STAGES[level - 1]))
            inputs = self.channels[level] = planes * block.expansion
            planes *= 2
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """Maps of all levels.

        Args:
            images: (B, 3, S, S) RGB, 0..255, of 8 k - 1 pixels (`compact`: 4 k - 1).

        Returns:
            (B, C, P, P) by level. At both layouts P = k - 1 for levels 2 to 4 and 2 k - 1 for level 1.
        """
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        levels = {}
        for level in self.channels:
            features = levels[level] = self.get_submodule(f"layer{level}")(features)
        return levels

    def parts(self) -> dict[int, list[nn.Module]]:
        """Modules with parameters, by the level that they end in; 0 is what lies before level 1."""
        return {0: [self.conv1, self.bn1]} | {level: [self.get_submodule(f"layer{level}")] for level in self.channels}


def scaled(channels: int, width: float) -> int:
    """Channels of a layer at a width, rounded down (pysot)."""
    return max(2, int(channels * width))


def set_window(convolution: nn.Conv2d, dilation: int) -> None:
    """Dilates a 3x3 convolution in place and pads it to keep the map's size; one that reduces gets no padding."""
    convolution.dilation = (dilation, dilation)
    convolution.padding = (0, 0) if convolution.stride[0] > 1 else (dilation, dilation)


def _stage(block: Block, inputs: int, planes: int, depth: int, row: Stage) -> nn.Sequential:
    outputs = planes * block.expansion
    made = []
    for index in range(depth):
        first = index == 0
        shortcut = _shortcut(inputs, outputs, row) if first else None
        unit = block(inputs, planes, stride=row.stride if first else 1, downsample=shortcut)
        entry = row.entry if first else row.dilation
        if isinstance(unit, BasicBlock):
            set_window(unit.conv1, entry)
            set_window(unit.conv2, row.dilation)
        else:
            set_window(unit.conv2, entry)
        made.append(unit)
        inputs = outputs
    return nn.Sequential(*made)


def _shortcut(inputs: int, outputs: int, row: Stage) -> nn.Sequential | None:
    plain = row == Stage(1, 1, 1)
    if plain and inputs == outputs:
        return None
    convolution = nn.Conv2d(inputs, outputs, 1 if plain else 3, stride=row.stride, bias=False)
    if not plain:
        set_window(convolution, row.entry)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))
