"""What terminal and platform do alike on one connection (JT/T 808-2019, chapters 4 to 6).

Serial numbers, packages and requests to resend them, answers told by serial or id, retransmissions, and repeats of what
was answered already. A link holds no state of a session; `terminal.py` and `platform.py` do.

A message waits T1 for its answer; after the N-th timeout it is sent again, the same bytes, and waits T(N) x (N + 1).
"""

import hashlib
from collections import OrderedDict

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.jt808.answers import ANSWER_THAT_WANTS_ONE, GENERAL_REPLY_IS_ENOUGH, ONLY_ANSWERS, answer_of
from protocols.jt808.catalogue import Packet, read_packet
from protocols.jt808.dialect import JT2013, JT2019, Dialect
from protocols.jt808.frame import MAX_BODY_BYTES, Frame, encode_frame
from protocols.jt808.framer import MAX_PIECE, Framer
from protocols.jt808.general import (
    SUCCESS,
    GeneralReply,
    PlatformReply,
    PlatformResendRequest,
    ResendRequest,
    TerminalReply,
    TerminalResendRequest,
)
from protocols.jt808.layout import Body
from protocols.jt808.media import MediaData, MediaEvent, MediaReply
from protocols.jt808.subpackage import SERIALS, Abandoned, Gathered, Missing, Reassembler, split

MAX_IN_FLIGHT = 16
"""Messages that wait for an answer at one time."""
MAX_REMEMBERED = 64
"""Messages whose answers are kept, for the case that the peer did not get them."""
MAX_KEPT_MESSAGES = 4
"""Messages in packages that are kept after they were answered, so that packages can be resent."""
MAX_OUTGOING_BYTES = 1 << 20
"""With more than that waiting to be written no packages are resent: their receiver will ask again."""


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for an answer and how often to send again: parameters 0x0002 and 0x0003, over TCP."""

    reply_timeout_s: float = 10.0
    retransmissions: int = 3


class Arrived(msgspec.Struct, frozen=True):
    """A message that is new."""

    packet: Packet


class Unreadable(msgspec.Struct, frozen=True):
    """A good frame whose body does not follow the standard."""

    frame: Frame


class Settled(msgspec.Struct, frozen=True):
    """What was sent got its answer: the special one, or a general response with its result."""

    token: object
    msg_id: int
    answer: Body
    result: int = SUCCESS


class Expired(msgspec.Struct, frozen=True):
    """What was sent got no answer, however often. was_silent: nothing else came meanwhile either."""

    token: object
    msg_id: int
    was_silent: bool


LinkEvent = Arrived | Unreadable | Settled | Expired | Abandoned


class _Pending:
    """A message that waits for its answer."""

    __slots__ = (
        "answer_id",
        "body",
        "deadline",
        "is_acknowledged",
        "sent_at",
        "serials",
        "timeouts",
        "token",
        "wait_s",
    )

    def __init__(self, body: Body, token: object, answer_id: int, serials: tuple[int, ...]) -> None:
        self.body = body
        self.token = token
        self.answer_id = answer_id
        self.serials = serials
        self.is_acknowledged = False
        self.timeouts = 0
        self.sent_at = self.wait_s = self.deadline = 0.0


class Link(StreamEnd[LinkEvent]):
    """One end of a connection. phone None: that of the first frame that comes, as a platform has it."""

    def __init__(self, *, is_platform: bool, phone: str | None, dialect: Dialect, timers: Timers) -> None:
        super().__init__()
        self._is_platform = is_platform
        self._fixed_phone = phone
        self.phone = phone
        self.dialect = dialect
        self.timers = timers
        self.framer = Framer()
        self._reassembler = Reassembler()
        self._next_serial = 0
        self._pending: dict[int, _Pending] = {}
        self._kept: OrderedDict[int, tuple[bytes, ...]] = OrderedDict()
        self._answered: OrderedDict[tuple[int, int, bytes], bytes] = OrderedDict()
        self.last_sent = self.last_received = 0.0
        self.protocol_version = 1
        self.stray_answers = 0
        """Answers to nothing that was asked."""
        self.foreign_frames = 0
        """Frames with another terminal's phone."""
        self.repeats = 0
        """Messages that came again, because our answer did not get there or not in time."""

    @property
    def in_flight(self) -> int:
        """How many messages wait for an answer."""
        return len(self._pending)

    def waits_for(self, token: object) -> bool:
        """Whether a message with this token waits for an answer."""
        return any(pending.token is token for pending in self._pending.values())

    def connected(self, now: float) -> None:
        """A new connection begins: what came over the last one is forgotten; serial numbers go on."""
        self.disconnected()
        self._answered.clear()
        self.phone = self._fixed_phone
        self.last_sent = self.last_received = now

    def disconnected(self) -> list[object]:
        """The connection is gone. The tokens of what got no answer, in the order of sending."""
        tokens = [pending.token for pending in self._pending.values()]
        self._pending.clear()
        self._kept.clear()
        self._outgoing.clear()
        self.framer.reset()
        self._reassembler.reset()
        return tokens

    def transmit(self, body: Body, now: float, token: object = None, *, room: int = 0) -> None:
        """Send a message. If it wants an answer, `Settled` or `Expired` follows. Raises `LocalProtocolError`.

        room: for so many others there must be room behind it.
        """
        answer_id = answer_of(body.ID, self.dialect)
        if answer_id is not None and len(self._pending) >= MAX_IN_FLIGHT - room:
            raise LocalProtocolError(f"{len(self._pending)} messages wait for an answer already")
        while self._next_serial in self._pending:
            self._next_serial = (self._next_serial + 1) % SERIALS
        frames = self._frames_of(body)
        wires = tuple([encode_frame(frame) for frame in frames])
        self._next_serial = (frames[-1].serial + 1) % SERIALS
        first = frames[0].serial
        self._kept[first] = wires
        if answer_id is not None:
            pending = _Pending(body, token, answer_id, tuple([frame.serial for frame in frames]))
            pending.sent_at = now
            pending.wait_s = self.timers.reply_timeout_s
            pending.deadline = now + pending.wait_s
            self._pending[first] = pending
        elif len(wires) == 1:
            del self._kept[first]
        self._forget_kept()
        self._write(b"".join(wires), now)

    def answer(self, packet: Packet, body: Body, now: float, *, room: int = 0) -> None:
        """Answer a message. A repeat of that message gets the same bytes. Raises `LocalProtocolError`."""
        start = len(self._outgoing)
        self.transmit(body, now, room=room)
        self._remember(packet.frame, bytes(self._outgoing[start:]))

    def forget(self, frame: Frame) -> None:
        """Take a message as new when it comes again: it was not dealt with."""
        self._answered.pop(_identity_of(frame), None)

    def general_reply(self, frame: Frame, result: int) -> GeneralReply:
        """The general response of this end."""
        kind = PlatformReply if self._is_platform else TerminalReply
        return kind(frame.serial, frame.msg_id, result)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing."""
        for at in range(0, len(data), MAX_PIECE):
            self.framer.feed(data[at : at + MAX_PIECE])
            while not isinstance(frame := self.framer.next_frame(), NeedData):
                self._receive_frame(frame, now)

    def next_deadline(self) -> float | None:
        """When an answer must have come, or packages the rest."""
        deadlines = [pending.deadline for pending in self._pending.values()]
        if (deadline := self._reassembler.next_deadline()) is not None:
            deadlines.append(deadline)
        return min(deadlines, default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        self._reassembler.tick(now)
        self._drain_reassembler(now)
        for first, pending in list(self._pending.items()):
            if now < pending.deadline:
                continue
            pending.timeouts += 1
            if pending.is_acknowledged or pending.timeouts > self.timers.retransmissions:
                del self._pending[first]
                was_silent = self.last_received <= pending.sent_at
                self._events.append(Expired(pending.token, pending.body.ID, was_silent))
                continue
            pending.wait_s *= pending.timeouts + 1
            pending.deadline = now + pending.wait_s
            self._write(b"".join(self._kept[first]), now)

    def _frames_of(self, body: Body) -> tuple[Frame, ...]:
        if self.phone is None:
            raise LocalProtocolError("the terminal has not said who it is", field="phone")
        version = self.protocol_version if self.dialect.has_version else None
        return split(Frame(body.ID, self.phone, self._next_serial, body.to_bytes(self.dialect), version))

    def _remember(self, frame: Frame, answer: bytes) -> None:
        self._answered[_identity_of(frame)] = answer
        if len(self._answered) > MAX_REMEMBERED:
            self._answered.popitem(last=False)

    def _write(self, wire: bytes, now: float) -> None:
        self._outgoing += wire
        self.last_sent = now

    def _forget_kept(self) -> None:
        done = [first for first in self._kept if first not in self._pending]
        for first in done[: max(0, len(done) - MAX_KEPT_MESSAGES)]:
            del self._kept[first]

    def _receive_frame(self, frame: Frame, now: float) -> None:
        if self.phone is None:
            self.phone = frame.phone
            self.dialect = JT2013 if frame.protocol_version is None else JT2019
            self.protocol_version = frame.protocol_version or 0
        elif frame.phone != self.phone:
            self.foreign_frames += 1
            return
        self.last_received = now
        if frame.package is not None:
            self._reassembler.feed(frame, now)
            self._drain_reassembler(now)
        else:
            self._receive_whole(frame, now)

    def _drain_reassembler(self, now: float) -> None:
        while not isinstance(event := self._reassembler.next_event(), NeedData):
            match event:
                case Gathered():
                    self._receive_whole(event.frame, now)
                case Missing():
                    self._ask_for_packages(event, now)
                case Abandoned():
                    self._events.append(event)

    def _ask_for_packages(self, missing: Missing, now: float) -> None:
        if not self._is_platform:
            if self.dialect.has_extended_messages:
                self.transmit(TerminalResendRequest(missing.original_serial, missing.package_ids), now)
        elif missing.msg_id == MediaData.ID and len(missing.head) >= 4:
            self.transmit(MediaReply(int.from_bytes(missing.head[:4], "big"), missing.package_ids), now)
        else:
            self.transmit(PlatformResendRequest(missing.original_serial, missing.package_ids), now)

    def _receive_whole(self, frame: Frame, now: float) -> None:
        repeat = self._answered.get(_identity_of(frame))
        if repeat is not None:
            self.repeats += 1
            self._write(repeat, now)
            return
        has_version = frame.protocol_version is not None
        try:
            packet = read_packet(frame, self.dialect if self.dialect.edition == 2011 and not has_version else None)
        except RemoteProtocolError:
            self._events.append(Unreadable(frame))
            return
        if isinstance(packet.body, ResendRequest):
            self._resend(packet.body.original_serial, packet.body.package_ids, now)
            return
        is_answer = self._settle(packet.body, now)
        if is_answer and frame.msg_id != ANSWER_THAT_WANTS_ONE:
            return
        if frame.msg_id in ONLY_ANSWERS:
            self.stray_answers += 1
        else:
            self._remember(frame, b"")  # until it is answered, a repeat gets nothing
            self._events.append(Arrived(packet))

    def _resend(self, original_serial: int, package_ids: tuple[int, ...], now: float) -> None:
        if len(self._outgoing) > MAX_OUTGOING_BYTES:
            return
        wires = self._kept.get(original_serial, ())
        self._write(b"".join([wires[index - 1] for index in sorted(set(package_ids)) if 1 <= index <= len(wires)]), now)
        if pending := self._pending.get(original_serial):
            pending.deadline = now + pending.wait_s

    def _settle(self, body: Body, now: float) -> bool:
        """Whether a body answers something that waits. A list of missing packages is answered with these."""
        found = next((item for item in self._pending.items() if _is_answer(body, item[1])), None)
        if found is None:
            return False
        first, pending = found
        if isinstance(body, MediaReply) and body.package_ids:
            self._resend(first, body.package_ids, now)
            return True
        result = body.result if isinstance(body, GeneralReply) else SUCCESS
        if (
            isinstance(body, GeneralReply)
            and result == SUCCESS
            and pending.answer_id != body.ID
            and pending.body.ID not in GENERAL_REPLY_IS_ENOUGH
        ):
            pending.is_acknowledged = True  # the answer itself is still to come
            return True
        del self._pending[first]
        if len(pending.serials) == 1:
            del self._kept[first]
        self._events.append(Settled(pending.token, pending.body.ID, body, result))
        return True


def _is_answer(body: Body, pending: _Pending) -> bool:
    if isinstance(body, GeneralReply):
        return body.reply_msg_id == pending.body.ID and body.reply_serial in pending.serials
    if pending.answer_id != body.ID:
        return False
    if isinstance(body, MediaReply) and isinstance(pending.body, MediaEvent):
        return body.media_id == pending.body.media_id
    serial = getattr(body, "reply_serial", None)
    return serial is None or serial in pending.serials


def _identity_of(frame: Frame) -> tuple[int, int, bytes]:
    """What a repeat has in common with the message itself; of a long body a digest."""
    body = frame.body if len(frame.body) <= MAX_BODY_BYTES else hashlib.sha256(frame.body).digest()
    return frame.msg_id, frame.serial, body
