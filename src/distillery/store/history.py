"""Snakemake's records of how each output was made: code, parameters, and checksums of the inputs.

They lie in `.snakemake/metadata`, one JSON file an output, named by its path in Base64. With them a clone decides by
content what to run again; without them Snakemake would go by the dates of the checkout, and `snakemake --touch` would
declare whatever lies there up to date, made by this code or not. The format is Snakemake 9's
(`snakemake/persistence/file.py`).
"""

from __future__ import annotations

import json
import lzma
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from distillery.errors import UserError
from distillery.files import atomic_file, sha256_of_file
from distillery.store.places import parts

Records = dict[str, dict[str, Any]]
"""Output, relative to the project -> how it was made."""
_LONGEST = 2 * 10**9
"""Bytes of unpacked records that are read at most."""


def read(root: Path, profile: str) -> Records:
    """The records of the outputs of a profile that are here, and of all that these were made from, sorted by path.

    What they were made from need not be here, and is not stored where it is no part of a profile: recordings, notes of
    what was fetched. Without a record Snakemake takes such a file for one that was never made, makes it, and runs
    everything that reads it.
    """
    files = dict(_files(root / ".snakemake" / "metadata"))
    own = _own(profile)
    pending = [output for output in files if output.startswith(own)]
    found: Records = {}
    while pending:
        output = pending.pop()
        if output in found or output not in files or (output.startswith(own) and not (root / output).is_file()):
            continue
        try:
            found[output] = json.loads(files[output].read_text(encoding="utf-8"))
        except ValueError:  # being written, or cut off: Snakemake ignores such a record too
            continue
        pending += found[output].get("input") or ()
    return dict(sorted(found.items()))


def pack(file: Path, records: Records) -> None:
    """Writes records to one file. They repeat each other at long range, which xz sees and gzip does not."""
    text = json.dumps(records, sort_keys=True, separators=(",", ":"))
    with atomic_file(file) as temporary:
        temporary.write_bytes(lzma.compress(text.encode(), preset=2))


def unpack(file: Path, profile: str) -> Records:
    """Reads the records of a profile from such a file.

    Raises:
        UserError: If it is missing, damaged, or speaks of files of others.
    """
    try:
        decoder = lzma.LZMADecompressor(memlimit=256 * 2**20)
        records = json.loads(decoder.decompress(file.read_bytes(), max_length=_LONGEST))
        if not decoder.eof or not all(_is_record(record) for record in records.values()):
            raise ValueError("not what was packed")
    except (OSError, EOFError, ValueError, AttributeError, RecursionError, lzma.LZMAError) as error:
        raise UserError("holds no records of Snakemake's", file=file, remedy="publish anew") from error
    read = {str(file) for record in records.values() for file in record.get("input") or ()}
    known = (output for output in records if output.startswith(_own(profile)) or output in read)
    strange = next(iter(records.keys() - {output for output in known if _is_inside(output)}), None)
    if strange is not None:
        raise UserError(f"speaks of {strange!r}, which is not of profile {profile}", file=file, remedy="publish anew")
    return dict(records)


def write(root: Path, records: Records) -> None:
    """Gives this folder's Snakemake the records; those of the same outputs are replaced.

    An empty file takes the place of a recording that is not here (`commands` passes it over). Were it absent, the first
    job that wants it would have it made anew, and Snakemake would run all others that read it, too. What lies here,
    empty or not, is entered as what the jobs read: recordings only save work.
    """
    folder, unfinished = root / ".snakemake" / "metadata", root / ".snakemake" / "incomplete"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished.mkdir(exist_ok=True)
    for recording in (root / output for output in records if _can_do_without(output)):
        recording.parent.mkdir(parents=True, exist_ok=True)
        recording.touch(exist_ok=True)

    @cache
    def recorded(file: str) -> str:
        return f"sha256:{sha256_of_file(root / file)}"

    for output, record in records.items():
        read = {
            file: recorded(file) for file in _checksums(record) if _can_do_without(file) and (root / file).is_file()
        }
        entered = record | {"input_checksums": (record.get("input_checksums") or {}) | read}
        with atomic_file(_path(folder, output)) as temporary:
            temporary.write_text(json.dumps(entered), encoding="utf-8")
        _path(unfinished, output).unlink(missing_ok=True)  # the mark of a job that was killed here


def wake(root: Path, records: Records) -> list[str]:
    """Makes inputs look new that are not what the jobs ran on, so that Snakemake compares them.

    It compares by content only what is newer than an output, and what was just restored is newer than the checkout: a
    source that another commit changed would go unnoticed.

    Returns:
        These inputs, sorted.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for output, record in records.items():
        if (root / output).is_file():
            for file, checksum in _checksums(record).items():
                if not _can_do_without(file):
                    wanted[file].add(checksum)
    found = []
    for file, checksums in sorted(wanted.items()):
        path = root / file
        # Inputs that are not there are Snakemake's own business, and those of no such checksum it always runs.
        if path.is_file() and checksums != {f"sha256:{sha256_of_file(path)}"}:
            os.utime(path, follow_symlinks=False)
            found.append(file)
    return found


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    files, checksums = record.get("input"), record.get("input_checksums")
    return isinstance(files, list | None) and isinstance(checksums, dict | None)


def _own(profile: str) -> tuple[str, ...]:
    return tuple(f"{part.folder}/" for part in parts(profile))


def _can_do_without(file: str) -> bool:
    """Whether jobs make the same bytes without a file: crops, and what a teacher said to each batch."""
    return file.startswith("recordings/") and file.endswith(".safetensors") and _is_inside(file)


def _is_inside(file: str) -> bool:
    return not file.startswith("/") and ".." not in file.split("/")


def _checksums(record: dict[str, Any]) -> dict[str, str]:
    """Those of inputs inside the project; a record from elsewhere may name any file."""
    known = record.get("input_checksums") or {}
    return {file: str(checksum) for file, checksum in known.items() if _is_inside(file)}


def _path(folder: Path, output: str) -> Path:
    name, longest = urlsafe_b64encode(output.encode()).decode(), os.pathconf(folder, "PC_NAME_MAX") or 255
    pieces = [name[begin : begin + longest - 1] for begin in range(0, len(name), longest - 1)]
    return folder.joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, _, names in os.walk(folder):
        above = Path(place).relative_to(folder).parts
        for name in names:
            try:
                text = urlsafe_b64decode("".join(piece.removeprefix("@") for piece in (*above, name))).decode()
            except ValueError:  # not one of Snakemake's
                continue
            yield text, Path(place, name)
