"""Unpacks archives that nobody vouches for: all of an archive or nothing, and nothing outside the folder.

Zip and tar (plain, gz, bz2, xz) are read by the standard library; what may be written is decided here. Links, devices,
absolute names, names that climb out, two members of one name (also where only a case-blind disk would see them as one)
and archives that unpack to more than they may are refused. Modes and owners of the archive are not taken over.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from distillery.data.archive_members import Member, damage, members, unpacked_size
from distillery.data.room import full_disk, gigabytes, require_room
from distillery.errors import UserError

Progress = Callable[[int, int], None]
LEFTOVER = ".unpacking-"
"""How the names of folders begin in which an archive was being unpacked; a killed run leaves one."""
_BLOCK = 1 << 20
_OWN_HANDS = (
    "get it from the official page; if it is the official one, unpack it yourself and pass the folder with --from"
)


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Attributes:
        files: Members.
        bytes: Bytes in all.
        ratio: Bytes for each byte of the archive, once more than `spared` have come out. JPEG images hardly shrink,
            text shrinks tenfold; deflate ends at 1,032.
        spared: Bytes.
        depth: Folders within each other.
    """

    files: int = 5_000_000
    bytes: int = 4 * 10**12
    ratio: float = 200.0
    spared: int = 100_000_000
    depth: int = 32


USUAL = Limits()


class Unpacked(NamedTuple):
    """What came out of an archive."""

    files: int
    bytes: int


def unpack(path: Path, target: Path, *, limits: Limits = USUAL, progress: Progress | None = None) -> Unpacked:
    """Unpacks an archive into a folder that does not exist yet.

    Args:
        path: Zip or tar archive.
        target: Folder to make; it appears whole, when all is unpacked. Its parent must exist, and be used by this
            process alone: what a killed run left there is removed.
        limits: What the archive may unpack to.
        progress: Called with the bytes of the archive that are done and all of them.

    Raises:
        UserError: If the archive is damaged, encrypted, hostile or of another format, or the disk is full; then
            `target` does not exist and the archive is as it was.
    """
    clear_leftovers(target.parent)
    staging = Path(tempfile.mkdtemp(prefix=LEFTOVER, dir=target.parent))
    try:
        with full_disk(target, f"{path} is kept, nothing of it was unpacked"), damage(path):
            tree = _Tree(path, staging / "tree", limits)
            require_room(target, unpacked_size(path))
            for member in members(path):
                tree.add(member)
                if progress is not None:
                    progress(min(member.position, tree.size), tree.size)
            if not tree.files:
                raise tree.refusal("holds no file")
        os.rename(tree.root, target)
        return Unpacked(tree.files, tree.bytes)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """Removes what killed runs left half unpacked in `folder`."""
    for path in folder.glob(f"{LEFTOVER}*"):
        shutil.rmtree(path, ignore_errors=True)


@dataclass
class _Tree:
    """The folder that grows, and what it may not become."""

    archive: Path
    root: Path
    limits: Limits
    files: int = 0
    bytes: int = 0
    members: int = 0
    folders: dict[str, str] = field(default_factory=dict)
    """Name as a case-blind disk sees it -> name."""
    taken: set[int] = field(default_factory=set)
    """Of files, hashes of such names: there may be millions."""

    def __post_init__(self) -> None:
        self.size = self.archive.stat().st_size
        self.root.mkdir()

    def add(self, member: Member) -> None:
        """Writes one member, or refuses the archive for its sake."""
        self.members += 1
        if self.members > self.limits.files:
            raise self.refusal(f"holds more than {self.limits.files:,} members")
        parts = self.parts(member.name)
        if member.kind not in ("file", "folder"):
            raise self.refusal(f"holds the {member.kind} {member.name!r}")
        if not parts or _litter(parts):
            return
        if member.kind == "folder":
            self.folder(parts)
        else:
            self.room_for(member.size)
            self.folder(parts[:-1])
            self.claim(parts)
            self.write(self.root.joinpath(*parts), member)

    def parts(self, raw: str) -> tuple[str, ...]:
        """The parts of a member's name, none of which leads out of the folder."""
        name = raw.replace("\\", "/")
        parts = PurePosixPath(name).parts
        odd = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
        if name.startswith("/") or ".." in parts or odd or (parts and parts[0].endswith(":")):
            raise self.refusal(f"holds the name {raw!r}, which leads out of the folder or is none")
        if len(parts) > self.limits.depth or any(len(os.fsencode(part)) > 255 for part in parts):
            raise self.refusal(f"holds a name that is too long or too deep, {raw[:60]!r}")
        return parts

    def claim(self, parts: tuple[str, ...]) -> None:
        """Takes the path of a file, once."""
        path, key = _seen(parts)
        if key in self.folders:
            raise self.refusal(f"holds {path!r} as a file and a folder")
        if hash(key) in self.taken:
            twice = os.path.lexists(self.root.joinpath(*parts))
            raise self.refusal(
                f"holds {path!r} twice" if twice else f"holds {path!r} twice but for upper and lower case"
            )
        self.taken.add(hash(key))

    def folder(self, parts: tuple[str, ...]) -> None:
        """Makes a folder and those above it."""
        for depth in range(1, len(parts) + 1):
            path, key = _seen(parts[:depth])
            known = self.folders.get(key)
            if known == path:
                continue
            if known is not None:
                raise self.refusal(f"holds the folders {known!r} and {path!r}, which many disks take for the same")
            if hash(key) in self.taken:
                raise self.refusal(f"holds {path!r} as a file and a folder")
            self.folders[key] = path
            self.root.joinpath(*parts[:depth]).mkdir()

    def room_for(self, size: int) -> None:
        """Refuses what would be too much, by what the archive says of itself, before it is written."""
        total = self.bytes + size
        if total > self.limits.bytes:
            raise self.refusal(f"unpacks to more than {gigabytes(self.limits.bytes)}")
        if total > self.limits.spared and total > self.limits.ratio * self.size:
            raise self.refusal(f"unpacks to more than {self.limits.ratio:g} times its own size")

    def write(self, path: Path, member: Member) -> None:
        """Writes a new file, and no byte more than the archive announced."""
        stream = member.open()
        if stream is None:
            raise self.refusal(f"holds {member.name!r}, which is no plain file")
        left = member.size
        with stream, path.open("xb") as out:
            while block := stream.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    raise self.refusal(f"holds more of {member.name!r} than it says")
                out.write(block)
        if left:
            raise EOFError(f"{member.name} ends {left} bytes early")
        self.files += 1
        self.bytes += member.size

    def refusal(self, problem: str) -> UserError:
        """The archive is refused for what it holds."""
        return UserError(f"{problem}; it is not unpacked", file=self.archive, remedy=_OWN_HANDS)


def _seen(parts: tuple[str, ...]) -> tuple[str, str]:
    """A path, and as what a disk sees it that knows no case and one way to write an accent."""
    path = "/".join(parts)
    return path, path if path.isascii() and path.islower() else unicodedata.normalize("NFC", path).casefold()


def _litter(parts: tuple[str, ...]) -> bool:
    """What macOS adds to archives; `._0001.jpg` would pass for a frame."""
    return "__MACOSX" in parts or parts[-1] == ".DS_Store" or parts[-1].startswith("._")
