"""How far metrics of a training that is repeated on another machine may differ: declared, and measured how."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from distillery.config.base import Section, parse
from distillery.config.plain_yaml import load_yaml
from distillery.errors import UserError


class Tolerances(Section):
    """Largest differences that another machine may make."""

    measured: str
    """How and on what they were measured."""
    values: dict[str, Annotated[float, Field(ge=0)]]
    """Measure (`auc`, `map`) -> largest absolute difference; of fractions 0..1."""


def load_tolerances(file: Path) -> Tolerances:
    """Reads the declared tolerances.

    Raises:
        UserError: If the file is missing or malformed.
    """
    try:
        raw: Any = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError("cannot be read", file=file, remedy="restore config/tolerances.yaml") from error
    return parse(Tolerances, raw, source=str(file))


def beyond(tolerances: Tolerances, metrics: Iterable[tuple[str, str, float, float]]) -> list[str]:
    """One sentence for each metric that differs by more than its tolerance, or has none declared.

    Args:
        tolerances: The declared ones.
        metrics: (benchmark, measure, before, now).
    """
    found = []
    for benchmark, measure, before, now in metrics:
        allowed = tolerances.values.get(measure)
        difference = abs(now - before)
        if allowed is None and difference > 0:
            found.append(f"{benchmark} {measure} differs by {difference:.3g}, and no tolerance is declared for it")
        elif allowed is not None and difference > allowed:
            found.append(f"{benchmark} {measure} differs by {difference:.3g}, more than the declared {allowed:g}")
    return found
