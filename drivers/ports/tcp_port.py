"""A TCP connection as a port: Modbus TCP, serial servers (RTU over TCP), AIS and NMEA multiplexers."""

import asyncio
import socket

from drivers.errors import PortError
from drivers.ports.port import LineSettings, PortListener
from drivers.text import _

CONNECT_TIMEOUT_S = 5.0
MAX_UNSENT_BYTES = 262_144
"""A peer that takes nothing for this long a queue is as good as gone."""
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 15, 5, 3
"""A peer that vanished without a word (power cut) is noticed after half a minute even when nobody writes to it."""


class TcpPort:
    """One connection at a time to HOST:PORT."""

    line: LineSettings | None = None

    def __init__(self, host: str, port: int) -> None:
        self.name = f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"
        self._host = host
        self._port = port
        self._connection: _Connection | None = None

    async def open(self, listener: PortListener) -> None:
        """Connect. Raises `PortError` saying why not."""
        if self._connection is not None:
            raise PortError(_("{port}: is open already").format(port=self.name))
        loop = asyncio.get_running_loop()
        connection = _Connection(self, listener)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: connection, self._host, self._port)
        except TimeoutError as error:
            raise PortError(_("{port}: no answer to the connection").format(port=self.name)) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise PortError(_("{port}: {reason}").format(port=self.name, reason=reason)) from error
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Queue bytes. Raises `PortError` when closed, or when the peer takes none."""
        connection = self._connection
        if connection is None:
            raise PortError(_("{port}: is closed").format(port=self.name))
        transport = connection.transport
        assert transport is not None
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise PortError(_("{port}: the other side takes no more data").format(port=self.name))
        transport.write(data)

    async def aclose(self) -> None:
        """Hang up and wait until the socket is gone: a device that takes one connection can take the next."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.listener = None
        assert connection.transport is not None
        connection.transport.abort()
        await connection.closed.wait()

    def lost(self, connection: "_Connection", error: Exception | None) -> None:
        """The transport is gone: tell the listener unless the port was closed on purpose."""
        if self._connection is connection:
            self._connection = None
        listener, connection.listener = connection.listener, None
        if listener is not None:
            reason = getattr(error, "strerror", None) or _("the other side hung up")
            listener.port_lost(PortError(_("{port}: {reason}").format(port=self.name, reason=reason)))


class _Connection(asyncio.Protocol):
    def __init__(self, port: TcpPort, listener: PortListener) -> None:
        self._port = port
        self.listener: PortListener | None = listener
        self.transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        s: socket.socket = transport.get_extra_info("socket")
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)

    def data_received(self, data: bytes) -> None:
        if self.listener is not None:
            self.listener.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self._port.lost(self, exc)
