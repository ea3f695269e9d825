"""A TCP proxy that does what networks do: late, slow, in slices, cut off, silent, refused.

`TcpProxy` stands between a client and a target. Its `faults` may be changed while it runs and hold for connections that
exist. All chance comes from one seed. Bytes are counted each way, as they arrive and as they are handed on.

Nothing is read from a socket that is not wanted at that moment, so `freeze` fills the sender's own buffers, as a frozen
peer would.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from types import TracebackType
from typing import Annotated, Self, cast

import msgspec

CHUNK_BYTES = 65_536
MAX_HELD_BYTES = 4 * 1024 * 1024
"""What one direction may hold back for latency; more is left in the sender's buffer."""
CONNECT_WITHIN_S = 10.0
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s: closing sends RST."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class TcpFaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong; all off by default. Each holds for both directions."""

    latency_s: Seconds = 0.0
    """Every byte arrives so much later."""
    jitter_s: Seconds = 0.0
    """Up to so much later still, evenly drawn; order is kept."""
    bytes_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """No direction carries more."""
    slice_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Nothing is handed on in larger pieces."""
    slice_gap_s: Seconds = 0.0
    """And so long after each piece nothing goes."""
    black_hole: bool = False
    """Bytes are taken and vanish; new connections are taken and hear nothing."""
    freeze: bool = False
    """Nothing is read: the sender's buffers fill up. What was held back goes on when it ends."""
    refuse: bool = False
    """New connections are refused, as by a port where nobody listens."""
    cut_after_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """A connection is reset when it has carried so many bytes, both ways together."""
    reset_chance: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """How likely it is, for each piece that arrives, that the connection is reset instead."""


NO_FAULTS = TcpFaults()


class TcpProxy:
    """Enter it as a context, or call `start` and `stop`. `up` is from client to target, `down` the other way."""

    def __init__(
        self, target_host: str, target_port: int, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0
    ) -> None:
        self._target = (target_host, target_port)
        self._host = host
        self._port = port
        self._random = random.Random(seed)  # noqa: S311 # faults must be repeatable, not secret
        self._faults = NO_FAULTS
        self._listener: socket.socket | None = None
        self._is_started = False
        self._links: dict[asyncio.Task[None], _Link] = {}
        self.connections = 0
        """Connections that were taken, ever."""
        self.up_bytes = 0
        """Handed on from clients to the target."""
        self.down_bytes = 0
        """Handed on from the target to clients."""
        self.swallowed_bytes = 0
        """Taken and never handed on: by the black hole, or held back when a connection was reset."""

    @property
    def host(self) -> str:
        """Where clients connect to."""
        return self._host

    @property
    def port(self) -> int:
        """Where clients connect to; chosen at the first start, the same ever after."""
        return self._port

    @property
    def open_connections(self) -> int:
        """Connections at this moment."""
        return len(self._links)

    @property
    def faults(self) -> TcpFaults:
        """What goes wrong at this moment."""
        return self._faults

    @faults.setter
    def faults(self, faults: TcpFaults) -> None:
        self._faults = faults
        if self._is_started:
            if faults.refuse:
                self._close_listener()
            elif self._listener is None:
                self._listen()
        for link in tuple(self._links.values()):
            link.faults_changed()

    def reset_all(self) -> None:
        """Reset every connection that there is."""
        for link in tuple(self._links.values()):
            link.reset()

    async def start(self) -> None:
        """Listen. Raises `OSError` where the port is not to be had."""
        self._listen()
        self._is_started = True
        if self._faults.refuse:
            self._close_listener()

    async def stop(self) -> None:
        """Reset every connection and listen no more."""
        self._is_started = False
        self._close_listener()
        self.reset_all()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def chance(self) -> float:
        """The next number from 0 to 1 of the seeded source."""
        return self._random.random()

    async def connect_target(self, protocol: asyncio.Protocol) -> None:
        """Open the way to the target. Raises `OSError`."""
        async with asyncio.timeout(CONNECT_WITHIN_S):
            await asyncio.get_running_loop().create_connection(lambda: protocol, *self._target)

    def _listen(self) -> None:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=64)
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _close_listener(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _address = listener.accept()
        except OSError:
            return  # the client has thought better of it
        self.connections += 1
        link = _Link(self)
        task = asyncio.get_running_loop().create_task(link.run(client), name="tcp proxy link")
        self._links[task] = link
        task.add_done_callback(self._links.pop)


class _Link:
    """One client's connection and its way to the target."""

    def __init__(self, proxy: TcpProxy) -> None:
        self.proxy = proxy
        self.carried_bytes = 0
        self._client = _Side(self)
        self._target = _Side(self)
        self._task: asyncio.Task[None] | None = None

    async def run(self, client: socket.socket) -> None:
        """Carry both ways until both sides have ended, or one is reset."""
        self._task = asyncio.current_task()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self._client, client)
            while self.proxy.faults.black_hole:  # a client that came into the hole sees no target before it ends
                await self._client.look_again()
                self._client.swallow()
                if self._client.is_at_end:
                    return
            await self.proxy.connect_target(self._target)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(self._client, self._target, is_up=True))
                ways.create_task(self._carry(self._target, self._client, is_up=False))
        except* OSError:
            self._client.reset()
            self._target.reset()
        finally:
            self._client.close()
            self._target.close()

    def reset(self) -> None:
        """End it with RST, both ways."""
        self._client.reset()
        self._target.reset()
        if self._task is not None:
            self._task.cancel()

    def faults_changed(self) -> None:
        """Look again at what is allowed."""
        for side in (self._client, self._target):
            side.update_reading()
            side.news.set()

    async def _carry(self, source: "_Side", sink: "_Side", *, is_up: bool) -> None:
        proxy = self.proxy
        while (piece := await self._next_piece(source)) is not None:
            faults = proxy.faults
            if faults.black_hole:
                proxy.swallowed_bytes += len(piece)
                continue
            if faults.cut_after_bytes is not None:
                left = max(0, faults.cut_after_bytes - self.carried_bytes)
                proxy.swallowed_bytes += len(piece) - len(piece[:left])
                piece = piece[:left]
            await sink.write(piece)
            self.carried_bytes += len(piece)
            if is_up:
                proxy.up_bytes += len(piece)
            else:
                proxy.down_bytes += len(piece)
            if faults.cut_after_bytes is not None and self.carried_bytes >= faults.cut_after_bytes:
                raise ConnectionAbortedError("carried as much as it may")
            pause_s = len(piece) / faults.bytes_per_s if faults.bytes_per_s else 0.0
            if source.held and faults.slice_bytes:
                pause_s = max(pause_s, faults.slice_gap_s)
            if pause_s:
                await asyncio.sleep(pause_s)
        sink.end()

    async def _next_piece(self, source: "_Side") -> bytes | None:
        """Wait for what is due next from `source`; None at its end."""
        loop = asyncio.get_running_loop()
        while True:
            faults = self.proxy.faults
            if source.held and not faults.freeze:
                due_s = source.held[0][0] - loop.time()
                if due_s <= 0:
                    return source.take(faults.slice_bytes or CHUNK_BYTES)
                await source.look_again(due_s)
            elif source.is_at_end and not source.held:
                return None
            else:
                await source.look_again()


class _Side(asyncio.Protocol):
    """One of the two sockets of a link: what has come from it and waits, and whether it takes more."""

    def __init__(self, link: _Link) -> None:
        self._link = link
        self._transport: asyncio.Transport | None = None
        self._lost: Exception | None = None
        self._held_bytes = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self.held: deque[tuple[float, bytes]] = deque()
        """What came, and when it may go on."""
        self.news = asyncio.Event()
        self.is_at_end = False
        """Nothing more will come."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=CHUNK_BYTES)
        self.update_reading()

    def data_received(self, data: bytes) -> None:
        proxy = self._link.proxy
        faults = proxy.faults
        if faults.reset_chance and proxy.chance() < faults.reset_chance:
            proxy.swallowed_bytes += len(data)
            self._link.reset()
            return
        due = asyncio.get_running_loop().time() + faults.latency_s + faults.jitter_s * proxy.chance()
        if self.held:
            due = max(due, self.held[-1][0])
        self.held.append((due, data))
        self._held_bytes += len(data)
        self.update_reading()
        self.news.set()

    def eof_received(self) -> bool:
        self.is_at_end = True
        self.news.set()
        return True  # the other way may have something to say yet

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc
        self.is_at_end = True
        self._writable.set()
        self.news.set()
        if exc is not None:
            self._link.reset()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What the link calls.

    def update_reading(self) -> None:
        """Read only what is wanted at this moment."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._link.proxy.faults.freeze or self._held_bytes > MAX_HELD_BYTES:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def look_again(self, within_s: float | None = None) -> None:
        """Wait until something has changed here, or for so long."""
        self.news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), within_s)

    def take(self, count: int) -> bytes:
        """The first bytes that wait."""
        due, data = self.held.popleft()
        if len(data) > count:
            self.held.appendleft((due, data[count:]))
            data = data[:count]
        self._held_bytes -= len(data)
        self.update_reading()
        return data

    def swallow(self) -> None:
        """Make away with all that waits."""
        self._link.proxy.swallowed_bytes += self._held_bytes
        self.held.clear()
        self._held_bytes = 0
        self.update_reading()

    async def write(self, data: bytes) -> None:
        """Hand bytes to this side's peer, when it takes them. Raises `ConnectionError` when it is gone."""
        await self._writable.wait()
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the other side is gone")
        self._transport.write(data)

    def end(self) -> None:
        """Tell this side's peer that nothing more comes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Let go, when all is written."""
        self.swallow()
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End it with RST."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
