"""One file from the web: resumed where it stopped, from the first address that gives it, whole or not at all.

What has arrived lies in `NAME.part`; `NAME.part.json` beside it says which version of which address it is a part of, so
that a later run goes on instead of beginning anew, and never joins two versions. requests does the transport, as for
DVC; neither it nor pooch, which wraps it, resumes or goes on after a broken connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from distillery.data.http_answers import FinalError, PassingError, read_answer
from distillery.data.partial import Part
from distillery.data.room import full_disk, require_room
from distillery.errors import UserError

Progress = Callable[[int, int], None]
_BLOCK = 1 << 20
_FINAL = (
    requests.exceptions.SSLError,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
)


def _session() -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": "distillery", "Accept-Encoding": "identity"})
    return session


@dataclass(frozen=True)
class Patience:
    """How long is waited for servers, and which were waited for in vain.

    Attributes:
        attempts: Failures in a row, without a new byte between them, after which an address is given up.
        wait: Seconds before the second attempt; doubled each time.
        longest: Longest wait in seconds, for a server's own `Retry-After` too.
        connect: Seconds for a connection.
        stall: Seconds in which at least `least` bytes must arrive.
        least: Bytes.
        sleep: What waits.
        given_up: Hosts that were given up; their addresses are tried last, and once.
        session: Keeps connections open from one file to the next.
    """

    attempts: int = 6
    wait: float = 2.0
    longest: float = 300.0
    connect: float = 20.0
    stall: float = 60.0
    least: int = 1024
    sleep: Callable[[float], None] = time.sleep
    given_up: set[str] = field(default_factory=set)
    session: requests.Session = field(default_factory=_session)


@dataclass(frozen=True)
class _Wish:
    """What is wanted of an address, and how."""

    part: Part
    size: int | None
    told: str
    verified: bool
    patience: Patience
    progress: Progress | None


def download(
    urls: Sequence[str],
    target: Path,
    *,
    size: int | None = None,
    told: str = "",
    verified: bool = False,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> str:
    """Fetches a file into `target`, which is whole afterwards or absent.

    Args:
        urls: Addresses of the same file, tried in this order.
        target: Where it goes; an existing file there is left alone, and taken for the whole file.
        size: Its length in bytes, where it is known.
        told: Who says so and what to do where the length is another, for the error.
        verified: Whether the caller knows a hash of the content and checks it; a part may then be continued from
            another address than it came from.
        patience: How long is waited; pass the same one for many files, so that dead hosts are waited for once.
        progress: Called with the bytes that are there and the bytes in all (0: unknown).

    Returns:
        The address that gave it.

    Raises:
        UserError: If no address gives it, or the disk is full; what has arrived is kept for the next run.
    """
    patience = patience or Patience()
    part = Part(target)
    if target.is_file():
        return part.url
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    wish = _Wish(part, size, told, verified, patience, progress)
    for url in sorted(urls, key=lambda url: _host(url) in patience.given_up):
        try:
            _fetch(url, wish)
        except FinalError as reason:
            reasons.append(f"{url} {reason}")
            continue
        part.finish()
        return part.url
    raise UserError(
        f"cannot be downloaded: {'; '.join(reasons) or 'no address is known'}",
        file=target,
        remedy=f"run the same command again later{part.kept()}, or get the file elsewhere and put it there",
    )


def get(url: str, patience: Patience) -> requests.Response:
    """A small answer, whole in memory.

    Raises:
        UserError: If the address does not give it.
    """
    wait = patience.wait
    reason: Exception
    for attempt in range(1, patience.attempts + 1):
        try:
            with _faults(patience):
                reply = patience.session.get(url, timeout=(patience.connect, patience.stall))
                read_answer(reply, "answer")
                return reply
        except FinalError as error:
            reason, again = error, 0.0
            break
        except PassingError as error:
            reason, again = error, error.after
        if attempt < patience.attempts:
            patience.sleep(min(max(wait, again), patience.longest))
            wait *= 2
    raise UserError(f"{reason}", file=url, remedy="run the same command again later")


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _fetch(url: str, wish: _Wish) -> None:
    """Brings the part to its whole length from one address, or raises `FinalError` with the reason."""
    part, patience = wish.part, wish.patience
    failures, wait = 0, patience.wait
    attempts = 1 if _host(url) in patience.given_up else patience.attempts
    while not part.whole(wish.size):
        before = part.length
        try:
            _attempt(url, wish)
            return
        except PassingError as reason:
            if part.length > before:
                failures, wait = 0, patience.wait
            failures += 1
            if failures >= attempts:
                patience.given_up.add(_host(url))
                times = f", {failures} times in a row" if failures > 1 else ""
                raise FinalError(f"{reason}{times}") from None
            patience.sleep(min(max(wait, reason.after), patience.longest))
            wait *= 2


def _attempt(url: str, wish: _Wish) -> None:
    """One request, after which the part is whole, or an error says whether to try again."""
    part, patience = wish.part, wish.patience
    condition = part.condition(url, wish.verified)
    headers = {} if condition is None else {"Range": f"bytes={part.length}-"}
    if condition:
        headers["If-Range"] = condition
    timeout = (patience.connect, patience.stall)
    with _faults(patience), patience.session.get(url, headers=headers, stream=True, timeout=timeout) as reply:
        answer = read_answer(reply, part.target.name)
        if answer.total is not None and wish.size is not None and answer.total != wish.size:
            raise FinalError(f"offers {answer.total:,} bytes instead of {wish.size:,}{wish.told}")
        if condition is None or not part.continued_by(answer, url):
            if answer.status != 200:  # a piece that was not asked for, or of another version
                part.drop()
                raise PassingError("sent a piece of another version")
            part.begin(url, answer)
        require_room(part.file, (answer.total or 0) - part.length)
        _receive(reply, answer.total, wish)
    total = wish.size if answer.total is None else answer.total
    if total is not None and part.length < total:
        raise PassingError(f"broke off after {part.length:,} of {total:,} bytes")
    if total is not None and part.length > total:
        part.drop()
        raise PassingError("sent more bytes than it announced")


def _receive(reply: requests.Response, total: int | None, wish: _Wish) -> None:
    """Appends what arrives; a connection over which next to nothing comes counts as broken."""
    patience, done = wish.patience, wish.part.length
    mark, since = done, time.monotonic()
    with full_disk(wish.part.file, "what has arrived is kept"), wish.part.file.open("ab", buffering=0) as stream:
        for block in _blocks(reply):
            rest = memoryview(block)
            while rest:
                rest = rest[stream.write(rest) :]
            done += len(block)
            if wish.progress is not None:
                wish.progress(done, total or 0)
            now = time.monotonic()
            if now - since >= patience.stall:
                if done - mark < patience.least:
                    raise PassingError(f"sent {done - mark} bytes in {now - since:.0f} s")
                mark, since = done, now


def _blocks(reply: requests.Response) -> Iterator[bytes]:
    """What has arrived, as it arrives: `read1` returns without waiting for a full block, so that stalls are seen."""
    while block := reply.raw.read1(_BLOCK, decode_content=False):
        yield block


@contextmanager
def _faults(patience: Patience) -> Iterator[None]:
    """Sorts what can go wrong with a connection into what may pass and what will not."""
    try:
        yield
    except _FINAL as error:
        raise FinalError(f"leads nowhere safe ({_reason(error)})") from error
    except (requests.exceptions.Timeout, ReadTimeoutError, TimeoutError) as error:
        raise PassingError(f"sent nothing for {patience.stall:g} s") from error
    except (requests.exceptions.RequestException, HTTPError, ConnectionError) as error:
        raise PassingError(f"broke the connection ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."
