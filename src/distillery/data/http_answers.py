"""What a server's answer means for a download: go on, wait, or look elsewhere."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass

import requests


class PassingError(Exception):
    """A fault that may pass; `after` is how many seconds the server asks to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class FinalError(Exception):
    """A fault that will not pass at this address."""


_WAIT = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_MEANING = {
    401: "wants a log-in (401)",
    403: "refuses (403)",
    404: "has no such file (404)",
    410: "no longer has the file (410)",
    451: "may not give it (451)",
}


@dataclass(frozen=True)
class Answer:
    """Status and headers of a reply that gives the file or a part of it.

    Attributes:
        status: 200, 206 or 416.
        start: First byte of a part.
        total: Length of the whole file in bytes; None where the server does not tell.
        etag: Strong validator of this version.
        modified: Date of this version, as the server writes it.
    """

    status: int
    start: int
    total: int | None
    etag: str | None
    modified: str | None


def read_answer(reply: requests.Response, name: str) -> Answer:
    """Sorts a reply.

    Args:
        reply: The reply; its body is not touched.
        name: Name of the wanted file.

    Raises:
        PassingError: If the server asks to come again, or is broken.
        FinalError: If it will not give the file, or gives a web page in its place.
    """
    status = reply.status_code
    if status in _WAIT:
        raise PassingError(f"answered {status}", _retry_after(reply.headers.get("Retry-After")))
    if status not in (200, 206, 416):
        raise FinalError(_MEANING.get(status, f"answered {status}"))
    kind = reply.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and status != 416 and not name.endswith((".html", ".htm")):
        raise FinalError("gives a web page instead of the file (a log-in, a quota or an error page)")
    start, total = 0, _number(reply.headers.get("Content-Length"))
    if status != 200:
        found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", reply.headers.get("Content-Range", "").strip())
        start = int(found[1]) if found and found[1] else -1
        total = _number(found[2]) if found else None
    etag = reply.headers.get("ETag", "").strip()
    strong = etag if etag.startswith('"') else None  # If-Range takes strong validators only
    return Answer(status, start, total, strong, reply.headers.get("Last-Modified"))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None


def _retry_after(text: str | None) -> float:
    """Seconds, from a number of seconds or a date."""
    if not text:
        return 0.0
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
