"""Values of the command line beyond what argparse knows: NAME=VALUE pairs, labels, numbers, JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distillery.errors import UserError


def label(items: Sequence[str]) -> dict[str, str | int]:
    """Model, variant and seed to record."""
    whose: dict[str, str | int] = dict(pairs(items, "--label"))
    if "seed" in whose:
        whose["seed"] = number(str(whose["seed"]), "--label seed")
    return whose


def pairs(items: Sequence[str], flag: str) -> dict[str, str]:
    """NAME=VALUE items of an option."""
    parts = [item.partition("=") for item in items]
    wrong = next((name for name, equals, value in parts if not (equals and value)), None)
    if wrong is not None:
        raise UserError(f"{wrong!r} is not NAME=VALUE", place=flag, remedy="write it with an equals sign")
    return {name: value for name, _, value in parts}


def number(text: str, flag: str) -> int:
    """A whole number of an option."""
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{text!r} is not a whole number", place=flag, remedy="pass a number") from None


def plain_json(text: str) -> Any:
    """The value of --params."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"is not valid JSON ({error.msg})", file="--params", remedy="pass the rule's params") from None


def named_paths(items: Sequence[str], flag: str) -> dict[str, Path]:
    """NAME=PATH items of an option."""
    return {name: Path(value) for name, value in pairs(items, flag).items()}
