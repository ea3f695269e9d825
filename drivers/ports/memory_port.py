"""A pipe in memory, for tests: two ends that hear each other, or one end over any pair of functions.

Bytes are handed over from the event loop, never inside `write()`, as with a real pipe. `alter` sees all that is written
and returns what goes on; `lose()` breaks the pipe; `refusal` makes the next `open()` fail.
"""

import asyncio
from collections.abc import Callable, Iterable

from drivers.errors import PortError
from drivers.ports.port import LineSettings, PortListener


class MemoryPort:
    """One end of a pipe in memory. See `drivers.ports.port.Port` for the face."""

    def __init__(self, name: str = "memory", line: LineSettings | None = None) -> None:
        self._name = name
        self._line = line
        self._listener: PortListener | None = None
        self.on_write: Callable[[bytes], None] | None = None
        """Takes what is written; the other end's `deliver`, or an emulated device."""
        self.alter: Callable[[bytes], Iterable[bytes]] | None = None
        """A fault: maps one write to the pieces that go on."""
        self.refusal: PortError | None = None
        """Raised by `open()` as long as it stands."""
        self.opened = 0
        """How often it was opened."""

    @property
    def name(self) -> str:
        """The port's name."""
        return self._name

    @property
    def line(self) -> LineSettings | None:
        """The serial line that it plays, or None."""
        return self._line

    @property
    def is_open(self) -> bool:
        """Whether somebody listens."""
        return self._listener is not None

    async def open(self, listener: PortListener) -> None:
        """Start to listen. Raises `refusal`."""
        assert self._listener is None, f"{self._name} is open already"
        if self.refusal is not None:
            raise self.refusal
        self._listener = listener
        self.opened += 1

    def write(self, data: bytes) -> None:
        """Hand bytes to whoever is at the other end. Raises `PortError` when closed."""
        if self._listener is None:
            raise PortError(f"{self._name} is closed")
        if self.on_write is None:
            return
        loop = asyncio.get_running_loop()
        for piece in (data,) if self.alter is None else self.alter(data):
            loop.call_soon(self.on_write, piece)

    async def aclose(self) -> None:
        """Stop listening."""
        self._listener = None

    def deliver(self, data: bytes) -> None:
        """Bytes arrive; nobody hears them while the port is closed."""
        if self._listener is not None and data:
            self._listener.data_received(data)

    def lose(self, error: PortError | None = None) -> None:
        """Break the pipe."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.port_lost(error or PortError(f"{self._name} is lost"))


def memory_pair(line: LineSettings | None = None) -> tuple[MemoryPort, MemoryPort]:
    """Two ports that are each other's peer."""
    near, far = MemoryPort("near", line), MemoryPort("far", line)
    near.on_write, far.on_write = far.deliver, near.deliver
    return near, far
