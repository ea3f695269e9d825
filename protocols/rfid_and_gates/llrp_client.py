"""A client on one connection to an LLRP reader, as a dialogue without I/O (EPCglobal LLRP 1.0.1, clause 4 ff.).

The reader says first that it accepts the connection. Then, each step after the response to the one before: delete all
ROSpecs, configure (a keepalive every ten seconds, what reports hold), add, enable and start a ROSpec. Reports are told
as `Seen`, keepalives acknowledged. A connection on which anything fails, or on which nothing came for the time of two
keepalives, is of no use: `Lost` says so, and whoever pumps this connects anew with a new client.

What each stimulus leads to stands in `LlrpClient.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.listener import Listener, earliest
from protocols.rfid_and_gates import llrp_reports as reports
from protocols.rfid_and_gates.llrp_message import LlrpMessage, MessageType, encode_message_frame, llrp_framer
from protocols.rfid_and_gates.llrp_reports import ConnectionStatus, TagReport

ANSWER_S = 10.0
KEEPALIVE_S = 10.0
MAX_MISSED = 2
LATENESS_S = 1.0
GAP_S = 5.0
ROSPEC_ID = 1


class LlrpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Timers, and the number of the ROSpec."""

    rospec_id: int = ROSPEC_ID
    keepalive_s: float = KEEPALIVE_S
    answer_s: float = ANSWER_S


class Close(msgspec.Struct, frozen=True):
    """Stop, and close the connection."""


class Started(msgspec.Struct, frozen=True):
    """The inventory runs."""


class Seen(msgspec.Struct, frozen=True):
    """Tags of one report."""

    tags: tuple[TagReport, ...]


class Lost(msgspec.Struct, frozen=True):
    """The connection is of no use."""

    reason: str


class Closed(msgspec.Struct, frozen=True):
    """The reader closed the connection as it was asked to, or did not answer that."""


LlrpEvent = Started | Seen | Lost | Closed


class LlrpState(Enum):
    """Where it stands; each but the first and the last three waits for the response to a request."""

    CONNECTING = "connecting"
    DELETING = "deleting"
    CONFIGURING = "configuring"
    ADDING = "adding"
    ENABLING = "enabling"
    STARTING = "starting"
    RUNNING = "running"
    CLOSING = "closing"
    CLOSED = "closed"


class LlrpStimulus(Enum):
    """What may happen to it."""

    ACCEPTED = "accepted"
    DONE = "success"
    FAILED = "failure"
    SILENCE = "nothing in time"
    CLOSE = "Close"
    CLOSE_DONE = "closed, or no answer"


class LlrpClient(StreamEnd[LlrpEvent]):
    """A client's talk with one reader. See the module's docstring."""

    def __init__(self, settings: LlrpSettings, now: float) -> None:
        """Raises `LocalProtocolError` for settings that no message carries."""
        super().__init__()
        self.settings = settings
        for message in (self._keepalive(0), reports.add_inventory(0, settings.rospec_id)):
            encode_message_frame(message)
        self.framer = llrp_framer()
        self.stray_messages = 0
        """Messages that answered nothing that was asked, or whose contents could not be read."""
        self._listener: Listener[LlrpMessage] = Listener(self.framer, GAP_S)
        self._state = LlrpState.CONNECTING
        self._deadline: float | None = now + settings.answer_s
        self._message_id = 0
        self._expected: int | None = None
        self._reason = ""

    @property
    def state(self) -> LlrpState:
        """Where it stands."""
        return self._state

    def send(self, command: Close, now: float) -> None:  # noqa: ARG002  # the one command there is
        """Close the connection. Raises `LocalProtocolError` when it is closed, or not accepted yet."""
        if (self._state, LlrpStimulus.CLOSE) not in self.TRANSITIONS:
            raise LocalProtocolError(f"not while {self._state.value}")
        self._step(LlrpStimulus.CLOSE, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for message in self._listener.frames(data, now):
            self._take(message, now)

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest."""
        return earliest(self._deadline, self._listener.deadline)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for message in self._listener.tick(now):
            self._take(message, now)
        if self._deadline is not None and now >= self._deadline:
            self._reason = f"nothing came in time while {self._state.value}"
            is_closing = self._state is LlrpState.CLOSING
            self._step(LlrpStimulus.CLOSE_DONE if is_closing else LlrpStimulus.SILENCE, now)

    def _take(self, message: LlrpMessage, now: float) -> None:
        if self._state is LlrpState.CLOSED:
            self.stray_messages += 1
            return
        if self._state is LlrpState.RUNNING:
            self._deadline = self._silence_at(now)
        try:
            self._understand(message, now)
        except RemoteProtocolError:
            self.stray_messages += 1

    def _understand(self, message: LlrpMessage, now: float) -> None:
        match message.message_type:
            case MessageType.KEEPALIVE:
                self._write(LlrpMessage(MessageType.KEEPALIVE_ACK, message.message_id))
            case MessageType.RO_ACCESS_REPORT:
                self._events.append(Seen(reports.tags_of(message)))
            case MessageType.READER_EVENT_NOTIFICATION:
                self._on_event(message, now)
            case self._expected if message.message_id == self._message_id:
                self._on_response(message, now)
            case MessageType.ERROR_MESSAGE:
                self._fail("the reader does not understand", now)
            case _:
                self.stray_messages += 1

    def _on_event(self, message: LlrpMessage, now: float) -> None:
        status = reports.connection_status_of(reports.event_of(message))
        if self._state is not LlrpState.CONNECTING or status is None:
            return  # antennas, buffers, starts and ends of specs
        if status == ConnectionStatus.SUCCESS:
            self._step(LlrpStimulus.ACCEPTED, now)
        else:
            self._fail(f"not accepted: {status}", now)

    def _on_response(self, message: LlrpMessage, now: float) -> None:
        status = reports.status_of(message)
        self._expected = None  # a second one would answer nothing
        if self._state is LlrpState.CLOSING:
            self._step(LlrpStimulus.CLOSE_DONE, now)
        elif status is not None and status.code == reports.SUCCESS:
            self._step(LlrpStimulus.DONE, now)
        else:
            code = "without a status" if status is None else f"status {status.code}"
            self._fail(f"refused while {self._state.value}: {code}", now)

    def _fail(self, reason: str, now: float) -> None:
        self._reason = reason
        is_closing = self._state is LlrpState.CLOSING
        self._step(LlrpStimulus.CLOSE_DONE if is_closing else LlrpStimulus.FAILED, now)

    def _silence_at(self, now: float) -> float:
        return now + MAX_MISSED * self.settings.keepalive_s + LATENESS_S

    # Actions of the table

    def _step(self, stimulus: LlrpStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _write(self, message: LlrpMessage) -> None:
        self._outgoing += encode_message_frame(message)

    def _ask(self, message: LlrpMessage, expected: int, now: float) -> None:
        self._write(message)
        self._expected = expected
        self._deadline = now + self.settings.answer_s

    def _next_id(self) -> int:
        self._message_id += 1
        return self._message_id

    def _delete(self, now: float) -> None:
        request = reports.rospec_request(MessageType.DELETE_ROSPEC, self._next_id(), reports.ALL_ROSPECS)
        self._ask(request, MessageType.DELETE_ROSPEC_RESPONSE, now)

    def _configure(self, now: float) -> None:
        self._ask(self._keepalive(self._next_id()), MessageType.SET_READER_CONFIG_RESPONSE, now)

    def _keepalive(self, message_id: int) -> LlrpMessage:
        return reports.set_keepalive(message_id, round(self.settings.keepalive_s * 1000))

    def _add(self, now: float) -> None:
        request = reports.add_inventory(self._next_id(), self.settings.rospec_id)
        self._ask(request, MessageType.ADD_ROSPEC_RESPONSE, now)

    def _enable(self, now: float) -> None:
        request = reports.rospec_request(MessageType.ENABLE_ROSPEC, self._next_id(), self.settings.rospec_id)
        self._ask(request, MessageType.ENABLE_ROSPEC_RESPONSE, now)

    def _start(self, now: float) -> None:
        request = reports.rospec_request(MessageType.START_ROSPEC, self._next_id(), self.settings.rospec_id)
        self._ask(request, MessageType.START_ROSPEC_RESPONSE, now)

    def _started(self, now: float) -> None:
        self._deadline = self._silence_at(now)
        self._events.append(Started())

    def _lost(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Lost(self._reason))

    def _close(self, now: float) -> None:
        request = LlrpMessage(MessageType.CLOSE_CONNECTION, self._next_id())
        self._ask(request, MessageType.CLOSE_CONNECTION_RESPONSE, now)

    def _closed(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Closed())

    TRANSITIONS: ClassVar[
        Mapping[tuple[LlrpState, LlrpStimulus], tuple[Callable[["LlrpClient", float], None], LlrpState]]
    ] = {
        (LlrpState.CONNECTING, LlrpStimulus.ACCEPTED): (_delete, LlrpState.DELETING),
        (LlrpState.CONNECTING, LlrpStimulus.FAILED): (_lost, LlrpState.CLOSED),
        (LlrpState.CONNECTING, LlrpStimulus.SILENCE): (_lost, LlrpState.CLOSED),
        (LlrpState.DELETING, LlrpStimulus.DONE): (_configure, LlrpState.CONFIGURING),
        (LlrpState.DELETING, LlrpStimulus.FAILED): (_lost, LlrpState.CLOSED),
        (LlrpState.DELETING, LlrpStimulus.SILENCE): (_lost, LlrpState.CLOSED),
        (LlrpState.DELETING, LlrpStimulus.CLOSE): (_close, LlrpState.CLOSING),
        (LlrpState.CONFIGURING, LlrpStimulus.DONE): (_add, LlrpState.ADDING),
        (LlrpState.CONFIGURING, LlrpStimulus.FAILED): (_lost, LlrpState.CLOSED),
        (LlrpState.CONFIGURING, LlrpStimulus.SILENCE): (_lost, LlrpState.CLOSED),
        (LlrpState.CONFIGURING, LlrpStimulus.CLOSE): (_close, LlrpState.CLOSING),
        (LlrpState.ADDING, LlrpStimulus.DONE): (_enable, LlrpState.ENABLING),
        (LlrpState.ADDING, LlrpStimulus.FAILED): (_lost, LlrpState.CLOSED),
        (LlrpState.ADDING, LlrpStimulus.SILENCE): (_lost, LlrpState.CLOSED),
        (LlrpState.ADDING, LlrpStimulus.CLOSE): (_close, LlrpState.CLOSING),
        (LlrpState.ENABLING, LlrpStimulus.DONE): (_start, LlrpState.STARTING),
        (LlrpState.ENABLING, LlrpStimulus.FAILED): (_lost, LlrpState.CLOSED),
        (LlrpState.ENABLING, LlrpStimulus.SILENCE): (_lost, LlrpState.CLOSED),
        (LlrpState.ENABLING, LlrpStimulus.CLOSE): (_close, LlrpState.CLOSING),
        (LlrpState.STARTING, LlrpStimulus.DONE): (_started, LlrpState.RUNNING),
        (LlrpState.STARTING, LlrpStimulus.FAILED): (_lost, LlrpState.CLOSED),
        (LlrpState.STARTING, LlrpStimulus.SILENCE): (_lost, LlrpState.CLOSED),
        (LlrpState.STARTING, LlrpStimulus.CLOSE): (_close, LlrpState.CLOSING),
        (LlrpState.RUNNING, LlrpStimulus.FAILED): (_lost, LlrpState.CLOSED),
        (LlrpState.RUNNING, LlrpStimulus.SILENCE): (_lost, LlrpState.CLOSED),
        (LlrpState.RUNNING, LlrpStimulus.CLOSE): (_close, LlrpState.CLOSING),
        (LlrpState.CLOSING, LlrpStimulus.CLOSE_DONE): (_closed, LlrpState.CLOSED),
    }
