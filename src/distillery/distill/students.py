"""N students under one teacher: total losses of a step, from one teacher forward for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from distillery.config.distillation import Distillation, Sharing
from distillery.distill import losses


@dataclass(frozen=True)
class Response:
    """What a Siamese network says of a batch of pairs.

    Attributes:
        score: (B, L) target logits of every location (of every anchor, for SiamRPN).
        hard: (B,) ground-truth classification loss.
        regression: (B,) ground-truth regression loss, for trackers that regress boxes.
        boxes: (B, L, 4) box outputs, likewise.
        box_weight: (B, L) how much the boxes of a location count in the box terms, summing to 1 a sample or to 0 for
            one without a target; absent where all count alike.
        box_scale: Factor on the regression loss in the ground-truth loss, which Teacher Soft's takes over.
        labels: (L,) or (B, L) ground truth of the locations in {0, 1}.
        exemplar: Features (B, C, h, w) of the exemplar by layer number.
        search: Features (B, C, H, W) of the search region by layer number.
    """

    score: Tensor
    hard: Tensor
    regression: Tensor | None = None
    boxes: Tensor | None = None
    box_weight: Tensor | None = None
    box_scale: float = 1.0
    labels: Tensor | None = None
    exemplar: Mapping[int, Tensor] = field(default_factory=dict)
    search: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def ground_truth(self) -> Tensor:
        """(B,) whole ground-truth loss, which decides whether a student's knowledge is shared."""
        return self.hard if self.regression is None else self.hard + self.regression


@dataclass(frozen=True)
class Lesson:
    """What the students need of the teacher's response to a batch; small enough to be recorded.

    Attributes:
        score: (B, L) target logits.
        hard: (B,) ground-truth classification loss.
        regression: (B,) ground-truth regression loss, or None.
        boxes: (B, L, 4) box outputs, or None.
        box_weight: (B, L) how much they count, or None; where it is 0 the boxes need not be right.
        maps: `losses.response_maps` by layer number.
    """

    score: Tensor
    hard: Tensor
    regression: Tensor | None = None
    boxes: Tensor | None = None
    box_weight: Tensor | None = None
    maps: Mapping[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def ground_truth(self) -> Tensor:
        """(B,) whole ground-truth loss."""
        return self.hard if self.regression is None else self.hard + self.regression


def lesson(teacher: Response, config: Distillation) -> Lesson:
    """The teacher's part of every loss, computed once for all students; without gradient."""
    with torch.no_grad():
        maps = {
            layer: losses.response_maps(teacher.exemplar[layer], teacher.search[layer], template=config.template)
            for layer in config.compared_layers
        }
    return Lesson(
        teacher.score.detach(),
        teacher.hard.detach(),
        None if teacher.regression is None else teacher.regression.detach(),
        None if teacher.boxes is None else teacher.boxes.detach(),
        teacher.box_weight,
        maps,
    )


def knowledge_transfer(student: Response, teacher: Lesson, config: Distillation) -> tuple[Tensor, dict[str, Tensor]]:
    """L_KT = eta L_TS + lambda L_AH + omega L_STR of one student; returns it with its terms (unweighted)."""
    soft = losses.teacher_soft(
        student.score,
        teacher.score,
        form=config.soft,
        temperature=config.temperature,
        direction=config.direction,
        weight=_shares(student, config),
    )
    if student.boxes is not None and teacher.boxes is not None:
        soft = soft + student.box_scale * losses.soft_boxes(student.boxes, teacher.boxes, student.box_weight).mean()
    terms = {
        "teacher_soft": soft,
        "adaptive_hard": losses.adaptive_hard(
            student.hard, student.regression, teacher.regression, margin=config.margin
        ),
    }
    total = config.eta * terms["teacher_soft"] + config.lam * terms["adaptive_hard"]
    if config.compared_layers:
        responses = [
            losses.target_response(
                losses.response_maps(student.exemplar[layer], student.search[layer], template=config.template),
                teacher.maps[layer],
            )
            for layer in config.compared_layers
        ]
        terms["target_response"] = torch.stack(responses).sum()
        total = total + config.omega * terms["target_response"]
    return total, terms


def _shares(student: Response, config: Distillation) -> Tensor | None:
    """Shares of the locations in divergences that read each by itself, or None where all count alike."""
    if not config.balanced or student.labels is None:
        return None
    return losses.balanced_weight(student.labels.to(student.score.dtype).expand_as(student.score))


def share(
    receiver: Response,
    giver: Response,
    teacher: Lesson,
    config: Sharing,
    epoch: int,
    shares: Tensor | None = None,
    *,
    mean: Callable[[Tensor], Tensor] = torch.mean,
) -> tuple[Tensor, Tensor]:
    """sigma * L_KS(receiver || giver): the gated sharing loss and the share of samples whose gate was open."""
    divergence = losses.sharing(receiver.score, giver.score, shares)
    if receiver.boxes is not None and giver.boxes is not None:
        divergence = divergence + losses.sharing_boxes(receiver.boxes, giver.boxes, receiver.box_weight)
    judged = giver if config.gate == "other" else receiver
    student_loss, teacher_loss = judged.ground_truth, teacher.ground_truth
    if config.granularity == "batch":
        student_loss, teacher_loss = mean(student_loss), mean(teacher_loss)
    weight = losses.suppressing_weight(
        student_loss, teacher_loss, threshold=config.threshold, decay=config.decay, epoch=epoch
    )
    return (weight * divergence).mean(), (weight > 0).to(divergence.dtype).mean()


def total_loss(
    students: Mapping[str, Response],
    teacher: Lesson,
    config: Distillation,
    epoch: int,
    *,
    mean: Callable[[Tensor], Tensor] = torch.mean,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of all students' losses: L_1 = L_KT + sigma L_KS, others weigh the sharing term by beta.

    Args:
        students: Responses by name; the first is the paper's s1. Any number of them; with more than two, a student's
            sharing term is the mean over its givers.
        teacher: The teacher's lesson, the same for all students.
        config: Weights and forms.
        epoch: 0-based epoch, for the decay of sharing.
        mean: Of losses (B,) over the batch that a gate of granularity `batch` judges, of which this may be a part.

    Returns:
        Scalar total and terms named `student/term`, with `student/gate` the share of open gates.
    """
    terms: dict[str, Tensor] = {}
    totals = []
    for index, (name, student) in enumerate(students.items()):
        total, parts = knowledge_transfer(student, teacher, config)
        if config.sharing is not None:
            given = [
                share(student, giver, teacher, config.sharing, epoch, _shares(student, config), mean=mean)
                for other, giver in students.items()
                if other != name
            ]
            parts["sharing"] = torch.stack([loss for loss, _ in given]).mean()
            parts["gate"] = torch.stack([opened for _, opened in given]).mean()
            total = total + (1.0 if index == 0 else config.sharing.beta) * parts["sharing"]
        totals.append(total)
        terms |= {f"{name}/{term}": value for term, value in parts.items()}
    return torch.stack(totals).sum(), terms
