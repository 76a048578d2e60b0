"""SiamFC (Bertinetto et al., 2016): a fully convolutional Siamese network scoring every position of a region."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from distillery.config.base import parse
from distillery.config.tracking import SiamFCArchitecture, SiamFCGeometry
from distillery.distill.correlation import cross_correlate
from distillery.distill.shrink import shrink
from distillery.engine import checkpoint
from distillery.tracking.backbones import CHANNELS, AlexNet


def channels_of(architecture: SiamFCArchitecture) -> tuple[int, ...]:
    """Channels of the five convolutions."""
    return shrink(CHANNELS, [architecture.width * ratio for ratio in architecture.ratios])


class SiamFC(nn.Module):
    """The network: one backbone for exemplar and search region, and their cross-correlation.

    Args:
        architecture: Channel numbers.
        geometry: For the scale of the response.
    """

    kind = "siamfc"

    def __init__(self, architecture: SiamFCArchitecture, geometry: SiamFCGeometry) -> None:
        super().__init__()
        self.architecture, self.geometry = architecture, geometry
        self.backbone = AlexNet(channels_of(architecture))

    def forward(
        self, exemplar: Tensor, search: Tensor, taps: Collection[int] = ()
    ) -> tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Scores pairs.

        Args:
            exemplar: (B, 3, 127, 127) RGB, 0..255.
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
        return F.conv2d(self.embed(search), kernel)[:, 0] * self.geometry.response_scale

    def sidecar(self) -> dict[str, Any]:
        """What a checkpoint needs to build this network again."""
        return {
            "kind": self.kind,
            "architecture": self.architecture.model_dump(mode="json"),
            "channels": list(channels_of(self.architecture)),
            "geometry": self.geometry.model_dump(mode="json"),
        }


def load(path: Path) -> SiamFC:
    """Builds the network of a checkpoint, in evaluation mode.

    Raises:
        UserError: If the checkpoint is missing, damaged, of another kind or of another architecture.
    """
    sidecar = checkpoint.load_sidecar(path, kind=SiamFC.kind)
    source = str(checkpoint.sidecar_path(path))
    network = SiamFC(
        parse(SiamFCArchitecture, sidecar.get("architecture"), source=source),
        parse(SiamFCGeometry, sidecar.get("geometry"), source=source),
    )
    checkpoint.load_into(network, path)
    return network.eval()
