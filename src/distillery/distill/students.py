"""N students under one teacher: total losses of a step, from one teacher forward for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from distillery.config.tracking import Distillation, Sharing
from distillery.distill import losses


@dataclass(frozen=True)
class Response:
    """What a Siamese network says of a batch of pairs.

    Attributes:
        score: (B, L) target logits of every location.
        hard: (B,) ground-truth classification loss.
        regression: (B,) ground-truth regression loss, for trackers that regress boxes.
        boxes: (B, L, 4) box outputs, likewise.
        exemplar: Features (B, C, h, w) of the exemplar by layer number.
        search: Features (B, C, H, W) of the search region by layer number.
    """

    score: Tensor
    hard: Tensor
    regression: Tensor | None = None
    boxes: Tensor | None = None
    exemplar: Mapping[int, Tensor] = field(default_factory=dict)
    search: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def ground_truth(self) -> Tensor:
        """(B,) whole ground-truth loss, which decides whether a student's knowledge is shared."""
        return self.hard if self.regression is None else self.hard + self.regression


def knowledge_transfer(student: Response, teacher: Response, config: Distillation) -> tuple[Tensor, dict[str, Tensor]]:
    """L_KT = eta L_TS + lambda L_AH + omega L_STR of one student; returns it with its terms (unweighted)."""
    soft = losses.teacher_soft(
        student.score, teacher.score, form=config.soft, temperature=config.temperature, direction=config.direction
    )
    if student.boxes is not None and teacher.boxes is not None:
        soft = soft + losses.sharing_boxes(student.boxes, teacher.boxes).mean()
    terms = {
        "teacher_soft": soft,
        "adaptive_hard": losses.adaptive_hard(
            student.hard, student.regression, teacher.regression, margin=config.margin
        ),
    }
    total = config.eta * terms["teacher_soft"] + config.lam * terms["adaptive_hard"]
    if config.omega > 0 and config.layers:
        responses = [
            losses.target_response(
                student.exemplar[layer],
                student.search[layer],
                teacher.exemplar[layer],
                teacher.search[layer],
                template=config.template,
            )
            for layer in config.layers
        ]
        terms["target_response"] = torch.stack(responses).sum()
        total = total + config.omega * terms["target_response"]
    return total, terms


def share(receiver: Response, giver: Response, teacher: Response, config: Sharing, epoch: int) -> tuple[Tensor, Tensor]:
    """sigma * L_KS(receiver || giver): the gated sharing loss and the share of samples whose gate was open."""
    divergence = losses.sharing(receiver.score, giver.score)
    if receiver.boxes is not None and giver.boxes is not None:
        divergence = divergence + losses.sharing_boxes(receiver.boxes, giver.boxes)
    judged = giver if config.gate == "other" else receiver
    student_loss, teacher_loss = judged.ground_truth, teacher.ground_truth
    if config.granularity == "batch":
        student_loss, teacher_loss = student_loss.mean(), teacher_loss.mean()
    weight = losses.suppressing_weight(
        student_loss, teacher_loss, threshold=config.threshold, decay=config.decay, epoch=epoch
    )
    return (weight * divergence).mean(), (weight > 0).to(divergence.dtype).mean()


def total_loss(
    students: Mapping[str, Response], teacher: Response, config: Distillation, epoch: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of all students' losses: L_1 = L_KT + sigma L_KS, others weigh the sharing term by beta.

    Args:
        students: Responses by name; the first is the paper's s1. Any number of them; with more than two, a student's
            sharing term is the mean over its givers.
        teacher: The teacher's response, computed once without gradient.
        config: Weights and forms.
        epoch: 0-based epoch, for the decay of sharing.

    Returns:
        Scalar total and terms named `student/term`, with `student/gate` the share of open gates.
    """
    terms: dict[str, Tensor] = {}
    totals = []
    for index, (name, student) in enumerate(students.items()):
        total, parts = knowledge_transfer(student, teacher, config)
        if config.sharing is not None:
            given = [
                share(student, giver, teacher, config.sharing, epoch)
                for other, giver in students.items()
                if other != name
            ]
            parts["sharing"] = torch.stack([loss for loss, _ in given]).mean()
            parts["gate"] = torch.stack([opened for _, opened in given]).mean()
            total = total + (1.0 if index == 0 else config.sharing.beta) * parts["sharing"]
        totals.append(total)
        terms |= {f"{name}/{term}": value for term, value in parts.items()}
    return torch.stack(totals).sum(), terms
