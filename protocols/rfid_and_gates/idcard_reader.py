"""The host's end of a line to a reader for identity cards, as a dialogue without I/O.

find, and when a card is there, select, then read: three requests, within 300 ms. The reader finds a card once: it must
leave the field before it is found again. Without a card the next find follows after 300 ms. A request that nobody
answers, or whose answer is broken, begins the cycle anew; after three in a row the reader is `Silent`, once, until it
answers again.

What each stimulus leads to stands in `CardReader.TRANSITIONS`. A card that was read is told as `CardRead`; whoever
takes it drops it soon (`idcard_card.py`).
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.listener import Listener, earliest
from protocols.rfid_and_gates.idcard_card import Card, decode_card
from protocols.rfid_and_gates.idcard_sam import (
    Command,
    Frame,
    Response,
    Sw3,
    decode_response,
    encode_frame,
    idcard_framer,
    is_response,
    request_frame,
    request_of,
)

POLL_S = 0.3
ANSWER_S = 1.0
GAP_S = 0.2
MAX_UNANSWERED = 3


class ReaderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Timers, and whether fingerprints are asked for: only where there is a legal ground for it."""

    wants_fingerprint: bool = False
    poll_s: float = POLL_S
    answer_s: float = ANSWER_S


class Poll(msgspec.Struct, frozen=True):
    """Look for cards from now on."""


class Stop(msgspec.Struct, frozen=True):
    """Look no more. A card that is being read is not told."""


class CardRead(msgspec.Struct, frozen=True):
    """A card was read."""

    card: Card


class ReadFailed(msgspec.Struct, frozen=True):
    """A card was there, and was not read; sw3 is the reader's word, or None for an answer that is no card."""

    sw3: int | None


class Silent(msgspec.Struct, frozen=True):
    """The reader has not answered three times in a row."""


ReaderCommand = Poll | Stop
ReaderEvent = CardRead | ReadFailed | Silent


class ReaderState(Enum):
    """Where it stands."""

    IDLE = "idle"
    FINDING = "finding"
    SELECTING = "selecting"
    READING = "reading"
    WAITING = "waiting to find"


class ReaderStimulus(Enum):
    """What may happen to it."""

    POLL = "Poll"
    STOP = "Stop"
    FOUND = "9F"
    OK = "90"
    OTHER = "any other answer"
    SILENCE = "no answer"
    DUE = "300 ms are over"


class CardReader(StreamEnd[ReaderEvent]):
    """A host's talk with one reader. See the module's docstring."""

    def __init__(self, settings: ReaderSettings) -> None:
        super().__init__()
        self.settings = settings
        self.framer = idcard_framer()
        self.stray_frames = 0
        """Frames that answered nothing."""
        self._listener: Listener[Frame] = Listener(self.framer, GAP_S)
        self._state = ReaderState.IDLE
        self._deadline: float | None = None
        self._response = Response(0, 0, 0)
        self._unanswered = 0

    @property
    def state(self) -> ReaderState:
        """Where it stands."""
        return self._state

    def send(self, command: ReaderCommand, now: float) -> None:
        """Begin or end. Raises `LocalProtocolError` when it has begun, or ended, already."""
        stimulus = ReaderStimulus.POLL if isinstance(command, Poll) else ReaderStimulus.STOP
        if (self._state, stimulus) not in self.TRANSITIONS:
            raise LocalProtocolError(f"not while {self._state.value}")
        self._step(stimulus, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        for frame in self._listener.frames(data, now):
            self._take(frame, now)

    def next_deadline(self) -> float | None:
        """When `tick()` is due at the latest."""
        return earliest(self._deadline, self._listener.deadline)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for frame in self._listener.tick(now):
            self._take(frame, now)
        if self._deadline is not None and now >= self._deadline:
            is_waiting = self._state is ReaderState.WAITING
            self._step(ReaderStimulus.DUE if is_waiting else ReaderStimulus.SILENCE, now)

    def _take(self, frame: Frame, now: float) -> None:
        if (self._state, ReaderStimulus.OTHER) not in self.TRANSITIONS or not is_response(frame):
            self.stray_frames += 1
            return
        try:
            self._response = decode_response(frame)
        except RemoteProtocolError:
            self.stray_frames += 1
            return
        self._unanswered = 0
        words = {Sw3.FOUND: ReaderStimulus.FOUND, Sw3.OK: ReaderStimulus.OK}
        stimulus = words.get(Sw3(self._response.sw3)) if self._response.sw3 in words else None
        if stimulus is None or (self._state, stimulus) not in self.TRANSITIONS:
            stimulus = ReaderStimulus.OTHER
        self._step(stimulus, now)
        self._response = Response(0, 0, 0)  # nothing of a card is kept here

    # Actions of the table

    def _step(self, stimulus: ReaderStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _ask(self, command: Command, now: float) -> None:
        self._outgoing += encode_frame(request_frame(request_of(command)))
        self._deadline = now + self.settings.answer_s

    def _find(self, now: float) -> None:
        self._ask(Command.FIND, now)

    def _select(self, now: float) -> None:
        self._ask(Command.SELECT, now)

    def _read(self, now: float) -> None:
        self._ask(Command.READ_WITH_FINGERPRINT if self.settings.wants_fingerprint else Command.READ, now)

    def _card(self, now: float) -> None:
        self._wait(now)
        try:
            card = decode_card(self._response.data)
        except RemoteProtocolError:
            self._events.append(ReadFailed(None))
            return
        self._events.append(CardRead(card) if self._response.is_card else ReadFailed(None))

    def _not_read(self, now: float) -> None:
        self._wait(now)
        self._events.append(ReadFailed(self._response.sw3))

    def _wait(self, now: float) -> None:
        self._deadline = now + self.settings.poll_s

    def _unheard(self, now: float) -> None:
        self._wait(now)
        self._unanswered += 1
        if self._unanswered == MAX_UNANSWERED:
            self._events.append(Silent())

    def _rest(self, _now: float) -> None:
        self._deadline = None

    TRANSITIONS: ClassVar[
        Mapping[tuple[ReaderState, ReaderStimulus], tuple[Callable[["CardReader", float], None], ReaderState]]
    ] = {
        (ReaderState.IDLE, ReaderStimulus.POLL): (_find, ReaderState.FINDING),
        (ReaderState.FINDING, ReaderStimulus.FOUND): (_select, ReaderState.SELECTING),
        (ReaderState.FINDING, ReaderStimulus.OTHER): (_wait, ReaderState.WAITING),
        (ReaderState.FINDING, ReaderStimulus.SILENCE): (_unheard, ReaderState.WAITING),
        (ReaderState.FINDING, ReaderStimulus.STOP): (_rest, ReaderState.IDLE),
        (ReaderState.SELECTING, ReaderStimulus.OK): (_read, ReaderState.READING),
        (ReaderState.SELECTING, ReaderStimulus.OTHER): (_not_read, ReaderState.WAITING),
        (ReaderState.SELECTING, ReaderStimulus.SILENCE): (_unheard, ReaderState.WAITING),
        (ReaderState.SELECTING, ReaderStimulus.STOP): (_rest, ReaderState.IDLE),
        (ReaderState.READING, ReaderStimulus.OK): (_card, ReaderState.WAITING),
        (ReaderState.READING, ReaderStimulus.OTHER): (_not_read, ReaderState.WAITING),
        (ReaderState.READING, ReaderStimulus.SILENCE): (_unheard, ReaderState.WAITING),
        (ReaderState.READING, ReaderStimulus.STOP): (_rest, ReaderState.IDLE),
        (ReaderState.WAITING, ReaderStimulus.DUE): (_find, ReaderState.FINDING),
        (ReaderState.WAITING, ReaderStimulus.STOP): (_rest, ReaderState.IDLE),
    }
