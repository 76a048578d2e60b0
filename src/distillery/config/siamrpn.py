"""SiamRPN: channel numbers, crops and anchors, training labels, test-time settings.

Defaults are those of DaSiamRPN's large network (`SiamRPNBIG`, the paper's teacher) and, for training, which that
repository does not publish, of pysot. SiamRPN++ shares anchors, labels and test-time settings.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.siamfc import CROP_SIDES, Layout
from distillery.config.training import Fraction, NonNegative, Positive

Ratio = Annotated[float, Field(gt=0, le=1)]


class SiamRPNArchitecture(Section):
    """Layers and channel numbers of a SiamRPN network, as shrinkage of the large one (192-512-768-768-512; 512)."""

    layout: Layout = "published"
    """Kernels of the backbone: `published` (stride 8) or `compact`, for crops of half the side (stride 4)."""
    width: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Factor on all channels; 1 gives `SiamRPNBIG` (90,436,132 parameters), 0.5 `SiamRPNvot` and `SiamRPNotb`."""
    ratios: tuple[Ratio, Ratio, Ratio, Ratio, Ratio, Ratio] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    """Shrinkage of conv1 to conv5 and of the head's features on top of `width`; classification and regression branch
    share the last one, and the numbers of scores and box coordinates stay."""


class RPNGeometry(Section):
    """Crops and anchors of a tracker with region proposals."""

    exemplar: Positive = 127
    """Side of the exemplar crop in pixels."""
    search: Positive = 271
    """Side of the search region at test time in pixels (DaSiamRPN: 271; pysot's AlexNet: 287)."""
    small_search: Positive = 287
    """Side of the search region for small targets, if `inference.adaptive` (DaSiamRPN: 287)."""
    train_search: Positive = 255
    """Side of the search region in training."""
    context: NonNegative = 0.5
    """Context around the target: s = sqrt((w+p)(h+p)), p = context * (w+h)."""
    stride: Positive = 8
    """Pixels of the search crop between neighbouring positions of the response."""
    anchor_ratios: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.33, 0.5, 1, 2, 3)
    """Height over width of the anchors at every position."""
    anchor_base: Positive = 8
    """Side of the square whose area the anchors have before scaling; their sides are integers there (DaSiamRPN)."""
    anchor_scale: Annotated[float, Field(gt=0)] = 8
    """Factor from there to pixels of the crop: 8 gives anchors of 64 px squared, 4 halves them for crops of half the
    side."""

    @property
    def anchors(self) -> int:
        """k, the number of anchors at a position."""
        return len(self.anchor_ratios)

    def cells(self, side: int) -> int:
        """Side of the response to a search region of `side` pixels."""
        return (side - self.exemplar) // self.stride + 1

    @model_validator(mode="after")
    def _whole_anchors(self) -> RPNGeometry:
        for ratio in self.anchor_ratios:
            width = int((self.anchor_base**2 / ratio) ** 0.5)
            if width < 1 or int(width * ratio) < 1:
                raise ValueError(f"an anchor of ratio {ratio} has no pixel at anchor_base {self.anchor_base}")
        return self


class SiamRPNGeometry(RPNGeometry):
    """Crops and anchors of SiamRPN."""

    response_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the correlation (DaSiamRPN: none). Below 1 a network starts from scratch with scores near 0."""

    @model_validator(mode="after")
    def _fits_a_layout(self) -> SiamRPNGeometry:
        faults = [fault for layout in CROP_SIDES if (fault := self.misfit(layout))]
        if len(faults) == len(CROP_SIDES):
            raise ValueError(faults[0])
        return self

    def misfit(self, layout: Layout) -> str | None:
        """Why a layout of AlexNet cannot see these crops, for an error's text; None when it can."""
        stride, smallest = CROP_SIDES[layout]
        if self.stride != stride:
            return f"stride must be {stride}, that of the {layout} layout"
        # The template's kernels are what a 3x3 convolution leaves of the exemplar's map.
        smallest += 2 * stride
        for name in ("exemplar", "search", "small_search", "train_search"):
            side = getattr(self, name)
            if side < smallest or (side - smallest) % stride:
                sizes = ", ".join(str(smallest + stride * k) for k in range(3))
                return f"{name} must be {sizes} and so on: {layout} AlexNet's stride is {stride} and it has no padding"
        if min(self.search, self.small_search, self.train_search) < self.exemplar:
            return "the search region must not be smaller than the exemplar"
        return None


class RPNLabels(Section):
    """Which anchors a pair trains, and how the ground-truth losses are weighed (pysot, `alex_dwxcorr` and `r50`)."""

    positive: Fraction = 0.6
    """Overlap with the target above which an anchor is positive."""
    negative: Fraction = 0.3
    """Overlap below which it is negative; those between train nothing."""
    positives: Positive = 16
    """Most positives a pair selects."""
    selected: Positive = 64
    """Anchors a pair selects at most: `selected - positives` negatives."""
    distractors: Positive = 16
    """Negatives that a negative pair selects, around the object it must not take for its target."""
    smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Label smoothing: the probability given to the other class (pysot: none)."""
    classification: NonNegative = 1.0
    """Weight of the classification loss."""
    regression: NonNegative = 1.2
    """Weight of the box regression loss."""

    @model_validator(mode="after")
    def _consistent(self) -> RPNLabels:
        if self.negative > self.positive:
            raise ValueError("the negative overlap must not exceed the positive one")
        if self.selected <= self.positives:
            raise ValueError("selected must leave room for negatives beside the positives")
        return self


class RPNInference(Section):
    """Test-time settings of trackers with region proposals. They are tuned for a network and a benchmark:

    | network | search | window | penalty | rate | adaptive |
    |---|---|---|---|---|---|
    | DaSiamRPN, large (the default) | 271, small 287 | 0.42 | 0.055 | 0.295 | yes |
    | DaSiamRPN, VOT | 271 | 0.44 | 0.04 | 0.45 | no |
    | DaSiamRPN, OTB | 271 | 0.40 | 0.22 | 0.30 | no |
    | pysot, AlexNet | 287 | 0.40 | 0.16 | 0.30 | no |
    | pysot, ResNet-50 | 255 | 0.42 | 0.05 | 0.38 | no |
    | pysot, ResNet-50 for OTB | 255 | 0.25 | 0.24 | 0.5 | no |
    | pysot, MobileNetV2 | 255 | 0.4 | 0.04 | 0.5 | no |

    The search region's side is part of the geometry.
    """

    kind: Literal["rpn"] = "rpn"
    """The tracker that these settings belong to."""
    window: Fraction = 0.42
    """Influence of the cosine window."""
    penalty: NonNegative = 0.055
    """k of the penalty exp(-(r s - 1) k) on a change of ratio r and of scale s."""
    rate: NonNegative = 0.295
    """Learning rate of the size; multiplied by the best anchor's penalty and score."""
    adaptive: bool = True
    """Whether small targets get the larger search region `geometry.small_search`."""
    small: Fraction = 0.004
    """Share of the first frame's area below which a target is small."""
    smallest: NonNegative = 10.0
    """Sides of the box never fall below this number of pixels."""
