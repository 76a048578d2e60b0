"""The members of zip and tar archives, one after the other, and what is wrong with a file that is no whole archive."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Literal, NamedTuple

from distillery.errors import UserError

_UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError)
_FOREIGN = {
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z x"),
    b"Rar!\x1a\x07": ("rar", "unrar x"),
    b"(\xb5/\xfd": ("zstd", "unzstd"),
}
_AGAIN = "get the archive again (delete this one first), or unpack it yourself and pass the folder with --from"
_BLOCK = 1 << 20


class Member(NamedTuple):
    """One entry of an archive."""

    name: str
    kind: Literal["file", "folder", "link", "device or pipe"]
    size: int
    """Length in bytes, as the archive says."""
    position: int
    """Bytes of the archive up to here, for progress."""
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether a file looks like a zip or tar archive, by its content."""
    return _is_zip(path) or tarfile.is_tarfile(path)


def foreign(path: Path) -> str | None:
    """The name of an archive format that is not read here, by the file's content; None if it is none of those."""
    with path.open("rb") as stream:
        head = stream.read(8)
    return next((kind for magic, (kind, _) in _FOREIGN.items() if head.startswith(magic)), None)


def unpacked_size(path: Path) -> int:
    """Bytes that an archive unpacks to, as far as can be told: a zip says it, a tar gives at least its own size."""
    if not _is_zip(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(info.file_size for info in archive.infolist())


def members(path: Path) -> Iterator[Member]:
    """All entries in the order of the archive; each must be read before the next is asked for."""
    return _zip_members(path) if _is_zip(path) else _tar_members(path)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        done = 0
        for info in archive.infolist():
            if info.flag_bits & 0x1:
                raise UserError(
                    "is encrypted",
                    file=path,
                    remedy="unpack it yourself with its password and pass the folder with --from",
                )
            done += info.compress_size
            yield Member(info.filename, _zip_kind(info), info.file_size, done, partial(archive.open, info))


def _zip_kind(info: zipfile.ZipInfo) -> Literal["file", "folder", "link", "device or pipe"]:
    """By the mode that archives made on Unix keep; without a type it is a file, or a folder if the name ends in `/`."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "device or pipe"
    return "folder" if info.is_dir() else "file"


def _tar_members(path: Path) -> Iterator[Member]:
    with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as archive:
        while (info := archive.next()) is not None:
            yield Member(info.name, _tar_kind(info), info.size, raw.tell(), partial(archive.extractfile, info))
            vars(archive)["members"] = []  # tarfile keeps them all, and there may be millions
        stream = archive.fileobj
        if stream is raw:
            raw.seek(archive.offset)
            if raw.read(512) != bytes(512):  # tarfile takes an archive that was cut between two members for whole
                raise EOFError("its end is missing")
        elif stream is not None:
            while stream.read(_BLOCK):  # to the end, where the checksum is
                if stream.tell() > archive.offset + 1024 * _BLOCK:
                    raise EOFError("it goes on after its end")


def _tar_kind(info: tarfile.TarInfo) -> Literal["file", "folder", "link", "device or pipe"]:
    if info.issym() or info.islnk():
        return "link"
    return "file" if info.isreg() else "folder" if info.isdir() else "device or pipe"


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turns what decoders say of a damaged file, or of one that is no archive, into a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="get the archive first") from error
    except _UNREADABLE as error:
        raise _not_whole(path, error) from error
    except OSError as error:
        if error.errno is None:  # gzip's and bz2's words for damage
            raise _not_whole(path, error) from error
        raise


def _not_whole(path: Path, error: Exception) -> UserError:
    with path.open("rb") as stream:
        head = stream.read(16)
    for magic, (kind, tool) in _FOREIGN.items():
        if head.startswith(magic):
            remedy = f"unpack it yourself (`{tool} {path.name}`) and pass the folder with --from"
            return UserError(f"is a {kind} archive, which is not unpacked here", file=path, remedy=remedy)
    if head.lstrip()[:5].lower() in (b"<html", b"<!doc"):
        return UserError("is a web page, not an archive", file=path, remedy=_AGAIN)
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"is not a whole zip or tar archive ({reason})", file=path, remedy=_AGAIN)
