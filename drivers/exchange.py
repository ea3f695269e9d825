"""The one pump between a port and a dialogue: bytes one way, bytes and deadlines the other, events to a callback.

An exchange lives as long as one opening of its port: its owner makes a new one, with a new dialogue, to try again.
Nothing here is a task: the port's callbacks and one timer of the event loop drive it, and all happens inside them.

The timer is lazy: a deadline that moves later (an answer came, the next question has its own) leaves it armed, and what
it finds when it fires is looked at anew. Hot dialogues re-arm nothing.

`fine=True` is for serial lines. asyncio sleeps in whole milliseconds (epoll does), which at 115200 baud is a quarter of
a transaction. The last `FINE_S` before a deadline are therefore spent in turns of the event loop that each sleep
`FINE_NAP_S` at most: every other port is served between the naps, and a deadline is met within about 0.1 ms.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from drivers.clock import Clock
from drivers.errors import PortError
from drivers.ports.port import Port
from protocols.core.errors import NeedData, RemoteProtocolError
from protocols.dialogue import Dialogue

log = logging.getLogger(__name__)

CommandT = TypeVar("CommandT")
EventT = TypeVar("EventT")
Trace = Callable[[float, str, bytes], None]
"""Takes (monotonic seconds, "in" or "out", bytes)."""

FINE_S = 0.0012
"""One millisecond of epoll's rounding and a little for the loop's own turn."""
FINE_NAP_S = 0.0002
FINE_SLACK_S = 0.00007
"""The kernel wakes a sleeper this much late (timer slack is 50 us): slept less, the rest is turned away."""


class Exchange(Generic[CommandT, EventT]):
    """Pumps one dialogue over one opening of a port.

    on_event takes each event; it may call `send()`. on_lost hears once that the pipe broke; the owner still calls
    `aclose()`.
    on_violation takes what the peer did against its protocol (without it: one line at DEBUG); the dialogue goes on.
    trace sees every byte, for `--trace` and for tests.
    """

    def __init__(
        self,
        port: Port,
        dialogue: Dialogue[CommandT, EventT],
        clock: Clock,
        *,
        on_event: Callable[[EventT], None],
        on_lost: Callable[[PortError], None],
        on_violation: Callable[[RemoteProtocolError], None] | None = None,
        trace: Trace | None = None,
        fine: bool = False,
    ) -> None:
        self._port = port
        self._dialogue = dialogue
        self._now = clock.monotonic
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_violation = on_violation
        self._trace = trace
        self._fine = fine
        self._is_open = False
        self._is_pumping = False
        self._is_napping = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        """Whether bytes can go."""
        return self._is_open

    async def open(self) -> None:
        """Open the port and start. Raises `PortError`."""
        self._loop = asyncio.get_running_loop()
        await self._port.open(self)
        self._is_open = True
        self.pump()

    def send(self, command: CommandT) -> None:
        """Hand a command to the dialogue. Raises `LocalProtocolError`."""
        self._dialogue.send(command, self._now())
        self.pump()

    async def aclose(self) -> None:
        """Stop and close the port; nothing is heard afterwards."""
        self._stop()
        await self._port.aclose()

    def pump(self) -> None:
        """Move whatever is due. Called by itself; an owner that changed its dialogue directly calls it too."""
        if self._is_pumping or not self._is_open:
            return
        self._is_pumping = True
        dialogue = self._dialogue
        try:
            while self._is_open:
                event = dialogue.next_event()
                if not isinstance(event, NeedData):
                    self._on_event(event)  # what it sends goes in one piece with what the next ones send
                elif wire := dialogue.bytes_to_send():
                    self._write(wire)
                else:
                    break
        finally:
            self._is_pumping = False
        if self._is_open:
            self._arm()

    # PortListener

    def data_received(self, data: bytes) -> None:
        """Bytes came from the port."""
        now = self._now()
        if self._trace is not None:
            self._trace(now, "in", data)
        try:
            self._dialogue.receive(data, now)
        except RemoteProtocolError as e:
            if self._on_violation is not None:
                self._on_violation(e)
            else:
                log.debug("%s: %s", self._port.name, e)
        self.pump()

    def port_lost(self, error: PortError) -> None:
        """The pipe broke."""
        was_open = self._is_open
        self._stop()
        if was_open:
            self._on_lost(error)

    def _stop(self) -> None:
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self, wire: bytes) -> None:
        if self._trace is not None:
            self._trace(self._now(), "out", wire)
        try:
            self._port.write(wire)
        except PortError as e:
            self.port_lost(e)

    def _arm(self) -> None:
        deadline = self._dialogue.next_deadline()
        if deadline is None or self._is_napping:
            return
        when = deadline - FINE_S if self._fine else deadline
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        assert self._loop is not None
        self._timer = self._loop.call_at(when, self._due)

    def _due(self) -> None:
        self._timer = None
        self._is_napping = False
        if not self._is_open:
            return
        deadline = self._dialogue.next_deadline()
        if deadline is None:
            return
        now = self._now()
        left = deadline - now
        if left <= 0:
            self._dialogue.tick(now)
            self.pump()
        elif self._fine and left <= FINE_S:
            if left > FINE_SLACK_S:
                time.sleep(min(left - FINE_SLACK_S, FINE_NAP_S))
            self._is_napping = True
            assert self._loop is not None
            self._loop.call_soon(self._due)
        else:
            self._arm()
