"""A web server on this machine that misbehaves as it is told."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass
class Fault:
    """What is done instead of a plain answer, once.

    Attributes:
        status: Status without a body.
        headers: Added to the answer, or in place of those that it would have.
        cut: The connection is closed after so many bytes of the body.
        stall: Seconds of silence before the connection is closed.
        drip: One byte each so many seconds, until the connection is closed.
        body: The body in place of the content.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: float = 0.0
    drip: float = 0.0
    body: bytes | None = None


class Site:
    """Serves `content`, a path -> bytes, with ETag and ranges unless told otherwise.

    Attributes:
        content: What lies where.
        faults: Path -> faults of the next answers, in order.
        ranges: Whether ranges are known.
        conditions: Whether `If-Range` is heeded.
        validators: Headers that are sent of "ETag" and "Last-Modified".
        chunked: Whether bodies are sent in chunks, without a length.
        asked: (path, Range header, If-Range header) of all requests.
        pause: Called after each 64 kB of a body.
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.ranges = True
        self.conditions = True
        self.validators = {"ETag", "Last-Modified"}
        self.chunked = False
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.pause: Callable[[str], None] = lambda path: None
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that was killed is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Site:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        span, condition = request.headers.get("Range"), request.headers.get("If-Range")
        self.asked.append((path, span, condition))
        fault = self.faults[path].pop(0) if self.faults[path] else Fault()
        body = self.content.get(path.split("?")[0]) if fault.body is None else fault.body
        if fault.status is not None or body is None:
            self._send(request, fault.status or 404, dict(fault.headers), b"", fault)
            return
        validators = {
            "ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
            "Last-Modified": f"Mon, 01 Jan 2024 00:00:{sum(body[:64]) % 60:02d} GMT",
        }
        headers = {name: value for name, value in validators.items() if name in self.validators}
        status = 200
        if span and self.ranges and (not self.conditions or condition in (None, *headers.values())):
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self._send(request, 416, {"Content-Range": f"bytes */{len(body)}"}, b"", fault)
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        self._send(request, status, headers | fault.headers, body, fault)

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, fault: Fault
    ) -> None:
        request.send_response(status)
        if self.chunked and body:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        try:
            self._body(request, body, fault)
        except OSError:  # the client has gone
            request.close_connection = True

    def _body(self, request: BaseHTTPRequestHandler, body: bytes, fault: Fault) -> None:
        part = body if fault.cut is None else body[: fault.cut]
        for begin in range(0, len(part), 65536):
            block = part[begin : begin + 65536]
            if self.chunked:
                block = f"{len(block):x}\r\n".encode() + block + b"\r\n"
            request.wfile.write(block)
            request.wfile.flush()
            self.pause(request.path)
        if self.chunked and fault.cut is None:
            request.wfile.write(b"0\r\n\r\n")
        end = time.monotonic() + fault.stall
        while time.monotonic() < end:
            if fault.drip:
                request.wfile.write(b"x")
                request.wfile.flush()
            time.sleep(fault.drip or fault.stall)
        if fault.cut is not None or fault.stall:
            request.close_connection = True
