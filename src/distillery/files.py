"""Files that are either whole or absent: every write goes to a temporary name and is renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillery.errors import UserError


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turns a full disk or a forbidden folder into a sentence that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UserError(
                "no space left on the disk, nothing was written",
                file=path,
                remedy="free some space and run the same command again",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(
                "cannot be written, permission denied",
                file=path,
                remedy="check the permissions of its folder",
            ) from error
        raise


def _make_parent(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError("lies below a file, not a folder", file=target, remedy="choose another path") from error


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path in the same folder; renames it to `path` on success, removes it on failure.

    The temporary name keeps the suffix, so writers that choose a format by suffix work.
    """
    target = Path(path)
    with _disk_errors(target):
        _make_parent(target)
        if target.is_dir():
            raise UserError("is a folder, a file is to be written there", file=target, remedy="choose another path")
        temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields an empty temporary folder beside `path`; on success it takes the place of `path`, else it is removed."""
    target = Path(path)
    with _disk_errors(target):
        _make_parent(target)
        if target.exists() and not target.is_dir():
            raise UserError("is a file, a folder is to be written there", file=target, remedy="choose another path")
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        os.chmod(temporary, 0o755)
        try:
            yield temporary
            # A folder cannot replace a full one in one step: the old one steps aside first and is removed last.
            old = temporary.with_suffix(".old")
            if os.path.lexists(target):
                os.rename(target, old)
            try:
                os.rename(temporary, target)
            except BaseException:
                if os.path.lexists(old):
                    os.rename(old, target)
                raise
            if old.is_symlink():
                old.unlink()
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text with LF line ends."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes JSON with sorted keys and a final newline; NaN and infinity are refused (they are not JSON)."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads JSON; a missing or broken file is a `UserError`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="run the rule that writes it") from error
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond what Python takes
        place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else None
        raise UserError("is not valid JSON", file=path, place=place, remedy="delete it and rerun") from error


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of(value: Any) -> str:
    """Hex SHA-256 of a JSON-able value in canonical form: the key of resolved parameters."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
