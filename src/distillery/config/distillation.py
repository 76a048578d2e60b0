"""How a tracker learns from its teacher and from its fellow students (TSKD / TSsKD).

Defaults are those of the public CFKD code, which agree with the paper as recalled; see `docs/decisions.md`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.training import NonNegative


class Sharing(Section):
    """Student-student sharing with the conditional suppressing weight (TSsKD)."""

    beta: NonNegative = 0.5
    """Factor on the sharing term of every student but the first."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """f(e) = decay ** e, with e the epoch."""
    threshold: NonNegative = 0.005
    """h: a student's knowledge is shared while its ground-truth loss exceeds the teacher's by less than h."""
    gate: Literal["other", "own"] = "other"
    """Whose reliability opens the gate: the giving student's (`other`, the paper as recalled) or one's own (CFKD)."""
    granularity: Literal["sample", "batch"] = "batch"
    """Whether the gate is one scalar a batch (CFKD) or one a sample."""


class Distillation(Section):
    """Weights and forms of the distillation losses (TSKD; defaults found in the public CFKD code)."""

    eta: NonNegative = 1.0
    """Weight of the Teacher Soft loss."""
    lam: NonNegative = 0.1
    """Weight of the Adaptive Hard loss (lambda)."""
    omega: NonNegative = 100.0
    """Weight of the Siamese Target Response loss."""
    margin: NonNegative = 0.005
    """m of the Adaptive Hard gate; it acts on box regression, so SiamFC does not feel it."""
    soft: Literal["softmax", "bernoulli"] = "softmax"
    """Teacher Soft as one softmax over the response map, or one Bernoulli a location (for an anchor of SiamRPN: the
    softmax over background and target)."""
    balanced: bool = False
    """Whether labelled locations and the others have half the weight each where every location is read by itself
    (`bernoulli`, sharing): among the thousands of anchors of SiamRPN the target drowns otherwise."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Temperature of Teacher Soft."""
    direction: Literal["forward", "reverse"] = "forward"
    """`forward` is KL(teacher || student), `reverse` KL(student || teacher); the paper's direction is not certain."""
    layers: tuple[Annotated[int, Field(ge=1, le=5)], ...] = (3, 4, 5)
    """tau: the layers whose target responses are compared (the paper's set is unknown)."""
    template: Annotated[int, Field(ge=1)] = 3
    """Odd side to which the target branch's map is pooled before it weighs the search branch."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs of ground truth alone before the teacher is heard (paper as recalled, SiamRPN: 10)."""
    sharing: Sharing | None = None
    """Student-student sharing; absent for plain TSKD."""

    @model_validator(mode="after")
    def _odd(self) -> Distillation:
        if self.template % 2 == 0:
            raise ValueError("template must be odd, so that the weight map has the search map's size")
        return self

    @property
    def compared_layers(self) -> tuple[int, ...]:
        """The layers that a network must give: none when the target response has no weight."""
        return self.layers if self.omega > 0 else ()
