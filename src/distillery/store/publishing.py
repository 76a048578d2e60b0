"""The last step of a run: data, checkpoints and results go to DVC; git carries their hashes.

Snakemake runs, DVC stores. DVC locks the whole repository, so nothing here may run beside other jobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import sha256_of, write_json
from distillery.store import dvc, history, origin, preflight, summaries
from distillery.store.places import HISTORY, SHARED, parts


class Stored(NamedTuple):
    """A file that DVC holds."""

    sha256: str
    md5: str
    bytes: int


def publish(profile: str, out: Path, *, root: Path = Path()) -> dict[str, Any]:
    """Adds data, checkpoints and results of a profile to DVC, makes sure that it holds them, and records what it holds.

    Beside the results it puts what a clone needs to go on from them: Snakemake's records of the jobs, and summaries for
    `dvc metrics` and `dvc plots`. What DVC holds of other profiles stays.

    Args:
        profile: Name of the profile that has just run.
        out: JSON file to write, last: {profile, commit, changed, restored,
            stored: {part: {pointer, md5, files, bytes}}, files: {path: {sha256, md5, bytes, rule, params}}}; `rule`
            and `params` (the hash of the parameters) are those of the job that made a file, where Snakemake knows it.
        root: Top folder of the project, where `.dvc` lies.

    Returns:
        The record.

    Raises:
        UserError: If DVC is missing, is set up in a way that breaks reruns, or does not hold what lies here at the end.
    """
    cache = dvc.cache(root, preflight.check(root))
    for folder in SHARED:
        if not (root / folder).is_dir():
            raise UserError("does not exist", file=root / folder, remedy="run the rules that write it")
    records = history.read(root, profile)
    summaries.write(root, profile)
    history.pack(root / "results" / profile / HISTORY, records)
    return store(profile, [out], records, cache, root=root)


def store(
    profile: str, outs: Iterable[Path], records: history.Records, cache: Path, *, root: Path, restored: bool = False
) -> dict[str, Any]:
    """Adds what lies here of a profile to DVC, and writes the record of it."""
    _add(root, profile, cache)
    return write_record(profile, outs, records, held(root, profile, cache), root=root, restored=restored)


def write_record(
    profile: str,
    outs: Iterable[Path],
    records: history.Records,
    files: dict[str, Stored],
    *,
    root: Path,
    restored: bool,
) -> dict[str, Any]:
    """Writes the record of what DVC holds to each of `outs`, and returns it."""
    commit = origin.commit(root)
    stored = {}
    for part in parts(profile):
        known = dvc.pointer(root, part.pointer)
        assert known is not None
        own = [file for path, file in files.items() if path.startswith(f"{part.folder}/")]
        size = sum(file.bytes for file in own)
        stored[part.name] = {"pointer": part.pointer, "md5": known.md5, "files": len(own), "bytes": size}
    record = {
        "profile": profile,
        "commit": commit.name,
        "changed": commit.changed,
        "restored": restored,
        "stored": stored,
        "files": {path: file._asdict() | _maker(path, records) for path, file in files.items()},
    }
    for out in outs:
        write_json(out, record)
    return record


def held(root: Path, profile: str, cache: Path) -> dict[str, Stored]:
    """What DVC holds of a profile, each file read again from where it lies.

    Raises:
        UserError: If a file is gone or has another content than DVC holds.
    """
    expected = {path: md5 for part in parts(profile) for path, md5 in dvc.entries(root, cache, part).items()}
    found = {}
    with Progress(f"checking {profile}", len(expected)) as progress, ThreadPoolExecutor(4) as pool:
        for path, file in zip(expected, pool.map(lambda path: _found(root / path), expected), strict=True):
            if file is None or file.md5 != expected[path]:
                raise UserError(
                    "is gone" if file is None else "is not what DVC holds of it",
                    file=root / path,
                    remedy="let nothing else write there and run the same command again; what was changed after it "
                    "was published comes back with `distillery restore --force`",
                )
            found[path] = file
            progress.update()
    return dict(sorted(found.items()))


def _add(root: Path, profile: str, cache: Path) -> None:
    """`dvc add` of the profile's own folders, by name.

    What the pointers say of other profiles stays, whether those are here or not; only where the cache does not know
    what a pointer says (a clone that runs before it restores) it will say what lies here, and no more.
    """
    before = {part: dvc.pointer(root, part.pointer) for part in parts(profile)}
    whole = {part for part, old in before.items() if old is None or not dvc.listing(cache, old.md5).is_file()}
    dvc.call(root, "add", *(part.name if part in whole and part.name in SHARED else part.folder for part in before))
    for part, old in before.items():
        if part.name in SHARED and part in whole and old not in (None, dvc.pointer(root, part.pointer)):
            print(f"{part.pointer} now names what lies here alone; what it named before is not in this cache.")


def described(path: Path) -> Stored:
    """Hashes and size of a file."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return Stored(sha256.hexdigest(), md5.hexdigest(), size)


def _found(path: Path) -> Stored | None:
    try:
        return described(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _maker(path: str, records: history.Records) -> dict[str, str | None]:
    """Rule and parameters of the job that made a file; `x.json` stands for the folder `x` beside it."""
    names = [path, *(f"{folder}.json" for folder in map(str, Path(path).parents))]
    record = next((records[name] for name in names if name in records), None)
    if record is None:
        return {"rule": None, "params": None}
    return {"rule": record.get("rule"), "params": sha256_of(record.get("params"))}
