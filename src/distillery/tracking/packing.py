"""A trained AlexNet laid out for one processor: weights in oneDNN's own order, ReLU inside the convolution.

torch reorders a convolution's weights at every call, for AlexNet's 9 MB a few per cent of a frame on a CPU. Here it is
done once, by the operations that torch's own compiler emits for frozen CPU models; wide 3x3 convolutions go through
Winograd's transform. The operations are no public interface, so `pack` tries them out and keeps the plain network where
they are absent or give other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distillery.tracking.backbones import LAYOUTS, AlexNet
from distillery.tracking.winograd import WinogradConvolution, pays

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
        self._layers: list[Callable[..., Tensor]] = []
        images = torch.zeros(batch, side, side, 3).permute(0, 3, 1, 2)
        with torch.no_grad():
            for layer, row in zip(backbone.layers, LAYOUTS[self.layout], strict=True):
                convolution: Any = next(layer.children())
                self._layers.append(_packed(convolution, images))
                images = convolution(images)
                images = F.max_pool2d(images, 3, 2) if row.pool else images

    def forward(self, images: Tensor, taps: Collection[int] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        """As `AlexNet.forward`, without tapped maps."""
        if taps:
            raise ValueError("a packed network shows its last map alone")
        features = images
        rows = LAYOUTS[self.layout]
        for number, (convolve, row) in enumerate(zip(self._layers, rows, strict=True), start=1):
            features = convolve(features, relu=number < len(rows))
            if row.pool:
                features = F.max_pool2d(features, 3, 2)
        return features, {}


def _packed(convolution: nn.Conv2d, images: Tensor) -> Callable[..., Tensor]:
    """A convolution without padding as a function of (images, relu=bool), laid out for images of this shape."""
    weight, bias = convolution.weight.detach(), convolution.bias.detach()  # type: ignore[union-attr]
    stride, groups = list(convolution.stride), convolution.groups
    if pays(weight, stride[0], groups):
        return WinogradConvolution(weight, bias, len(images) * (-(-(images.shape[-1] - 2) // 4)) ** 2)
    # Typed by hand: torch's stubs know another signature of it.
    reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
    blocked = reorder(weight.to_mkldnn(), [0, 0], stride, [1, 1], groups, list(images.shape))

    def convolve(features: Tensor, *, relu: bool) -> Tensor:
        after = "relu" if relu else "none"
        done: Tensor = torch.ops.mkldnn._convolution_pointwise(
            features, blocked, bias, [0, 0], stride, [1, 1], groups, after, [], ""
        )
        return done

    return convolve


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
