"""Settings as flat names, what differs between two, and how readers see a value."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]
"""Dotted name -> plain value."""


def flat(value: Any, prefix: str = "") -> Settings:
    """Nested plain settings under dotted names."""
    if not isinstance(value, dict):
        return {prefix: value}
    found: Settings = {}
    for name, inner in value.items():
        found |= flat(inner, f"{prefix}.{name}" if prefix else name)
    return found


def unlike(ours: Settings, theirs: Settings) -> dict[str, tuple[Any, Any]]:
    """Setting -> (theirs, ours) where both differ."""
    names = dict.fromkeys((*theirs, *ours))
    return {name: (theirs.get(name), ours.get(name)) for name in names if theirs.get(name) != ours.get(name)}


def changes(differing: dict[str, tuple[Any, Any]], sections: tuple[str, ...], names: dict[str, str]) -> list[str]:
    """ "omega 100 → 0": a phrase for each difference.

    Args:
        differing: What `unlike` found.
        sections: Sections that one of the two may lack as a whole: "removed" or "added", without their settings.
        names: Setting -> how readers see it, where that is not its last name.
    """
    lacking = [name for name in sections if name in differing]
    told = []
    for name, (before, after) in differing.items():
        if any(name.startswith(f"{section}.") for section in lacking):
            continue
        setting = names.get(name, name.rsplit(".")[-1].replace("_", " "))
        if name in lacking:
            told.append(f"{setting} {'removed' if after is None else 'added'}")
        else:
            told.append(f"{setting} {plain(before)} \N{RIGHTWARDS ARROW} {plain(after)}")
    return told


def plain(value: Any) -> str:
    """A value in words."""
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
