"""A trained AlexNet laid out for one processor: weights in oneDNN's own order, ReLU inside the convolution.

torch reorders a convolution's weights at every call, for AlexNet's 9 MB a few per cent of a frame on a CPU. Here it is
done once, by the operations that torch's own compiler emits for frozen CPU models. They are no public interface, so
`pack` tries them out and keeps the plain network where they are absent or give other numbers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distillery.tracking.backbones import LAYOUTS, AlexNet

TOLERANCE = 1e-4
"""Largest difference to the plain network, relative to its largest output: sums run in another order."""


class PackedAlexNet(nn.Module):
    """The forward of a folded AlexNet, for inference on a CPU in float32; it has no parameters of its own.

    Args:
        backbone: Without BatchNorm (`fold_batch_norm`), on the CPU.
        side: Side of the crops that it will mostly see.
        batch: Number of crops in a call.
    """

    def __init__(self, backbone: AlexNet, side: int, batch: int) -> None:
        super().__init__()
        self.layout = backbone.layout
        self._layers: list[tuple[Any, ...]] = []
        # Typed by hand: torch's stubs know another signature of it.
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        images = torch.zeros(batch, side, side, 3).permute(0, 3, 1, 2)
        with torch.no_grad():
            for layer, row in zip(backbone.layers, LAYOUTS[self.layout], strict=True):
                convolution: Any = next(layer.children())
                stride, groups = list(convolution.stride), convolution.groups
                blocked = convolution.weight.detach().to_mkldnn()
                weight = reorder(blocked, [0, 0], stride, [1, 1], groups, list(images.shape))
                self._layers.append((weight, convolution.bias.detach(), stride, groups))
                images = convolution(images)
                images = F.max_pool2d(images, 3, 2) if row.pool else images

    def forward(self, images: Tensor, taps: Collection[int] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        """As `AlexNet.forward`, without tapped maps."""
        if taps:
            raise ValueError("a packed network shows its last map alone")
        features = images
        rows = LAYOUTS[self.layout]
        for number, ((weight, bias, stride, groups), row) in enumerate(zip(self._layers, rows, strict=True), start=1):
            after = "relu" if number < len(rows) else "none"
            features = torch.ops.mkldnn._convolution_pointwise(
                features, weight, bias, [0, 0], stride, [1, 1], groups, after, [], ""
            )
            if row.pool:
                features = F.max_pool2d(features, 3, 2)
        return features, {}


@torch.no_grad()
def pack(backbone: AlexNet, side: int, batch: int) -> nn.Module:
    """The same function, faster where this machine can.

    Args:
        backbone: Without BatchNorm (`fold_batch_norm`).
        side: Side of the crops that it will mostly see.
        batch: Number of crops in a call.

    Returns:
        A packed network, or `backbone` itself.
    """
    if next(backbone.parameters()).device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return backbone
    try:
        packed = PackedAlexNet(backbone, side, batch)
        # A ramp of colours: no generator is touched.
        ramp = torch.linspace(0, 255, batch * side * side * 3).view(batch, side, side, 3).permute(0, 3, 1, 2)
        found, expected = packed(ramp)[0], backbone(ramp)[0]
    except (AttributeError, RuntimeError, TypeError):
        return backbone
    close = (found - expected).abs().max() <= TOLERANCE * expected.abs().max()
    return packed if bool(close) else backbone
