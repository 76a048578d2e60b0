"""Distillation losses of the tracking paper (TSKD / TSsKD) as pure functions.

Sources: Liu et al., "Teacher-Students Knowledge Distillation for Siamese Trackers", as restated in Danier's thesis
(equations 2.7-2.10, 3.10) and the public CFKD code. What the paper leaves open is an argument here; the choices are
listed in docs/decisions.md.

Shapes: B = batch, C = channels, H x W = positions of a map, L = locations (anchors) of a response.
Teacher tensors must come without gradient; no function here lets one through.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distillery.distill.correlation import cross_correlate


def balanced_logistic(logits: Tensor, labels: Tensor) -> Tensor:
    """Ground-truth classification loss of SiamFC: logistic loss, positives and negatives weighing half each.

    Args:
        logits: (B, L) responses.
        labels: (L,) or (B, L) in {0, 1}.

    Returns:
        (B,) loss of each sample.
    """
    labels = labels.to(logits.dtype).expand_as(logits)
    positive = labels.sum(1, keepdim=True).clamp_min(1)
    negative = (1 - labels).sum(1, keepdim=True).clamp_min(1)
    weights = 0.5 * (labels / positive + (1 - labels) / negative)
    return (weights * F.binary_cross_entropy_with_logits(logits, labels, reduction="none")).sum(1)


def teacher_soft(
    student: Tensor,
    teacher: Tensor,
    *,
    form: str = "softmax",
    temperature: float = 1.0,
    direction: str = "forward",
    weight: Tensor | None = None,
) -> Tensor:
    """Teacher Soft loss, classification part: divergence between the response distributions.

    Args:
        student: (B, L) logits.
        teacher: (B, L) logits.
        form: `softmax` reads a response as one distribution over its L locations, `bernoulli` as L independent ones.
        temperature: Divides the logits; the loss is scaled by its square (Hinton et al., section 2.1).
        direction: `forward` is KL(teacher || student); `reverse` is KL(student || teacher), the order written in the
            paper as recalled.
        weight: (B, L) share of each location in the `bernoulli` form; absent means all alike.

    Returns:
        Scalar: mean over samples (and, for `bernoulli`, weighted mean over locations).
    """
    student, teacher = student / temperature, teacher.detach() / temperature
    if form == "bernoulli":
        # A Bernoulli is a softmax over (logit, 0).
        student, teacher = (torch.stack((x, torch.zeros_like(x)), -1) for x in (student, teacher))
    log_s, log_t = F.log_softmax(student, -1), F.log_softmax(teacher, -1)
    if direction == "reverse":
        log_s, log_t = log_t, log_s
    divergence = F.kl_div(log_s, log_t, reduction="none", log_target=True).sum(-1)
    if form == "bernoulli":
        divergence = divergence.mean(1) if weight is None else (weight * divergence).sum(1)
    return divergence.mean() * temperature**2


def balanced_weight(labels: Tensor) -> Tensor:
    """Shares of locations: half for the labelled ones and half for the rest, as in the ground-truth losses.

    Without it the few locations of the target drown among thousands of anchors.

    Args:
        labels: (B, L) in {0, 1}.

    Returns:
        (B, L), each sample summing to 1; where a kind is missing the other has it all.
    """
    kinds = torch.stack((labels, 1 - labels))
    counts = kinds.sum(2, keepdim=True)
    present = (counts > 0).to(labels.dtype)
    return (kinds / counts.clamp_min(1) * present / present.sum(0)).sum(0)


def adaptive_hard_gate(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    """Gate of the Adaptive Hard regression loss: 1 until the student beats the teacher by the margin.

    gap = L_r(teacher) - L_r(student); the hard loss counts while gap < margin (thesis equation 3.10).

    Args:
        student: Regression loss of the student against ground truth, any shape.
        teacher: The teacher's, same shape.
        margin: m, 0.005 in the published code.

    Returns:
        0 or 1 of the same shape, without gradient.
    """
    return (teacher.detach() - student.detach() < margin).to(student.dtype)


def adaptive_hard(
    classification: Tensor,
    student_regression: Tensor | None = None,
    teacher_regression: Tensor | None = None,
    *,
    margin: float = 0.005,
) -> Tensor:
    """Adaptive Hard loss: ground truth, with the regression part bounded by the teacher.

    Args:
        classification: (B,) ground-truth classification loss.
        student_regression: (B,) ground-truth regression loss; absent for trackers without boxes (SiamFC).
        teacher_regression: (B,) the teacher's.
        margin: m.

    Returns:
        Scalar mean over samples.
    """
    loss = classification.mean()
    if student_regression is not None and teacher_regression is not None:
        gate = adaptive_hard_gate(student_regression, teacher_regression, margin)
        loss = loss + (gate * student_regression).mean()
    return loss


def activation_map(features: Tensor) -> Tensor:
    """F(U) = sum over channels of |U| (thesis equation 2.7): (B, C, H, W) -> (B, H, W).

    The sum over channels is what lets networks of unequal width be compared without an adapter.
    """
    return features.abs().sum(1)


def correlation_weights(search: Tensor, exemplar: Tensor, size: int) -> Tensor:
    """W: cross-correlation of a network's search features with its own exemplar features, at the search map's size.

    The exemplar map is pooled to `size` x `size` (odd) and correlated with "same" padding; the magnitude is normalised
    to sum 1 (CFKD). A valid correlation, as equation 2.10 could be read, would not have the search map's size.

    Args:
        search: (B, C, H, W).
        exemplar: (B, C, h, w).
        size: Odd side of the pooled exemplar.

    Returns:
        (B, H, W), non-negative, each map summing to 1.
    """
    pooled = F.adaptive_avg_pool2d(exemplar, size)
    weights = cross_correlate(search, pooled, same=True).abs() / search.shape[1]
    return weights / weights.sum((1, 2), keepdim=True).clamp_min(1e-12)


def _normalised(maps: Tensor) -> Tensor:
    """Each map at unit L2 norm: raw channel sums grow with the width and would compare widths, not shapes."""
    return F.normalize(maps.flatten(1), dim=1, eps=1e-12)


def response_maps(exemplar: Tensor, search: Tensor, *, template: int = 3) -> tuple[Tensor, Tensor]:
    """What the Siamese Target Response compares: a network's maps of one layer at unit L2 norm.

    Args:
        exemplar: (B, C, h, w) features of the exemplar.
        search: (B, C, H, W) features of the search region.
        template: Odd side of the pooled exemplar in W.

    Returns:
        F(Q^z) as (B, h * w) and F(W * Q^x) as (B, H * W) (thesis equations 2.7-2.10).
    """
    # W is one number a position, so it can weigh the channel sum instead of every channel.
    weighted = correlation_weights(search, exemplar, template) * activation_map(search)
    return _normalised(activation_map(exemplar)), _normalised(weighted)


def target_response(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> Tensor:
    """Siamese Target Response loss of one layer: exemplar branch plus correlation-weighted search branch.

    L^z = ||F(Q_S^z) - F(Q_T^z)||, L^x = ||F(W_S * Q_S^x) - F(W_T * Q_T^x)|| (thesis equations 2.8-2.10), the norm as a
    mean of squares over L2-normalised maps. Networks of any widths compare: the maps are sums over channels.

    Args:
        student: `response_maps` of the student's layer.
        teacher: The teacher's.

    Returns:
        Scalar mean over samples.
    """
    return F.mse_loss(student[0], teacher[0].detach()) + F.mse_loss(student[1], teacher[1].detach())


def label_map(logits: Tensor, labels: Tensor) -> Tensor:
    """The control without a teacher: cross-entropy of the response, as one distribution, to the label map.

    It has the form of Teacher Soft with the ground truth in the teacher's place, so a gain of Teacher Soft over it
    comes from the teacher and not from the softmax.

    Args:
        logits: (B, L) responses.
        labels: (L,) or (B, L) in {0, 1}, at least one 1 a sample; spread evenly over the ones.

    Returns:
        (B,) loss of each sample.
    """
    labels = labels.to(logits.dtype).expand_as(logits)
    target = labels / labels.sum(1, keepdim=True).clamp_min(1)
    return -(target * F.log_softmax(logits, -1)).sum(1)


def sharing(student: Tensor, other: Tensor, weight: Tensor | None = None) -> Tensor:
    """Knowledge sharing of classification: KL(s1 || s2) of the target probability at every location.

    Args:
        student: (B, L) logits of the receiving student.
        other: (B, L) logits of the giving student; no gradient flows into it.
        weight: (B, L) share of each location; absent means all alike.

    Returns:
        (B,) weighted mean over locations.
    """
    other = other.detach()
    log_p1, log_q1 = F.logsigmoid(student), F.logsigmoid(-student)
    log_p2, log_q2 = F.logsigmoid(other), F.logsigmoid(-other)
    divergence = log_p1.exp() * (log_p1 - log_p2) + log_q1.exp() * (log_q1 - log_q2)
    return divergence.mean(1) if weight is None else (weight * divergence).sum(1)


def sharing_boxes(student: Tensor, other: Tensor, weight: Tensor | None = None) -> Tensor:
    """Knowledge sharing of regression: smooth L1 between the students' boxes.

    Args:
        student: (B, L, 4) box outputs.
        other: (B, L, 4) of the giving student; no gradient flows into it.
        weight: (B, L) share of each location; absent means all alike.

    Returns:
        (B,) sum over the four coordinates and weighted mean over locations.
    """
    distance = F.smooth_l1_loss(student, other.detach(), reduction="none").sum(2)
    return distance.mean(1) if weight is None else (weight * distance).sum(1)


def soft_boxes(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Teacher Soft loss, regression part: SiamRPN's own regression loss (L1) with the teacher's boxes as truth.

    Arguments and result as `sharing_boxes`.
    """
    distance = (student - teacher.detach()).abs().sum(2)
    return distance.mean(1) if weight is None else (weight * distance).sum(1)


def suppressing_weight(student: Tensor, teacher: Tensor, *, threshold: float, decay: float, epoch: int) -> Tensor:
    """Conditional suppressing weight sigma: f(e) = decay^e where L_GT(student) - L_GT(teacher) < h, else 0.

    Args:
        student: Ground-truth loss of the student whose reliability opens the gate, any shape.
        teacher: The teacher's, same shape.
        threshold: h.
        decay: Base of f.
        epoch: e, 0-based.

    Returns:
        Weight of the same shape, without gradient.
    """
    return (student.detach() - teacher.detach() < threshold).to(student.dtype) * decay**epoch
