"""A benchmark in parts of equal length, tracked by jobs of their own, and joined to what one job would have written.

Which sequence is in which part follows from their lengths alone, so that every job finds its own without asking. A part
that fails leaves the others as they are.
"""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.errors import UserError
from distillery.files import atomic_folder, read_json, sha256_of_file, write_json
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.indices import absolute, index_of, read_index
from distillery.tracking.runner import FORMS, ONE_FILE, index_with


@dataclass(frozen=True)
class Part:
    """One of the equally long parts of a benchmark.

    Attributes:
        number: From 1.
        count: Of all parts.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """Reads "2-of-8".

        Raises:
            UserError: If it is anything else.
        """
        number, _, count = text.partition("-of-")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= 10_000):
            raise UserError(f"{text[:40]!r} is no part of a whole", place="--part", remedy="write it like 2-of-8")
        return cls(int(number), int(count))

    def of(self, sequences: Many[Sequence]) -> list[Sequence]:
        """The sequences of this part, in their own order; none where there are more parts than sequences.

        The longest first, each goes to the part that is the shortest so far (Graham 1969, "longest processing time
        first"): the longest part is at most a third longer than the best division has it.
        """
        parts: list[tuple[int, int]] = [(0, number) for number in range(1, self.count + 1)]
        mine = set()
        for sequence in sorted(sequences, key=lambda one: (-len(one.frames), one.name)):
            frames, number = heapq.heappop(parts)
            heapq.heappush(parts, (frames + len(sequence.frames), number))
            if number == self.number:
                mine.add(sequence.name)
        return [sequence for sequence in sequences if sequence.name in mine]


def join(parts: Many[Path], results: Path) -> dict[str, Any]:
    """Puts the results of all parts of a benchmark together: the same files and the same index as of one run.

    Args:
        parts: Results folders of one tracker's parts, each with its index beside it.
        results: Folder for the whole; its index gets its path with `.json` appended.

    Returns:
        The index.

    Raises:
        UserError: If a part is missing, changed since it was tracked, given twice, or of another tracker.
    """
    found = {folder: _index(folder) for folder in parts}
    first = next(iter(found.values()))
    given = sorted(str(index["part"]) for index in found.values())
    count = Part.parse(given[0]).count
    if given != sorted(str(Part(number, count)) for number in range(1, count + 1)):
        raise UserError(
            f"{', '.join(given)} are not all parts of one whole, each once",
            place="--parts",
            remedy="give the results of all parts",
        )
    for folder, index in found.items():
        for key in ("benchmark", "tracker", "repetitions"):
            if index[key] != first[key]:
                raise UserError(f"is of another {key} than {parts[0]}", file=index_of(folder), remedy="track it anew")
    with atomic_folder(absolute(results)) as temporary:
        for folder, index in found.items():
            _check_files(folder, index)
            if folder.is_dir():
                shutil.copytree(folder, temporary, dirs_exist_ok=True)
    whole = index_with(
        first["benchmark"],
        first["tracker"],
        first["repetitions"],
        all(index["deterministic"] for index in found.values()),
        {name: entry for index in found.values() for name, entry in index["sequences"].items()},
    )
    write_json(index_of(results), whole)
    return whole


def _index(folder: Path) -> dict[str, Any]:
    index = read_index(index_of(folder))
    if index is None or "part" not in index:
        read_json(index_of(folder))  # says what is wrong with a file that is absent or broken
        raise UserError("is not the index of a part", file=index_of(folder), remedy="track with --part")
    return index


def _check_files(folder: Path, index: dict[str, Any]) -> None:
    form = FORMS.get(index["benchmark"], ONE_FILE)
    for name, entry in index["sequences"].items():
        file = folder / form.file.format(name=name, repetition=1)
        if not file.is_file() or sha256_of_file(file) != entry["sha256"]:
            raise UserError("is not what the tracker wrote", file=file, remedy="track this part anew")
