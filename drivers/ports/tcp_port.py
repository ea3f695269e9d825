"""A TCP connection as a byte pipe: a device with its own socket, or a serial server (RTU over TCP).

Bytes go out at once (`TCP_NODELAY`). A peer that vanished without a word is noticed by keep-alive when idle and by
`TCP_USER_TIMEOUT` when bytes stay unacknowledged, both well below the kernel's quarter of an hour.
"""

import asyncio
import socket
from contextlib import suppress
from typing import cast

from drivers.errors import PortError
from drivers.ports.port import LineSettings, PortListener
from drivers.text import _

CONNECT_S = 3.0
CLOSE_S = 2.0
"""How long a close may take until the descriptor is free; an aborted connection needs no more than a loop's turn."""
MAX_UNSENT_BYTES = 65_536
KEEPALIVE_IDLE_S = 20
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_PROBES = 3
USER_TIMEOUT_MS = 20_000


def is_resolvable(host: str) -> bool:
    """Whether a resolver would so much as look for this host: the parts of its name have 1 to 63 characters.

    For one that it would not, connecting raises `UnicodeError`, which is no `OSError` (RFC 1034, 3.1).
    """
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


class TcpPort(asyncio.Protocol):
    """Bytes over one TCP connection. See `drivers.ports.port.Port` for the face."""

    def __init__(self, name: str, host: str, port: int, *, connect_s: float = CONNECT_S) -> None:
        self._name = name
        self._host = host
        self._port = port
        self._connect_s = connect_s
        self._transport: asyncio.Transport | None = None
        self._listener: PortListener | None = None
        self._gone: asyncio.Event | None = None

    @property
    def name(self) -> str:
        """The port as the configuration names it."""
        return self._name

    @property
    def line(self) -> LineSettings | None:
        """None: a stream has no character times."""
        return None

    async def open(self, listener: PortListener) -> None:
        """Connect. Raises `PortError`."""
        assert self._transport is None, f"{self._name} is open already"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_s):
                await loop.create_connection(lambda: self, self._host, self._port)
        except TimeoutError as e:
            await self.aclose()
            raise PortError(_("%s does not answer within %g s") % (self._name, self._connect_s)) from e
        except ConnectionRefusedError as e:
            raise PortError(_("%s refuses the connection: nothing listens there") % self._name) from e
        except socket.gaierror as e:
            raise PortError(_("%s: the name %s is not known") % (self._name, self._host)) from e
        except OSError as e:
            raise PortError(_("%s cannot be reached: %s") % (self._name, e.strerror or e)) from e
        except asyncio.CancelledError:
            await self.aclose()
            raise
        self._listener = listener
        if not self._is_up():
            self._listener = None
            raise PortError(_("%s hung up at once") % self._name)

    def write(self, data: bytes) -> None:
        """Hand bytes to the connection."""
        if self._transport is None:
            raise PortError(_("%s is closed") % self._name)
        waiting = self._transport.get_write_buffer_size()
        if waiting + len(data) > MAX_UNSENT_BYTES:
            raise PortError(_("%s takes no bytes: %d are waiting") % (self._name, waiting))
        self._transport.write(data)

    async def aclose(self) -> None:
        """Hang up and wait until the socket is gone, so that a device with one connection is free for the next."""
        self._listener = None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._gone is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._gone.wait()
            self._gone = None

    def _is_up(self) -> bool:
        return self._transport is not None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)
        self._gone = asyncio.Event()
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._listener is not None:
            self._listener.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by us or by the peer."""
        listener, self._listener = self._listener, None
        self._transport = None
        if self._gone is not None:
            self._gone.set()
        if listener is None:
            return
        why = _("the peer hung up") if exc is None else str(exc)
        listener.port_lost(PortError(_("%s is lost: %s") % (self._name, why)))
