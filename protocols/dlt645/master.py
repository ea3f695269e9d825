"""The station's end of a line of meters (主站), as a dialogue without I/O.

DL/T 645-2007 clause 5.4: half duplex, the station asks and one meter answers, 20 to 500 ms after the last byte of the
request; bytes of a frame follow each other within 500 ms. One call is in flight.

* A read is repeated twice when nobody answers, or not whole. What changes a meter never is.
* An answer that says that more follows is followed up: pieces are counted from 1 in the edition of 2007, so that a lost
  one is asked for again; in that of 1997 nobody counts, so the whole read begins anew.
* A refusal is final.
* Requests that change a meter need `is_authorised`: an operator has asked for this one.

An answer counts when address, function, identifier and sequence number are those that were asked for; everything else,
such as the echo of an adapter, is passed over. What each stimulus leads to stands in `MasterDialogue.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.dlt645.answers import Answer, DataAnswer, ErrorAnswer, FollowingAnswer
from protocols.dlt645.catalogue import decode_answer, frame_of_request
from protocols.dlt645.edition import CODES, READING, Edition, Function
from protocols.dlt645.frame import (
    BROADCAST,
    GAP_S,
    MAX_FRAME_BYTES,
    PREAMBLE_COUNT,
    Frame,
    Framer,
    encode_frame,
    fits_address,
)
from protocols.dlt645.requests import Freeze, ReadData, ReadFollowing, Request, SetClock, WriteAddress

BITS_PER_CHAR = 11
"""Start, eight data, even parity, stop."""
ANSWER_S = 0.5
"""An answer begins so soon."""
LATENESS_S = 0.1
"""What adapters and hosts add."""
MAX_REPEATS = 2
MAX_PIECES = 255


class Call(msgspec.Struct, frozen=True, eq=False):
    """One request to one meter, told from all others by its identity.

    address: 12 digits; pairs AA stand for any. is_authorised: an operator has asked for what changes a meter.
    """

    address: str
    request: Request
    is_authorised: bool = False


class Read(msgspec.Struct, frozen=True):
    """The data of an identifier, all pieces together. address: of the meter that answered."""

    call: Call
    address: str
    data: bytes


class Answered(msgspec.Struct, frozen=True):
    """The answer to anything else."""

    call: Call
    address: str
    answer: Answer


class Refused(msgspec.Struct, frozen=True):
    """The meter does not do it. word: `ErrorWord`, of 1997 `ErrorWord1997`."""

    call: Call
    address: str
    word: int


class Told(msgspec.Struct, frozen=True):
    """A broadcast is out; nobody answers it."""

    call: Call


class Failure(Enum):
    """Why a call has no answer."""

    TIMEOUT = "no answer"
    NOISE = "no answer among the bytes that came"
    TOO_LONG = "more pieces than can be counted"


class Failed(msgspec.Struct, frozen=True):
    """No answer that can be used. What a request that changes a meter has done is not known."""

    call: Call
    reason: Failure


MasterEvent = Read | Answered | Refused | Told | Failed


class MasterState(Enum):
    """Where the station stands."""

    IDLE = "idle"
    SPEAKING = "speaking"
    ANSWER_DUE = "answer due"
    PIECE_DUE = "piece due"


class MasterStimulus(Enum):
    """What may happen to it."""

    CALL = "Call"
    BROADCAST = "Call to all"
    SENT = "all is out"
    ANSWER = "answer"
    MORE = "answer, more follows"
    TOO_MANY = "answer, more than can be counted"
    REFUSAL = "error answer"
    SILENCE = "no answer, may be repeated"
    LOST_COUNT = "no answer, edition of 1997"
    SPENT = "no answer, repeats spent"


class MasterDialogue(StreamEnd[MasterEvent]):
    """A station's talk with the meters of one line. See the module's docstring.

    baud: of the line, to reckon when a request is out. A stream without character times has None.
    """

    def __init__(
        self,
        edition: Edition = Edition.E2007,
        *,
        baud: int | None = 2400,
        answer_s: float = ANSWER_S + LATENESS_S,
        gap_s: float = GAP_S + LATENESS_S,
        max_repeats: int = MAX_REPEATS,
    ) -> None:
        super().__init__()
        self.baud = baud
        self.framer = Framer()
        self.stray_frames = 0
        """Frames of meters that answered nothing that was asked."""
        self._edition = edition
        self._answer_s = answer_s
        self._gap_s = gap_s
        self._max_repeats = max_repeats
        self._state = MasterState.IDLE
        self._deadline: float | None = None
        self._latest = 0.0
        self._call: Call | None = None
        self._sent = b""
        self._heard = False
        self._repeats = 0
        self._pieces: list[bytes] = []
        self._address = ""
        self._answer: Answer | None = None

    @property
    def state(self) -> MasterState:
        """Where it stands."""
        return self._state

    @property
    def has_room(self) -> bool:
        """Whether `send()` takes another call."""
        return self._state is MasterState.IDLE

    # Face of a dialogue

    def send(self, command: Call, now: float) -> None:
        """Ask. Raises `LocalProtocolError` while another call is open, and for what may not or cannot be sent."""
        if not self.has_room:
            raise LocalProtocolError("a call is in flight")
        request = command.request
        if request.IS_GUARDED and not command.is_authorised:
            raise LocalProtocolError("changes a meter and is not authorised", field="function")
        is_unanswered = command.address == BROADCAST or isinstance(request, SetClock)
        if is_unanswered and not isinstance(request, (SetClock, Freeze)):
            raise LocalProtocolError("nobody answers a broadcast", field="address")
        self._sent = self._wire(command.address, request)
        self._call = command
        self._repeats = 0
        self._step(MasterStimulus.BROADCAST if is_unanswered else MasterStimulus.CALL, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is passed over."""
        self.framer.feed(data)
        if data and self._state in (MasterState.ANSWER_DUE, MasterState.PIECE_DUE):
            self._heard = True
            assert self._deadline is not None, "an answer is due"
            self._deadline = max(self._deadline, min(now + self._gap_s, self._latest))
        while not isinstance(frame := self.framer.next_frame(), NeedData):
            stimulus = self._judge(frame)
            if stimulus is not None:
                self._step(stimulus, now)

    def next_deadline(self) -> float | None:
        """When the answer, or its next byte, must have come."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is not None and now >= self._deadline:
            self._step(MasterStimulus.SENT if self._state is MasterState.SPEAKING else self._silence(), now)

    # Judging

    def _judge(self, frame: Frame) -> MasterStimulus | None:
        """What a frame means here; None for one that answers nothing."""
        if not frame.is_response:
            return None  # an echo, or another station
        call = self._call
        asked = None if call is None else self._asked(call)
        if call is None or asked is None or not self._is_from(call, frame) or frame.function != self._code(asked):
            self.stray_frames += 1
            return None
        try:
            answer = decode_answer(frame, self._edition)
        except RemoteProtocolError:
            return None  # as if it had not come
        if not _fits(asked, answer):
            self.stray_frames += 1
            return None
        self._answer, self._address = answer, frame.address
        return self._meaning(call, answer)

    def _meaning(self, call: Call, answer: Answer) -> MasterStimulus:
        if isinstance(answer, ErrorAnswer):
            return MasterStimulus.REFUSAL
        if not isinstance(call.request, ReadData):
            return MasterStimulus.ANSWER
        assert isinstance(answer, (DataAnswer, FollowingAnswer)), "the function of the frame says so"
        self._pieces.append(answer.data)
        if not answer.has_more:
            return MasterStimulus.ANSWER
        return MasterStimulus.MORE if len(self._pieces) <= MAX_PIECES else MasterStimulus.TOO_MANY

    def _asked(self, call: Call) -> Request | None:
        """What was asked last, and is still unanswered."""
        if self._state is MasterState.ANSWER_DUE:
            return call.request
        return self._next_piece(call) if self._state is MasterState.PIECE_DUE else None

    def _next_piece(self, call: Call) -> ReadFollowing:
        assert isinstance(call.request, ReadData)
        return ReadFollowing(call.request.di, len(self._pieces) if self._edition is Edition.E2007 else None)

    def _is_from(self, call: Call, frame: Frame) -> bool:
        if isinstance(call.request, WriteAddress) and frame.address == call.request.address:
            return True  # a meter answers with its new address
        wanted = self._address if self._state is MasterState.PIECE_DUE else call.address
        return fits_address(wanted, frame.address)

    def _code(self, request: Request) -> int:
        return CODES[self._edition][request.FUNCTION]

    def _silence(self) -> MasterStimulus:
        assert self._call is not None
        if self._call.request.FUNCTION not in READING or self._repeats >= self._max_repeats:
            return MasterStimulus.SPENT
        if self._edition is Edition.E1997 and self._call.request.FUNCTION is Function.READ_FOLLOWING:
            return MasterStimulus.SPENT  # once more would be the piece after it
        is_uncounted = self._state is MasterState.PIECE_DUE and self._edition is Edition.E1997
        return MasterStimulus.LOST_COUNT if is_uncounted else MasterStimulus.SILENCE

    # Transitions

    def _step(self, stimulus: MasterStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _wire(self, address: str, request: Request) -> bytes:
        return encode_frame(frame_of_request(address, request, self._edition, preamble_count=PREAMBLE_COUNT))

    def _char_s(self, count: int) -> float:
        return 0.0 if self.baud is None else count * BITS_PER_CHAR / self.baud

    def _ask(self, now: float) -> None:
        self._pieces = []
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        self.framer.reset()
        self._heard = False
        self._outgoing += self._sent
        self._deadline = now + self._char_s(len(self._sent)) + self._answer_s
        longest = self._char_s(MAX_FRAME_BYTES + PREAMBLE_COUNT)
        self._latest = self._deadline + longest + self._gap_s

    def _broadcast(self, now: float) -> None:
        self._outgoing += self._sent
        self._deadline = now + self._char_s(len(self._sent))

    def _ask_piece(self, now: float) -> None:
        assert self._call is not None
        if self._edition is Edition.E2007:
            self._repeats = 0
        self._sent = self._wire(self._address, self._next_piece(self._call))
        self._transmit(now)

    def _repeat(self, now: float) -> None:
        self._repeats += 1
        self._transmit(now)

    def _start_over(self, now: float) -> None:
        assert self._call is not None
        self._sent = self._wire(self._call.address, self._call.request)
        self._pieces = []
        self._repeat(now)

    def _finish(self, _now: float) -> None:
        assert self._answer is not None
        address, answer = self._address, self._answer
        data = b"".join(self._pieces)
        is_read = isinstance(answer, (DataAnswer, FollowingAnswer)) and bool(self._pieces)
        self._end(lambda call: Read(call, address, data) if is_read else Answered(call, address, answer))

    def _refuse(self, _now: float) -> None:
        assert isinstance(self._answer, ErrorAnswer)
        address, word = self._address, self._answer.word
        self._end(lambda call: Refused(call, address, word))

    def _tell(self, _now: float) -> None:
        self._end(Told)

    def _fail(self, _now: float) -> None:
        reason = Failure.NOISE if self._heard else Failure.TIMEOUT
        self._end(lambda call: Failed(call, reason))

    def _fail_too_long(self, _now: float) -> None:
        self._end(lambda call: Failed(call, Failure.TOO_LONG))

    def _end(self, event: Callable[[Call], MasterEvent]) -> None:
        assert self._call is not None
        call, self._call = self._call, None
        self._deadline = None
        self._pieces = []
        self._events.append(event(call))

    TRANSITIONS: ClassVar[
        Mapping[tuple[MasterState, MasterStimulus], tuple[Callable[["MasterDialogue", float], None], MasterState]]
    ] = {
        (MasterState.IDLE, MasterStimulus.CALL): (_ask, MasterState.ANSWER_DUE),
        (MasterState.IDLE, MasterStimulus.BROADCAST): (_broadcast, MasterState.SPEAKING),
        (MasterState.SPEAKING, MasterStimulus.SENT): (_tell, MasterState.IDLE),
        (MasterState.ANSWER_DUE, MasterStimulus.ANSWER): (_finish, MasterState.IDLE),
        (MasterState.ANSWER_DUE, MasterStimulus.REFUSAL): (_refuse, MasterState.IDLE),
        (MasterState.ANSWER_DUE, MasterStimulus.SPENT): (_fail, MasterState.IDLE),
        (MasterState.ANSWER_DUE, MasterStimulus.SILENCE): (_repeat, MasterState.ANSWER_DUE),
        (MasterState.ANSWER_DUE, MasterStimulus.MORE): (_ask_piece, MasterState.PIECE_DUE),
        (MasterState.PIECE_DUE, MasterStimulus.MORE): (_ask_piece, MasterState.PIECE_DUE),
        (MasterState.PIECE_DUE, MasterStimulus.SILENCE): (_repeat, MasterState.PIECE_DUE),
        (MasterState.PIECE_DUE, MasterStimulus.LOST_COUNT): (_start_over, MasterState.ANSWER_DUE),
        (MasterState.PIECE_DUE, MasterStimulus.ANSWER): (_finish, MasterState.IDLE),
        (MasterState.PIECE_DUE, MasterStimulus.REFUSAL): (_refuse, MasterState.IDLE),
        (MasterState.PIECE_DUE, MasterStimulus.SPENT): (_fail, MasterState.IDLE),
        (MasterState.PIECE_DUE, MasterStimulus.TOO_MANY): (_fail_too_long, MasterState.IDLE),
    }


def _fits(asked: Request, answer: Answer) -> bool:
    """Whether an answer has the identifier and the sequence number that were asked for."""
    match asked, answer:
        case ReadData(), DataAnswer():
            return answer.di == asked.di
        case ReadFollowing(), FollowingAnswer():
            return (answer.di, answer.sequence) == (asked.di, asked.sequence)
        case _:
            return True
