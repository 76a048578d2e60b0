"""One sequence, many spellings: toolkits write Jogging-1, Jogging.1, jogging_1 and Jogging1 for the same thing."""

from __future__ import annotations

import re


def plain(name: str) -> str:
    """A sequence's name without case and separators, by which spellings are compared."""
    return re.sub(r"[-_. ]", "", name).casefold()
