"""A client of hostapd's control interface, as a dialogue without I/O. Each datagram is handed over by itself.

It subscribes to events (`ATTACH`) before anything else. One command is in flight; what is no event is its answer.
`ListStations` asks for one station after another until there are no more. Answers bear nothing that tells whose they
are: after a command without an answer within five seconds none could be believed, so it is `Unanswered` and the client
of no use. Connect anew.

What each stimulus leads to stands in `HostapdClient.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import FrameEnd
from protocols.rfid_and_gates.hostapd import (
    COMMANDS,
    Event,
    Lines,
    decode_event,
    decode_result,
    decode_station,
    is_event,
)

ANSWER_S = 5.0
MAX_STATIONS = 2007
"""Association ids end there (IEEE 802.11, 9.4.1.8)."""


class Ask(msgspec.Struct, frozen=True, eq=False):
    """Send a command of `hostapd.COMMANDS`, with its arguments."""

    command: str


class ListStations(msgspec.Struct, frozen=True, eq=False):
    """Ask for all stations."""


class Attached(msgspec.Struct, frozen=True):
    """Events come from now on."""


class Answered(msgspec.Struct, frozen=True):
    """The answer to a command, as text; `hostapd.py` reads it."""

    command: Ask
    text: str


class Stations(msgspec.Struct, frozen=True):
    """All stations."""

    stations: tuple[Lines, ...]


class Told(msgspec.Struct, frozen=True):
    """hostapd tells of something."""

    event: Event


class Unanswered(msgspec.Struct, frozen=True):
    """No answer, or none that could be read. command: None for ATTACH."""

    command: Ask | ListStations | None


HostapdCommand = Ask | ListStations
HostapdEvent = Attached | Answered | Stations | Told | Unanswered


class HostapdState(Enum):
    """Where it stands."""

    ATTACHING = "attaching"
    IDLE = "idle"
    ASKING = "asking"
    LISTING = "listing"
    GONE = "gone"


class HostapdStimulus(Enum):
    """What may happen to it."""

    ASK = "Ask"
    LIST = "ListStations"
    ANSWER = "answer"
    STATION = "a station"
    USELESS = "answer of no use"
    SILENCE = "no answer"


def _is_command(text: str) -> bool:
    """Whether a text is a command that is known, in one line of Unicode."""
    has_halves = any("\ud800" <= char <= "\udfff" for char in text)
    return text.partition(" ")[0] in COMMANDS and "\n" not in text and not has_halves


class HostapdClient(FrameEnd[HostapdEvent]):
    """A client's talk with hostapd. See the module's docstring."""

    def __init__(self, now: float, answer_s: float = ANSWER_S) -> None:
        super().__init__()
        self.stray_datagrams = 0
        """Datagrams that answered nothing, or were no text."""
        self._answer_s = answer_s
        self._state = HostapdState.ATTACHING
        self._deadline: float | None = None
        self._command: Ask | ListStations | None = None
        self._stations: list[Lines] = []
        self._text = ""
        self._write("ATTACH", now)

    @property
    def state(self) -> HostapdState:
        """Where it stands."""
        return self._state

    def send(self, command: HostapdCommand, now: float) -> None:
        """Ask. Raises `LocalProtocolError` while another command is in flight, and for one that is not known."""
        if self._state is not HostapdState.IDLE:
            raise LocalProtocolError(f"not while {self._state.value}")
        if isinstance(command, Ask) and not _is_command(command.command):
            raise LocalProtocolError("no command of hostapd", field="command")
        self._command = command
        self._step(HostapdStimulus.LIST if isinstance(command, ListStations) else HostapdStimulus.ASK, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take one datagram. Raises nothing: what is broken or foreign is counted."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")  # names of networks are any bytes
        if is_event(text):
            self._events.append(Told(decode_event(text)))
        elif (self._state, HostapdStimulus.ANSWER) not in self.TRANSITIONS:
            self.stray_datagrams += 1
        else:
            self._text = text
            self._step(self._judge(text), now)

    def next_deadline(self) -> float | None:
        """When the answer must have come."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is not None and now >= self._deadline:
            self._step(HostapdStimulus.SILENCE, now)

    def _judge(self, text: str) -> HostapdStimulus:
        """What an answer means here."""
        try:
            if self._state is HostapdState.ATTACHING:
                return HostapdStimulus.ANSWER if decode_result(text) else HostapdStimulus.USELESS
            if self._state is HostapdState.ASKING:
                return HostapdStimulus.ANSWER
            station = decode_station(text)
        except RemoteProtocolError:
            return HostapdStimulus.USELESS
        if station is None:
            return HostapdStimulus.ANSWER
        is_known = any(known.head == station.head for known in self._stations)
        if is_known or len(self._stations) == MAX_STATIONS:
            return HostapdStimulus.USELESS  # a list without an end
        self._stations.append(station)
        return HostapdStimulus.STATION

    # Actions of the table

    def _step(self, stimulus: HostapdStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _write(self, command: str, now: float) -> None:
        self._outgoing.append(command.encode())
        self._deadline = now + self._answer_s

    def _attached(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Attached())

    def _ask(self, now: float) -> None:
        assert isinstance(self._command, Ask)
        self._write(self._command.command, now)

    def _answered(self, _now: float) -> None:
        assert isinstance(self._command, Ask)
        self._deadline = None
        self._events.append(Answered(self._command, self._text))

    def _first(self, now: float) -> None:
        self._stations = []
        self._write("STA-FIRST", now)

    def _next(self, now: float) -> None:
        self._write(f"STA-NEXT {self._stations[-1].head}", now)

    def _listed(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Stations(tuple(self._stations)))

    def _unanswered(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Unanswered(self._command))

    TRANSITIONS: ClassVar[
        Mapping[tuple[HostapdState, HostapdStimulus], tuple[Callable[["HostapdClient", float], None], HostapdState]]
    ] = {
        (HostapdState.ATTACHING, HostapdStimulus.ANSWER): (_attached, HostapdState.IDLE),
        (HostapdState.ATTACHING, HostapdStimulus.USELESS): (_unanswered, HostapdState.GONE),
        (HostapdState.ATTACHING, HostapdStimulus.SILENCE): (_unanswered, HostapdState.GONE),
        (HostapdState.IDLE, HostapdStimulus.ASK): (_ask, HostapdState.ASKING),
        (HostapdState.IDLE, HostapdStimulus.LIST): (_first, HostapdState.LISTING),
        (HostapdState.ASKING, HostapdStimulus.ANSWER): (_answered, HostapdState.IDLE),
        (HostapdState.ASKING, HostapdStimulus.SILENCE): (_unanswered, HostapdState.GONE),
        (HostapdState.LISTING, HostapdStimulus.STATION): (_next, HostapdState.LISTING),
        (HostapdState.LISTING, HostapdStimulus.ANSWER): (_listed, HostapdState.IDLE),
        (HostapdState.LISTING, HostapdStimulus.USELESS): (_unanswered, HostapdState.IDLE),
        (HostapdState.LISTING, HostapdStimulus.SILENCE): (_unanswered, HostapdState.GONE),
    }
