"""A survey station on one connection to its data centre, as a dialogue without I/O (JT/T 1008.2).

* The centre accepts the connection first (02); the station tells its parameters (08). Before that nothing is sent.
* Each `Send` is `Delivered`, `Refused` or `Undelivered`. A record without a reply, or whose CRC did not hold at the
  centre, is sent again, twice at most. What is undelivered is kept by the caller, 30 days at least.
* When the centre wants the records of a time span again, that is told as `Wanted`; a setting as `Asked`. Whether user
  name and password are right is the caller's to say.

What each stimulus leads to stands in `Station.TRANSITIONS`. How long a reply may take is not public: it is a setting.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.listener import Listener, earliest
from protocols.traffic_survey.survey_commands import (
    OtherPacket,
    Packet,
    PacketType,
    Resend,
    Setting,
    decode_packet,
    encode_packet,
)
from protocols.traffic_survey.survey_frame import Frame, encode_frame, survey_framer
from protocols.traffic_survey.survey_link import GAP_S, Record, RecordKey, key_of
from protocols.traffic_survey.survey_records import ACCEPTED, BAD_CRC, IntervalReply, VehicleReply

ACCEPT_TIMEOUT_S = 30.0
REPLY_TIMEOUT_S = 10.0
MAX_REPEATS = 2
MAX_IN_FLIGHT = 16


class StationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Timers, and what it says of itself in packet 08, whose layout is not public."""

    parameters: bytes = b""
    accept_timeout_s: float = ACCEPT_TIMEOUT_S
    reply_timeout_s: float = REPLY_TIMEOUT_S
    max_repeats: int = MAX_REPEATS


class Send(msgspec.Struct, frozen=True, eq=False):
    """Deliver a record."""

    record: Record


class Accepted(msgspec.Struct, frozen=True):
    """The centre took the connection. code: as on the wire."""

    code: bytes


class NotAccepted(msgspec.Struct, frozen=True):
    """It did not in time: the connection is of no use."""


class Delivered(msgspec.Struct, frozen=True):
    """The centre has the record."""

    command: Send


class Refused(msgspec.Struct, frozen=True):
    """The centre does not want it: the same would be refused again."""

    command: Send
    result_code: int


class Undelivered(msgspec.Struct, frozen=True):
    """No reply came: keep it."""

    command: Send


class Wanted(msgspec.Struct, frozen=True):
    """The centre wants the records of a time span again."""

    resend: Resend


class Asked(msgspec.Struct, frozen=True):
    """The centre changes a setting, or says what nobody knows."""

    packet: Setting | OtherPacket


StationEvent = Accepted | NotAccepted | Delivered | Refused | Undelivered | Wanted | Asked


class StationState(Enum):
    """Where it stands."""

    CONNECTED = "connected"
    ACCEPTED = "accepted"
    USELESS = "useless"


class StationStimulus(Enum):
    """What may happen to it."""

    ACCEPTANCE = "02"
    NO_ACCEPTANCE = "no 02 in time"
    SEND = "Send"
    SETTLED = "reply"
    BROKEN = "reply, CRC broken, or none in time"
    SPENT = "the same, repeats spent"


class _Waiting(msgspec.Struct):
    command: Send
    wire: bytes
    deadline: float
    repeats: int = 0


class Station(StreamEnd[StationEvent]):
    """A station's talk with its centre. See the module's docstring."""

    def __init__(self, settings: StationSettings, now: float) -> None:
        """Raises `LocalProtocolError` for parameters that no frame carries."""
        super().__init__()
        self.settings = settings
        self._parameters = encode_frame(Frame(bytes((PacketType.PARAMETERS,)) + settings.parameters))
        self.framer = survey_framer()
        self.stray_packets = 0
        """Packets that answered nothing that was asked, or could not be read."""
        self._listener: Listener[Frame] = Listener(self.framer, GAP_S)
        self._state = StationState.CONNECTED
        self._waiting: dict[RecordKey, _Waiting] = {}
        self._accept_by: float | None = now + settings.accept_timeout_s
        self._current: _Waiting | None = None
        self._code = b""

    @property
    def state(self) -> StationState:
        """Where it stands."""
        return self._state

    @property
    def has_room(self) -> bool:
        """Whether `send()` takes another record."""
        return self._state is StationState.ACCEPTED and len(self._waiting) < MAX_IN_FLIGHT

    def send(self, command: Send, now: float) -> None:
        """Deliver a record. Raises `LocalProtocolError` when it is not the time for it, or no frame carries it."""
        if not self.has_room:
            raise LocalProtocolError("not accepted, or too much waits for its reply")
        key = key_of(command.record)
        if key in self._waiting:
            raise LocalProtocolError("a record with this number waits for its reply")
        wire = encode_frame(Frame(encode_packet(command.record)))
        self._current = self._waiting[key] = _Waiting(command, wire, now)
        self._step(StationStimulus.SEND, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for frame in self._listener.frames(data, now):
            self._take(frame, now)

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest."""
        replies = min((waiting.deadline for waiting in self._waiting.values()), default=None)
        return earliest(self._accept_by, replies, self._listener.deadline)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._listener.tick(now):
            self._take(frame, now)
        if self._accept_by is not None and now >= self._accept_by:
            self._step(StationStimulus.NO_ACCEPTANCE, now)
        for waiting in [waiting for waiting in self._waiting.values() if waiting.deadline <= now]:
            self._lost(waiting, now)

    def abandon(self) -> list[Send]:
        """The connection broke: the records that were not delivered."""
        commands = [waiting.command for waiting in self._waiting.values()]
        self._waiting.clear()
        return commands

    def _take(self, frame: Frame, now: float) -> None:
        packet = self._read(frame)
        match packet:
            case OtherPacket(packet_type=PacketType.ACCEPTED):
                self._code = packet.data
                if (self._state, StationStimulus.ACCEPTANCE) in self.TRANSITIONS:
                    self._step(StationStimulus.ACCEPTANCE, now)
            case VehicleReply() | IntervalReply():
                self._settle(packet, now)
            case Resend():
                self._events.append(Wanted(packet))
            case Setting() | OtherPacket():
                self._events.append(Asked(packet))
            case _:
                self.stray_packets += 1

    def _read(self, frame: Frame) -> Packet | None:
        try:
            return decode_packet(frame.data)
        except RemoteProtocolError:
            return None

    def _settle(self, reply: VehicleReply | IntervalReply, now: float) -> None:
        waiting = self._waiting.get(key_of(reply))
        if waiting is None:
            self.stray_packets += 1
        elif reply.result_code == BAD_CRC:
            self._lost(waiting, now)
        else:
            is_taken = reply.result_code == ACCEPTED
            self._current = waiting
            self._step(StationStimulus.SETTLED, now)
            command = waiting.command
            self._events.append(Delivered(command) if is_taken else Refused(command, reply.result_code))

    def _lost(self, waiting: _Waiting, now: float) -> None:
        self._current = waiting
        is_spent = waiting.repeats >= self.settings.max_repeats
        self._step(StationStimulus.SPENT if is_spent else StationStimulus.BROKEN, now)

    # Actions of the table

    def _step(self, stimulus: StationStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _accepted(self, _now: float) -> None:
        self._accept_by = None
        self._events.append(Accepted(self._code))
        self._outgoing += self._parameters

    def _not_accepted(self, _now: float) -> None:
        self._accept_by = None
        self._events.append(NotAccepted())

    def _transmit(self, now: float) -> None:
        assert self._current is not None
        self._outgoing += self._current.wire
        self._current.deadline = now + self.settings.reply_timeout_s

    def _repeat(self, now: float) -> None:
        assert self._current is not None
        self._current.repeats += 1
        self._transmit(now)

    def _settled(self, _now: float) -> None:
        assert self._current is not None
        del self._waiting[key_of(self._current.command.record)]

    def _undelivered(self, now: float) -> None:
        assert self._current is not None
        self._settled(now)
        self._events.append(Undelivered(self._current.command))

    TRANSITIONS: ClassVar[
        Mapping[tuple[StationState, StationStimulus], tuple[Callable[["Station", float], None], StationState]]
    ] = {
        (StationState.CONNECTED, StationStimulus.ACCEPTANCE): (_accepted, StationState.ACCEPTED),
        (StationState.CONNECTED, StationStimulus.NO_ACCEPTANCE): (_not_accepted, StationState.USELESS),
        (StationState.ACCEPTED, StationStimulus.ACCEPTANCE): (_accepted, StationState.ACCEPTED),
        (StationState.ACCEPTED, StationStimulus.SEND): (_transmit, StationState.ACCEPTED),
        (StationState.ACCEPTED, StationStimulus.SETTLED): (_settled, StationState.ACCEPTED),
        (StationState.ACCEPTED, StationStimulus.BROKEN): (_repeat, StationState.ACCEPTED),
        (StationState.ACCEPTED, StationStimulus.SPENT): (_undelivered, StationState.ACCEPTED),
    }
