"""Where results may be written: a run replaces its own earlier results and nothing else.

The results of a run are a folder of result files and, beside it, an index of the same path with `.json` appended. The
folder is replaced as a whole, so whatever else lay in it would be lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from distillery.errors import UserError
from distillery.tracking.indices import absolute, index_of, read_index
from distillery.tracking.runner import FORMS, ONE_FILE

_ELSEWHERE = "choose another folder for the results"


def check(targets: Mapping[str, tuple[Path, Path]], *, keep: Iterable[Path] = (), replace: bool = False) -> None:
    """Looks at all destinations of a run before it starts.

    Args:
        targets: Benchmark -> its root and the folder for the results.
        keep: Further paths that no results folder may hold (the checkpoint).
        replace: Whether results folders may be replaced whatever they hold; datasets, `keep` and files that lie where
            an index goes are safe all the same.

    Raises:
        UserError: If anything but an earlier run's results would be lost, or two benchmarks' results meet.
    """
    kept = [*(root for root, _ in targets.values()), *keep]
    for name, (_, results) in targets.items():
        met = next((path for path in kept if _meet(results, path)), None)
        if met is not None:
            raise UserError(
                f"is, holds or lies in {met}, which results must not replace", file=results, remedy=_ELSEWHERE
            )
        _check_one(name, results, replace)
    for (one, (_, first)), (other, (_, second)) in combinations(targets.items(), 2):
        if any(_meet(a, b) for a in (first, index_of(first)) for b in (second, index_of(second))):
            raise UserError(
                f"the results of {one} and {other} would meet there",
                file=second,
                remedy="give each benchmark a folder of its own",
            )


def _check_one(benchmark: str, results: Path, replace: bool) -> None:
    folder, path = absolute(results), index_of(results)
    if folder.exists() and not folder.is_dir():
        raise UserError("is a file, a folder is to be written there", file=results, remedy="choose another path")
    index = read_index(path)
    if index is None and os.path.lexists(path):
        raise UserError("is not the index of a results folder and would be overwritten", file=path, remedy=_ELSEWHERE)
    if replace:
        return
    if index is not None and index["benchmark"] != benchmark:
        problem = f"is the index of results on {str(index['benchmark'])[:20]}, not on {benchmark}"
        raise UserError(problem, file=path, remedy=_ELSEWHERE)
    form = FORMS.get(benchmark, ONE_FILE)
    numbers = range(1, form.repetitions + 1)
    own = {
        form.file.format(name=name, repetition=number)
        for name in (index or {"sequences": ()})["sequences"]
        for number in numbers
    }
    foreign = next((file for file in _files(folder) if file not in own), None)
    if foreign is not None:
        why = "which no tracker wrote there" if index else "and no index beside it says that a tracker wrote that"
        raise UserError(f"holds {foreign}, {why}", file=results, remedy=f"{_ELSEWHERE}, or pass --replace")


def _files(folder: Path) -> list[str]:
    """Relative paths of all that would be lost with a folder."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _meet(one: Path, other: Path) -> bool:
    """Whether one path is or holds the other, by name or behind symbolic links."""
    for follow in (os.path.abspath, os.path.realpath):
        a, b = Path(follow(one)), Path(follow(other))
        if a == b or a in b.parents or b in a.parents:
            return True
    return False
