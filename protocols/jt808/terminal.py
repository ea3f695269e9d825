"""A terminal's session with its platform as a dialogue without I/O (JT/T 808-2019, chapters 5 to 7).

It asks for a connection, registers where it has no authentication code, authenticates as the first thing on every
connection, keeps the link alive, and sends locations. A location that cannot be sent or is not answered is kept
(`blind_area.py`) and replayed later: live ones go first. It counts as delivered when the platform's response came.

What each stimulus leads to stands in `TerminalDialogue.TRANSITIONS`. Whoever pumps it connects on `Connect` and says
`Connected` or `Disconnected`.
"""

import random
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from protocols.core.errors import LocalProtocolError, NeedData
from protocols.dialogue import EventQueue
from protocols.jt808.blind_area import BlindArea, Kept
from protocols.jt808.general import (
    MESSAGE_WRONG,
    SUCCESS,
    Heartbeat,
    LinkCheck,
    LogOff,
    TimeQuery,
    TimeReply,
)
from protocols.jt808.link import Arrived, Expired, Link, LinkEvent, Settled, Timers, Unreadable
from protocols.jt808.registration import (
    NO_SUCH_TERMINAL,
    NO_SUCH_VEHICLE,
    REGISTERED,
    Authentication,
    RegistrationReply,
    can_be_shown,
)
from protocols.jt808.session import Answer, Answered, Close, Connected, Disconnected, Received, Send, Unanswered
from protocols.jt808.subpackage import Abandoned
from protocols.jt808.terminal_events import (
    CodeDropped,
    CodeGiven,
    Connect,
    Delivered,
    LogOffNow,
    Offline,
    Online,
    PlatformTime,
    RegistrationRefused,
    Report,
    TerminalCommand,
    TerminalConfig,
    TerminalEvent,
    TerminalState,
    TerminalStimulus,
    Undelivered,
)
from protocols.jt808.values import utc_ms_of

MAIN_TRIES = 3
"""Failures in a row after which the other server is tried."""
ROOM_FOR_OWN = 3
"""Whatever waits, a time query, a heartbeat and a log-off can still be sent."""
ROOM_FOR_LIVE = 8
"""Replays and reports leave room for other messages in flight: so many locations at one time."""


class _Own(Enum):
    """Tokens of what the session itself sends."""

    REGISTRATION = "registration"
    AUTHENTICATION = "authentication"
    HEARTBEAT = "heartbeat"
    TIME = "time"
    LOG_OFF = "log-off"


_VITAL = (_Own.REGISTRATION, _Own.AUTHENTICATION, _Own.LOG_OFF)  # no set: a token of the caller may have no hash


class TerminalDialogue(EventQueue[TerminalEvent]):
    """A terminal's end of its sessions, over any number of connections. See the module's docstring."""

    def __init__(self, config: TerminalConfig, *, rng: random.Random) -> None:
        super().__init__()
        self._config = config
        self._rng = rng
        self._auth_code = config.auth_code
        self._is_code_fresh = False
        self._state = TerminalState.OFFLINE
        self._link = Link(is_platform=False, phone=config.phone, dialect=config.dialect, timers=config.timers)
        self._store = BlindArea(config.dialect, config.max_stored)
        self._connect_at: float | None = 0.0
        self._reports = 0
        self._failures = 0
        self._result = SUCCESS
        self._reason = ""
        self._heartbeat_interval_s = config.heartbeat_interval_s
        self.early_messages = 0
        """Messages that the platform sent before it had authenticated us, or after we had logged off."""

    @property
    def state(self) -> TerminalState:
        """Where it stands."""
        return self._state

    @property
    def link(self) -> Link:
        """For its counters."""
        return self._link

    @property
    def stored(self) -> int:
        """Locations that wait to be replayed or for the answer to a replay."""
        return len(self._store)

    def set_timers(self, timers: Timers, heartbeat_interval_s: float) -> None:
        """Take parameters 0x0001 to 0x0003 into use, from the next message on."""
        self._link.timers = timers
        self._heartbeat_interval_s = heartbeat_interval_s

    def send(self, command: TerminalCommand, now: float) -> None:
        """Ask for something. Raises `LocalProtocolError` for what is not possible now or cannot be written."""
        match command:
            case Connected():
                self._connected(now)
            case Disconnected():
                self._disconnected(now)
            case Report():
                command.location.to_bytes(self._config.dialect)
                self._reports += 1
                self._report(Kept(command.location, command.token, self._reports), now)
            case LogOffNow():
                self._require_online()
                self._step(TerminalStimulus.LOG_OFF, now)
            case Send():
                self._require_online()
                self._link.transmit(command.body, now, command, room=ROOM_FOR_OWN)
            case Answer():
                self._require_online()
                reply = command.body or self._link.general_reply(command.packet.frame, command.result)
                self._link.answer(command.packet, reply, now, room=ROOM_FOR_OWN)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted or refused on the link."""
        if self._state not in {TerminalState.OFFLINE, TerminalState.LOGGED_OFF}:
            self._link.receive(data, now)
            self._work_off(now)

    def bytes_to_send(self) -> bytes:
        """What is due on the wire now."""
        return self._link.bytes_to_send()

    def next_deadline(self) -> float | None:
        """When to connect, or an answer must have come, or a heartbeat is due."""
        if self._state in {TerminalState.OFFLINE, TerminalState.LOGGED_OFF}:
            return self._connect_at
        deadlines = [self._link.next_deadline(), self._heartbeat_deadline()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _heartbeat_deadline(self) -> float | None:
        if self._state is not TerminalState.ONLINE or self._link.waits_for(_Own.HEARTBEAT):
            return None
        return self._link.last_sent + self._heartbeat_interval_s

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._state in {TerminalState.OFFLINE, TerminalState.LOGGED_OFF}:
            if self._connect_at is not None and now >= self._connect_at:
                self._connect_at = None
                to_backup = self._config.has_backup and self._failures // MAIN_TRIES % 2 == 1
                self._events.append(Connect(to_backup))
            return
        self._link.tick(now)
        self._work_off(now)
        deadline = self._heartbeat_deadline()
        if deadline is not None and now >= deadline:
            self._link.transmit(Heartbeat(), now, _Own.HEARTBEAT)

    def _require_online(self) -> None:
        if self._state is not TerminalState.ONLINE:
            raise LocalProtocolError(f"the terminal is {self._state.value}")

    def _step(self, stimulus: TerminalStimulus, now: float) -> None:
        if (step := self.TRANSITIONS.get((self._state, stimulus))) is None:
            raise LocalProtocolError(f"{stimulus.value}: the terminal is {self._state.value}")
        action, self._state = step
        action(self, now)

    def _connected(self, now: float) -> None:
        known = TerminalStimulus.CONNECTED if self._auth_code is None else TerminalStimulus.CONNECTED_AGAIN
        if (self._state, known) in self.TRANSITIONS:
            self._connect_at = None
            self._is_code_fresh = False
            self._link.connected(now)
        self._step(known, now)

    def _disconnected(self, now: float) -> None:
        self._reason = "disconnected"
        if (self._state, TerminalStimulus.DISCONNECTED) in self.TRANSITIONS:
            self._step(TerminalStimulus.DISCONNECTED, now)
        elif self._connect_at is None and self._state is TerminalState.OFFLINE:
            self._retry(now)

    def _report(self, report: Kept, now: float) -> None:
        if self._state is TerminalState.ONLINE and self._link.in_flight < ROOM_FOR_LIVE:
            self._link.transmit(report.location, now, report)
        else:
            self._keep(report)

    def _keep(self, report: Kept) -> None:
        for lost in self._store.add(report):
            self._events.append(Undelivered(lost.token, None))

    def _work_off(self, now: float) -> None:
        while not isinstance(event := self._link.next_event(), NeedData):
            self._take(event, now)
        if self._state is TerminalState.ONLINE and self._link.in_flight < ROOM_FOR_LIVE:
            batch = self._store.next_batch()
            if batch is not None:
                self._link.transmit(batch, now, self._store)

    def _take(self, event: LinkEvent, now: float) -> None:
        match event:
            case Settled():
                self._settled(event, now)
            case Expired():
                self._expired(event, now)
            case Arrived() if self._state is TerminalState.ONLINE:
                self._arrived(event, now)
            case Unreadable() if self._state is TerminalState.ONLINE:
                self._link.transmit(self._link.general_reply(event.frame, MESSAGE_WRONG), now)
            case Abandoned():
                self._events.append(event)
            case Arrived():
                self.early_messages += 1
                self._link.forget(event.packet.frame)
            case Unreadable():
                self.early_messages += 1

    def _arrived(self, event: Arrived, now: float) -> None:
        if isinstance(event.packet.body, LinkCheck):
            self._link.answer(event.packet, self._link.general_reply(event.packet.frame, SUCCESS), now)
        else:
            self._events.append(Received(event.packet))

    def _settled(self, event: Settled, now: float) -> None:
        match event.token:
            case _Own.REGISTRATION | _Own.AUTHENTICATION | _Own.LOG_OFF:
                self._step(self._judge(event), now)
            case _Own.TIME:
                utc_ms = utc_ms_of(event.answer.time_utc, 0) if isinstance(event.answer, TimeReply) else None
                if utc_ms is not None:
                    self._events.append(PlatformTime(utc_ms, now))
            case Kept() as report if event.result == SUCCESS:
                self._events.append(Delivered(report.token))
            case Kept() as report:
                self._events.append(Undelivered(report.token, event.result))
            case BlindArea():
                delivered, refused = self._store.settled(event.result)
                self._events.extend([Delivered(report.token) for report in delivered])
                self._events.extend([Undelivered(report.token, event.result) for report in refused])
            case Send() as send:
                self._events.append(Answered(send.token, event.answer, event.result))

    def _judge(self, event: Settled) -> TerminalStimulus:
        """What the answer to a registration, an authentication or a log-off means."""
        answer = event.answer
        if event.token is _Own.LOG_OFF:
            return TerminalStimulus.LOGGED_OFF
        if event.token is _Own.AUTHENTICATION:
            if event.result == SUCCESS:
                return TerminalStimulus.AUTHENTICATED
            return TerminalStimulus.FRESH_CODE_REFUSED if self._is_code_fresh else TerminalStimulus.CODE_REFUSED
        if isinstance(answer, RegistrationReply) and answer.result == REGISTERED:
            if not can_be_shown(answer.auth_code, self._config.dialect):
                self._reason = "the platform gave a code that no authentication can hold"
                return TerminalStimulus.NO_ANSWER
            self._auth_code = answer.auth_code
            self._is_code_fresh = True
            return TerminalStimulus.REGISTERED
        self._result = answer.result if isinstance(answer, RegistrationReply) else event.result
        return TerminalStimulus.REGISTRATION_REFUSED

    def _expired(self, event: Expired, now: float) -> None:
        if isinstance(event.token, Kept):
            self._keep(event.token)
        elif isinstance(event.token, BlindArea):
            self._store.give_back()
        elif isinstance(event.token, Send):
            self._events.append(Unanswered(event.token.token))
        is_vital = event.token in _VITAL
        can_end = (self._state, TerminalStimulus.NO_ANSWER) in self.TRANSITIONS
        if (is_vital or event.was_silent) and can_end:
            self._reason = f"no answer to {event.msg_id:#06x}"
            self._step(TerminalStimulus.NO_ANSWER, now)

    def _register(self, now: float) -> None:
        self._link.transmit(self._config.registration, now, _Own.REGISTRATION)

    def _authenticate(self, now: float) -> None:
        assert self._auth_code is not None
        body = Authentication(self._auth_code)
        if self._config.dialect.has_extended_messages:
            body = Authentication(self._auth_code, self._config.imei, self._config.software_version)
        self._link.transmit(body, now, _Own.AUTHENTICATION)

    def _registered(self, now: float) -> None:
        assert self._auth_code is not None
        self._events.append(CodeGiven(self._auth_code))
        self._authenticate(now)

    def _refused(self, now: float) -> None:
        self._events.append(RegistrationRefused(self._result))
        self._events.append(Close("registration refused"))
        self._drop_link(now)
        is_unknown = self._result in {NO_SUCH_VEHICLE, NO_SUCH_TERMINAL}
        wait_s = self._config.unknown_retry_s if is_unknown else self._config.registered_elsewhere_retry_s
        self._connect_at = now + wait_s

    def _drop_code(self, now: float) -> None:
        self._auth_code = None
        self._events.append(CodeDropped())
        self._register(now)

    def _give_up_code(self, now: float) -> None:
        """To register again at once would only go round."""
        self._auth_code = None
        self._events.append(CodeDropped())
        self._reason = "the code that the platform gave is refused"
        self._hang_up(now)

    def _online(self, now: float) -> None:
        self._failures = 0
        self._events.append(Online())
        if self._config.asks_time:
            self._link.transmit(TimeQuery(), now, _Own.TIME)

    def _log_off(self, now: float) -> None:
        self._link.transmit(LogOff(), now, _Own.LOG_OFF)

    def _logged_off(self, now: float) -> None:
        self._auth_code = None
        self._events.append(CodeDropped())
        self._events.append(Close("logged off"))
        self._drop_link(now)
        self._connect_at = None

    def _hang_up(self, now: float) -> None:
        self._events.append(Close(self._reason))
        self._drop_link(now)

    def _went_offline(self, now: float) -> None:
        self._events.append(Offline(self._reason))
        self._drop_link(now)

    def _hang_up_online(self, now: float) -> None:
        self._events.append(Close(self._reason))
        self._went_offline(now)

    def _drop_link(self, now: float) -> None:
        """What was on its way is kept, or told to be lost, and another connection is made after a while."""
        for token in self._link.disconnected():
            match token:
                case Kept() as report:
                    self._keep(report)
                case BlindArea():
                    self._store.give_back()
                case Send() as send:
                    self._events.append(Unanswered(send.token))
        self._retry(now)

    def _retry(self, now: float) -> None:
        self._failures += 1
        longest = min(self._config.reconnect_max_s, self._config.reconnect_min_s * 2.0 ** min(self._failures - 1, 30))
        self._connect_at = now + longest * self._rng.uniform(0.5, 1.0)

    TRANSITIONS: ClassVar[
        Mapping[
            tuple[TerminalState, TerminalStimulus], tuple[Callable[["TerminalDialogue", float], None], TerminalState]
        ]
    ] = {
        (TerminalState.OFFLINE, TerminalStimulus.CONNECTED): (_register, TerminalState.REGISTERING),
        (TerminalState.OFFLINE, TerminalStimulus.CONNECTED_AGAIN): (_authenticate, TerminalState.AUTHENTICATING),
        (TerminalState.REGISTERING, TerminalStimulus.REGISTERED): (_registered, TerminalState.AUTHENTICATING),
        (TerminalState.REGISTERING, TerminalStimulus.REGISTRATION_REFUSED): (_refused, TerminalState.OFFLINE),
        (TerminalState.REGISTERING, TerminalStimulus.NO_ANSWER): (_hang_up, TerminalState.OFFLINE),
        (TerminalState.REGISTERING, TerminalStimulus.DISCONNECTED): (_drop_link, TerminalState.OFFLINE),
        (TerminalState.AUTHENTICATING, TerminalStimulus.AUTHENTICATED): (_online, TerminalState.ONLINE),
        (TerminalState.AUTHENTICATING, TerminalStimulus.CODE_REFUSED): (_drop_code, TerminalState.REGISTERING),
        (TerminalState.AUTHENTICATING, TerminalStimulus.FRESH_CODE_REFUSED): (_give_up_code, TerminalState.OFFLINE),
        (TerminalState.AUTHENTICATING, TerminalStimulus.NO_ANSWER): (_hang_up, TerminalState.OFFLINE),
        (TerminalState.AUTHENTICATING, TerminalStimulus.DISCONNECTED): (_drop_link, TerminalState.OFFLINE),
        (TerminalState.ONLINE, TerminalStimulus.NO_ANSWER): (_hang_up_online, TerminalState.OFFLINE),
        (TerminalState.ONLINE, TerminalStimulus.DISCONNECTED): (_went_offline, TerminalState.OFFLINE),
        (TerminalState.ONLINE, TerminalStimulus.LOG_OFF): (_log_off, TerminalState.LOGGING_OFF),
        (TerminalState.LOGGING_OFF, TerminalStimulus.LOGGED_OFF): (_logged_off, TerminalState.LOGGED_OFF),
        (TerminalState.LOGGING_OFF, TerminalStimulus.NO_ANSWER): (_hang_up_online, TerminalState.OFFLINE),
        (TerminalState.LOGGING_OFF, TerminalStimulus.DISCONNECTED): (_went_offline, TerminalState.OFFLINE),
        (TerminalState.LOGGED_OFF, TerminalStimulus.CONNECTED): (_register, TerminalState.REGISTERING),
    }
