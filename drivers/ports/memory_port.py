"""Two ports joined back to back in memory: for tests, and for an emulated device in the same process.

Bytes are handed over on the event loop's next turn, never inside `write()`, as a real line does.
"""

import asyncio

from drivers.errors import PortError
from drivers.ports.port import LineSettings, PortListener
from drivers.text import _


class MemoryPort:
    """One end of a pair. `cut()` breaks the pipe for both, `mend()` lets them open again."""

    def __init__(self, name: str, line: LineSettings | None = None) -> None:
        self.name = name
        self.line = line
        self.opens = 0
        self.peer: MemoryPort | None = None
        self.listener: PortListener | None = None
        self.is_cut = False

    async def open(self, listener: PortListener) -> None:
        """Open this end. Raises `PortError` while the pipe is cut."""
        if self.is_cut:
            raise PortError(_("{port}: is not there").format(port=self.name))
        if self.listener is not None:
            raise PortError(_("{port}: is open already").format(port=self.name))
        self.listener = listener
        self.opens += 1

    def write(self, data: bytes) -> None:
        """Hand bytes to the other end; they vanish when nobody listens there, as on a real line."""
        if self.listener is None:
            raise PortError(_("{port}: is closed").format(port=self.name))
        assert self.peer is not None
        asyncio.get_running_loop().call_soon(self.peer.deliver, bytes(data))

    async def aclose(self) -> None:
        """Close this end."""
        self.listener = None

    def cut(self) -> None:
        """Pull the cable: both ends lose the pipe and cannot open it again until it is mended."""
        assert self.peer is not None
        for end in (self, self.peer):
            end.is_cut = True
            listener, end.listener = end.listener, None
            if listener is not None:
                listener.port_lost(PortError(_("{port}: was cut").format(port=end.name)))

    def mend(self) -> None:
        """Plug the cable in again."""
        assert self.peer is not None
        self.is_cut = self.peer.is_cut = False

    def deliver(self, data: bytes) -> None:
        """Take bytes that the other end wrote."""
        if self.listener is not None:
            self.listener.data_received(data)


def memory_pair(name: str = "memory", line: LineSettings | None = None) -> tuple[MemoryPort, MemoryPort]:
    """Two joined ends."""
    near, far = MemoryPort(f"{name}:near", line), MemoryPort(f"{name}:far", line)
    near.peer, far.peer = far, near
    return near, far
