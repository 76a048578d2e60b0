"""Reads the metrics that trainings leave: JSON lines with step, loss and every term."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from distillery.errors import UserError
from distillery.paper.origin import Origin, origin_of

Curve = dict[str, list[float]]
"""Columns of one training's metrics: `step`, `loss` and every term."""

NOT_LOSSES = frozenset({"step", "learning_rate"})


def read_curves(paths: Iterable[Path]) -> dict[Origin, Curve]:
    """Reads training metrics (JSON lines) by what their paths say.

    Raises:
        UserError: Naming the file and line that is malformed.
    """
    return {origin_of(path): _read_curve(Path(path)) for path in paths}


def _read_curve(path: Path) -> Curve:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="run the training that writes it") from error
    except UnicodeDecodeError as error:
        raise UserError("is not a text file", file=path, remedy="run the training again") from error
    curve: Curve = {}
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            values = {name: float(value) for name, value in line.items() if isinstance(value, int | float)}
        except (json.JSONDecodeError, AttributeError) as error:
            raise UserError(
                "is not a JSON object", file=path, place=f"line {number}", remedy="run the training again"
            ) from error
        if number == 1:
            curve = {name: [] for name in values}
        if values.keys() != curve.keys() or "step" not in values or "loss" not in values:
            raise UserError(
                "does not hold step, loss and the terms of the first line",
                file=path,
                place=f"line {number}",
                remedy="run the training again",
            )
        for name, value in values.items():
            curve[name].append(value if math.isfinite(value) else math.nan)
    if not curve:
        raise UserError("is empty", file=path, remedy="run the training again")
    return curve


def open_gates(curves: Mapping[Origin, Curve], key: str, network: str) -> dict[int, float]:
    """Share of open gates over a whole training, by seed; empty for a run without sharing.

    Args:
        curves: All training metrics.
        key: `model/variant` of a tracker.
        network: Its network, whose terms are named `<network>/<term>`.
    """
    mine = {origin.seed: curve.get(f"{network}/gate") for origin, curve in curves.items() if origin.key == key}
    return {seed: math.fsum(gate) / len(gate) for seed, gate in sorted(mine.items()) if gate}
