"""The one pump between a port and a dialogue: moves bytes and time, and parses nothing.

It hands the dialogue what arrives, writes what it wants sent, calls `tick()` when a deadline comes, and hands on
the dialogue's events, all on the event loop's thread and without a task of its own.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from drivers.errors import PortError
from drivers.ports.port import Port
from drivers.text import _
from protocols.core.errors import NeedData, RemoteProtocolError
from protocols.dialogue import Dialogue

CommandT = TypeVar("CommandT")
EventT = TypeVar("EventT")

Trace = Callable[[str, bytes, float], None]
"""(`>` sent or `<` received, bytes, monotonic seconds): what a tap on the line would see."""


class Exchange(Generic[CommandT, EventT]):
    """Joins one dialogue to one port for as long as the port holds.

    `on_event` takes the dialogue's events. `on_noise`, when given, takes what the dialogue could not read; the dialogue
    itself counts it.
    """

    def __init__(
        self,
        port: Port,
        dialogue: Dialogue[CommandT, EventT],
        on_event: Callable[[EventT], None],
        *,
        on_noise: Callable[[RemoteProtocolError], None] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._port = port
        self._dialogue = dialogue
        self._on_event = on_event
        self._on_noise = on_noise
        self._trace = trace
        self._timer: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[PortError] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Open the port and begin. Raises `PortError`."""
        self._loop = asyncio.get_running_loop()
        self._lost = self._loop.create_future()
        await self._port.open(self)
        self.turn()

    async def aclose(self) -> None:
        """End; nothing fires any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(PortError(_("{port}: closed").format(port=self._port.name)))
        await self._port.aclose()

    async def wait_lost(self) -> PortError:
        """Wait until the port is lost, and say why."""
        assert self._lost is not None, "not opened"
        return await asyncio.shield(self._lost)

    def send(self, command: CommandT) -> None:
        """Give the dialogue a command. Raises `LocalProtocolError`."""
        assert self._loop is not None, "not opened"
        self._dialogue.send(command, self._loop.time())
        self.turn()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the port."""
        assert self._loop is not None
        now = self._loop.time()
        if self._trace is not None:
            self._trace("<", data, now)
        try:
            self._dialogue.receive(data, now)
        except RemoteProtocolError as error:
            if self._on_noise is not None:
                self._on_noise(error)
        self.turn()

    def port_lost(self, error: PortError) -> None:
        """The pipe broke."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(error)

    def turn(self) -> None:
        """Write what is due, hand on events, and arrange for the next deadline. Call it after touching the dialogue."""
        if self._lost is None or self._lost.done():
            return
        assert self._loop is not None
        self._write_due()
        while not isinstance(event := self._dialogue.next_event(), NeedData):
            self._on_event(event)
            self._write_due()
        self._arm()

    def _write_due(self) -> None:
        data = self._dialogue.bytes_to_send()
        if not data:
            return
        assert self._loop is not None
        if self._trace is not None:
            self._trace(">", data, self._loop.time())
        try:
            self._port.write(data)
        except PortError as error:
            self.port_lost(error)

    def _arm(self) -> None:
        deadline = self._dialogue.next_deadline()
        timer = self._timer
        if timer is not None:
            if deadline is not None and timer.when() == deadline:
                return
            timer.cancel()
            self._timer = None
        if deadline is not None and self._lost is not None and not self._lost.done():
            assert self._loop is not None
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        assert self._loop is not None
        self._dialogue.tick(self._loop.time())
        self.turn()
