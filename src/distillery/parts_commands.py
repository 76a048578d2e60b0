"""`distillery join`: the results of a benchmark's parts, which `distillery track --part` has tracked, put together."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add(command: Callable[..., argparse.ArgumentParser], path: Callable[..., None], _: Any) -> None:
    """Registers the command; the arguments are helpers of `cli._parser`."""
    joined = command("join", join, "Put together the results of a benchmark's parts.")
    joined.add_argument("--parts", nargs="+", type=Path, required=True, help="results folders of `track --part`")
    path(joined, "--results", "folder for the results of the whole", required=True)


def join(options: argparse.Namespace) -> None:
    """Joins the parts of a benchmark."""
    from distillery.tracking.parts import join

    index = join(options.parts, options.results)
    print(f"{options.results}: {len(index['sequences'])} sequences of {len(options.parts)} parts")
