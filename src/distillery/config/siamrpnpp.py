"""SiamRPN++: backbone and channel numbers, pretraining, crops. Defaults are those of pysot's ResNet-50 network.

Anchors, labels and test-time settings are shared with SiamRPN (`distillery.config.siamrpn`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.siamfc import Layout
from distillery.config.siamrpn import RPNGeometry, RPNInference
from distillery.config.training import NonNegative, Positive
from distillery.config.weights import IMAGENET

Backbone = Literal["resnet50", "resnet34", "resnet18", "mobilenet_v2"]
Level = Annotated[int, Field(ge=1, le=4)]
CorrelatedLevel = Annotated[int, Field(ge=2, le=4)]

STRIDES: dict[Layout, int] = {"published": 8, "compact": 4}
"""Pixels of the crop between neighbouring positions of levels 2 to 4."""


class Pretraining(Section):
    """ImageNet weights of a backbone, and how gently they are trained (pysot's schedule)."""

    weights: str
    """`imagenet` (torchvision's, which `distillery fetch weights` gets) or a local file in torchvision's names:
    safetensors, or `.pth`, which is read without running what it may hold."""
    frozen_epochs: Annotated[int, Field(ge=0)] = 10
    """Epochs in which the whole backbone stands still."""
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = (2, 3, 4)
    """Levels that are trained afterwards; the others, and what lies before level 1, stay as they are."""
    rate: NonNegative = 0.1
    """Factor on the learning rate of the backbone."""


class SiamRPNPPArchitecture(Section):
    """Backbone and channel numbers of a SiamRPN++ network.

    | network | parameters | with BatchNorm's statistics |
    |---|---|---|
    | `resnet50` | 53,950,624 | 216.06 MB |
    | `resnet34` | 30,395,296 | 121.69 MB |
    | `resnet18` | 20,287,136 | 81.23 MB |
    | `mobilenet_v2`, width 1.4, not weighted | 11,150,446 | 44.82 MB |
    """

    backbone: Backbone = "resnet50"
    """Network that sees the crops; all have the same four levels, so one can teach another."""
    layout: Layout = "published"
    """`published` (stride 8), or `compact` for crops of half the side: a 3x3 first convolution and one reduction less
    before level 2 (stride 4)."""
    width: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Factor on the backbone's channels (pysot's MobileNetV2: 1.4)."""
    head_channels: Positive = 256
    """Channels of the adjusted levels and of the heads."""
    levels: Annotated[tuple[CorrelatedLevel, ...], Field(min_length=1)] = (2, 3, 4)
    """Levels of the backbone that are correlated; deeper ones are not built."""
    weighted: bool = True
    """Whether the levels' outputs are weighed by learnt numbers (pysot: ResNet) or averaged (pysot: MobileNetV2)."""
    pretraining: Pretraining | None = None
    """Weights to begin with; absent trains everything from scratch."""

    @model_validator(mode="after")
    def _consistent(self) -> SiamRPNPPArchitecture:
        if list(self.levels) != sorted(set(self.levels)):
            raise ValueError("levels must ascend without repetition")
        if self.pretraining and self.layout != "published":
            raise ValueError("pretrained weights are those of the published layout")
        if self.pretraining and self.pretraining.weights == IMAGENET and self.width != 1:
            raise ValueError("torchvision's ImageNet weights are those of width 1; name a file for another width")
        return self


class SiamRPNPPGeometry(RPNGeometry):
    """Crops and anchors of SiamRPN++.

    | crops | layout | stride | template | maps | response |
    |---|---|---|---|---|---|
    | 127, 255 | published | 8 | 7 | 15 and 31 | 25x25 |
    | 63, 127 | compact | 4 | 7 | 15 and 31 | 25x25 |
    | 63, 127 | published | 8 | 5 | 7 and 15 | 11x11 |
    """

    search: Positive = 255
    """Side of the search region at test time in pixels (pysot: 255)."""
    small_search: Positive = 255
    """Side of the search region for small targets, if `inference.adaptive` (pysot does not adapt)."""
    template: Annotated[int, Field(ge=3)] = 7
    """Side of the part in the middle of the exemplar's map that is correlated, in positions (pysot: 7 of 15)."""

    def positions(self, side: int) -> int:
        """Side of the map of levels 2 to 4 for a crop of `side` pixels."""
        return (side + 1) // self.stride - 1

    def cells(self, side: int) -> int:
        """Side of the response to a search region of `side` pixels (the heads' two 3x3 convolutions cancel out)."""
        return self.positions(side) - self.template + 1

    @model_validator(mode="after")
    def _fits_a_layout(self) -> SiamRPNPPGeometry:
        faults = [fault for layout in STRIDES if (fault := self.misfit(layout))]
        if len(faults) == len(STRIDES):
            raise ValueError(faults[0])
        return self

    def misfit(self, layout: Layout) -> str | None:
        """Why a layout cannot see these crops, for an error's text; None when it can."""
        stride = STRIDES[layout]
        if self.stride != stride:
            return f"stride must be {stride}, that of the {layout} layout"
        for name in ("exemplar", "search", "small_search", "train_search"):
            side = getattr(self, name)
            if side % stride != stride - 1:
                near = side // stride * stride + stride - 1
                return f"{name} must be a multiple of {stride} less 1, such as {near}, for its map to lie in the middle"
        if min(self.search, self.small_search, self.train_search) < self.exemplar:
            return "the search region must not be smaller than the exemplar"
        margin = self.positions(self.exemplar) - self.template
        if margin < 0 or margin % 2:
            return f"template must be {self.positions(self.exemplar)} or less by an even number, to lie in the middle"
        return None


PYSOT_INFERENCE = RPNInference(window=0.42, penalty=0.05, rate=0.38, adaptive=False)
"""Test-time settings of pysot's ResNet-50 model."""
