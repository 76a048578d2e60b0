"""What has arrived of a file, and of which version it is a part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distillery.data.http_answers import Answer
from distillery.errors import UserError
from distillery.files import read_json, write_json


class Part:
    """`NAME.part` with the bytes, `NAME.part.json` with {url, etag, modified, size} of the version they belong to.

    Args:
        target: The whole file, once it is there.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.file = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self._version = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            version = read_json(self.note)
        except (UserError, OSError):
            return {}
        return version if isinstance(version, dict) else {}

    @property
    def url(self) -> str:
        """Where the bytes came from; "" if nobody noted it: the file was put there by hand."""
        return str(self._version.get("url", ""))

    @property
    def length(self) -> int:
        """Bytes that have arrived."""
        return self.file.stat().st_size if self.file.is_file() else 0

    def kept(self) -> str:
        """Words for an error."""
        return f" ({self.length:,} bytes are kept in {self.file.name})" if self.length else ""

    def whole(self, size: int | None) -> bool:
        """Whether all bytes are there, of a file that is `size` bytes long where that is known."""
        announced = self._version.get("size")
        return self.file.is_file() and announced is not None and self.length == announced == (size or announced)

    def begin(self, url: str, answer: Answer) -> None:
        """Starts anew with the version that a server is about to send."""
        self.file.unlink(missing_ok=True)
        self._version = {"url": url, "etag": answer.etag, "modified": answer.modified, "size": answer.total}
        write_json(self.note, self._version)
        self.file.touch()

    def condition(self, url: str, verified: bool) -> str | None:
        """What to send as `If-Range`; "" asks for the rest without a condition, None for the whole file."""
        if not self.length:
            return None
        validator = self._version.get("etag") or self._version.get("modified")
        if validator and self.url == url:
            return str(validator)
        return "" if verified and self._version.get("size") else None

    def continued_by(self, answer: Answer, url: str) -> bool:
        """Whether an answer is the rest of the version of which this is a part."""
        if answer.status != 206 or answer.start != self.length or answer.total is None:
            return False
        etag = self._version.get("etag") if url == self.url else None
        same = etag is None or answer.etag in (None, etag)
        return same and self._version.get("size") in (None, answer.total)

    def drop(self) -> None:
        """Forgets the bytes."""
        self.file.unlink(missing_ok=True)

    def finish(self) -> None:
        """Gives the whole file its name; the note stays, and says where the file came from."""
        self.file.replace(self.target)

    def forget(self) -> None:
        """Removes the note, once the file is gone."""
        self.note.unlink(missing_ok=True)
