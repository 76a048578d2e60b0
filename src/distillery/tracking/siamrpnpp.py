"""SiamRPN++ (Li et al., 2019): a deep backbone, region proposals from several of its levels, depth-wise correlation.

Structure and numbers are pysot's `siamrpn_r50_l234_dwxcorr` and `siamrpn_mobilev2_l234_dwxcorr`. The students of a
ResNet-50 teacher are the same network on a ResNet-34, ResNet-18 or MobileNetV2 (or on narrower ones).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from distillery.config.siamrpnpp import SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.tracking import transfer
from distillery.tracking.checkpoints import describe, require_fit, restore
from distillery.tracking.depthwise import Kernels, LevelHead
from distillery.tracking.mobile import AtrousMobileNetV2
from distillery.tracking.residual import AtrousResNet

LevelKernels = tuple[Kernels, ...]
"""What a network keeps of an exemplar: two kernels a level."""


class SiamRPNPP(nn.Module):
    """The network.

    Args:
        architecture: Backbone and channel numbers.
        geometry: For the number of anchors and the side of the template.

    Raises:
        UserError: If the architecture's layout cannot see the geometry's crops.
    """

    kind = "siamrpnpp"

    def __init__(self, architecture: SiamRPNPPArchitecture, geometry: SiamRPNPPGeometry) -> None:
        super().__init__()
        require_fit(architecture, geometry)
        self.architecture, self.geometry = architecture, geometry
        self.backbone = _backbone(architecture)
        self.heads = nn.ModuleList(
            LevelHead(self.backbone.channels[level], architecture.head_channels, geometry.anchors, geometry.template)
            for level in architecture.levels
        )
        self.weights = nn.ParameterDict()
        if architecture.weighted:
            for output in ("classification", "regression"):
                self.weights[output] = nn.Parameter(torch.ones(len(architecture.levels)))

    def forward(
        self, exemplar: Tensor, search: Tensor, taps: Collection[int] = ()
    ) -> tuple[Tensor, Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Scores and boxes of pairs.

        Args:
            exemplar: (B, 3, 127, 127) RGB, 0..255.
            search: (B, 3, S, S) RGB, 0..255.
            taps: Levels 1..4 of the backbone whose features are wanted for distillation.

        Returns:
            Logits (B, 2k, R, R), first the k of background, then the k of target; box offsets (B, 4k, R, R), first
            the k of x, then y, w, h; and the tapped features of exemplar and search region, by level.
        """
        z, x = self.backbone(exemplar), self.backbone(search)
        scores, boxes = self._predict(self._kernels(z), x)
        return scores, boxes, {level: z[level] for level in taps}, {level: x[level] for level in taps}

    def template(self, crops: Tensor) -> LevelKernels:
        """Kernels of exemplars (B, 3, 127, 127)."""
        return self._kernels(self.backbone(crops))

    def respond(self, kernels: LevelKernels, search: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and box offsets as `forward` gives them.

        Args:
            kernels: Of one exemplar for all search regions, or of one for each.
            search: (B, 3, S, S).
        """
        return self._predict(kernels, self.backbone(search))

    def for_inference(self) -> SiamRPNPP:
        """A copy in evaluation mode that computes the same with less work: BatchNorm folded into convolutions."""
        made = copy.deepcopy(self).eval()
        for module in list(made.modules()):
            # In every block here a convolution's BatchNorm is the next child.
            children = list(module.named_children())
            for (name, convolution), (following, normalisation) in itertools.pairwise(children):
                if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
                    setattr(module, name, fuse_conv_bn_eval(convolution, normalisation))
                    setattr(module, following, nn.Identity())
        return made

    def begin_epoch(self, epoch: int) -> None:
        """Freezes what pretraining says stands still in `epoch` (0-based); call it after `train()`.

        It depends on the epoch alone, so it may be called at every step and after a resume. Without pretraining
        everything is trained from the start.
        """
        transfer.begin_epoch(self.backbone, self.architecture.pretraining, epoch)

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Parameters with the factor on their learning rate, in an order that does not depend on the epoch."""
        pretraining = self.architecture.pretraining
        backbone = list(self.backbone.parameters())
        others = [*self.heads.parameters(), *self.weights.parameters()]
        return [(backbone, pretraining.rate if pretraining else 1.0), (others, 1.0)]

    def sidecar(self) -> dict[str, Any]:
        """What a checkpoint needs to build this network again."""
        return describe(self.kind, self.architecture, self.geometry, self.backbone.channels.values())

    def _heads(self) -> Iterator[tuple[int, LevelHead]]:
        return zip(self.architecture.levels, cast(Iterable[LevelHead], self.heads), strict=True)

    def _kernels(self, levels: dict[int, Tensor]) -> LevelKernels:
        return tuple(head.kernels(levels[level]) for level, head in self._heads())

    def _predict(self, kernels: LevelKernels, levels: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        found = [head(kernel, levels[level]) for (level, head), kernel in zip(self._heads(), kernels, strict=True)]
        scores, boxes = zip(*found, strict=True)
        return self._combine(scores, "classification"), self._combine(boxes, "regression")

    def _combine(self, outputs: tuple[Tensor, ...], output: str) -> Tensor:
        """Mean over levels, weighed by a softmax of learnt numbers if there are any."""
        if output not in self.weights:
            return torch.stack(outputs).mean(0)
        shares = self.weights[output].softmax(0)
        return torch.stack([one * share for one, share in zip(outputs, shares, strict=True)]).sum(0)


def build(architecture: SiamRPNPPArchitecture, geometry: SiamRPNPPGeometry) -> SiamRPNPP:
    """A network to begin a training with: fresh weights from torch's global generator, the backbone's pretrained if so
    configured.

    Raises:
        UserError: If the architecture's layout cannot see the geometry's crops, or the pretrained weights are missing,
            damaged or of another architecture.
    """
    network = SiamRPNPP(architecture, geometry)
    if architecture.pretraining is not None:
        transfer.load_pretrained(network.backbone, architecture.backbone, architecture.pretraining.weights)
    return network


def load(path: Path) -> SiamRPNPP:
    """The network of a checkpoint, in evaluation mode; the weights that it began with are not read again.

    Raises:
        UserError: If the checkpoint is missing, damaged, of another kind or of another architecture.
    """
    return restore(path, SiamRPNPP, SiamRPNPP.kind, SiamRPNPPArchitecture, SiamRPNPPGeometry)


def _backbone(architecture: SiamRPNPPArchitecture) -> AtrousResNet | AtrousMobileNetV2:
    deepest = max(architecture.levels)
    if architecture.backbone == "mobilenet_v2":
        return AtrousMobileNetV2(width=architecture.width, layout=architecture.layout, deepest=deepest)
    return AtrousResNet(architecture.backbone, width=architecture.width, layout=architecture.layout, deepest=deepest)
