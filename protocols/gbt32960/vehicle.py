"""A vehicle's terminal on one connection to its platform, as a dialogue without I/O.

GB/T 32960.3-2016 and -2025, clause 5. An enterprise's platform talks to a public one the same way, with commands 05 and
06 in place of 01 and 04: `VehicleSettings.is_platform`.

* `LogIn`, then reports. A login that is refused or not answered is tried again, three times a minute apart, then after
  half an hour (parameter 0C).
* Each `Send` is `Delivered`, `Refused` or `Undelivered`: the last is to be kept for seven days and sent again with
  `is_reissue`, when there is nothing live to send. Its time stays as it was.
* When nothing was sent for a while a heartbeat goes; one without an answer is told as `Silent`.
* What the platform asks (80 to 82 and others) is told as `Asked` and answered with `Answer`.

How often to report is the caller's: every 30 s at least, every second during an alarm of level 3, with the 30 s before
and after it. What each stimulus leads to stands in `Vehicle.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.gbt32960.catalogue import Answer as AnswerBody
from protocols.gbt32960.catalogue import Body, Empty, decode_body, encode_body
from protocols.gbt32960.frame import COMMAND, Command, Frame, Framer, Response, encode_frame
from protocols.gbt32960.link import ANSWER_TIMEOUT_S, GAP_S, Clock, Outstanding
from protocols.gbt32960.login import Logout, PlatformLogin, VehicleLogin, VehicleLogin2025
from protocols.gbt32960.parameters import Parameters
from protocols.gbt32960.report import Report
from protocols.gbt32960.times import TIME_BYTES
from protocols.listener import Listener, earliest

LOGIN_TRIES = 3
RETRY_S = 60.0
LONG_WAIT_S = 1800.0
HEARTBEAT_S = 60.0
MAX_IN_FLIGHT = 16


class VehicleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who it is, and its timers. heartbeat_s, answer_timeout_s, long_wait_s: parameters 09, 0A and 0C."""

    vin: bytes
    edition: int = 2016
    is_platform: bool = False
    answer_timeout_s: float = ANSWER_TIMEOUT_S
    heartbeat_s: float = HEARTBEAT_S
    retry_s: float = RETRY_S
    long_wait_s: float = LONG_WAIT_S


Login = VehicleLogin | VehicleLogin2025 | PlatformLogin


class LogIn(msgspec.Struct, frozen=True, eq=False):
    """Log in. The time of the body is written anew at each try."""

    body: Login


class LogOut(msgspec.Struct, frozen=True, eq=False):
    """Log out, with the serial of the login."""


class Send(msgspec.Struct, frozen=True, eq=False):
    """Report."""

    report: Report
    is_reissue: bool = False


class SyncTime(msgspec.Struct, frozen=True, eq=False):
    """Ask for the platform's time."""


class Request(msgspec.Struct, frozen=True, eq=False):
    """Any other command, such as an activation; also before a login."""

    command: int
    body: Body


class Answer(msgspec.Struct, frozen=True, eq=False):
    """Answer what the platform asked. params: to a query that succeeded."""

    asked: "Asked"
    response: int = Response.SUCCESS
    params: Parameters | None = None


class LoggedIn(msgspec.Struct, frozen=True):
    """The platform took the login."""


class LoginFailed(msgspec.Struct, frozen=True):
    """It did not. response: None without an answer. retry_at: when it is tried again, by itself."""

    response: int | None
    retry_at: float


class LoggedOut(msgspec.Struct, frozen=True):
    """The logout is over, whether the platform answered or not."""


class Delivered(msgspec.Struct, frozen=True):
    """The platform has the report."""

    command: Send


class Refused(msgspec.Struct, frozen=True):
    """The platform answered with an error: the same would be refused again."""

    command: Send
    response: int


class Undelivered(msgspec.Struct, frozen=True):
    """No answer came: keep it for a re-issue."""

    command: Send


class TimeTold(msgspec.Struct, frozen=True):
    """The platform's time, six bytes."""

    time: bytes


class Answered(msgspec.Struct, frozen=True):
    """The answer to a `Request` or a `SyncTime` that was refused; None: there was none."""

    command: Request | SyncTime
    frame: Frame | None


class Asked(msgspec.Struct, frozen=True):
    """The platform asks or commands."""

    frame: Frame
    body: Body


class Silent(msgspec.Struct, frozen=True):
    """A heartbeat found no answer: the connection is of no use any more."""


VehicleCommand = LogIn | LogOut | Send | SyncTime | Request | Answer
VehicleEvent = (
    LoggedIn | LoginFailed | LoggedOut | Delivered | Refused | Undelivered | TimeTold | Answered | Asked | Silent
)


class _Heartbeat:
    """Stands for a heartbeat among what waits."""


_Token = LogIn | LogOut | Send | SyncTime | Request | _Heartbeat


class VehicleState(Enum):
    """Where it stands."""

    OUT = "logged out"
    LOGIN_DUE = "login answer due"
    WAITING = "waiting to log in again"
    IN = "logged in"
    LOGOUT_DUE = "logout answer due"


class VehicleStimulus(Enum):
    """What may happen to it."""

    LOG_IN = "LogIn"
    ACCEPTED = "success"
    FAILED = "error or no answer"
    RETRY = "wait is over"
    LOG_OUT = "LogOut"
    LOGGED_OUT = "any answer or none"


class Vehicle(StreamEnd[VehicleEvent]):
    """A vehicle's talk with its platform. See the module's docstring."""

    def __init__(self, settings: VehicleSettings, clock: Clock, now: float) -> None:
        super().__init__()
        self.settings = settings
        self.stray_frames = 0
        """Answers to nothing that was asked, and frames that could not be read."""
        self._clock = clock
        self._state = VehicleState.OUT
        self._framer = Framer()
        self._listener = Listener(self._framer, GAP_S)
        self._outstanding: Outstanding[_Token] = Outstanding()
        self._login: LogIn | None = None
        self._tries = 0
        self._response: int | None = None
        self._retry_at: float | None = None
        self._last_sent = now

    @property
    def state(self) -> VehicleState:
        """Where it stands."""
        return self._state

    @property
    def has_room(self) -> bool:
        """Whether another report may be sent now."""
        return self._state is VehicleState.IN and len(self._outstanding) < MAX_IN_FLIGHT

    @property
    def discarded_bytes(self) -> int:
        """Bytes from the connection that belonged to no frame."""
        return self._framer.discarded_bytes

    def send(self, command: VehicleCommand, now: float) -> None:
        """Do something. Raises `LocalProtocolError` when it is not the time for it, or no frame carries it."""
        match command:
            case LogIn():
                self._require(VehicleState.OUT)
                encode_body(command.body, self.settings.edition)
                self._login = command
                self._step(VehicleStimulus.LOG_IN, now)
            case LogOut():
                self._require(VehicleState.IN)
                self._step(VehicleStimulus.LOG_OUT, now)
            case Send():
                if not self.has_room:
                    raise LocalProtocolError("not logged in, or too much waits for its answer")
                self._ask(Command.REISSUE if command.is_reissue else Command.REAL_TIME, command.report, command, now)
            case SyncTime():
                self._ask(Command.TIME_SYNC, Empty(), command, now)
            case Request():
                self._ask(command.command, command.body, command, now)
            case Answer():
                self._answer(command, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for frame in self._listener.frames(data, now):
            self._take(frame, now)

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest."""
        heartbeat_at = self._last_sent + self.settings.heartbeat_s if self._state is VehicleState.IN else None
        return earliest(self._retry_at, heartbeat_at, self._outstanding.next_deadline(), self._listener.deadline)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._listener.tick(now):
            self._take(frame, now)
        for waiting in self._outstanding.expired(now):
            self._expired(waiting.token, now)
        if self._retry_at is not None and now >= self._retry_at:
            self._step(VehicleStimulus.RETRY, now)
        if self._state is VehicleState.IN and now >= self._last_sent + self.settings.heartbeat_s:
            self._ask(Command.HEARTBEAT, Empty(), _Heartbeat(), now)

    def abandon(self) -> list[Send]:
        """The connection broke: the reports that were not delivered."""
        return [token for token in self._outstanding.clear() if isinstance(token, Send)]

    def _require(self, state: VehicleState) -> None:
        if self._state is not state:
            raise LocalProtocolError(f"only while {state.value}")

    # What is sent

    def _write(self, frame: Frame, now: float) -> None:
        self._outgoing += encode_frame(frame)
        self._last_sent = now

    def _ask(self, command: int, body: Body, token: _Token, now: float) -> None:
        settings = self.settings
        frame = Frame(settings.edition, command, COMMAND, settings.vin, data=encode_body(body, settings.edition))
        self._write(frame, now)
        self._outstanding.add(token, frame, now + settings.answer_timeout_s)

    def _answer(self, answer: Answer, now: float) -> None:
        if answer.response == COMMAND:
            raise LocalProtocolError("FE is no answer", field="response")
        asked = answer.asked.frame
        body: Body = answer.params or AnswerBody(asked.data[:TIME_BYTES])
        data = encode_body(body, asked.edition)
        self._write(msgspec.structs.replace(asked, response=answer.response, data=data), now)

    # From the connection

    def _take(self, frame: Frame, now: float) -> None:
        question = frame
        if frame.command == Command.ACTIVATION_ANSWER:  # a command of its own, with or without the flag of one
            question = msgspec.structs.replace(frame, command=Command.ACTIVATION, data=b"")
        if frame.response != COMMAND or question is not frame:
            waiting = self._outstanding.settle(question)
            if waiting is not None:
                self._settled(waiting.token, frame, now)
                return
        if frame.response != COMMAND:
            self.stray_frames += 1
            return
        try:
            asked = Asked(frame, decode_body(frame))
        except RemoteProtocolError:
            self.stray_frames += 1
            self._write(msgspec.structs.replace(frame, response=Response.ERROR, data=frame.data[:TIME_BYTES]), now)
            return
        self._events.append(asked)

    def _settled(self, token: _Token, frame: Frame, now: float) -> None:
        is_success = frame.response == Response.SUCCESS
        match token:
            case LogIn():
                self._response = frame.response
                self._step(VehicleStimulus.ACCEPTED if is_success else VehicleStimulus.FAILED, now)
            case LogOut():
                self._step(VehicleStimulus.LOGGED_OUT, now)
            case Send():
                self._events.append(Delivered(token) if is_success else Refused(token, frame.response))
            case SyncTime() if is_success and len(frame.data) >= TIME_BYTES:
                self._events.append(TimeTold(frame.data[:TIME_BYTES]))
            case SyncTime() | Request():
                self._events.append(Answered(token, frame))
            case _Heartbeat():
                pass  # a sign of life, nothing else

    def _expired(self, token: _Token, now: float) -> None:
        match token:
            case LogIn():
                self._response = None
                self._step(VehicleStimulus.FAILED, now)
            case LogOut():
                self._step(VehicleStimulus.LOGGED_OUT, now)
            case Send():
                self._events.append(Undelivered(token))
            case SyncTime() | Request():
                self._events.append(Answered(token, None))
            case _Heartbeat():
                self._events.append(Silent())

    # Actions of the table

    def _step(self, stimulus: VehicleStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _log_in(self, now: float) -> None:
        self._tries = 0
        self._try_again(now)

    def _try_again(self, now: float) -> None:
        assert self._login is not None
        self._tries += 1
        self._retry_at = None
        command = Command.PLATFORM_LOGIN if self.settings.is_platform else Command.VEHICLE_LOGIN
        self._ask(command, msgspec.structs.replace(self._login.body, time=self._clock(now)), self._login, now)

    def _logged_in(self, _now: float) -> None:
        self._events.append(LoggedIn())

    def _wait(self, now: float) -> None:
        if self._tries < LOGIN_TRIES:
            self._retry_at = now + self.settings.retry_s
        else:
            self._tries = 0
            self._retry_at = now + self.settings.long_wait_s
        self._events.append(LoginFailed(self._response, self._retry_at))

    def _log_out(self, now: float) -> None:
        assert self._login is not None
        command = Command.PLATFORM_LOGOUT if self.settings.is_platform else Command.VEHICLE_LOGOUT
        self._ask(command, Logout(self._clock(now), self._login.body.login_serial), LogOut(), now)

    def _logged_out(self, _now: float) -> None:
        self._login = None
        self._events.append(LoggedOut())

    TRANSITIONS: ClassVar[
        Mapping[tuple[VehicleState, VehicleStimulus], tuple[Callable[["Vehicle", float], None], VehicleState]]
    ] = {
        (VehicleState.OUT, VehicleStimulus.LOG_IN): (_log_in, VehicleState.LOGIN_DUE),
        (VehicleState.LOGIN_DUE, VehicleStimulus.ACCEPTED): (_logged_in, VehicleState.IN),
        (VehicleState.LOGIN_DUE, VehicleStimulus.FAILED): (_wait, VehicleState.WAITING),
        (VehicleState.WAITING, VehicleStimulus.RETRY): (_try_again, VehicleState.LOGIN_DUE),
        (VehicleState.IN, VehicleStimulus.LOG_OUT): (_log_out, VehicleState.LOGOUT_DUE),
        (VehicleState.LOGOUT_DUE, VehicleStimulus.LOGGED_OUT): (_logged_out, VehicleState.OUT),
    }
