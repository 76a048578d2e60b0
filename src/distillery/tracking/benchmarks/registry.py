"""The tracking benchmarks by name.

Modules are named, not imported: a job loads, and its rule declares, its own benchmarks' code alone.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from distillery.errors import UserError
from distillery.tracking.benchmarks.base import Sequence

_ROOM = "distillery.tracking.benchmarks"
BENCHMARKS = {
    "otb100": f"{_ROOM}.otb100",
    "dtb70": f"{_ROOM}.dtb70",
    "vot2018": f"{_ROOM}.vot",
    "vot2019": f"{_ROOM}.vot",
    "lasot": f"{_ROOM}.lasot",
    "trackingnet": f"{_ROOM}.trackingnet",
    "got10k": f"{_ROOM}.got10k",
}
"""Benchmark -> module with `load(root, *, need_frames, allow_partial)` and `expected(root)`."""
SERVER_SETS = {"trackingnet_test": f"{_ROOM}.trackingnet", "got10k_test": f"{_ROOM}.got10k"}
"""Test sets whose boxes a server keeps -> module with `load_test`: they can be tracked and sent in, not scored here."""
_SHARED = frozenset({f"{_ROOM}.vot"})
"""Modules of several benchmarks, whose functions take the benchmark's `name`."""


def load(name: str, root: Path, *, need_frames: bool = True, allow_partial: bool = False) -> list[Sequence]:
    """Reads a benchmark, or a server's test set.

    Args:
        name: A key of `BENCHMARKS` or `SERVER_SETS`.
        root: Its folder in the official layout.
        need_frames: Whether the images must be there; scoring does without.
        allow_partial: Whether absent sequences are left out.

    Raises:
        UserError: If the name is unknown, or naming what is absent or malformed.
    """
    flags = {"need_frames": need_frames, "allow_partial": allow_partial}
    if name in SERVER_SETS:
        tests: list[Sequence] = import_module(SERVER_SETS[name]).load_test(root, **flags)
        return tests
    sequences: list[Sequence] = _module(name).load(root, **_own(name), **flags)
    return sequences


def expected(name: str, root: Path) -> list[str]:
    """Names of the sequences that a benchmark's root must hold."""
    names: list[str] = _module(name).expected(root, **_own(name))
    return names


def modules(*names: str) -> list[str]:
    """Modules that read the named benchmarks, for the inputs of a rule."""
    return sorted({(BENCHMARKS | SERVER_SETS)[name] for name in names})


def _module(name: str) -> Any:
    if name not in BENCHMARKS:
        known = ", ".join([*BENCHMARKS, *SERVER_SETS])
        raise UserError(f"unknown tracking benchmark {name!r}", remedy=f"choose one of {known}")
    return import_module(BENCHMARKS[name])


def _own(name: str) -> dict[str, str]:
    return {"name": name} if BENCHMARKS[name] in _SHARED else {}
