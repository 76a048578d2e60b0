"""The search for students: which channels a teacher's layers keep (paper section on student selection)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from distillery.config.base import Section
from distillery.config.distillation import Distillation
from distillery.config.pairs import Pairs
from distillery.config.training import Compute, NonNegative, Optimisation, Positive


class Selection(Section):
    """How students are searched. Each child shrinks every layer of the teacher by 0.1, 0.2 … 1, is trained briefly from
    scratch on a small fixed set of pairs, and is rewarded for size and accuracy on validation pairs."""

    strategy: Literal["policy", "random", "uniform"] = "policy"
    """Who proposes children: an LSTM `policy` trained with REINFORCE (the paper, after N2N); `random`, uniform over the
    children within the budget; `uniform`, one ratio for all layers, the largest that keeps the budget."""
    budget: Annotated[float, Field(gt=1)]
    """How many times fewer parameters than the teacher a student must have (paper: 13 for SiamFC, 18 for SiamRPN)."""
    updates: Positive = 50
    """Rounds of proposals, each with one update of the policy (paper: 50)."""
    children: Positive = 3
    """Children a round (paper: 3)."""
    pairs: Positive = 10_000
    """Size of the fixed set of training pairs, spread evenly over the clips (paper: about 10,000)."""
    validation_pairs: Positive = 1000
    """M: validation pairs, of clips whose objects are in no training pair (number unknown in the paper)."""
    proposals: Positive = 10
    """N: most confident proposals of a pair that count for the accuracy (number unknown in the paper)."""
    optimisation: Optimisation
    """Training of one child (paper: 10 epochs of the fixed set)."""
    distillation: Distillation | None = None
    """Children learn from the teacher with these losses (N2N); absent means ground truth alone."""
    hidden: Positive = 30
    """Width of the policy's two LSTM layers (N2N: 30)."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.03
    """Of the policy's Adam (N2N's code: 0.003 to 0.1)."""
    entropy: NonNegative = 0.3
    """Weight of the policy's entropy against the advantage in standard deviations of the rewards; 0 is plain REINFORCE
    (N2N), which with so few children is certain too early."""


class SelectionJob(Section):
    """Resolved parameters of one search."""

    seed: int
    """Seed of the job."""
    compute: Compute
    """Where it computes; a child always takes one thread, so that the number of worker processes does not matter."""
    family: Literal["siamfc", "siamrpn"]
    """Family of trackers."""
    pairs: Pairs
    """How pairs are drawn and augmented."""
    geometry: dict[str, Any]
    """Crop sizes of the family."""
    labels: dict[str, Any] | None = None
    """Labels of anchors, for families that have them; absent means their defaults."""
    teacher: dict[str, Any]
    """Architecture of the teacher, whose layers are shrunk."""
    selection: Selection
    """How to search."""
