"""Detector distillation at several levels as pure functions (Chen et al., "Learning Efficient Object Detection Models
with Knowledge Distillation", NIPS 2017, sections 3.1 to 3.4; the bound's margin as in the port HqWei/mimic_loss.py).

Both networks answer about the same anchors or regions. No gradient reaches a teacher tensor. Without any anchor or
region a loss is 0 and keeps its path to the student.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from distillery.config.search_distillation import DetectorDistillation

SUPERVISED = ("rpn_score", "rpn_box", "score", "box")
"""Losses on annotations that distillation shares its levels with: two of the proposal network, two of the head."""
_HEADS = {"rpn": ("rpn_score", "rpn_box"), "rcnn": ("score", "box")}
"""Level -> its classification and its regression loss."""


def soft_classification(student: Tensor, teacher: Tensor, background: float) -> Tensor:
    """Cross-entropy to the teacher's probabilities with weighted classes (section 3.2; temperature 1).

    Args:
        student: (N, C) logits; class 0 is background.
        teacher: (N, C) logits.
        background: Weight of class 0; every other class weighs 1.

    Returns:
        Scalar: -sum_c w_c P_t,c log P_s,c, mean over N.
    """
    weights = torch.ones(student.shape[1], device=student.device, dtype=torch.float32)
    weights[0] = background
    terms = weights * teacher.detach().float().softmax(1) * student.float().log_softmax(1)
    return -terms.sum() / max(len(student), 1)


def soft_objectness(student: Tensor, teacher: Tensor, background: float) -> Tensor:
    """`soft_classification` of two classes whose logits are (0, x): the form of a sigmoid score.

    Args:
        student: (N,) logits of the foreground.
        teacher: (N,) logits.
        background: Weight of the background class.

    Returns:
        Scalar, mean over N.
    """
    student, teacher = student.float(), teacher.detach().float()
    terms = background * torch.sigmoid(-teacher) * F.logsigmoid(-student)
    terms = terms + torch.sigmoid(teacher) * F.logsigmoid(student)
    return -terms.sum() / max(len(student), 1)


def bounded_regression(student: Tensor, teacher: Tensor, targets: Tensor, margin: float, total: int) -> Tensor:
    """Teacher-bounded regression (section 3.3): ||R_s - y||^2 where it plus the margin exceeds ||R_t - y||^2, else 0.

    Args:
        student: (P, 4) box deltas of the positive anchors or regions.
        teacher: (P, 4) box deltas.
        targets: (P, 4) y, deltas to the annotated box.
        margin: m >= 0.
        total: The sum is divided by it: the number that the supervised loss beside it is divided by.

    Returns:
        Scalar.
    """
    error = (student.float() - targets).square().sum(1)
    bound = (teacher.detach().float() - targets).square().sum(1)
    return torch.where(error + margin > bound, error, torch.zeros_like(error)).sum() / max(total, 1)


def hint(student: Tensor, teacher: Tensor, norm: str) -> Tensor:
    """Distance of a feature map from the teacher's (section 3.4), after adaptation to its channels.

    Args:
        student: (B, C, H, W).
        teacher: (B, C, H, W).
        norm: `l1` or `l2`.

    Returns:
        Scalar: mean absolute or mean squared difference.
    """
    distance = {"l1": F.l1_loss, "l2": F.mse_loss}[norm]
    return distance(student.float(), teacher.detach().float())


def term_weights(distillation: DetectorDistillation | None, supervised: Mapping[str, float]) -> dict[str, float]:
    """Factors of all terms in the total (sections 3.1 to 3.3): per head mu L_hard + (1 - mu) L_soft and
    L_smooth-L1 + nu L_bounded, each times the supervised loss's own weight; gamma times the hint.

    Args:
        distillation: Levels and weights; None is training on annotations alone.
        supervised: Weight of every supervised loss; those not among `SUPERVISED` stay as they are.

    Returns:
        Factor by term: the supervised names, for a level that is on also `<classification>_soft` and
        `<regression>_bounded`, and `hint`. A term without influence is left out, but for supervised ones.
    """
    factors = dict(supervised)
    if distillation is None:
        return factors
    for level, (classification, regression) in _HEADS.items():
        if level in distillation.levels:
            factors[f"{classification}_soft"] = (1 - distillation.hard) * supervised[classification]
            factors[classification] = distillation.hard * supervised[classification]
            factors[f"{regression}_bounded"] = distillation.bounded * supervised[regression]
    if "hint" in distillation.levels:
        factors["hint"] = distillation.hint
    return factors
