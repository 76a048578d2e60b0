"""Whose training a file belongs to, by its path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distillery.errors import UserError

SEARCH = "person_search"
"""The paper whose networks are trained on several datasets, which stand in the path before the model."""


@dataclass(frozen=True)
class Origin:
    """What the path of a training's file says: `…/<paper>/<model>/<variant>/seed<k>.<suffix>`, of person search
    `…/person_search/<training set>/<model>/<variant>/seed<k>.<suffix>`."""

    paper: str
    model: str
    variant: str
    seed: int
    trained_on: str | None = None

    @property
    def key(self) -> str:
        """`model/variant`, as in metrics."""
        return f"{self.model}/{self.variant}"

    @property
    def network(self) -> str:
        """`training set/model/variant`, or `model/variant` where the path names no training set, as in compute.json."""
        return f"{self.trained_on}/{self.key}" if self.trained_on else self.key


def origin_of(path: Path) -> Origin:
    """Reads paper, training set, model, variant and seed off a path in the layout of checkpoints/ or predictions/."""
    parts = Path(path).parts
    digits = Path(path).stem.removeprefix("seed")
    if len(parts) < 4 or not Path(path).stem.startswith("seed") or not digits.isdecimal():
        raise UserError(
            "its path does not say whose training it is",
            file=path,
            remedy=f"pass files of the layout <paper>/<model>/<variant>/seed<k>, or {SEARCH}/<training set>/<model>/…",
        )
    paper, trained_on = parts[-4], None
    if len(parts) > 4 and parts[-5] == SEARCH:
        paper, trained_on = SEARCH, parts[-4]
    return Origin(paper=paper, model=parts[-3], variant=parts[-2], seed=int(digits), trained_on=trained_on)
