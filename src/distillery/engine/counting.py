"""Whether a network's operations are being counted: then an algorithm that saves some gives way to the definition."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_state = {"counting": False}


def counting() -> bool:
    """Whether operations are being counted right now."""
    return _state["counting"]


@contextmanager
def counted() -> Iterator[None]:
    """Within it `counting()` is true."""
    before = counting()
    _state["counting"] = True
    try:
        yield
    finally:
        _state["counting"] = before
