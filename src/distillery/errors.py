"""What users see when something is wrong: one sentence with the file, the place in it and the remedy."""

from __future__ import annotations

from functools import partial
from os import PathLike
from typing import Any


class UserError(Exception):
    """A fault the user can mend; the command line prints it as one sentence and exits with 1.

    Args:
        problem: What is wrong, without a full stop ("has 119 rows, the sequence has 120 frames").
        file: The file or folder at fault.
        place: Where in the file ("line 7", "key tracking.runs", "array 'gallery_box'").
        remedy: What to do about it, as an imperative ("rerun `distillery track`").
    """

    def __init__(
        self,
        problem: str,
        *,
        remedy: str,
        file: str | PathLike[str] | None = None,
        place: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.place = place
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.file, self.place) if part)
        return f"{where}: {self.problem}; {self.remedy}." if where else f"{self.problem}; {self.remedy}."

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes hand errors over by pickle, which by itself knows positional arguments only.
        return partial(type(self), file=self.file, place=self.place, remedy=self.remedy), (self.problem,)
