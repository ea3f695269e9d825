"""A sign's end of the link as a dialogue without I/O: what stands behind an emulated sign.

It hears frames for its own address and for "00", tells of each request and answers with what it is given. Like a real
sign it keeps silent where a frame is broken, and forgets a request when the next one comes.

What each event leads to stands in `SignDialogue.TRANSITIONS`.

>>> from protocols.vms.frame import SANSI
>>> from protocols.vms.sansi import Brightness
>>> sign = SignDialogue(SANSI, address=b"01")
>>> sign.receive(bytes.fromhex("0230303036ba4c03"), now=0.0)
>>> sign.next_event()
RequestReceived(frame_type='06', content=Unread(raw=b''))
>>> sign.send(Respond(Brightness(1, 15)), now=0.0)
>>> sign.bytes_to_send().hex()
'023031313135f47403'
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.vms.content import Content
from protocols.vms.contents import decode_content
from protocols.vms.frame import Dialect, Frame, Framer, encode_frame
from protocols.vms.host import BROADCAST, answer_type

_ZERO_ADDRESS = bytes(2)
"""What fenghai hosts send."""


class RequestReceived(msgspec.Struct, frozen=True):
    """The host asks."""

    frame_type: str
    content: Content


class Respond(msgspec.Struct, frozen=True):
    """Answer the request."""

    content: Content


class SignState(Enum):
    """Where the sign stands."""

    IDLE = "idle"
    BUSY = "busy"


class SignStimulus(Enum):
    """What may happen to it."""

    REQUEST = "request"
    RESPOND = "Respond"


class SignDialogue(StreamEnd[RequestReceived]):
    """One sign."""

    def __init__(self, dialect: Dialect, address: bytes = b"01") -> None:
        super().__init__()
        self._dialect = dialect
        self._address = address
        self.framer = Framer(dialect, is_response=False)
        self._state = SignState.IDLE
        self._request = Frame(b"")
        self._content: Content | None = None
        self.unread_requests = 0
        """Good frames to this sign whose contents were not."""

    @property
    def state(self) -> SignState:
        """Where it stands."""
        return self._state

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or for others is passed over."""
        self.framer.feed(data)
        while not isinstance(frame := self.framer.next_frame(), NeedData):
            if frame.address not in {self._address, BROADCAST, _ZERO_ADDRESS}:
                continue
            try:
                self._content = decode_content(frame, self._dialect, is_response=False)
            except RemoteProtocolError:
                self.unread_requests += 1
                continue
            self._request = frame
            self._step(SignStimulus.REQUEST, now)

    def send(self, command: Respond, now: float) -> None:
        """Answer. Raises `LocalProtocolError` where nothing was asked, or for what cannot be written."""
        if self._state is SignState.IDLE:
            raise LocalProtocolError("nothing was asked")
        self._outgoing += self._wire(command.content)
        self._step(SignStimulus.RESPOND, now)

    def next_deadline(self) -> float | None:
        """A sign waits for nothing."""
        return None

    def tick(self, now: float) -> None:
        """Nothing happens by time alone."""

    def _wire(self, content: Content) -> bytes:
        assert self._request.frame_type is not None
        kind = answer_type(self._request.frame_type, self._dialect)
        address, source = self._address, None
        if self._request.source is not None:
            address, source = self._request.source, self._address
        return encode_frame(Frame(address, content.data(), kind, source), self._dialect, is_response=True)

    def _step(self, stimulus: SignStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _tell(self, _now: float) -> None:
        """A request that nobody has looked at yet gives way to the newer one."""
        assert self._request.frame_type is not None
        assert self._content is not None
        self._events.clear()
        self._events.append(RequestReceived(self._request.frame_type, self._content))

    def _responded(self, _now: float) -> None:
        self._content = None

    TRANSITIONS: ClassVar[
        Mapping[tuple[SignState, SignStimulus], tuple[Callable[["SignDialogue", float], None], SignState]]
    ] = {
        (SignState.IDLE, SignStimulus.REQUEST): (_tell, SignState.BUSY),
        (SignState.BUSY, SignStimulus.REQUEST): (_tell, SignState.BUSY),
        (SignState.BUSY, SignStimulus.RESPOND): (_responded, SignState.IDLE),
    }
