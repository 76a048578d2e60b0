"""What evaluation servers take and answer: submissions for the test sets of TrackingNet and GOT-10k, and their numbers.

A submission is a zip archive that holds the result files as the server wants them, and a record `NAME.zip.json` beside
it. The answer is a small file that the user saves from the server's page, in one of two forms:

- JSON: `{"success": 57.1, "precision": 53.3, "normalized_precision": 66.3}`,
- lines of text: `Success: 57.1`, one number a line.

Numbers are taken in the server's unit: percent from TrackingNet's (`success`, `precision`, `normalized_precision`, also
`coverage`), fractions from GOT-10k's (`ao`, `sr_50`, `sr_75`). Capitals, blanks and signs in names do not matter.
"""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from distillery.errors import UserError
from distillery.files import atomic_file, read_json, sha256_of_file, write_json
from distillery.tracking.benchmarks import registry
from distillery.tracking.benchmarks.base import Sequence, listing
from distillery.tracking.benchmarks.text_files import read_bytes
from distillery.tracking.indices import index_of
from distillery.tracking.results import find_repetitions, format_boxes, read_result, require_results

_EPOCH = (1980, 1, 1, 0, 0, 0)
_RECORD = {"benchmark", "sha256", "sequences", "tracker"}
"""Keys of a record."""
_AGAIN = "copy the server's numbers again"


def pack(benchmark: str, root: Path, results: Path, out: Path) -> dict[str, Any]:
    """Writes a submission; equal results give equal bytes on every machine (the archive is stored, not compressed).

    Args:
        benchmark: "trackingnet_test" or "got10k_test".
        root: The benchmark in its official layout, against which the results are checked.
        results: Folder of result files that `distillery track` wrote, its index beside it.
        out: The archive to write, `NAME.zip`; its record is `NAME.zip.json`.

    Returns:
        The record that is written beside the archive: benchmark, sha256, sequences, tracker (from the index, or None).

    Raises:
        UserError: If results are absent, malformed or of the wrong length, which the server would count as zeros; if
            `out` is no `.zip`, or another file lies where its record goes.
    """
    server = _server(benchmark)
    sequences = registry.load(benchmark, root)
    index, beside = index_of(results), _record_of(out)
    _check_out(out, beside)
    members = server.members(sequences, results, index)
    with atomic_file(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, members[name])
    record = {
        "benchmark": benchmark,
        "sha256": sha256_of_file(out),
        "sequences": len(sequences),
        "tracker": _index(index).get("tracker") if index.is_file() else None,
    }
    write_json(beside, record)
    return record


def import_answer(benchmark: str, answer: Path, submission: Path) -> dict[str, Any]:
    """Turns a server's answer into metrics.

    Args:
        benchmark: "trackingnet_test" or "got10k_test".
        answer: The saved answer, in one of the forms above.
        submission: The archive that was sent, its record beside it; its hash and its tracker go into the metrics.

    Returns:
        Metrics as `distillery score` gives them, with empty curves: benchmark, protocol "server", numbers (fractions),
        counts, inputs (hashes of answer and submission), provenance (server, tracker), missing.

    Raises:
        UserError: If the answer is malformed, incomplete or out of range.
    """
    server = _server(benchmark)
    numbers = _numbers(answer, server)
    if not submission.is_file():
        raise UserError("does not exist", file=submission, remedy="pass the archive that was sent to the server")
    sent, file = sha256_of_file(submission), _record_of(submission)
    record = read_json(file)
    if not isinstance(record, dict) or (record.get("benchmark"), record.get("sha256")) != (benchmark, sent):
        raise UserError(
            f"is not the record of {submission.name} for {benchmark}",
            file=file,
            remedy="pass the archive as it was packed",
        )
    return {
        "benchmark": benchmark,
        "protocol": "server",
        "numbers": numbers,
        "curves": {},
        "per_sequence": {},
        "by_attribute": {},
        "counts": {"sequences": record.get("sequences"), "missing": 0},
        "missing": [],
        "inputs": {"answer": sha256_of_file(answer), "submission": sent},
        "provenance": {"server": server.address, "tracker": record.get("tracker")},
    }


def _record_of(archive: Path) -> Path:
    """The record of a submission: not `NAME.json`, which is the index of the results folder `NAME`."""
    return archive.with_name(archive.name + ".json")


def _check_out(out: Path, record: Path) -> None:
    if out.suffix.lower() != ".zip":
        raise UserError("does not end in .zip", file=out, place="--out", remedy="name the archive NAME.zip")
    if os.path.lexists(record):
        try:
            found = read_json(record)
        except (UserError, OSError):
            found = None
        if not isinstance(found, dict) or found.keys() != _RECORD:
            raise UserError(
                "is not the record of a submission and would be overwritten", file=record, remedy="choose another --out"
            )


def _numbers(answer: Path, server: _Server) -> dict[str, float]:
    given = _parse(answer)
    numbers = {}
    for name, value in given.items():
        key = server.names.get(re.sub(r"[^a-z0-9]", "", name.casefold()))
        if key is None:
            known = ", ".join(dict.fromkeys(server.names.values()))
            raise UserError(
                f"holds {name!r}, which the server of {server.title} does not give ({known})",
                file=answer,
                remedy="keep the server's numbers alone",
            )
        if key in numbers:
            raise UserError(f"holds {key} twice", file=answer, place=name, remedy=_AGAIN)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= server.unit:
            raise UserError(
                f"holds {str(value)[:20]!r}, not a number from 0 to {server.unit}",
                file=answer,
                place=name,
                remedy=_AGAIN,
            )
        numbers[key] = value / server.unit
    if missing := [key for key in server.needed if key not in numbers]:
        raise UserError(f"lacks {listing(missing)}", file=answer, remedy=_AGAIN)
    if server.unit > 1 and max(numbers.values()) <= 1 / server.unit:
        raise UserError(
            "holds fractions, the server gives percent", file=answer, remedy="copy the numbers as the server shows them"
        )
    return numbers


def _parse(answer: Path) -> dict[str, Any]:
    """Names and values of either form."""
    try:
        text = read_bytes(answer, _AGAIN).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UserError("is not a text file", file=answer, remedy=_AGAIN) from None
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:  # also numbers and nesting beyond what Python takes
            raise UserError("is not valid JSON", file=answer, remedy=_AGAIN) from error
        return dict(found)
    values: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.rpartition(":")
        try:
            values[name.strip()] = float(value.strip().removesuffix("%"))
        except ValueError:
            values[name.strip()] = math.nan
        if not colon or not math.isfinite(values[name.strip()]):
            raise UserError("is not `Name: number`", file=answer, place=f"line {number}", remedy=_AGAIN)
    return values


def _flat(sequences: list[Sequence], results: Path, index: Path) -> dict[str, bytes]:
    """TrackingNet: `NAME.txt` in the archive's root."""
    files = require_results(results, sequences)
    return {f"{one.name}.txt": _checked(files[one.name], one) for one in sequences}


def _nested(sequences: list[Sequence], results: Path, index: Path) -> dict[str, bytes]:
    """GOT-10k: `NAME/NAME_001.txt` and on, and `NAME/NAME_time.txt` with the seconds of each frame.

    The index keeps a sequence's seconds as a whole, so each frame gets their mean.
    """
    files = find_repetitions(results, sequences)
    if missing := [one.name for one in sequences if one.name not in files]:
        raise UserError(f"the result files of {listing(missing)} are missing", file=results, remedy="run the tracker")
    timed = _index(index).get("sequences", {})
    members: dict[str, bytes] = {}
    for one in sequences:
        texts = [_checked(file, one) for file in files[one.name]]
        members |= {f"{one.name}/{file.name}": text for file, text in zip(files[one.name], texts, strict=True)}
        try:
            seconds = float(timed[one.name]["seconds"]) / int(timed[one.name]["frames"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise UserError(
                f"does not say how long {one.name} took", file=index, remedy="run the tracker again"
            ) from None
        row = ",".join([f"{seconds:.8f}"] * len(texts))
        members[f"{one.name}/{one.name}_time.txt"] = f"{row}\n".encode() * len(one.frames)
    return members


def _checked(file: Path, sequence: Sequence) -> bytes:
    return format_boxes(read_result(file, sequence), file.name).encode()


def _index(path: Path) -> dict[str, Any]:
    index = read_json(path)
    if not isinstance(index, dict):
        raise UserError("is not the index of a results folder", file=path, remedy="run the tracker again")
    return index


class _Server(NamedTuple):
    title: str
    address: str
    members: Callable[[list[Sequence], Path, Path], dict[str, bytes]]
    names: Mapping[str, str]
    """Letters and digits of a number's name -> its key in the metrics."""
    needed: tuple[str, ...]
    unit: int
    """What the server shows for 1."""


_SERVERS = {
    "trackingnet_test": _Server(
        title="TrackingNet",
        address="eval.tracking-net.org",
        members=_flat,
        names={
            "success": "auc",
            "auc": "auc",
            "precision": "precision",
            "normalizedprecision": "normalized_precision",
            "coverage": "coverage",
        },
        needed=("auc", "precision", "normalized_precision"),
        unit=100,
    ),
    "got10k_test": _Server(
        title="GOT-10k",
        address="got-10k.aitestunion.com",
        members=_nested,
        names={"ao": "ao", "sr50": "sr_50", "sr050": "sr_50", "sr05": "sr_50", "sr75": "sr_75", "sr075": "sr_75"},
        needed=("ao", "sr_50", "sr_75"),
        unit=1,
    ),
}


def _server(benchmark: str) -> _Server:
    if benchmark not in _SERVERS:
        raise UserError(f"no server scores {benchmark!r}", remedy=f"choose one of {', '.join(_SERVERS)}")
    return _SERVERS[benchmark]
