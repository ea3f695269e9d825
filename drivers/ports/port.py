"""A byte pipe: serial, TCP, pty or memory. It knows nothing of protocols.

A port calls its listener from the event loop. It neither retries nor reconnects: whoever owns it opens it again.
"""

from typing import Protocol

import msgspec

from drivers.errors import PortError


class LineSettings(msgspec.Struct, frozen=True):
    """How bytes travel on a serial line; what character times are computed from."""

    baud: int = 9600
    data_bits: int = 8
    parity: str = "N"
    """N, E or O."""
    stop_bits: int = 1

    @property
    def bits_per_char(self) -> int:
        """Start, data, parity and stop bits of one character: 10 for 8N1, 11 for 8E1 and 8N2."""
        return 1 + self.data_bits + (self.parity != "N") + self.stop_bits


class PortListener(Protocol):
    """Whoever listens to a port."""

    def data_received(self, data: bytes) -> None:
        """Take bytes as they came; called on the event loop's thread. Must not raise."""

    def port_lost(self, error: PortError) -> None:
        """The pipe broke by itself; called once at most. The port is closed already."""


class Port(Protocol):
    """A byte pipe that one owner opens, writes to and closes."""

    @property
    def name(self) -> str:
        """The port as the configuration names it, for people."""

    @property
    def line(self) -> LineSettings | None:
        """The serial line behind it, or None for a stream without character times."""

    async def open(self, listener: PortListener) -> None:
        """Open and start to listen. Raises `PortError`. May be called again after `aclose()` or a loss."""

    def write(self, data: bytes) -> None:
        """Queue bytes, never waiting. Raises `PortError` when closed or when the peer takes none (bounded buffer)."""

    async def aclose(self) -> None:
        """Close; harmless when closed already. The listener hears nothing more."""
