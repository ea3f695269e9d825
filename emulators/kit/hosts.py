"""Places for an emulated device: in memory, on a TCP socket, on a pseudo-terminal with the speed of a real line.

A host gives a device its bytes and its time and carries what it says. All run on the event loop of whoever starts them.
`run_hosts` runs them until SIGTERM or SIGINT on a loop whose timers are finer than a millisecond; on an ordinary loop
a paced line is right on the average and late by up to a millisecond a frame.
"""

import asyncio
import contextlib
import json
import os
import selectors
import signal
import sys
import termios
import tty
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from emulators.kit.device import EmulatedDevice
from emulators.kit.tap import Tap

READ_BYTES = 4096
PIECE_S = 0.002
"""A paced line hands over bytes in pieces of this long, as adapters do."""
MAX_UNREAD_BYTES = 65_536
"""A peer that leaves more than this unread loses what is said beyond it, as on a real wire."""


class Host(Protocol):
    """A place for a device."""

    @property
    def endpoint(self) -> str:
        """How a gateway's configuration names it, such as `tcp:127.0.0.1:1502`."""

    async def start(self) -> None:
        """Be there. Raises `OSError`."""

    async def aclose(self) -> None:
        """Be gone; harmless when gone already. May be started again."""


class _Started(ABC):
    """`async with` for a host."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def aclose(self) -> None: ...

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Ticker:
    """Calls a device's `tick()` when it is due."""

    def __init__(self, device: EmulatedDevice, say: Callable[[list[bytes]], None]) -> None:
        self._device = device
        self._say = say
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def receive(self, data: bytes) -> None:
        self._say(self._device.receive(data, self._loop.time()))
        self.arm()

    def arm(self) -> None:
        self.stop()
        deadline = self._device.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self._say(self._device.tick(self._loop.time()))
        self.arm()


class MemoryHost:
    """A device behind two functions: `feed` takes bytes for it, `on_bytes` is called with what it says."""

    def __init__(self, device: EmulatedDevice, tap: Tap | None = None) -> None:
        self.on_bytes: Callable[[bytes], None] = lambda _wire: None
        self.tap = tap or Tap()
        self._loop = asyncio.get_running_loop()
        self._ticker = _Ticker(device, self._say)
        self._ticker.arm()

    def feed(self, data: bytes) -> None:
        """Bytes for the device."""
        now = self._loop.time()
        self.tap.hear(now, now, "master", data)
        self._ticker.receive(data)

    def close(self) -> None:
        """Stop its time."""
        self._ticker.stop()

    def _say(self, wires: list[bytes]) -> None:
        now = self._loop.time()
        for wire in wires:
            self.tap.hear(now, now, "device", wire)
            self._loop.call_soon(self.on_bytes, wire)


class _Connection(asyncio.Protocol):
    """One connection to a `TcpHost`."""

    def __init__(self, host: "TcpHost") -> None:
        self._host = host
        self._transport: asyncio.Transport | None = None
        self._ticker: _Ticker | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host = self._host
        if host.max_connections is not None and len(host.connections) >= host.max_connections:
            host.refused += 1
            transport.abort()
            return
        host.accepted += 1
        host.connections.add(self)
        self._ticker = _Ticker(host.connect(), self._say)
        self._ticker.arm()

    def data_received(self, data: bytes) -> None:
        if self._ticker is not None:
            now = asyncio.get_running_loop().time()
            self._host.tap.hear(now, now, "master", data)
            self._ticker.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's face
        if self._ticker is not None:
            self._ticker.stop()
        self._host.connections.discard(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _say(self, wires: list[bytes]) -> None:
        assert self._transport is not None
        now = asyncio.get_running_loop().time()
        for wire in wires:
            self._host.tap.hear(now, now, "device", wire)
            if self._transport.get_write_buffer_size() <= MAX_UNREAD_BYTES:
                self._transport.write(wire)


class TcpHost(_Started):
    """A device on a TCP socket. `connect` makes what serves one connection, over whatever state they share."""

    def __init__(
        self,
        connect: Callable[[], EmulatedDevice],
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        max_connections: int | None = None,
        tap: Tap | None = None,
    ) -> None:
        self.connect = connect
        self.max_connections = max_connections
        self.tap = tap or Tap()
        self.connections: set[_Connection] = set()
        self.accepted = 0
        self.refused = 0
        """Connections beyond `max_connections`."""
        self._address = address
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def endpoint(self) -> str:
        """`tcp:ADDRESS:PORT`; the port is known once it is started and stays the same."""
        address = f"[{self._address}]" if ":" in self._address else self._address
        return f"tcp:{address}:{self._port}"

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), self._address, self._port, reuse_address=True
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stop listening and break every connection."""
        if self._server is not None:
            self._server.close()
            for connection in tuple(self.connections):
                connection.abort()
            await self._server.wait_closed()
            self._server = None


class PtyHost(_Started):
    """Devices that share a line which is a pseudo-terminal, half duplex, with the speed of a real one.

    baud: 0 for a pipe without speed. silence_s: how long a silence ends a frame; a request that starts before the line
    was silent for so long is not heard by anybody and counted as a violation. 0 hands bytes over as they come.
    link: a name that is made to mean the pseudo-terminal, as udev does below `/dev/serial/by-id/`.
    """

    def __init__(
        self,
        devices: Sequence[EmulatedDevice],
        *,
        baud: int = 0,
        bits_per_char: int = 10,
        silence_s: float = 0.0,
        link: Path | None = None,
        tap: Tap | None = None,
    ) -> None:
        self.tap = tap or Tap()
        self.path = ""
        """The pseudo-terminal's own name."""
        self._devices = devices
        self._char_s = bits_per_char / baud if baud else 0.0
        self._silence_s = silence_s
        self._link = link
        self._query = f"?baud={baud}" if baud else ""
        self._master = -1
        self._slave = -1
        self._tickers: list[_Ticker] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._incoming = bytearray()
        self._incoming_from = 0.0
        self._incoming_until = 0.0
        self._is_glued = False  # what comes in started too early to be a frame of its own
        self._frame_timer: asyncio.TimerHandle | None = None
        self._outgoing: deque[bytes] = deque()
        self._sent = 0  # bytes of the first outgoing frame
        self._sending_from = 0.0
        self._send_timer: asyncio.TimerHandle | None = None
        self._quiet_from = 0.0

    @property
    def endpoint(self) -> str:
        """`pty:PATH` with the speed of the line."""
        return f"pty:{self._link or self.path}{self._query}"

    async def start(self) -> None:
        """Make the pseudo-terminal. Its slave is kept open, so that a gateway may come and go."""
        self._loop = asyncio.get_running_loop()
        self._master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.path)
        self._loop.add_reader(self._master, self._readable)
        self._tickers = [_Ticker(device, self._say) for device in self._devices]
        for ticker in self._tickers:
            ticker.arm()

    async def aclose(self) -> None:
        """Hang up: whoever has the pseudo-terminal open reads an end of file or an error."""
        if self._loop is None:
            return
        self._loop.remove_reader(self._master)
        for ticker in self._tickers:
            ticker.stop()
        for timer in (self._frame_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        self._frame_timer = self._send_timer = None
        os.close(self._master)
        os.close(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        self._outgoing.clear()
        self._incoming.clear()
        self._loop = None

    def _readable(self) -> None:
        assert self._loop is not None
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._master, READ_BYTES)
            self._hear(data, self._loop.time())

    def _hear(self, data: bytes, now: float) -> None:
        """A pseudo-terminal has no speed: bytes that are here now would still be travelling on a line."""
        assert self._loop is not None
        if not self._incoming:
            self._incoming_from = now
            self._incoming_until = now
            is_busy = bool(self._outgoing) or now < self._quiet_from + self._silence_s
            self._is_glued = bool(self._silence_s) and is_busy
        elif self._silence_s and now > self._incoming_until + self._silence_s / 3.5 * 1.5:
            self._is_glued = True  # a gap of more than 1.5 characters voids a frame
        self._incoming += data
        self._incoming_until = max(self._incoming_until, now) + len(data) * self._char_s
        if self._frame_timer is not None:
            self._frame_timer.cancel()
        self._frame_timer = self._loop.call_at(self._incoming_until + self._silence_s, self._frame_ended)
        self._quiet_from = max(self._quiet_from, self._incoming_until)

    def _frame_ended(self) -> None:
        self._frame_timer = None
        wire = bytes(self._incoming)
        self._incoming.clear()
        self.tap.hear(self._incoming_from, self._incoming_until, "master", wire)
        if self._is_glued:
            self.tap.violations += 1
            return
        for ticker in self._tickers:
            ticker.receive(wire)

    def _say(self, wires: list[bytes]) -> None:
        assert self._loop is not None
        for wire in wires:
            if wire and sum(map(len, self._outgoing)) <= MAX_UNREAD_BYTES:
                self._outgoing.append(wire)
        if self._outgoing and self._send_timer is None:
            self._sent = 0
            self._sending_from = self._loop.time()
            self._send()

    def _send(self) -> None:
        """Let the bytes appear that would have arrived by now; the last of a frame exactly when it would."""
        assert self._loop is not None
        self._send_timer = None
        while self._outgoing:
            wire = self._outgoing[0]
            now = self._loop.time()
            chars = (now - self._sending_from) / self._char_s + 1e-6 if self._char_s else len(wire)
            arrived = min(int(chars), len(wire))
            if arrived > self._sent:
                with contextlib.suppress(BlockingIOError):  # nobody reads: what does not fit is lost, as on a wire
                    os.write(self._master, wire[self._sent : arrived])
                self._sent = arrived
            if self._sent < len(wire):
                upto = min(self._sent + max(1, int(PIECE_S / self._char_s)), len(wire))
                self._send_timer = self._loop.call_at(self._sending_from + upto * self._char_s, self._send)
                return
            self._quiet_from = now  # before the write: whoever reads it cannot have done so sooner
            self.tap.hear(self._sending_from, now, "device", wire)
            self._outgoing.popleft()
            self._sent = 0
            self._sending_from = max(now, self._sending_from + len(wire) * self._char_s)


def precise_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers have microseconds: `select` takes them, `epoll` counts in milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def run_hosts(make: Callable[[], Sequence[Host]], *, on_ready: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Run hosts until SIGTERM or SIGINT. Says `{"endpoint": ...}` on standard output, one JSON line a host.

    `make` is called on the running loop.
    """

    async def main() -> None:
        hosts = make()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with contextlib.AsyncExitStack() as stack:
            for host in hosts:
                await host.start()
                stack.push_async_callback(host.aclose)
                ready = {"endpoint": host.endpoint}
                if on_ready is not None:
                    on_ready(ready)
                sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            await stop.wait()

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(main())
