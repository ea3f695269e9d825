"""A hawkBit server for tests: real sockets and HTTP, a script of exchanges, and the faults that the field has.

It knows nothing of the DDI: a test says which request must come next and what is answered. A request that is another
one, or one too many, is answered with 418 and remembered: `serving` ends with an assertion that there was none.
"""

import json
import ssl
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Exchange(NamedTuple):
    """One request that must come, and its answer."""

    method: str
    path: str
    status: int = HTTPStatus.OK
    body: Any = b""
    """Bytes, or what is sent as JSON."""
    headers: Mapping[str, str] = {}
    is_lost: bool = False
    """The request comes, and its answer never does."""
    is_cut: bool = False
    """The answer ends in its middle."""


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class HawkbitDouble:
    """`script` is what is still to come."""

    def __init__(self) -> None:
        self.script: deque[Exchange] = deque()
        self.asked: list[Asked] = []
        self.unexpected: list[str] = []
        self.url = ""

    def expect(self, *exchanges: Exchange) -> None:
        """These come next, in this order."""
        self.script.extend(exchanges)

    @contextmanager
    def serving(self, context: ssl.SSLContext | None = None) -> Iterator["HawkbitDouble"]:
        """Serve until the block ends; then all of the script must have been asked for, and nothing else."""
        double = self

        class Handler(_Handler):
            hawkbit = double

        server = _Server(("127.0.0.1", 0), Handler)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="hawkbit double")
        thread.start()
        host = "127.0.0.1" if context is None else "localhost"
        self.url = f"http{'' if context is None else 's'}://{host}:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        assert not self.unexpected, self.unexpected
        assert not self.script, f"never asked for: {list(self.script)}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what is tested; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    hawkbit: HawkbitDouble
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        double = self.hawkbit
        double.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
        if not double.script or double.script[0][:2] != (self.command, self.path):
            double.unexpected.append(f"{self.command} {self.path}")
            self._send(Exchange("", "", HTTPStatus.IM_A_TEAPOT))
            return
        self._send(double.script.popleft())

    do_GET = do_PUT = do_POST = _answer  # noqa: N815  # the base class calls them so

    def _send(self, exchange: Exchange) -> None:
        if exchange.is_lost:
            self.close_connection = True
            return
        body = exchange.body if isinstance(exchange.body, bytes) else json.dumps(exchange.body).encode()
        self.send_response(exchange.status)
        for name, value in {"Content-Length": str(len(body)), **exchange.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if exchange.is_cut else body)
        self.close_connection = exchange.is_cut or self.close_connection

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""
