"""Parts of a person-search network: backbone, proposals, regions, id feature, loss weights.

Defaults are the settings of the official OIM code (ShuangLI59/person_search) unless a line says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.training import Fraction, NonNegative, Positive
from distillery.config.weights import IMAGENET, RESIDUAL, weights_file


class ResNetShape(Section):
    """A residual network, split as OIM splits it: stem on the image, the rest on every region of interest."""

    block: Literal["bottleneck", "basic"] = "bottleneck"
    """`bottleneck` as in ResNet-50, `basic` as in ResNet-18."""
    depths: tuple[Positive, Positive, Positive, Positive] = (3, 4, 6, 3)
    """Blocks of conv2_x to conv5_x; (3, 4, 6, 3) is ResNet-50, (2, 2, 2, 2) ResNet-18."""
    width: Positive = 64
    """Channels of conv1; 64 is full size."""
    stem_blocks: Annotated[int, Field(ge=0)] = 3
    """Blocks of conv4_x in the stem (official: conv4_3, so 3 of 6); the rest and conv5_x form the head."""
    stride: Literal[8, 16] = 16
    """Stride of the stem; 8 leaves out conv4's, for small images."""
    norm: Literal["frozen", "batch"] = "frozen"
    """BatchNorm of the stem: frozen with pre-trained weights (official), or trained from scratch."""
    pretrained: str | None = None
    """`imagenet` (torchvision's, which `distillery fetch weights` gets), or a local file with torchvision's names or of
    a trained network of this paper, whose backbone is taken: safetensors, or `.pth`, which is read without running what
    it may hold; absent trains from scratch."""

    @model_validator(mode="after")
    def _split(self) -> ResNetShape:
        if self.stem_blocks > self.depths[2]:
            raise ValueError("stem_blocks exceeds the number of conv4 blocks")
        if self.pretrained == IMAGENET and (self.network is None or self.width != 64):
            raise ValueError("ImageNet weights are those of ResNet-18, -34 and -50 at width 64; name a file instead")
        return self

    @property
    def network(self) -> str | None:
        """Name of the network whose blocks these are, if it is one of torchvision's."""
        return RESIDUAL.get((self.block, self.depths))

    def begun(self) -> ResNetShape:
        """The same shape with the file of its weights in the place of a word."""
        if self.pretrained is None or self.network is None:
            return self
        return self.model_copy(update={"pretrained": weights_file(self.pretrained, self.network)})


class Proposals(Section):
    """Region proposal network."""

    channels: Positive = 512
    """Channels of its 3x3 convolution."""
    anchor_sizes: tuple[Positive, ...] = (128, 256, 512)
    """Anchor sides in pixels of the resized image (official: 16 x {8, 16, 32})."""
    anchor_ratios: tuple[Annotated[float, Field(gt=0)], ...] = (0.5, 1.0, 2.0)
    """Anchor aspect ratios, height / width."""
    positive_iou: Fraction = 0.7
    """An anchor is foreground from this overlap on."""
    negative_iou: Fraction = 0.3
    """An anchor is background below this overlap."""
    batch: Positive = 256
    """Anchors sampled in an image."""
    pre_nms: tuple[Positive, Positive] = (12000, 6000)
    """Proposals before suppression, in training and test."""
    post_nms: tuple[Positive, Positive] = (2000, 300)
    """Proposals after suppression, in training and test."""
    nms: Fraction = 0.7
    """Overlap of suppression."""
    min_size: NonNegative = 16.0
    """Proposals narrower or lower than this, in pixels of the resized image, are dropped."""


class Regions(Section):
    """Regions of interest and the detection head."""

    size: tuple[Positive, Positive] = (14, 14)
    """Height and width of the pooled map (official: 14 x 14); conv5 halves it."""
    pooling: Literal["align", "pool"] = "align"
    """RoIAlign, or RoIPool as in the Caffe code."""
    sampling: Positive = 2
    """Samples along each side of a bin of RoIAlign."""
    batch: Positive = 128
    """Regions sampled in an image."""
    positive_fraction: Fraction = 0.25
    """Share of foreground among them."""
    positive_iou: Fraction = 0.5
    """A region is foreground from this overlap on."""
    negative_iou: Fraction = 0.5
    """A region is background below this overlap; what lies between is not trained on."""
    score: Fraction = 0.05
    """Detections below this person probability are dropped at test time."""
    nms: Fraction = 0.4
    """Overlap of suppression at test time."""
    detections: Positive = 100
    """Most detections kept in an image (the official code sets no bound)."""

    @model_validator(mode="after")
    def _order(self) -> Regions:
        if self.negative_iou > self.positive_iou:
            raise ValueError("negative_iou exceeds positive_iou")
        return self


class Identification(Section):
    """The re-identification feature and its Online Instance Matching loss (OIM, section 3)."""

    dimension: Positive = 256
    """Length of the id feature; equal for student and table."""
    temperature: Annotated[float, Field(gt=0)] = 0.1
    """tau of the OIM softmax."""
    momentum: Fraction = 0.5
    """v <- momentum * v + (1 - momentum) * x for an online table; a frozen table is never updated."""
    queue: Annotated[int, Field(ge=0)] = 5000
    """Entries of the circular queue of unlabelled people, filled by student features; 0 switches it off."""
    batch_norm: bool = False
    """BatchNorm on the id feature before normalisation; the official code has none."""


class LossWeights(Section):
    """Weights of the five losses; all 1 in the official code."""

    rpn_score: NonNegative = 1.0
    """Objectness of the proposal network."""
    rpn_box: NonNegative = 1.0
    """Box regression of the proposal network."""
    score: NonNegative = 1.0
    """Person classification of the head."""
    box: NonNegative = 1.0
    """Box regression of the head."""
    identity: NonNegative = 1.0
    """OIM."""


class Resize(Section):
    """Input size, aspect kept."""

    shorter: Positive = 600
    """Shorter side in pixels."""
    longer: Positive = 1000
    """Bound of the longer side in pixels."""
