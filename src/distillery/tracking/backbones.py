"""AlexNet as the SiamFC paper uses it: no padding, stride 8, two-group convolutions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CHANNELS = (96, 256, 384, 384, 256)
"""Published channels of conv1 to conv5."""


class Layer(NamedTuple):
    """One row of the architecture table."""

    kernel: int
    stride: int
    groups: int
    pool: bool
    """Whether a 3x3 max pooling of stride 2 follows."""


LAYERS = (
    Layer(11, 2, 1, True),
    Layer(5, 1, 2, True),
    Layer(3, 1, 1, False),
    Layer(3, 1, 2, False),
    Layer(3, 1, 2, False),
)
"""SiamFC, table 1, with the groups of the MATLAB original and siamfc-pytorch's AlexNetV1."""

STRIDE = 8
"""Pixels of the input between neighbouring positions of the last map."""


class AlexNet(nn.Module):
    """Backbone of SiamFC: conv-BN-ReLU(-pool) four times, then a bare convolution.

    Args:
        channels: Channels of the five convolutions; `CHANNELS` gives 2,336,320 parameters.
    """

    def __init__(self, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        last = 3
        for index, (row, width) in enumerate(zip(LAYERS, channels, strict=True)):
            convolution = nn.Conv2d(last, width, row.kernel, row.stride, groups=row.groups)
            parts: list[nn.Module] = [convolution]
            if index < len(LAYERS) - 1:
                # eps and momentum as in siamfc-pytorch.
                parts += [nn.BatchNorm2d(width, eps=1e-6, momentum=0.05), nn.ReLU(inplace=True)]
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
            images: (B, 3, H, W) RGB, 0..255, no mean subtracted (siamfc-pytorch).
            taps: Layer numbers (1-based) whose output, before any pooling, is wanted as well.

        Returns:
            (B, C5, H', W') and the tapped maps by layer number.
        """
        features, tapped = images, {}
        for number, (layer, row) in enumerate(zip(self.layers, LAYERS, strict=True), start=1):
            features = layer(features)
            if number in taps:
                tapped[number] = features
            if row.pool:
                features = self.pool(features)
        return features, tapped


def fold_batch_norm(backbone: AlexNet) -> AlexNet:
    """The same function in evaluation mode with every BatchNorm folded into its convolution: fewer passes over memory.

    Args:
        backbone: In evaluation mode; may be folded already.

    Returns:
        A new backbone whose layers are convolution and ReLU alone.
    """
    folded = AlexNet([layer[0].out_channels for layer in backbone.layers])  # type: ignore[index]
    for new, old in zip(folded.layers, backbone.layers, strict=True):
        convolution, *rest = old.children()
        if rest and isinstance(rest[0], nn.BatchNorm2d):
            convolution = fuse_conv_bn_eval(convolution, rest[0])  # type: ignore[type-var]
        if rest:
            new[1] = nn.Identity()  # type: ignore[operator]
        new[0] = convolution  # type: ignore[operator]
    return folded.eval()
