"""The HTTP server of the Director: the standard library's, a thread a connection, bounded in both.

It is to stand behind the web server that devices reach, or to have a certificate of its own; without one it listens on
loopback only. What it serves is signed, so a stranger who reads it learns what a device is to run, and no more.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from drivers.text import _
from ota.campaign.config import ConfigError, DirectorConfig, RolloutConfig
from ota.campaign.director import OnlineDirector, application

MAX_CONNECTIONS = 64
TIMEOUT_S = 30.0


class DirectorServer:
    """Serves from `start` to `stop`. Raises `ConfigError` where it cannot listen."""

    def __init__(
        self,
        config: RolloutConfig,
        own: DirectorConfig,
        director: OnlineDirector,
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        host, _colon, port = own.listen.rpartition(":")
        host = host.strip("[]")
        context = _tls(config, own)
        if context is None and not _is_loopback(host):
            text = _("{file}: director.listen: {address} is beyond loopback: give a certificate and a private_key")
            raise ConfigError(text.format(file=config.file, address=own.listen))
        try:
            self._server = (_Server6 if ":" in host else _Server)((host, int(port)), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"{config.file}: director.listen: {own.listen}: {error}") from error
        self._server.context = context
        self._server.set_app(application(director, clock, say))
        self._thread = Thread(target=self._server.serve_forever, name="director", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a request that runs is not waited for."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    context: ssl.SSLContext | None = None

    def __init__(self, *arguments: Any) -> None:
        self._places = BoundedSemaphore(MAX_CONNECTIONS)
        self._open: dict[socket.socket, float] = {}
        """Since when each is there."""
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """As the base class, without asking the name service who we are."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """One more thread, or a closed door: a device comes again."""
        if not self._places.acquire(blocking=False):
            self._end_the_slow()
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def _end_the_slow(self) -> None:
        """Whoever gives a byte now and then is never silent: where all places are taken, his is taken from him."""
        for handle, since in list(self._open.items()):
            if monotonic() - since > TIMEOUT_S:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake is made here, so that one who is slow at it holds up nobody else."""
        handle = request.dup()  # TLS takes the socket itself away
        self._open[handle] = monotonic()
        try:
            request.settimeout(TIMEOUT_S)
            if self.context is not None:
                request = self.context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError:
            with suppress(OSError):
                request.close()
        finally:
            del self._open[handle]
            handle.close()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that hangs up in the middle is its own affair."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT_S

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # its name in the base class
        """Who asked for what is nobody's affair here."""


def _tls(config: RolloutConfig, own: DirectorConfig) -> ssl.SSLContext | None:
    if own.certificate is None and own.private_key is None:
        return None
    if own.certificate is None or own.private_key is None:
        raise ConfigError(f"{config.file}: director: certificate and private_key go together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, private_key = config.path(own.certificate), config.path(own.private_key)
    try:
        context.load_cert_chain(_readable(certificate), _readable(private_key))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{config.file}: director: {certificate}: {error.strerror or error}") from error
    return context


def _readable(file: Path) -> Path:
    with file.open("rb"):
        return file


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
