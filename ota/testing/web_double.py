"""A web server for tests, real sockets and HTTP, with the faults that the field has."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Faults(NamedTuple):
    """What goes wrong with the next answers. All at once is possible."""

    status: int = 0
    """Answer this instead."""
    drop_after: int = -1
    """Cut the line after so many bytes of the body."""
    has_ranges: bool = True
    is_other_range: bool = False
    """Answer a range, but not the one that was asked for."""
    is_portal: bool = False
    """A login page, as a hotel's or a train's network gives to whoever asks for anything."""
    is_short: bool = False
    """End the body some bytes before the length that was said."""
    is_endless: bool = False
    drip_s: float = 0.0
    """A byte at a time, so many seconds apart."""
    flip_at: int = -1
    """Turn a bit of this byte of the file."""


class WebDouble:
    """Serves `files` (path without the first slash -> bytes). Remembers what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults = Faults()
        self.faults_at: dict[int, Faults] = {}
        """By number of request, from 0."""
        self.asked: list[tuple[str, str]] = []
        """(path, the Range header)"""
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["WebDouble"]:
        """Serve until the block ends."""
        double = self

        class Handler(_Handler):
            web = double

        server = _Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="web double")
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what is tested; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    web: WebDouble
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its head

    def do_GET(self) -> None:
        """Answer with a file, as the faults have it."""
        faults = self.web.faults_at.get(len(self.web.asked), self.web.faults)
        path = self.path.lstrip("/")
        wanted = self.headers.get("Range", "")
        self.web.asked.append((path, wanted))
        data = self.web.files.get(path)
        status = faults.status or (HTTPStatus.OK if data is not None else HTTPStatus.NOT_FOUND)
        if faults.is_portal:
            self._send(
                HTTPStatus.OK, b"<html>please log in</html>", faults, {"Content-Type": "text/html; charset=utf-8"}
            )
        elif status != HTTPStatus.OK or data is None:
            self._send(status, b"no", faults, {})
        elif wanted and faults.has_ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) + faults.is_other_range
            part = _flipped(data, faults.flip_at)[start : int(last) + 1]
            span = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
            self._send(HTTPStatus.PARTIAL_CONTENT, part, faults, {"Content-Range": span})
        else:
            self._send(HTTPStatus.OK, _flipped(data, faults.flip_at), faults, {})

    def _send(self, status: int, body: bytes, faults: Faults, headers: dict[str, str]) -> None:
        self.send_response(status)
        length = (1 << 40) if faults.is_endless else len(body)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = faults != Faults()
        try:
            end = faults.drop_after if faults.drop_after >= 0 else len(body) - 100 * faults.is_short
            self._send_body(body[:end], faults)
        except OSError:
            self.close_connection = True  # the client has had enough

    def _send_body(self, body: bytes, faults: Faults) -> None:
        while faults.is_endless:
            self.wfile.write(bytes(1 << 16))
        if not faults.drip_s:
            self.wfile.write(body)
            return
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            self.wfile.flush()
            time.sleep(faults.drip_s)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""


def _flipped(data: bytes, at: int) -> bytes:
    if not 0 <= at < len(data):
        return data
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
