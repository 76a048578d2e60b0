"""Where this user's caches lie: never in a dataset, which may be read-only and whose manifest counts every file."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """`$DISTILLERY_CACHE`, else `$XDG_CACHE_HOME/distillery`, else `~/.cache/distillery`.

    None where no home is known, or `DISTILLERY_CACHE` is empty (no cache is wanted).
    """
    chosen = os.environ.get("DISTILLERY_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    general = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(general) if general else Path.home() / ".cache") / "distillery"
    except RuntimeError:
        return None
