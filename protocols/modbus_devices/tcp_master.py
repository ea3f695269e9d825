"""The dialogue of a Modbus master over Modbus TCP: a window of calls, told apart by their transaction numbers.

MODBUS Messaging on TCP/IP Implementation Guide V1.0b, clause 4.2. `master.py` has what both share.

At most `max_in_flight` calls are open; 1 is for devices that take one at a time. A device works them off one after the
other, so a call's time runs once for itself and once for each that was open before it. A transaction number whose
answer is overdue is not used again for `LATE_S`: what comes under it is late, and belongs to nobody.

    state of a transaction | answer fits     | answer does not | its time is over  | any answer later
    open                   | closed: Reply   | closed: Failed  | overdue: Failed   |
    overdue                | closed, counted | closed, counted | closed (LATE_S)   |
    closed                 |                 |                 |                   | counted as late
"""

from typing import NamedTuple

from protocols.core.errors import FrameError, LocalProtocolError, NeedData
from protocols.dialogue import EventQueue
from protocols.modbus_devices.master import Call, Event, Failed, Failure, MasterCounters, judge
from protocols.modbus_devices.tcp import TcpFrame, TcpFramer, encode_tcp

LATE_S = 60.0
"""How long an overdue transaction number rests. TCP delivers what was sent, however late."""
MAX_IN_FLIGHT = 16
"""The standard's own default for a client (NumberMaxOfClientTransaction)."""
_NUMBERS = 0x1_0000
_MAX_RESTING = 32_768


class _Open(NamedTuple):
    call: Call
    deadline: float


class TcpMaster(EventQueue[Event]):
    """The dialogue over one connection. See `protocols.dialogue.Dialogue` for the face."""

    def __init__(self, max_in_flight: int = 1) -> None:
        super().__init__()
        if not 1 <= max_in_flight <= MAX_IN_FLIGHT:
            raise LocalProtocolError(f"1 to {MAX_IN_FLIGHT} calls may be open, not {max_in_flight}")
        self.counters = MasterCounters()
        self._max_in_flight = max_in_flight
        self._framer = TcpFramer()
        self._open: dict[int, _Open] = {}
        self._resting: dict[int, float] = {}  # transaction -> until when, in rising order of time
        self._transaction = 0
        self._wire: list[bytes] = []

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes. Raises `FrameError` when the stream is out of step: only a new connection surely helps then."""
        self._framer.feed(data)
        try:
            while not isinstance(frame := self._framer.next_frame(), NeedData):
                self._answered(frame, now)
        except FrameError:
            self.counters.noise += 1
            raise
        finally:
            self.counters.discarded_bytes = self._framer.discarded_bytes

    def send(self, command: Call, now: float) -> None:
        """Ask. Raises `LocalProtocolError` when the window is full, or for what no frame carries."""
        if not self.has_room:
            raise LocalProtocolError(f"{self._max_in_flight} calls are open already")
        transaction = self._next_transaction(now)
        self._wire.append(encode_tcp(transaction, command.unit_id, command.request.encode()))
        self._open[transaction] = _Open(command, now + command.timeout_s * (len(self._open) + 1))
        self.counters.calls += 1

    def bytes_to_send(self) -> bytes:
        """All requests that are due; one write carries them."""
        if not self._wire:
            return b""
        wire = b"".join(self._wire)
        self._wire.clear()
        return wire

    def next_deadline(self) -> float | None:
        """When the first answer is overdue."""
        return min([entry.deadline for entry in self._open.values()], default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for transaction in [number for number, entry in self._open.items() if entry.deadline <= now]:
            call = self._open.pop(transaction).call
            self._rest(transaction, now)
            self.counters.timeouts += 1
            self._events.append(Failed(call, Failure.TIMEOUT, now))

    # Of all masters

    @property
    def has_room(self) -> bool:
        """Whether `send()` takes another call."""
        return len(self._open) < self._max_in_flight

    def held_until(self, call: Call, now: float) -> float:  # noqa: ARG002  # the face of both masters
        """Nothing is held: a transaction number tells every answer."""
        return now

    def abandon(self, now: float) -> list[Call]:  # noqa: ARG002  # the face of both masters
        """The connection broke: forget what is open and say what it was. No answer crosses over to the next one."""
        calls = [event.call for event in self._events] + [entry.call for entry in self._open.values()]
        self._events.clear()
        self._open.clear()
        self._resting.clear()
        self._wire.clear()
        self._framer.reset()
        return calls

    def _answered(self, frame: TcpFrame, now: float) -> None:
        entry = self._open.pop(frame.transaction_id, None)
        if entry is None:
            self._resting.pop(frame.transaction_id, None)
            self.counters.late += 1
        elif frame.unit_id != entry.call.unit_id:
            self.counters.mismatched += 1
            self._events.append(Failed(entry.call, Failure.MISMATCHED, now))
        else:
            self._events.append(judge(entry.call, frame.pdu, now, self.counters))

    def _next_transaction(self, now: float) -> int:
        resting = self._resting
        while resting and next(iter(resting.values())) <= now:
            del resting[next(iter(resting))]
        number = (self._transaction + 1) % _NUMBERS
        while number in resting or number in self._open:
            number = (number + 1) % _NUMBERS
        self._transaction = number
        return number

    def _rest(self, transaction: int, now: float) -> None:
        self._resting[transaction] = now + LATE_S
        if len(self._resting) > _MAX_RESTING:
            del self._resting[next(iter(self._resting))]
