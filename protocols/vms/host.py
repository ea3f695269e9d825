"""The host's end of the link to a variable message sign as a dialogue without I/O.

One request is in flight: 3 s for its answer, 3 tries, then the sign is offline. A sansi answer does not tell what it
answers, so after a repeat the line is left alone for as long as an answer may take: a late one must not be taken for
the next. `Upload` sends a file in chunks, each with its own offset, each waiting for its result.

What each event leads to stands in `SignHost.TRANSITIONS`.

>>> host = SignHost(SANSI)
>>> host.send(Ask("06"), now=0.0)
>>> host.bytes_to_send().hex()
'0230303036ba4c03'
>>> host.receive(bytes.fromhex("023031313135f47403"), now=0.2)
>>> host.next_event().content
Brightness(mode=1, level=15)
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.vms.content import Content, Result, Unread
from protocols.vms.contents import decode_content
from protocols.vms.dianming import DianMingFile
from protocols.vms.frame import DIANMING, FENGHAI, SANSI, XIANKE, Dialect, Frame, Framer, encode_frame
from protocols.vms.sansi import FileChunk
from protocols.vms.xianke import XianKeFile

ANSWER_TIMEOUT_S = 3.0
MAX_TRIES = 3
CHUNK_BYTES = 2048
BROADCAST = b"00"
MAX_FILE_BYTES = 1 << 20
"""A play list has some kilobytes, a picture some ten."""
UPLOAD_TYPES = {SANSI.name: "10", FENGHAI.name: "10", DIANMING.name: "71", XIANKE.name: "20"}


class Ask(msgspec.Struct, frozen=True):
    """A request by its type and what it carries."""

    frame_type: str
    content: Content = Unread()


class Upload(msgspec.Struct, frozen=True):
    """A file for the sign. With sansi, fenghai and dianming a play list is shown once it is there."""

    name: bytes
    content: bytes


class Answered(msgspec.Struct, frozen=True):
    """The sign answered."""

    frame_type: str
    frame: Frame
    content: Content


class Uploaded(msgspec.Struct, frozen=True):
    """Every chunk was taken."""

    name: bytes


class UploadRefused(msgspec.Struct, frozen=True):
    """A chunk was not taken; those before it were."""

    name: bytes
    offset: int


class Failed(msgspec.Struct, frozen=True):
    """The answer was not as answers to this request are."""

    frame_type: str
    reason: str


class Offline(msgspec.Struct, frozen=True):
    """No answer to any try."""

    frame_type: str


HostCommand = Ask | Upload
HostEvent = Answered | Uploaded | UploadRefused | Failed | Offline


class HostState(Enum):
    """Where the host stands."""

    IDLE = "idle"
    ANSWER_DUE = "answer due"


class HostStimulus(Enum):
    """What may happen to it."""

    ASK = "Ask or Upload"
    ANSWER = "answer"
    TAKEN = "chunk taken, more to come"
    LAST_TAKEN = "last chunk taken"
    REFUSED = "chunk refused"
    WRONG = "answer with bad contents"
    SILENCE = "no answer"
    SPENT = "no answer, tries spent"


class SignHost(StreamEnd[HostEvent]):
    """A host's talk with one sign. address: of the sign. source: the host's own, dianming only."""

    def __init__(self, dialect: Dialect, address: bytes = BROADCAST, source: bytes = BROADCAST) -> None:
        super().__init__()
        self._dialect = dialect
        self._address = address
        self._source = source if dialect.has_source else None
        self.framer = Framer(dialect, is_response=True)
        self._state = HostState.IDLE
        self._held = b""
        self._deadline: float | None = None
        self._not_before = 0.0
        self._request = b""
        self._frame_type = ""
        self._tries = 0
        self._frame = Frame(b"")
        self._content: Content = Unread()
        self._reason = ""
        self._upload: Upload | None = None
        self._pieces: deque[tuple[int, bytes]] = deque()
        self.stray_frames = 0
        """Good frames that answered nothing."""

    @property
    def state(self) -> HostState:
        """Where it stands."""
        return self._state

    def send(self, command: HostCommand, now: float) -> None:
        """Begin a request. Raises `LocalProtocolError` while another is in flight, or for what cannot be written."""
        if self._state is not HostState.IDLE:
            raise LocalProtocolError("a request is in flight")
        if isinstance(command, Upload):
            if not 0 < len(command.content) <= MAX_FILE_BYTES:
                raise LocalProtocolError(f"1 to {MAX_FILE_BYTES} bytes", field="content")
            pieces = pieces_of(command.content, self._dialect)
            for offset, piece in pieces:
                self._chunk(command.name, offset, piece)
            self._upload, self._pieces = command, deque(pieces)
            self._frame_type = UPLOAD_TYPES[self._dialect.name]
            self._request = self._chunk(command.name, *pieces[0])
        else:
            self._request = self._wire(command.frame_type, command.content)
            self._upload, self._frame_type = None, command.frame_type
        self._step(HostStimulus.ASK, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted."""
        self.framer.feed(data)
        while not isinstance(frame := self.framer.next_frame(), NeedData):
            if self._state is HostState.IDLE or self._held or not self._is_answer(frame):
                self.stray_frames += 1
            else:
                self._step(self._judge(frame), now)

    def next_deadline(self) -> float | None:
        """When the answer must have come, or a request may go out."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is None or now < self._deadline:
            return
        if self._held:
            self._outgoing += self._held
            self._held = b""
            self._deadline = now + ANSWER_TIMEOUT_S
        else:
            self._step(HostStimulus.SILENCE if self._tries < MAX_TRIES else HostStimulus.SPENT, now)

    def _wire(self, frame_type: str, content: Content) -> bytes:
        frame = Frame(self._address, content.data(), frame_type, self._source)
        return encode_frame(frame, self._dialect, is_response=False)

    def _chunk(self, name: bytes, offset: int, piece: bytes) -> bytes:
        content: Content
        if self._dialect is DIANMING:
            content = DianMingFile(name, offset, piece)
        elif self._dialect is XIANKE:
            content = XianKeFile(name, offset, piece)
        else:
            content = FileChunk(name, b"+", offset, piece)
        return self._wire(UPLOAD_TYPES[self._dialect.name], content)

    def _is_answer(self, frame: Frame) -> bool:
        return frame.frame_type in {None, answer_type(self._frame_type, self._dialect)}

    def _judge(self, frame: Frame) -> HostStimulus:
        self._frame = frame
        try:
            self._content = decode_content(frame, self._dialect, is_response=True, request_type=self._frame_type)
        except RemoteProtocolError as error:
            self._reason = str(error)
            return HostStimulus.WRONG
        if self._upload is None:
            return HostStimulus.ANSWER
        if not isinstance(self._content, Result) or not self._content.is_ok:
            return HostStimulus.REFUSED
        return HostStimulus.TAKEN if len(self._pieces) > 1 else HostStimulus.LAST_TAKEN

    def _step(self, stimulus: HostStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _put(self, now: float) -> None:
        if now < self._not_before:
            self._held = self._request
            self._deadline = self._not_before
        else:
            self._outgoing += self._request
            self._deadline = now + ANSWER_TIMEOUT_S

    def _first_try(self, now: float) -> None:
        self._tries = 1
        self.framer.reset()
        self._put(now)

    def _again(self, now: float) -> None:
        self._tries += 1
        self._put(now)

    def _next_chunk(self, now: float) -> None:
        assert self._upload is not None
        self._leave_alone(now)
        self._pieces.popleft()
        self._request = self._chunk(self._upload.name, *self._pieces[0])
        self._first_try(now)

    def _leave_alone(self, now: float) -> None:
        """After a repeat another answer may be on its way."""
        if self._tries > 1:
            self._not_before = now + ANSWER_TIMEOUT_S

    def _end(self, event: HostEvent, now: float) -> None:
        self._leave_alone(now)
        self._deadline = None
        self._pieces.clear()
        self._events.append(event)

    def _answered(self, now: float) -> None:
        self._end(Answered(self._frame_type, self._frame, self._content), now)

    def _uploaded(self, now: float) -> None:
        assert self._upload is not None
        self._end(Uploaded(self._upload.name), now)

    def _refused(self, now: float) -> None:
        assert self._upload is not None
        self._end(UploadRefused(self._upload.name, self._pieces[0][0]), now)

    def _wrong(self, now: float) -> None:
        self._end(Failed(self._frame_type, self._reason), now)

    def _offline(self, now: float) -> None:
        self._end(Offline(self._frame_type), now)

    TRANSITIONS: ClassVar[
        Mapping[tuple[HostState, HostStimulus], tuple[Callable[["SignHost", float], None], HostState]]
    ] = {
        (HostState.IDLE, HostStimulus.ASK): (_first_try, HostState.ANSWER_DUE),
        (HostState.ANSWER_DUE, HostStimulus.ANSWER): (_answered, HostState.IDLE),
        (HostState.ANSWER_DUE, HostStimulus.TAKEN): (_next_chunk, HostState.ANSWER_DUE),
        (HostState.ANSWER_DUE, HostStimulus.LAST_TAKEN): (_uploaded, HostState.IDLE),
        (HostState.ANSWER_DUE, HostStimulus.REFUSED): (_refused, HostState.IDLE),
        (HostState.ANSWER_DUE, HostStimulus.WRONG): (_wrong, HostState.IDLE),
        (HostState.ANSWER_DUE, HostStimulus.SILENCE): (_again, HostState.ANSWER_DUE),
        (HostState.ANSWER_DUE, HostStimulus.SPENT): (_offline, HostState.IDLE),
    }


def pieces_of(content: bytes, dialect: Dialect) -> list[tuple[int, bytes]]:
    """Offsets and chunks of a file. xianke takes a chunk that is not full for the last, if need be an empty one."""
    pieces = [(at, content[at : at + CHUNK_BYTES]) for at in range(0, len(content), CHUNK_BYTES)]
    if dialect is XIANKE and len(content) % CHUNK_BYTES == 0:
        pieces.append((len(content), b""))
    return pieces


def answer_type(frame_type: str, dialect: Dialect) -> str | None:
    """What the answer to a request calls itself."""
    if not dialect.response_has_type:
        return None
    return f"{(int(frame_type) + 1) % 100:02}" if dialect is DIANMING else frame_type
