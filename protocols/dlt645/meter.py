"""A meter's end of the line (从站), as a dialogue without I/O.

DL/T 645-2007 clause 5.4. It hears what is for its address, for AA..AA, or for all. The application is told what is
wanted and answers with `Reply`; a request that another one followed is void. A broadcast is told and not answered.
Reading the address, following pieces, the last answer once more (1997) and refusing what makes no sense are done here.
An answer goes out 20 ms after the request at the earliest; one that the application does not have within 500 ms is too
late for the station, and is dropped.

What each stimulus leads to stands in `MeterDialogue.TRANSITIONS`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.dlt645.answers import (
    AddressAnswer,
    AgainAnswer,
    Answer,
    DataAnswer,
    DoneAnswer,
    ErrorAnswer,
    FollowingAnswer,
)
from protocols.dlt645.catalogue import decode_request, frame_of_answer
from protocols.dlt645.edition import Edition, di_bytes
from protocols.dlt645.frame import (
    BROADCAST,
    ERROR,
    GAP_S,
    MAX_READ_BYTES,
    RESPONSE,
    Frame,
    Framer,
    encode_frame,
    fits_address,
    is_address,
)
from protocols.dlt645.requests import ReadAddress, ReadAgain, ReadData, ReadFollowing, Request, SetClock, WriteAddress

DELAY_S = 0.02
THINK_S = 0.5
MAX_SEQUENCE = 255
OTHER_ERROR = 0x01
"""Of both editions: what was asked makes no sense."""
NO_DATA = 0x02
"""Of both editions: there is no such identifier."""


class Reply(msgspec.Struct, frozen=True):
    """Answer what was asked. data: of the identifier, or what the function repeats. word: refuse, and why.

    to: the request that it answers; whoever takes time to answer names it. None: the last one.
    """

    data: bytes = b""
    word: int | None = None
    to: Request | None = None


class Asked(msgspec.Struct, frozen=True):
    """The station wants something, and an answer."""

    request: Request


class Told(msgspec.Struct, frozen=True):
    """The station told all meters something."""

    request: Request


class Late(msgspec.Struct, frozen=True):
    """No `Reply` came in time; the station hears nothing."""

    request: Request


MeterEvent = Asked | Told | Late


class MeterState(Enum):
    """Where the meter stands."""

    LISTENING = "listening"
    ASKED = "asked"
    ANSWERING = "answering"


class MeterStimulus(Enum):
    """What may happen to it."""

    REQUEST = "request"
    OWN = "request that needs nobody"
    REPLY = "Reply"
    LATE = "no Reply in time"
    DUE = "20 ms are over"


class MeterDialogue(StreamEnd[MeterEvent]):
    """A meter. See the module's docstring."""

    def __init__(
        self,
        address: str,
        edition: Edition = Edition.E2007,
        *,
        delay_s: float = DELAY_S,
        think_s: float = THINK_S,
        preamble_count: int = 0,
    ) -> None:
        super().__init__()
        if not is_address(address):
            raise LocalProtocolError("an address is 12 hex digits in lower case", field="address")
        self.address = address
        self.framer = Framer()
        self._edition = edition
        self._delay_s = delay_s
        self._think_s = think_s
        self._preamble_count = preamble_count
        self._state = MeterState.LISTENING
        self._deadline: float | None = None
        self._heard_at = 0.0
        self._last_byte_at = 0.0
        self._request: Request = ReadAddress()
        self._frame = b""  # the answer that waits for its moment
        self._di: int | None = None
        self._pieces: list[bytes] = []  # of the data of that identifier; the first went out with 91H
        self._piece = 0  # which went out last

    @property
    def state(self) -> MeterState:
        """Where it stands."""
        return self._state

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or for others is passed over."""
        if now - self._last_byte_at > GAP_S:
            self.framer.reset()  # half a frame whose rest never came
        if data:
            self._last_byte_at = now
        self.framer.feed(data)
        while not isinstance(frame := self.framer.next_frame(), NeedData):
            if not frame.is_response:
                self._hear(frame, now)

    def send(self, command: Reply, now: float) -> None:
        """Answer. Raises `LocalProtocolError` when nothing is asked, or for what no frame carries."""
        if self._state is not MeterState.ASKED:
            raise LocalProtocolError("nothing is asked")
        if command.to is not None and command.to != self._request:
            raise LocalProtocolError("another request came since")
        answer = self._answer(self._request, command)
        address = self.address
        if isinstance(self._request, WriteAddress) and command.word is None:
            address = self._request.address  # the answer has the new one
        self._frame = self._written(address, answer)
        self.address = address
        self._step(MeterStimulus.REPLY, now)

    def next_deadline(self) -> float | None:
        """When the answer may go out, or is too late."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is not None and now >= self._deadline:
            self._step(MeterStimulus.LATE if self._state is MeterState.ASKED else MeterStimulus.DUE, now)

    def _hear(self, frame: Frame, now: float) -> None:
        is_for_all = frame.address == BROADCAST
        if not is_for_all and not fits_address(frame.address, self.address):
            return
        try:
            request = decode_request(frame, self._edition)
        except RemoteProtocolError:
            if not is_for_all:
                control = RESPONSE | ERROR | frame.function
                self._answer_alone(Frame(self.address, control, bytes((OTHER_ERROR,))), now)
            return
        if is_for_all or isinstance(request, SetClock):
            self._events.append(Told(request))
            return
        self._events = deque(event for event in self._events if not isinstance(event, Asked))
        answer = self._own_answer(request)
        if answer is not None:
            self._answer_alone(frame_of_answer(self.address, answer, self._edition), now)
            return
        self._request = request
        self._step(MeterStimulus.REQUEST, now)

    def _answer_alone(self, frame: Frame, now: float) -> None:
        self._frame = encode_frame(msgspec.structs.replace(frame, preamble_count=self._preamble_count))
        self._heard_at = now
        self._step(MeterStimulus.OWN, now)

    def _own_answer(self, request: Request) -> Answer | None:
        """The answer that needs nobody, or None."""
        if isinstance(request, ReadAddress):
            return AddressAnswer(self.address)
        if isinstance(request, ReadAgain):
            if self._di is None:
                return ErrorAnswer(request.FUNCTION, NO_DATA)
            has_more = self._piece + 1 < len(self._pieces)
            return AgainAnswer(self._di, self._pieces[self._piece], has_more)
        if not isinstance(request, ReadFollowing):
            return None
        number = self._piece + 1 if request.sequence is None else request.sequence
        if request.di != self._di or number >= len(self._pieces):
            return ErrorAnswer(request.FUNCTION, NO_DATA)
        self._piece = number
        has_more = number + 1 < len(self._pieces)
        return FollowingAnswer(request.di, self._pieces[number], request.sequence, has_more)

    def _answer(self, request: Request, reply: Reply) -> Answer:
        if reply.word is not None:
            return ErrorAnswer(request.FUNCTION, reply.word)
        if not isinstance(request, ReadData):
            return DoneAnswer(request.FUNCTION, reply.data)
        room = MAX_READ_BYTES - di_bytes(self._edition) - 1  # the last for a sequence number
        pieces = [reply.data[at : at + room] for at in range(0, max(1, len(reply.data)), room)]
        if len(pieces) > 1 + MAX_SEQUENCE:
            raise LocalProtocolError("more pieces than can be counted", field="data")
        self._di, self._piece, self._pieces = request.di, 0, pieces
        return DataAnswer(request.di, self._pieces[0], len(self._pieces) > 1)

    def _written(self, address: str, answer: Answer) -> bytes:
        frame = frame_of_answer(address, answer, self._edition, preamble_count=self._preamble_count)
        return encode_frame(frame)

    # Transitions

    def _step(self, stimulus: MeterStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _ask(self, now: float) -> None:
        self._heard_at = now
        self._deadline = now + self._think_s
        self._events.append(Asked(self._request))

    def _wait(self, _now: float) -> None:
        self._deadline = self._heard_at + self._delay_s

    def _speak(self, _now: float) -> None:
        self._outgoing += self._frame
        self._deadline = None

    def _give_up(self, _now: float) -> None:
        self._deadline = None
        self._events.append(Late(self._request))

    TRANSITIONS: ClassVar[
        Mapping[tuple[MeterState, MeterStimulus], tuple[Callable[["MeterDialogue", float], None], MeterState]]
    ] = {
        (MeterState.LISTENING, MeterStimulus.REQUEST): (_ask, MeterState.ASKED),
        (MeterState.LISTENING, MeterStimulus.OWN): (_wait, MeterState.ANSWERING),
        (MeterState.ASKED, MeterStimulus.REQUEST): (_ask, MeterState.ASKED),
        (MeterState.ASKED, MeterStimulus.OWN): (_wait, MeterState.ANSWERING),
        (MeterState.ASKED, MeterStimulus.REPLY): (_wait, MeterState.ANSWERING),
        (MeterState.ASKED, MeterStimulus.LATE): (_give_up, MeterState.LISTENING),
        (MeterState.ANSWERING, MeterStimulus.REQUEST): (_ask, MeterState.ASKED),
        (MeterState.ANSWERING, MeterStimulus.OWN): (_wait, MeterState.ANSWERING),
        (MeterState.ANSWERING, MeterStimulus.DUE): (_speak, MeterState.LISTENING),
    }
