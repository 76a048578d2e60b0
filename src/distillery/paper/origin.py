"""Whose training a file belongs to, by its path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distillery.errors import UserError


@dataclass(frozen=True)
class Origin:
    """What the path of a training's file says: `…/<paper>/<model>/<variant>/seed<k>.<suffix>`."""

    paper: str
    model: str
    variant: str
    seed: int

    @property
    def key(self) -> str:
        """`model/variant`."""
        return f"{self.model}/{self.variant}"


def origin_of(path: Path) -> Origin:
    """Reads model, variant and seed off a path in the layout of checkpoints/."""
    parts = Path(path).parts
    digits = Path(path).stem.removeprefix("seed")
    if len(parts) < 4 or not Path(path).stem.startswith("seed") or not digits.isdecimal():
        raise UserError(
            "its path does not say whose training it is",
            file=path,
            remedy="pass files of the layout <paper>/<model>/<variant>/seed<k>",
        )
    return Origin(paper=parts[-4], model=parts[-3], variant=parts[-2], seed=int(digits))
