"""A data centre's end of one connection from a survey station, as a dialogue without I/O (JT/T 1008.2).

* The station speaks when it is accepted: `Accept` sends 02. Records that come before are not taken.
* Each record is told as `Received` and waits for the caller's `Acknowledge`: who acknowledges has stored it. A record
  that comes again is told once; when it has been acknowledged, it is acknowledged again, with the same code.
* `Ask` sends a setting, or asks for the records of a time span again.

What each stimulus leads to stands in `Centre.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.listener import Listener
from protocols.traffic_survey.survey_commands import (
    OtherPacket,
    PacketType,
    Resend,
    Setting,
    decode_packet,
    encode_packet,
)
from protocols.traffic_survey.survey_frame import Frame, encode_frame, survey_framer
from protocols.traffic_survey.survey_link import GAP_S, Record, RecordKey, key_of, reply_to
from protocols.traffic_survey.survey_records import ACCEPTED, IntervalRecord, VehicleRecord

MAX_KNOWN = 256
"""Records whose repetition is noticed."""


class CentreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """device_class: of the station, 1 or 2; its records do not tell."""

    device_class: int = 1


class Accept(msgspec.Struct, frozen=True, eq=False):
    """Take the connection. code: its layout is not public."""

    code: bytes = b"\xff\xff"


class Acknowledge(msgspec.Struct, frozen=True, eq=False):
    """The record is stored, or there is something wrong with it."""

    record: Record
    result_code: int = ACCEPTED


class Ask(msgspec.Struct, frozen=True, eq=False):
    """Change a setting, or ask for records again."""

    packet: Setting | Resend


class Received(msgspec.Struct, frozen=True):
    """A record that was not known."""

    record: Record


class Told(msgspec.Struct, frozen=True):
    """The station's parameters (08), or what nobody knows."""

    packet: OtherPacket


CentreCommand = Accept | Acknowledge | Ask
CentreEvent = Received | Told


class CentreState(Enum):
    """Where it stands."""

    CONNECTED = "connected"
    ACCEPTED = "accepted"


class CentreStimulus(Enum):
    """What may happen to it."""

    ACCEPT = "Accept"
    RECORD = "record"
    KNOWN = "record, known"
    ACKNOWLEDGE = "Acknowledge"
    ASK = "Ask"


class Centre(StreamEnd[CentreEvent]):
    """A centre's talk with one station. See the module's docstring."""

    def __init__(self, settings: CentreSettings) -> None:
        super().__init__()
        self.settings = settings
        self.framer = survey_framer()
        self.stray_packets = 0
        """Packets that could not be read, or came before their time."""
        self._listener: Listener[Frame] = Listener(self.framer, GAP_S)
        self._state = CentreState.CONNECTED
        self._known: dict[RecordKey, tuple[Record, int | None]] = {}
        self._record: Record | None = None
        self._packet: Setting | Resend | OtherPacket | None = None
        self._result_code = ACCEPTED

    @property
    def state(self) -> CentreState:
        """Where it stands."""
        return self._state

    def send(self, command: CentreCommand, now: float) -> None:
        """Do something. Raises `LocalProtocolError` when it is not the time for it, or no frame carries it."""
        match command:
            case Accept():
                self._packet = OtherPacket(PacketType.ACCEPTED, command.code)
                self._step(CentreStimulus.ACCEPT, now)
            case Acknowledge():
                if key_of(command.record) not in self._known:
                    raise LocalProtocolError("no such record has come")
                self._record, self._result_code = command.record, command.result_code
                self._step(CentreStimulus.ACKNOWLEDGE, now)
            case Ask():
                self._packet = command.packet
                self._step(CentreStimulus.ASK, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for frame in self._listener.frames(data, now):
            self._take(frame, now)

    def next_deadline(self) -> float | None:
        """When half a frame is given up."""
        return self._listener.deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._listener.tick(now):
            self._take(frame, now)

    def _take(self, frame: Frame, now: float) -> None:
        try:
            packet = decode_packet(frame.data, self.settings.device_class)
        except RemoteProtocolError:
            self.stray_packets += 1
            return
        match packet:
            case OtherPacket():
                self._events.append(Told(packet))
            case IntervalRecord() | VehicleRecord() if self._state is CentreState.ACCEPTED:
                self._record = packet
                known = self._known.get(key_of(packet))
                is_known = known is not None and known[0] == packet
                self._step(CentreStimulus.KNOWN if is_known else CentreStimulus.RECORD, now)
            case _:
                self.stray_packets += 1

    # Actions of the table

    def _step(self, stimulus: CentreStimulus, now: float) -> None:
        row = self.TRANSITIONS.get((self._state, stimulus))
        if row is None:
            raise LocalProtocolError(f"not while {self._state.value}")
        row[0](self, now)
        self._state = row[1]

    def _transmit(self, _now: float) -> None:
        assert self._packet is not None
        self._outgoing += encode_frame(Frame(encode_packet(self._packet)))

    def _tell(self, _now: float) -> None:
        assert self._record is not None
        key = key_of(self._record)
        self._known.pop(key, None)
        self._known[key] = (self._record, None)
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._events.append(Received(self._record))

    def _reply_again(self, now: float) -> None:
        assert self._record is not None
        code = self._known[key_of(self._record)][1]
        if code is not None:  # otherwise the caller still has it
            self._result_code = code
            self._reply(now)

    def _reply(self, _now: float) -> None:
        assert self._record is not None
        wire = encode_frame(Frame(encode_packet(reply_to(self._record, self._result_code))))
        self._known[key_of(self._record)] = (self._record, self._result_code)
        self._outgoing += wire

    TRANSITIONS: ClassVar[
        Mapping[tuple[CentreState, CentreStimulus], tuple[Callable[["Centre", float], None], CentreState]]
    ] = {
        (CentreState.CONNECTED, CentreStimulus.ACCEPT): (_transmit, CentreState.ACCEPTED),
        (CentreState.ACCEPTED, CentreStimulus.ACCEPT): (_transmit, CentreState.ACCEPTED),
        (CentreState.ACCEPTED, CentreStimulus.RECORD): (_tell, CentreState.ACCEPTED),
        (CentreState.ACCEPTED, CentreStimulus.KNOWN): (_reply_again, CentreState.ACCEPTED),
        (CentreState.ACCEPTED, CentreStimulus.ACKNOWLEDGE): (_reply, CentreState.ACCEPTED),
        (CentreState.ACCEPTED, CentreStimulus.ASK): (_transmit, CentreState.ACCEPTED),
    }
