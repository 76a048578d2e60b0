"""SiamRPN (Li et al., 2018): a Siamese network with a region proposal head, in the layout of DaSiamRPN's networks.

The exemplar's features become the kernels of two correlations ("up-channel"): one scores k anchors at every position,
the other corrects their boxes.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distillery.config.siamrpn import SiamRPNArchitecture, SiamRPNGeometry
from distillery.distill.shrink import shrink
from distillery.tracking.backbones import SIAMRPN, AlexNet, fold_batch_norm
from distillery.tracking.checkpoints import describe, require_fit, restore

CHANNELS = (192, 512, 768, 768, 512, 512)
"""Channels of conv1 to conv5 and of the head's features in `SiamRPNBIG`, the paper's teacher."""


class Kernels(NamedTuple):
    """What a network keeps of an exemplar: (B, outputs, features, h, w) for scores (2k outputs) and boxes (4k)."""

    scores: Tensor
    boxes: Tensor


def channels_of(architecture: SiamRPNArchitecture) -> tuple[int, ...]:
    """Channels of the five convolutions and of the head's features."""
    return shrink(CHANNELS, [architecture.width * ratio for ratio in architecture.ratios])


class SiamRPN(nn.Module):
    """The network.

    Args:
        architecture: Layers and channel numbers.
        geometry: For the number of anchors and the scale of the response.

    Raises:
        UserError: If the architecture's layout cannot see the geometry's crops.
    """

    kind = "siamrpn"

    def __init__(self, architecture: SiamRPNArchitecture, geometry: SiamRPNGeometry) -> None:
        super().__init__()
        require_fit(architecture, geometry)
        self.architecture, self.geometry = architecture, geometry
        *backbone, features = channels_of(architecture)
        outputs, last = geometry.anchors, backbone[-1]
        self.backbone = AlexNet(backbone, architecture.layout, SIAMRPN)
        # DaSiamRPN's names: 1 makes the exemplar's kernels, 2 the search region's features.
        self.conv_r1 = nn.Conv2d(last, features * 4 * outputs, 3)
        self.conv_r2 = nn.Conv2d(last, features, 3)
        self.conv_cls1 = nn.Conv2d(last, features * 2 * outputs, 3)
        self.conv_cls2 = nn.Conv2d(last, features, 3)
        self.regress_adjust = nn.Conv2d(4 * outputs, 4 * outputs, 1)

    def forward(
        self, exemplar: Tensor, search: Tensor, taps: Collection[int] = ()
    ) -> tuple[Tensor, Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Scores and boxes of pairs.

        Args:
            exemplar: (B, 3, 127, 127) RGB, 0..255.
            search: (B, 3, S, S) RGB, 0..255.
            taps: Layers 1..5 of the backbone whose features are wanted for distillation.

        Returns:
            Logits (B, 2k, R, R), first the k of background, then the k of target; box offsets (B, 4k, R, R), first
            the k of x, then y, w, h; and the tapped features of exemplar and search region.
        """
        (z, z_taps), (x, x_taps) = self.backbone.pair(exemplar, search, taps)
        return *self._head(self._kernels(z), x), z_taps, x_taps

    def template(self, crops: Tensor) -> Kernels:
        """Kernels of exemplars (B, 3, 127, 127)."""
        return self._kernels(self.backbone(crops)[0])

    def respond(self, kernels: Kernels, search: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and box offsets as `forward` gives them.

        Args:
            kernels: Of one exemplar for all search regions, or of one for each.
            search: (B, 3, S, S).
        """
        return self._head(kernels, self.backbone(search)[0])

    def for_inference(self) -> SiamRPN:
        """A network in evaluation mode that computes the same with less work; the kernel makers are shared.

        BatchNorm is folded into convolutions, and what runs on every frame keeps its weights channels last, as a
        tracker's crops are (a tenth faster on a CPU). Not for training.
        """
        made = copy.copy(self)
        made._modules = dict(self._modules)
        made.backbone = fold_batch_norm(self.backbone)
        for name in ("conv_cls2", "conv_r2", "regress_adjust"):
            setattr(made, name, copy.deepcopy(getattr(self, name)))
        for name in ("backbone", "conv_cls2", "conv_r2", "regress_adjust"):
            getattr(made, name).to(memory_format=torch.channels_last)
        return made.eval()

    def sidecar(self) -> dict[str, Any]:
        """What a checkpoint needs to build this network again."""
        return describe(self.kind, self.architecture, self.geometry, channels_of(self.architecture))

    def _kernels(self, z: Tensor) -> Kernels:
        made = []
        for convolution, outputs in ((self.conv_cls1, 2), (self.conv_r1, 4)):
            kernel: Tensor = convolution(z)
            count, _, *size = kernel.shape
            made.append(kernel.view(count, outputs * self.geometry.anchors, -1, *size))
        return Kernels(*made)

    def _head(self, kernels: Kernels, x: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.geometry.response_scale
        scores = correlate(self.conv_cls2(x), kernels.scores, scale)
        boxes: Tensor = self.regress_adjust(correlate(self.conv_r2(x), kernels.boxes, scale))
        return scores, boxes


def correlate(search: Tensor, kernels: Tensor, scale: float = 1.0) -> Tensor:
    """Correlates every search map with several kernels of its own: R[b, o] = sum_c search[b, c] * kernels[b, o, c].

    Args:
        search: (B, C, H, W).
        kernels: (B, O, C, h, w); or one set (1, O, C, h, w) for all maps.
        scale: Factor on the result.

    Returns:
        (B, O, H - h + 1, W - w + 1).
    """
    if scale != 1.0:
        kernels = kernels * scale
    if len(kernels) == 1:
        return F.conv2d(search, kernels[0])
    if search.device.type == "cpu":
        # One convolution a sample: forward and backward take a half to a fifth of the grouped convolution's time.
        return torch.cat([F.conv2d(one[None], kernel) for one, kernel in zip(search, kernels, strict=True)])
    merged = F.conv2d(search.flatten(0, 1)[None], kernels.flatten(0, 1), groups=len(search))
    return merged.view(len(search), -1, *merged.shape[2:])


def build(architecture: SiamRPNArchitecture, geometry: SiamRPNGeometry) -> SiamRPN:
    """A network with fresh weights, drawn from torch's global generator.

    Raises:
        UserError: If the architecture's layout cannot see the geometry's crops.
    """
    return SiamRPN(architecture, geometry)


def load(path: Path) -> SiamRPN:
    """The network of a checkpoint, in evaluation mode.

    Raises:
        UserError: If the checkpoint is missing, damaged, of another kind or of another architecture.
    """
    return restore(path, SiamRPN, SiamRPN.kind, SiamRPNArchitecture, SiamRPNGeometry)
