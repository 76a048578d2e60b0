"""What MobileNetV2 has for itself; what all backbones share is tested in `test_residual.py`."""

from __future__ import annotations

import torch
from torch import nn

from distillery.tracking.mobile import AtrousMobileNetV2


def test_strides_and_dilations_of_every_block() -> None:
    """By hand from pysot's table `t, c, n, s, d` and its rule for a stage's first block."""
    depthwise = [
        (part.stride[0], part.padding[0], part.dilation[0])
        for part in AtrousMobileNetV2(width=0.25).modules()
        if isinstance(part, nn.Conv2d) and part.groups > 1
    ]
    same, half, twice, four = (1, 1, 1), (2, 0, 1), (1, 2, 2), (1, 4, 4)
    stages = [[same], [half, same], [half, same, same], [same, *[twice] * 3], [twice] * 3, [twice, four, four], [four]]
    assert depthwise == [row for stage in stages for row in stage]


def test_only_the_first_layers_reduce_in_the_compact_layout() -> None:
    strides = [
        part.stride[0]
        for part in AtrousMobileNetV2(width=0.25, layout="compact").modules()
        if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3)
    ]
    assert [index for index, stride in enumerate(strides) if stride == 2] == [0, 4]


def test_levels_are_linear_outputs_that_later_layers_leave_alone() -> None:
    torch.manual_seed(0)
    made = AtrousMobileNetV2(width=0.25).eval()
    image = torch.rand(1, 3, 63, 63)
    levels = made(image)
    assert all((features < 0).any() for features in levels.values())
    features = made.expand(made.features[0](image))
    for index, block in enumerate(made.features[1:], start=1):
        features = block(features.clone())
        for level, last in {1: 3, 2: 6, 3: 13, 4: 17}.items():
            if index == last:
                assert torch.equal(features, levels[level])
