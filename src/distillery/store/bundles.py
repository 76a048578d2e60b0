"""A reviewer's bundle: all that a profile has made in one archive, which needs no store and no network.

A gzipped tar. First in it stands `manifest.json`: the commit and the code that made the results, and of every further
member SHA-256, size and MD5, the name under which DVC holds it; then Snakemake's records, and the files under their own
paths, so that it can be read by hand too. Equal content gives equal bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import atomic_file
from distillery.store import dvc, history, origin, preflight, publishing
from distillery.store.places import HISTORY, RECORD, targets

FORMAT = 1
MANIFEST = "manifest.json"
RECORDS = f".snakemake/{HISTORY}"
"""Snakemake's records of all jobs, the publishing ones among them."""
_LONGEST = 512 * 2**20
"""Bytes of a manifest that are read at most."""


class Manifest(NamedTuple):
    """What the first member of a bundle says.

    Attributes:
        profile: Name of the profile.
        config: Its file.
        commit: Commit whose code made the results; None where it was not in git.
        changed: Files that differed from that commit.
        code: File -> SHA-256 of all code and rules on which a rerun depends.
        files: Path -> (SHA-256, bytes, MD5) of every other member.
    """

    profile: str
    config: str
    commit: str | None
    changed: list[str]
    code: dict[str, str]
    files: dict[str, publishing.Stored]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())


def write(profile: str, out: Path, *, config: Path, root: Path = Path()) -> Manifest:
    """Packs what was published of a profile.

    Args:
        profile: Name of the profile.
        out: Archive to write (.tar.gz).
        config: File of the profile, relative to the project.
        root: Top folder of the project.

    Returns:
        Its manifest.

    Raises:
        UserError: If the profile is not published, a file is not what was published, or a source was edited since a
            job ran on it; then nothing is written.
    """
    cache = dvc.cache(root, preflight.check(root))
    homes = targets(profile, root)
    records = history.read(root, profile)
    outs = [home / RECORD for home in homes.values()]
    for file in outs or [root / "results" / profile / RECORD]:
        if not file.is_file() or str(file.relative_to(root)) not in records:
            raise UserError("was not made: the profile is not published", file=file, remedy="run snakemake to its end")
    edited = origin.stale(root, records)
    if edited is not None:
        raise UserError(
            "was edited after a job ran on it, so the results are not of this code",
            file=root / edited,
            remedy="run snakemake, then the same command again",
        )
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, HISTORY)
        history.pack(packed, records)
        extra = {str(file.relative_to(root)): file for file in outs} | {RECORDS: packed}
        files = publishing.held(root, profile, cache) | {
            name: publishing.described(file) for name, file in extra.items()
        }
        commit = origin.commit(root)
        code = origin.code(root, records, str(config))
        manifest = Manifest(profile, str(config), commit.name, commit.changed, code, dict(sorted(files.items())))
        with atomic_file(out) as temporary, _archive(temporary) as archive:
            _add(archive, MANIFEST, io.BytesIO(dump(manifest)))
            with Progress(f"packing {profile}", len(files)) as progress:
                for name, row in manifest.files.items():
                    with extra.get(name, root / name).open("rb") as stream:
                        _add(archive, name, stream, row.bytes)
                    progress.update()
    return manifest


def dump(manifest: Manifest) -> bytes:
    """A manifest as it stands in the archive."""
    content = manifest._asdict() | {
        "format": FORMAT,
        "files": {name: list(row) for name, row in manifest.files.items()},
    }
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def read(bundle: Path) -> Manifest:
    """Reads the manifest of a bundle, and nothing after it.

    Raises:
        UserError: If the file is no bundle or is damaged.
    """
    try:
        with gzip.open(bundle) as stream:
            head = tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "strict")
            if head.name != MANIFEST or not head.isreg() or head.size > _LONGEST:
                raise ValueError("its first member is no manifest")
            content: dict[str, Any] = json.loads(stream.read(head.size))
        return _parsed(content)
    except FileNotFoundError as error:
        raise UserError("does not exist", file=bundle, remedy="name the bundle you were given") from error
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        tarfile.TarError,
    ) as error:
        raise UserError(f"is not a whole bundle ({error})", file=bundle, remedy="get it again") from error


def _parsed(content: dict[str, Any]) -> Manifest:
    if content["format"] != FORMAT:
        raise ValueError(f"of format {content['format']!r}, this is {FORMAT}")
    files = {
        str(name): publishing.Stored(str(row[0]), str(row[1]), int(row[2])) for name, row in content["files"].items()
    }
    if any(file.bytes < 0 for file in files.values()):
        raise ValueError("a negative size")
    return Manifest(
        profile=str(content["profile"]),
        config=str(content["config"]),
        commit=None if content["commit"] is None else str(content["commit"]),
        changed=[str(name) for name in content["changed"]],
        code={str(name): str(digest) for name, digest in content["code"].items()},
        files=files,
    )


@contextmanager
def _archive(file: Path) -> Iterator[tarfile.TarFile]:
    """Neither name nor time of the archive goes into it."""
    with (
        file.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        yield archive


def _add(archive: tarfile.TarFile, name: str, stream: IO[bytes], size: int | None = None) -> None:
    """One plain member without owner, time or mode of the file."""
    info = tarfile.TarInfo(name)
    info.size = len(stream.read()) if size is None else size
    stream.seek(0)
    archive.addfile(info, stream)
