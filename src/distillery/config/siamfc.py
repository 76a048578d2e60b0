"""SiamFC: channel numbers, sizes of crops and test-time settings. Defaults are the published or reference ones."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.training import Fraction, NonNegative, Positive

Ratio = Annotated[float, Field(gt=0, le=1)]
Layout = Literal["published", "compact"]


class CropSides(NamedTuple):
    """Which crops a layout of AlexNet can see: it has no padding, so their sides go in steps of its stride."""

    stride: int
    """Pixels of the crop between neighbouring positions of the last map."""
    smallest: int
    """Side whose last map has one position and loses no pixel at the usual sides (127 and 63)."""


CROP_SIDES: dict[Layout, CropSides] = {"published": CropSides(8, 87), "compact": CropSides(4, 43)}
"""Follows from the layers' kernels (`distillery.tracking.backbones`)."""


class SiamFCArchitecture(Section):
    """Layers and channel numbers of a SiamFC backbone, as shrinkage of the published AlexNet (96-256-384-384-256)."""

    layout: Layout = "published"
    """Kernels: `published` (stride 8) or `compact`, for crops of half the side (first convolution 5x5, stride 4)."""
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on all channels; 1 gives the published 2,336,320 parameters."""
    ratios: tuple[Ratio, Ratio, Ratio, Ratio, Ratio] = (1.0, 1.0, 1.0, 1.0, 1.0)
    """Shrinkage of each layer's channels on top of `width`, as the layer-shrinkage actions of the paper."""


class SiamFCGeometry(Section):
    """Sizes of crops and response (SiamFC, section 3; siamfc-pytorch)."""

    exemplar: Positive = 127
    """Side of the exemplar crop in pixels."""
    search: Positive = 255
    """Side of the search region at test time in pixels."""
    train_search: Positive = 239
    """Side of the search region in training (255 - 16: the random crop's margin)."""
    context: NonNegative = 0.5
    """Context around the target: s = sqrt((w+p)(h+p)), p = context * (w+h)."""
    response_scale: Annotated[float, Field(gt=0)] = 1e-3
    """Factor on the cross-correlation (reference: 0.001)."""

    @model_validator(mode="after")
    def _fits_a_layout(self) -> SiamFCGeometry:
        faults = [fault for layout in CROP_SIDES if (fault := self.misfit(layout))]
        if len(faults) == len(CROP_SIDES):
            raise ValueError(faults[0])
        return self

    def misfit(self, layout: Layout) -> str | None:
        """Why a layout of AlexNet cannot see these crops, for an error's text; None when it can."""
        stride, smallest = CROP_SIDES[layout]
        for name, side in (("exemplar", self.exemplar), ("search", self.search), ("train_search", self.train_search)):
            if side < smallest or (side - smallest) % stride:
                sizes = ", ".join(str(smallest + stride * k) for k in range(3))
                return f"{name} must be {sizes} and so on: {layout} AlexNet's stride is {stride} and it has no padding"
        if min(self.search, self.train_search) < self.exemplar:
            return "the search region must not be smaller than the exemplar"
        return None


class SiamFCInference(Section):
    """Test-time settings of the three-scale tracker (siamfc-pytorch, 3-scale values)."""

    kind: Literal["siamfc"] = "siamfc"
    """The tracker that these settings belong to."""
    scales: Positive = 3
    """Number of search scales."""
    scale_step: Annotated[float, Field(ge=1)] = 1.0375
    """Ratio of neighbouring scales."""
    scale_penalty: Fraction = 0.9745
    """Factor on the peak of a changed scale."""
    scale_rate: Fraction = 0.59
    """Learning rate of the scale."""
    window: Fraction = 0.176
    """Influence of the cosine window."""
    response_up: Positive = 16
    """Bicubic upsampling of the response."""
