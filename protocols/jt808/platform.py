"""A platform's end of one connection as a dialogue without I/O (JT/T 808-2019, chapters 5 to 7).

It hands registrations, authentications and messages to whoever decides about them, and sends the answers; heartbeats
and log-offs it answers itself. Until a terminal is authenticated nothing but a registration and an authentication is
taken from it. What each stimulus leads to stands in `PlatformDialogue.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData
from protocols.dialogue import EventQueue
from protocols.jt808.catalogue import Packet
from protocols.jt808.dialect import JT2013, Dialect
from protocols.jt808.general import MESSAGE_WRONG, SUCCESS, Heartbeat, LogOff
from protocols.jt808.link import Arrived, Expired, Link, LinkEvent, Settled, Timers, Unreadable
from protocols.jt808.registration import Authentication, Registration, RegistrationReply
from protocols.jt808.session import Answer, Answered, Close, Disconnected, Received, Send, Unanswered
from protocols.jt808.subpackage import Abandoned


class PlatformConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the platform is."""

    timers: Timers = Timers()
    idle_timeout_s: float = 180.0
    """A link on which nothing comes for so long is dead: three heartbeats of a minute."""


class RegistrationAsked(msgspec.Struct, frozen=True):
    """A terminal wants to be registered: `Answer` with a `RegistrationReply`."""

    packet: Packet


class AuthenticationAsked(msgspec.Struct, frozen=True):
    """A terminal shows its code: `Answer` with the result.

    Whoever knows from its registration that it speaks 2011 sets `PlatformDialogue.link.dialect`: no frame tells.
    """

    packet: Packet


class LoggedOff(msgspec.Struct, frozen=True):
    """The terminal ended its registration; its code is worth nothing any more."""


PlatformCommand = Send | Answer | Disconnected
PlatformEvent = (
    RegistrationAsked | AuthenticationAsked | Received | Answered | Unanswered | LoggedOff | Close | Abandoned
)


class PlatformState(Enum):
    """Where the connection stands."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    CLOSED = "closed"


class PlatformStimulus(Enum):
    """What may happen on it."""

    REGISTRATION = "0x0100"
    AUTHENTICATION = "0x0102"
    ADMITTED = "0x0102 admitted"
    REFUSED = "0x0102 refused"
    HEARTBEAT = "0x0002"
    LOG_OFF = "0x0003"
    MESSAGE = "another message"
    UNREADABLE = "a body that is wrong"
    SILENT = "nothing came"
    DISCONNECTED = "disconnected"


_STIMULI: Mapping[type[object], PlatformStimulus] = {
    Registration: PlatformStimulus.REGISTRATION,
    Authentication: PlatformStimulus.AUTHENTICATION,
    Heartbeat: PlatformStimulus.HEARTBEAT,
    LogOff: PlatformStimulus.LOG_OFF,
}


class PlatformDialogue(EventQueue[PlatformEvent]):
    """A platform's end of one connection. See the module's docstring."""

    def __init__(self, config: PlatformConfig, *, now: float) -> None:
        super().__init__()
        self._config = config
        self._state = PlatformState.UNKNOWN
        self._link = Link(is_platform=True, phone=None, dialect=JT2013, timers=config.timers)
        self._link.connected(now)
        self._event: Arrived | Unreadable | None = None
        self.ignored_messages = 0
        """Messages of a terminal that had not been authenticated."""

    @property
    def state(self) -> PlatformState:
        """Where it stands."""
        return self._state

    @property
    def phone(self) -> str | None:
        """Who the terminal says it is."""
        return self._link.phone

    @property
    def dialect(self) -> Dialect:
        """What the terminal speaks."""
        return self._link.dialect

    @property
    def link(self) -> Link:
        """For its counters."""
        return self._link

    def send(self, command: PlatformCommand, now: float) -> None:
        """Ask for something. Raises `LocalProtocolError` for what is not possible now or cannot be written."""
        if isinstance(command, Disconnected):
            if self._state is not PlatformState.CLOSED:
                self._step(PlatformStimulus.DISCONNECTED, now)
            return
        if self._state is PlatformState.CLOSED:
            raise LocalProtocolError("the connection is closed")
        if isinstance(command, Answer):
            self._answer(command, now)
        elif self._state is PlatformState.ONLINE:
            self._link.transmit(command.body, now, command)
        else:
            raise LocalProtocolError("the terminal is not authenticated")

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted or refused on the link."""
        if self._state is not PlatformState.CLOSED:
            self._link.receive(data, now)
            self._work_off(now)

    def bytes_to_send(self) -> bytes:
        """What is due on the wire now."""
        return self._link.bytes_to_send()

    def next_deadline(self) -> float | None:
        """When an answer must have come, or anything at all."""
        if self._state is PlatformState.CLOSED:
            return None
        idle = self._link.last_received + self._config.idle_timeout_s
        deadline = self._link.next_deadline()
        return idle if deadline is None else min(idle, deadline)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._state is PlatformState.CLOSED:
            return
        self._link.tick(now)
        self._work_off(now)
        if now >= self._link.last_received + self._config.idle_timeout_s:
            self._step(PlatformStimulus.SILENT, now)

    def _answer(self, command: Answer, now: float) -> None:
        packet = command.packet
        body = command.body or self._link.general_reply(packet.frame, command.result)
        if isinstance(packet.body, Registration) and not isinstance(body, RegistrationReply):
            raise LocalProtocolError("a registration is answered with a RegistrationReply")
        if isinstance(packet.body, Authentication):
            is_good = command.result == SUCCESS
            self._step(PlatformStimulus.ADMITTED if is_good else PlatformStimulus.REFUSED, now)
        self._link.answer(packet, body, now)

    def _work_off(self, now: float) -> None:
        while not isinstance(event := self._link.next_event(), NeedData):
            self._take(event, now)

    def _take(self, event: LinkEvent, now: float) -> None:
        match event:
            case Arrived():
                self._event = event
                if isinstance(event.packet.body, Registration):
                    self._link.dialect = event.packet.dialect
                self._step(_STIMULI.get(type(event.packet.body), PlatformStimulus.MESSAGE), now)
            case Unreadable():
                self._event = event
                self._step(PlatformStimulus.UNREADABLE, now)
            case Settled(token=Send() as send):
                self._events.append(Answered(send.token, event.answer, event.result))
            case Expired(token=Send() as send):
                self._events.append(Unanswered(send.token))
            case Abandoned():
                self._events.append(event)

    def _step(self, stimulus: PlatformStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _packet(self) -> Packet:
        assert isinstance(self._event, Arrived)
        return self._event.packet

    def _ask_registration(self, _now: float) -> None:
        self._events.append(RegistrationAsked(self._packet()))

    def _ask_authentication(self, _now: float) -> None:
        self._events.append(AuthenticationAsked(self._packet()))

    def _nothing(self, _now: float) -> None:
        """The state says all."""

    def _ignore(self, _now: float) -> None:
        self.ignored_messages += 1
        if isinstance(self._event, Arrived):
            self._link.forget(self._event.packet.frame)

    def _accept(self, now: float) -> None:
        packet = self._packet()
        self._link.answer(packet, self._link.general_reply(packet.frame, SUCCESS), now)

    def _log_off(self, now: float) -> None:
        self._accept(now)
        self._events.append(LoggedOff())

    def _deliver(self, _now: float) -> None:
        self._events.append(Received(self._packet()))

    def _refuse(self, now: float) -> None:
        assert isinstance(self._event, Unreadable)
        self._link.transmit(self._link.general_reply(self._event.frame, MESSAGE_WRONG), now)

    def _silent(self, now: float) -> None:
        self._events.append(Close("nothing came"))
        self._end(now)

    def _end(self, _now: float) -> None:
        for token in self._link.disconnected():
            if isinstance(token, Send):
                self._events.append(Unanswered(token.token))

    TRANSITIONS: ClassVar[
        Mapping[
            tuple[PlatformState, PlatformStimulus], tuple[Callable[["PlatformDialogue", float], None], PlatformState]
        ]
    ] = {
        (PlatformState.UNKNOWN, PlatformStimulus.REGISTRATION): (_ask_registration, PlatformState.UNKNOWN),
        (PlatformState.UNKNOWN, PlatformStimulus.AUTHENTICATION): (_ask_authentication, PlatformState.UNKNOWN),
        (PlatformState.UNKNOWN, PlatformStimulus.ADMITTED): (_nothing, PlatformState.ONLINE),
        (PlatformState.UNKNOWN, PlatformStimulus.REFUSED): (_nothing, PlatformState.UNKNOWN),
        (PlatformState.UNKNOWN, PlatformStimulus.HEARTBEAT): (_ignore, PlatformState.UNKNOWN),
        (PlatformState.UNKNOWN, PlatformStimulus.LOG_OFF): (_ignore, PlatformState.UNKNOWN),
        (PlatformState.UNKNOWN, PlatformStimulus.MESSAGE): (_ignore, PlatformState.UNKNOWN),
        (PlatformState.UNKNOWN, PlatformStimulus.UNREADABLE): (_ignore, PlatformState.UNKNOWN),
        (PlatformState.UNKNOWN, PlatformStimulus.SILENT): (_silent, PlatformState.CLOSED),
        (PlatformState.UNKNOWN, PlatformStimulus.DISCONNECTED): (_end, PlatformState.CLOSED),
        (PlatformState.ONLINE, PlatformStimulus.REGISTRATION): (_ask_registration, PlatformState.ONLINE),
        (PlatformState.ONLINE, PlatformStimulus.AUTHENTICATION): (_ask_authentication, PlatformState.ONLINE),
        (PlatformState.ONLINE, PlatformStimulus.ADMITTED): (_nothing, PlatformState.ONLINE),
        (PlatformState.ONLINE, PlatformStimulus.REFUSED): (_nothing, PlatformState.UNKNOWN),
        (PlatformState.ONLINE, PlatformStimulus.HEARTBEAT): (_accept, PlatformState.ONLINE),
        (PlatformState.ONLINE, PlatformStimulus.LOG_OFF): (_log_off, PlatformState.UNKNOWN),
        (PlatformState.ONLINE, PlatformStimulus.MESSAGE): (_deliver, PlatformState.ONLINE),
        (PlatformState.ONLINE, PlatformStimulus.UNREADABLE): (_refuse, PlatformState.ONLINE),
        (PlatformState.ONLINE, PlatformStimulus.SILENT): (_silent, PlatformState.CLOSED),
        (PlatformState.ONLINE, PlatformStimulus.DISCONNECTED): (_end, PlatformState.CLOSED),
    }
