"""A platform's end of one connection, as a dialogue without I/O: a vehicle at the other end, or a whole platform.

GB/T 32960.3-2016 and -2025, clause 5.

* Everything that a vehicle sends is told as `Told` and answered when the application says so (`Answer`): a login when
  it is taken or refused, a report when it is kept. What comes again meanwhile, or afterwards, is told once.
* Heartbeats and requests for the time are answered at once.
* Reports of a vehicle that has not logged in are refused, unless a platform has logged in on this connection, which
  speaks for its vehicles.
* `Ask` sends a command to a vehicle (80 to 82 and others) and waits for the answer.

Each vehicle or platform on the connection is a party of its own; what each stimulus leads to stands in
`Platform.TRANSITIONS`.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.gbt32960.catalogue import Body, decode_body, encode_body
from protocols.gbt32960.frame import COMMAND, Command, Frame, Framer, Response, encode_frame
from protocols.gbt32960.link import ANSWER_TIMEOUT_S, GAP_S, Clock, Outstanding
from protocols.gbt32960.times import TIME_BYTES
from protocols.listener import Listener, earliest

MAX_PARTIES = 10_000
"""Vehicles on one connection; more are refused."""
REMEMBERED = 256
"""Frames by which one that comes again is known."""
MAX_IN_FLIGHT = 64
"""Commands that wait for their answers."""


class PlatformSettings(msgspec.Struct, frozen=True, kw_only=True):
    """answer_timeout_s: for the answers to commands (parameter 0B)."""

    answer_timeout_s: float = ANSWER_TIMEOUT_S


class Answer(msgspec.Struct, frozen=True, eq=False):
    """Answer what a vehicle told."""

    told: "Told"
    response: int = Response.SUCCESS


class Ask(msgspec.Struct, frozen=True, eq=False):
    """Ask or command a vehicle."""

    vin: bytes
    edition: int
    command: int
    body: Body


class Told(msgspec.Struct, frozen=True):
    """A vehicle says something that is to be answered."""

    frame: Frame
    body: Body


class Answered(msgspec.Struct, frozen=True):
    """The answer to a command, or none in time. body: None when there is none, or it cannot be read."""

    command: Ask
    frame: Frame | None
    body: Body | None


PlatformCommand = Answer | Ask
PlatformEvent = Told | Answered


class PartyState(Enum):
    """Where a vehicle or platform stands."""

    OUT = "logged out"
    ASKED = "login asked"
    IN = "logged in"


class PartyStimulus(Enum):
    """What may happen to it."""

    LOGIN = "login"
    LOGOUT = "logout"
    OTHER = "anything else"
    ACCEPT = "Answer, success"
    REFUSE = "Answer, error"


_LOGINS = (Command.VEHICLE_LOGIN, Command.PLATFORM_LOGIN)
_LOGOUTS = (Command.VEHICLE_LOGOUT, Command.PLATFORM_LOGOUT)
_AT_ONCE = (Command.HEARTBEAT, Command.TIME_SYNC)
_BEFORE_LOGIN = (Command.ACTIVATION, Command.KEY_EXCHANGE)
_Key = tuple[bytes, int, bytes]


class Platform(StreamEnd[PlatformEvent]):
    """A platform's talk on one connection. See the module's docstring."""

    def __init__(self, settings: PlatformSettings, clock: Clock) -> None:
        super().__init__()
        self.settings = settings
        self.stray_frames = 0
        """Answers to nothing that was asked."""
        self.bad_bodies = 0
        """Good frames whose data units could not be read; they are answered with an error."""
        self._clock = clock
        self._framer = Framer()
        self._listener = Listener(self._framer, GAP_S)
        self._outstanding: Outstanding[Ask] = Outstanding()
        self._parties: dict[bytes, PartyState] = {}
        self._platforms: set[bytes] = set()
        self._answers: OrderedDict[_Key, int | None] = OrderedDict()

    @property
    def discarded_bytes(self) -> int:
        """Bytes from the connection that belonged to no frame."""
        return self._framer.discarded_bytes

    def state_of(self, vin: bytes) -> PartyState:
        """Where a vehicle or platform stands."""
        return self._parties.get(vin, PartyState.OUT)

    def send(self, command: PlatformCommand, now: float) -> None:
        """Answer or ask. Raises `LocalProtocolError` for what no frame carries, and while too much is asked."""
        if isinstance(command, Answer):
            self._answer(command)
            return
        if len(self._outstanding) >= MAX_IN_FLIGHT:
            raise LocalProtocolError("too much waits for its answer")
        data = encode_body(command.body, command.edition)
        frame = Frame(command.edition, command.command, COMMAND, command.vin, data=data)
        self._outgoing += encode_frame(frame)
        self._outstanding.add(command, frame, now + self.settings.answer_timeout_s)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for frame in self._listener.frames(data, now):
            self._take(frame, now)

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest."""
        return earliest(self._outstanding.next_deadline(), self._listener.deadline)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._listener.tick(now):
            self._take(frame, now)
        for waiting in self._outstanding.expired(now):
            self._events.append(Answered(waiting.token, None, None))

    # From the connection

    def _take(self, frame: Frame, now: float) -> None:
        if frame.response != COMMAND:
            self._settle(frame)
        elif frame.command in _AT_ONCE:
            time = self._clock(now) if frame.command == Command.TIME_SYNC else b""
            self._reply(frame, Response.SUCCESS, time)
        else:
            self._take_command(frame)

    def _settle(self, frame: Frame) -> None:
        waiting = self._outstanding.settle(frame)
        if waiting is None:
            self.stray_frames += 1
            return
        try:
            body: Body | None = decode_body(frame)
        except RemoteProtocolError:
            self.bad_bodies += 1
            body = None
        self._events.append(Answered(waiting.token, frame, body))

    def _take_command(self, frame: Frame) -> None:
        key = _key_of(frame)
        if key in self._answers:  # it came again: the answer was lost, or is not there yet
            self._answers.move_to_end(key)
            response = self._answers[key]
            if response is not None:
                self._reply(frame, response, frame.data[:TIME_BYTES])
            return
        stimulus = PartyStimulus.OTHER
        if frame.command in _LOGINS:
            stimulus = PartyStimulus.LOGIN
        elif frame.command in _LOGOUTS:
            stimulus = PartyStimulus.LOGOUT
        self._step(frame, self._party(frame), stimulus)

    def _step(self, frame: Frame, party: PartyState, stimulus: PartyStimulus) -> None:
        action, state = self.TRANSITIONS[party, stimulus]
        if action(self, frame):
            self._enter(frame, state)

    def _party(self, frame: Frame) -> PartyState:
        """Where the sender stands; a platform that has logged in speaks for its vehicles.

        It may log out a vehicle that it logged in on the connection before this one.
        """
        speaks_for_others = self._platforms and frame.command not in (*_LOGINS, Command.PLATFORM_LOGOUT)
        return PartyState.IN if speaks_for_others else self.state_of(frame.vin)

    def _enter(self, frame: Frame, state: PartyState) -> None:
        if state is PartyState.OUT:
            self._parties.pop(frame.vin, None)
            self._platforms.discard(frame.vin)
        elif frame.command in _LOGINS:
            self._parties[frame.vin] = state
            if frame.command == Command.PLATFORM_LOGIN and state is PartyState.IN:
                self._platforms.add(frame.vin)

    def _reply(self, frame: Frame, response: int, data: bytes) -> None:
        self._outgoing += encode_frame(msgspec.structs.replace(frame, response=response, data=data))

    def _answer(self, answer: Answer) -> None:
        frame = answer.told.frame
        if answer.response == COMMAND:
            raise LocalProtocolError("FE is no answer", field="response")
        self._reply(frame, answer.response, frame.data[:TIME_BYTES])
        self._remember(frame, answer.response)
        if frame.command in _LOGINS and self.state_of(frame.vin) is PartyState.ASKED:
            is_success = answer.response == Response.SUCCESS
            stimulus = PartyStimulus.ACCEPT if is_success else PartyStimulus.REFUSE
            self._step(frame, PartyState.ASKED, stimulus)

    def _remember(self, frame: Frame, answer: int | None) -> None:
        self._answers[_key_of(frame)] = answer
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)

    # Actions of the table: whether the state is entered

    def _tell(self, frame: Frame) -> bool:
        try:
            told = Told(frame, decode_body(frame))
        except RemoteProtocolError:
            self.bad_bodies += 1
            code = Response.ERROR if frame.edition == 2016 else Response.WRONG_STRUCTURE
            self._reply(frame, code, frame.data[:TIME_BYTES])
            return False
        if frame.vin not in self._parties and frame.command in _LOGINS and len(self._parties) >= MAX_PARTIES:
            self._reply(frame, Response.ERROR, frame.data[:TIME_BYTES])
            return False
        self._remember(frame, None)
        self._events.append(told)
        return True

    def _refuse(self, frame: Frame) -> bool:
        """Nobody has logged in; an activation comes before a login."""
        if frame.command in _BEFORE_LOGIN:
            return self._tell(frame)
        code = Response.ERROR if frame.edition == 2016 else Response.UNKNOWN_VIN
        self._reply(frame, code, frame.data[:TIME_BYTES])
        return True

    def _nothing(self, _frame: Frame) -> bool:
        """The application has answered."""
        return True

    TRANSITIONS: ClassVar[
        Mapping[tuple[PartyState, PartyStimulus], tuple[Callable[["Platform", Frame], bool], PartyState]]
    ] = {
        (PartyState.OUT, PartyStimulus.LOGIN): (_tell, PartyState.ASKED),
        (PartyState.OUT, PartyStimulus.LOGOUT): (_refuse, PartyState.OUT),
        (PartyState.OUT, PartyStimulus.OTHER): (_refuse, PartyState.OUT),
        (PartyState.ASKED, PartyStimulus.LOGIN): (_tell, PartyState.ASKED),
        (PartyState.ASKED, PartyStimulus.LOGOUT): (_tell, PartyState.OUT),
        (PartyState.ASKED, PartyStimulus.OTHER): (_refuse, PartyState.ASKED),
        (PartyState.ASKED, PartyStimulus.ACCEPT): (_nothing, PartyState.IN),
        (PartyState.ASKED, PartyStimulus.REFUSE): (_nothing, PartyState.OUT),
        (PartyState.IN, PartyStimulus.LOGIN): (_tell, PartyState.ASKED),
        (PartyState.IN, PartyStimulus.LOGOUT): (_tell, PartyState.OUT),
        (PartyState.IN, PartyStimulus.OTHER): (_tell, PartyState.IN),
    }


def _key_of(frame: Frame) -> _Key:
    """What a frame says; a report that is re-issued says the same."""
    command = Command.REAL_TIME if frame.command == Command.REISSUE else frame.command
    return (frame.vin, command, hashlib.blake2b(frame.data, digest_size=16).digest())
