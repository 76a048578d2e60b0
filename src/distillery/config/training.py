"""What every training job has in common: where it computes and how it optimises."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from distillery.config.base import Section

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
"""Names become parts of file names."""


class Compute(Section):
    """Where a job computes. Part of its parameters, because the bytes of a result depend on it."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes the GPU where there is one."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the forward pass; weights and optimiser state stay float32, float16 scales its loss."""
    threads: Positive = 1
    """CPU threads of one job; also the `threads` of its Snakemake rule."""
    save_every: Annotated[float, Field(gt=0)] = 30.0
    """Seconds between two saved states of a training, from which a killed job goes on."""


class Optimisation(Section):
    """Optimiser and schedule of one training."""

    steps: Positive
    """Number of parameter updates."""
    batch: Positive
    """Examples (pairs, images or crops) in a step."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """`sgd` as in the reference codes; `adamw` converges in fewer steps from scratch."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-2
    """Learning rate after warm-up."""
    final_learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """Learning rate of the last step."""
    schedule: Literal["exponential", "cosine", "constant", "step"] = "exponential"
    """Curve from `learning_rate` to `final_learning_rate`; `step` jumps there at `step_at`."""
    step_at: Fraction = 0.8
    """For schedule `step`: fraction of the steps after which the final learning rate holds."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps of linear warm-up from a thousandth of the learning rate."""
    weight_decay: NonNegative = 5e-4
    """Weight decay."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of `sgd`."""
    clip: NonNegative = 0.0
    """Largest gradient norm; 0 switches clipping off."""
