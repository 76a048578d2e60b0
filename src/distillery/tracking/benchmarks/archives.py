"""Zip archives of text files, as evaluation servers take and give them, read in memory and never extracted."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from distillery.errors import UserError
from distillery.tracking.benchmarks.text_files import require_plain_names

MAX_MEMBERS = 100_000
MAX_TOTAL_BYTES = 2**30
_REMEDY = "pack the NAME.txt files again"


def text_members(path: Path) -> dict[str, bytes]:
    """The text files of an archive by name without `.txt`, sorted; folders within the archive do not matter.

    Raises:
        UserError: If the file is no zip archive or damaged, holds two files of a name, is encrypted, or unpacks to more
            than 1 GB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            chosen = [member for member in archive.infolist() if _wanted(PurePosixPath(member.filename))]
            if len(chosen) > MAX_MEMBERS or sum(member.file_size for member in chosen) > MAX_TOTAL_BYTES:
                raise UserError("unpacks to more than 1 GB", file=path, remedy=_REMEDY)
            names = [PurePosixPath(member.filename).stem for member in chosen]
            require_plain_names(names, path, remedy=_REMEDY)
            # A member that is longer than it says is cut there by zipfile, and fails its checksum.
            found = {name: archive.read(member) for name, member in zip(names, chosen, strict=True)}
    except FileNotFoundError:
        raise UserError("does not exist", file=path, remedy=_REMEDY) from None
    except RuntimeError as error:  # encrypted, or a compression that Python lacks
        raise UserError(f"cannot be unpacked ({error})", file=path, remedy=_REMEDY) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise UserError(f"is not a whole zip archive ({error})", file=path, remedy=_REMEDY) from error
    if not found:
        raise UserError("holds no .txt file", file=path, remedy=_REMEDY)
    return dict(sorted(found.items()))


def _wanted(member: PurePosixPath) -> bool:
    hidden = "__MACOSX" in member.parts or member.name.startswith(".")
    return member.suffix == ".txt" and not hidden
