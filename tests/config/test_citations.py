"""Every value of the full-size profile says where it comes from: a source, or that it is our choice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

PAPER = Path(__file__).resolve().parents[2] / "config" / "paper.yaml"
SOURCES = re.compile(
    r"[Oo]ur choice|[Pp]apers?\b|siamfc-pytorch|MATLAB original|pysot|DaSiamRPN|N2N|CFKD|OIM\b|QEEPS|Chen et al|HqWei"
    r"|Luo et al|SeqNet|PRW|register"
)
"""What a comment must name."""


class Leaf(NamedTuple):
    """A value with the lines (0-based) of its own key and of those above it, and the columns of the keys."""

    path: str
    keys: tuple[tuple[int, int], ...]
    line: int


def leaves(node: yaml.Node, path: str = "", keys: tuple[tuple[int, int], ...] = ()) -> Iterator[Leaf]:
    """Scalars and lists of scalars; what an alias or a merge repeats is looked at where it is written."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if value.start_mark.index < key.start_mark.index:
                continue  # an alias: its anchor stands above
            place = (key.start_mark.line, key.start_mark.column)
            yield from leaves(value, f"{path}.{key.value}".lstrip("."), (*keys, place))
    else:
        yield Leaf(path, keys, node.start_mark.line)


def comment_at(lines: list[str], line: int, column: int) -> str:
    """The comment of a key: at the end of its line, and on the lines right above it at its column."""
    found = [lines[line].partition(" #")[2]]
    above = line - 1
    while above >= 0 and lines[above].startswith(" " * column + "#"):
        found.insert(0, lines[above].strip(" #"))
        above -= 1
    return " ".join(filter(None, (text.strip() for text in found)))


def uncited(text: str) -> list[str]:
    """Paths of the values whose nearest comment, their own or that of a key above them, names no source."""
    lines, faults = text.splitlines(), []
    for leaf in leaves(yaml.compose(text)):
        own = [comment_at(lines, line, column) for line, column in reversed(leaf.keys)]
        nearest = next((comment for comment in [lines[leaf.line].partition(" #")[2].strip(), *own] if comment), "")
        if not SOURCES.search(nearest):
            faults.append(f"line {leaf.line + 1}: {leaf.path}: {nearest!r}")
    return faults


def test_every_value_of_the_paper_profile_is_cited() -> None:
    faults = uncited(PAPER.read_text(encoding="utf-8"))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("steps: 5 # pysot", 0),
        ("steps: 5", 1),
        ("steps: 5 # because", 1),
        ("# pysot\nsteps: 5\nbatch: 3", 1),
        ("runs: # pysot\n  steps: 5\n  batch: 3", 0),
        ("runs: # pysot\n  steps: 5 # hm\n  batch: 3", 1),
        ("runs:\n  # our choice\n  a: &x { steps: 5 }\n  b: *x", 0),
        ("# pysot\n\nsteps: 5", 1),
    ],
)
def test_the_check_sees_what_is_missing(text: str, faults: int) -> None:
    assert len(uncited(text)) == faults
