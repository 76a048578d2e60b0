"""What teaches a person-search network: detector, re-identification teachers, tables; and what QEEPS adds to OIM."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from distillery.config.base import Section
from distillery.config.search_network import ResNetShape
from distillery.config.training import Fraction, NonNegative, Optimisation, Positive

Level = Literal["hint", "rpn", "rcnn"]


class DetectorDistillation(Section):
    """Distillation of a detector at several levels (Chen et al., NIPS 2017), on the student's anchors and proposals.

    The total is L_RCN + L_RPN + gamma L_hint; in each head L_cls = mu L_hard + (1 - mu) L_soft and
    L_reg = L_smooth-L1 + nu L_bounded. A level that is switched off keeps its loss on annotations alone.
    """

    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = ("hint", "rpn", "rcnn")
    """Where the teacher speaks: the stem's feature map, the proposal network, the detection head."""
    hint: NonNegative = 0.5
    """gamma, weight of the hint."""
    hint_norm: Literal["l1", "l2"] = "l2"
    """Distance of the feature maps: mean absolute or mean squared difference."""
    hard: Fraction = 0.5
    """mu, share of the annotations in classification; the rest is the teacher's."""
    background: NonNegative = 1.5
    """Weight of the background class in the soft loss; persons count 1."""
    bounded: NonNegative = 0.5
    """nu, weight of the teacher-bounded regression."""
    margin: NonNegative = 0.01
    """m: the bounded loss counts where the student's squared error exceeds the teacher's minus this (0.01 in the public
    port by HqWei; the paper gives none)."""


class ReIDTeacher(Section):
    """The re-identification teacher: a network on ground-truth crops with an identity loss."""

    shape: ResNetShape
    """Its backbone; the split is not used."""
    crop: tuple[Positive, Positive] = (256, 128)
    """Crop height and width in pixels."""
    jitter: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Largest random shift of each crop edge, relative to the box."""
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest random change of each colour channel's gain (and of all at once), relative to 1: cameras differ."""
    erasing: Fraction = 0.0
    """Probability that a random rectangle of a crop is filled with noise (Zhong et al., AAAI 2020): occlusion."""
    temperature: Annotated[float, Field(gt=0)] = 0.1
    """Temperature of the softmax over the cosines of a feature and the identities' weights."""
    optimisation: Optimisation
    """Optimiser and schedule."""


class LookUp(Section):
    """How a table of ID features is made, one row an identity."""

    teacher: str | None = "reid"
    """Whose features: `reid`, the network on crops, or METHOD/VARIANT of a run (`oim/large-oim`); none for `random`."""
    construction: Literal["mean", "final", "random"] = "mean"
    """`mean`: mean of L2-normalised teacher features of an identity, renormalised; `final`: the table that the teacher
    has when its training ends; `random`: unit rows, a control."""


class QueryGuidance(Section):
    """What QEEPS adds to OIM (Munjal et al., CVPR 2019): a Siamese full query image beside the gallery image."""

    guided: Literal["conv2", "conv3", "conv4"] = "conv2"
    """First stage of the stem whose residual blocks are guided (QSSE-Net); all after it are. `conv2` guides the whole
    stem, as the original; what lies before is computed once an image, not once a pair."""
    reduction: Positive = 16
    """Reduction of the squeeze-and-excitation blocks (QSSE-Net, QRPN)."""
    positives: Fraction = 0.5
    """Share of the training pairs in which the query's person is in the gallery image, where there is one."""
    proposals: NonNegative = 1.0
    """Weight of the loss of the query-guided proposal network (QRPN)."""
    similarity: NonNegative = 1.0
    """Weight of the loss of the query-guided similarity (QSimNet)."""
    post_nms: Positive | None = None
    """Proposals of a pair after suppression at test time, instead of the proposal network's own number; they come in
    the order of both proposal networks' scores: fewer of them hold the person searched for, and a pair costs less."""
    queries: Positive | None = None
    """Queries to search for with QEEPS, the first of the protocol: each costs a forward pass for every gallery image.
    Absent is all of them."""
    gallery_size: Positive | None = None
    """Gallery of CUHK-SYSU in which QEEPS searches; absent is the smallest of the protocols. PRW has one alone."""
