"""A trained network for inference: BatchNorm after a convolution becomes part of the convolution."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock, Bottleneck

from distillery.person_search.resnet import Stem

N = TypeVar("N", bound=nn.Module)


def folded(network: N) -> N:
    """Folds every BatchNorm of a network's stem and blocks into the convolution before it, in place.

    Args:
        network: In evaluation mode; its outputs stay the same but for rounding, it cannot be trained any more.

    Returns:
        The network itself.
    """
    for part in network.modules():
        if isinstance(part, Stem | BasicBlock | Bottleneck):
            for number in (1, 2, 3):
                if hasattr(part, f"conv{number}"):
                    _fold(part, f"conv{number}", f"bn{number}")
        if isinstance(part, BasicBlock | Bottleneck) and part.downsample is not None:
            _fold(part.downsample, "0", "1")
    return network


def _fold(owner: nn.Module, convolution: str, norm: str) -> None:
    if isinstance(getattr(owner, norm), nn.BatchNorm2d):
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())
