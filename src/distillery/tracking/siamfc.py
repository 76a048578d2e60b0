"""SiamFC (Bertinetto et al., 2016): a fully convolutional Siamese network scoring every position of a region."""

from __future__ import annotations

import copy
from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry
from distillery.distill.correlation import cross_correlate
from distillery.distill.shrink import shrink
from distillery.tracking.backbones import CHANNELS, STRIDES, AlexNet, fold_batch_norm
from distillery.tracking.checkpoints import describe, require_fit, restore
from distillery.tracking.packing import pack


def channels_of(architecture: SiamFCArchitecture) -> tuple[int, ...]:
    """Channels of the five convolutions."""
    return shrink(CHANNELS, [architecture.width * ratio for ratio in architecture.ratios])


class SiamFC(nn.Module):
    """The network: one backbone for exemplar and search region, and their cross-correlation.

    Args:
        architecture: Layers and channel numbers.
        geometry: For the scale of the response.

    Raises:
        UserError: If the architecture's layout cannot see the geometry's crops.
    """

    kind = "siamfc"

    def __init__(self, architecture: SiamFCArchitecture, geometry: SiamFCGeometry) -> None:
        super().__init__()
        require_fit(architecture, geometry)
        self.architecture, self.geometry = architecture, geometry
        self.backbone: nn.Module = AlexNet(channels_of(architecture), architecture.layout)

    @property
    def stride(self) -> int:
        """Pixels of the search region between neighbouring positions of the response."""
        return STRIDES[self.architecture.layout]

    def forward(
        self, exemplar: Tensor, search: Tensor, taps: Collection[int] = ()
    ) -> tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Scores pairs.

        Args:
            exemplar: (B, 3, Z, Z) RGB, 0..255.
            search: (B, 3, S, S) RGB, 0..255.
            taps: Layers whose features are wanted for distillation.

        Returns:
            Response (B, R, R) of logits, and the tapped features of exemplar and search region.
        """
        z, z_taps = self.backbone(exemplar, taps)
        x, x_taps = self.backbone(search, taps)
        return cross_correlate(x, z) * self.geometry.response_scale, z_taps, x_taps

    def embed(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, C, H, W), the features that are correlated."""
        features: Tensor = self.backbone(crops)[0]
        return features

    def respond(self, kernel: Tensor, search: Tensor) -> Tensor:
        """Response of one embedded exemplar (1, C, h, w) on a batch of search regions: (B, R, R)."""
        features = self.embed(search)
        # A convolution with a single output channel takes three times as long on a CPU.
        return cross_correlate(features, kernel.expand(len(features), -1, -1, -1)) * self.geometry.response_scale

    def for_inference(self, batch: int, *, packed: bool) -> SiamFC:
        """A network in evaluation mode that computes the same with less work, for `embed` and `respond` alone.

        Args:
            batch: Search regions in a call.
            packed: Whether weights may be laid out for this CPU (float32 only).
        """
        made = copy.copy(self)
        made._modules = dict(self._modules)
        assert isinstance(self.backbone, AlexNet)  # not one for inference already
        folded = fold_batch_norm(self.backbone)
        made.backbone = pack(folded, self.geometry.search, batch) if packed else folded
        return made.eval()

    def sidecar(self) -> dict[str, Any]:
        """What a checkpoint needs to build this network again."""
        return describe(self.kind, self.architecture, self.geometry, channels_of(self.architecture))


def build(architecture: SiamFCArchitecture, geometry: SiamFCGeometry) -> SiamFC:
    """A network with fresh weights, drawn from torch's global generator.

    Raises:
        UserError: If the architecture's layout cannot see the geometry's crops.
    """
    return SiamFC(architecture, geometry)


def load(path: Path) -> SiamFC:
    """The network of a checkpoint, in evaluation mode.

    Raises:
        UserError: If the checkpoint is missing, damaged, of another kind or of another architecture.
    """
    return restore(path, SiamFC, SiamFC.kind, SiamFCArchitecture, SiamFCGeometry)
