"""What both ends of a connection do: cut the stream, write packets, keep the exchanges that they began."""

import re

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import EventT, StreamEnd
from protocols.hj212.answers import ST_EXCHANGE, DataAnswer, ExecutionResult, NoticeAnswer
from protocols.hj212.command import Command, write_items
from protocols.hj212.exchange import OVER_TIME_S, RE_COUNT, Exchange, ExchangeState, Terms
from protocols.hj212.packet import Framer, Packet, encode_packet
from protocols.hj212.parts import split_segment
from protocols.hj212.segment import (
    FLAG_ACK,
    FLAG_SPLIT,
    HIDDEN,
    MAX_PARTS,
    VERSION_2005,
    VERSION_2017,
    Segment,
    decode_segment,
    encode_segment,
    header_of,
)

MAX_OPEN = 32
"""So many exchanges may be open at once."""
_PIECE_BYTES = 4096
"""What the framer gets at a time: nothing that arrives in one piece is lost, however long it is."""

_LONGEST_NUMBER = "9" * 64
_NUMBER = re.compile(r"[0-9A-Za-z.:_-]{1,64}")
"""What is answered as a request number. The standard has 17 digits; what would break an answer's own fields is none."""

RECEIPTS = frozenset({NoticeAnswer.CN, DataAnswer.CN})
"""Answers that say that something arrived, and nothing else."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The site, as both ends know it. pw: a secret."""

    mn: str
    st: str
    pw: str
    version: int = VERSION_2017
    is_modbus_crc: bool = False
    """The site computes CRC-16/MODBUS in place of the standard's check, both ways."""

    def __repr__(self) -> str:
        return f"Identity(mn={self.mn!r}, st={self.st!r}, pw={HIDDEN}, version={self.version})"


class Configure(msgspec.Struct, frozen=True, kw_only=True):
    """Take what commands 1000 and 1072 have set, once they are finished."""

    over_time_s: float | None = None
    re_count: int | None = None
    pw: str | None = None

    def __repr__(self) -> str:
        pw = None if self.pw is None else HIDDEN
        return f"Configure(over_time_s={self.over_time_s}, re_count={self.re_count}, pw={pw})"


def _check(identity: Identity) -> None:
    """Raise `LocalProtocolError` for an identity with which no answer could be written."""
    header = header_of(
        qn=_LONGEST_NUMBER,
        st=identity.st,
        cn=ExecutionResult.CN,
        pw=identity.pw,
        mn=identity.mn,
        flag=identity.version << 2 | FLAG_SPLIT,
        pnum=MAX_PARTS,
        pno=MAX_PARTS,
    )
    answer = ExecutionResult(exe_rtn=999_999_999, qn=_LONGEST_NUMBER)
    encode_packet(Packet(encode_segment(Segment(header, write_items(answer)))))


def can_be_answered(qn: str | None) -> bool:
    """Whether a request number can stand in an answer."""
    return qn is not None and _NUMBER.fullmatch(qn) is not None


class LinkCounters(msgspec.Struct):
    """What was passed over, since the start."""

    bad_segments: int = 0
    """Packets with a good check and contents that no edition allows."""
    strangers: int = 0
    """Packets of another MN, or with another password."""
    strays: int = 0
    """Answers to nothing that was asked."""
    repeats: int = 0
    """Packets that came before and were answered again."""


class Link(StreamEnd[EventT]):
    """One end of a connection. It lives as long as the connection does."""

    def __init__(self, identity: Identity, *, over_time_s: float = OVER_TIME_S, re_count: int = RE_COUNT) -> None:
        """Raises `LocalProtocolError` for an identity that no packet can bear."""
        super().__init__()
        _check(identity)
        self.identity = identity
        self.counters = LinkCounters()
        self.framer = Framer(accepts_modbus_crc=identity.is_modbus_crc)
        self._over_time_s = over_time_s
        self._re_count = re_count
        self._exchanges: dict[str, Exchange] = {}

    # Face of a dialogue

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted and passed over."""
        for start in range(0, len(data), _PIECE_BYTES):
            self.framer.feed(data[start : start + _PIECE_BYTES])
            while not isinstance(packet := self.framer.next_frame(), NeedData):
                try:
                    self._take(decode_segment(packet.data), now)
                except RemoteProtocolError:
                    self.counters.bad_segments += 1
            broken, self.framer.broken_data = self.framer.broken_data, b""
            if broken:
                self._take_broken(broken)

    def next_deadline(self) -> float | None:
        """When the next answer must have come."""
        return min((exchange.deadline for exchange in self._exchanges.values()), default=None)

    def tick(self, now: float) -> None:
        """Time has passed."""
        for qn, exchange in list(self._exchanges.items()):
            exchange.tick(now)
            self._settle(qn, exchange)

    @property
    def has_room(self) -> bool:
        """Whether another exchange can be begun."""
        return len(self._exchanges) < MAX_OPEN

    # What the two ends do differently

    def _take(self, segment: Segment, now: float) -> None:
        """A segment came. Raises `RemoteProtocolError` for one that nobody can use."""
        raise NotImplementedError

    def _take_broken(self, data: bytes) -> None:
        """A packet came whose check does not hold."""

    def _ended(self, exchange: Exchange) -> None:
        """Tell how an exchange ended."""
        raise NotImplementedError

    # What they have in common

    def _begin(self, qn: str, owner: object, packets: tuple[bytes, ...], result_s: float | None, now: float) -> None:
        if qn in self._exchanges:
            raise LocalProtocolError("an exchange of this number is open", field="QN")
        if not self.has_room:
            raise LocalProtocolError(f"{MAX_OPEN} exchanges are open")
        exchange = Exchange(owner, packets, Terms(self._over_time_s, self._re_count, result_s), now)
        self._exchanges[qn] = exchange
        self._settle(qn, exchange)

    def _settle(self, qn: str, exchange: Exchange) -> None:
        """Send what an exchange has to say; when it is over, tell."""
        self._outgoing += exchange.outgoing
        exchange.outgoing.clear()
        if exchange.state is ExchangeState.DONE:
            del self._exchanges[qn]
            self._ended(exchange)

    def _configure(self, command: Configure) -> None:
        if command.pw is not None:
            identity = msgspec.structs.replace(self.identity, pw=command.pw)
            _check(identity)
            self.identity = identity
        if command.over_time_s is not None:
            self._over_time_s = command.over_time_s
        if command.re_count is not None:
            self._re_count = command.re_count

    def _packets(self, command: Command, qn: str, *, wants_answer: bool) -> tuple[bytes, ...]:
        """The packets of a command, several where it is long. Raises `LocalProtocolError`."""
        identity = self.identity
        flag = identity.version << 2 | (FLAG_ACK if wants_answer else 0)
        header = header_of(qn=qn, st=identity.st, cn=command.cn, pw=identity.pw, mn=identity.mn, flag=flag)
        return tuple(map(self._packet, split_segment(Segment(header, write_items(command)))))

    def _packet(self, segment: Segment) -> bytes:
        return encode_packet(Packet(encode_segment(segment), is_modbus_crc=self.identity.is_modbus_crc))

    def _answer(self, command: Command, qn: str, part: Segment | None = None) -> None:
        """Send an answer. part: the one of several packets that it answers; PNUM and PNO then tell which."""
        identity = self.identity
        header_qn: str | None = qn
        if identity.version == VERSION_2005:
            command, header_qn = msgspec.structs.replace(command, qn=qn), None
        if part is not None and not part.is_split:
            part = None
        header = header_of(
            qn=header_qn,
            st=ST_EXCHANGE,
            cn=command.cn,
            pw=identity.pw,
            mn=identity.mn,
            flag=identity.version << 2 | (0 if part is None else FLAG_SPLIT),
            pnum=None if part is None else part.pnum,
            pno=None if part is None else part.pno,
        )
        self._outgoing += self._packet(Segment(header, write_items(command)))

    def _is_stranger(self, segment: Segment) -> bool:
        identity = self.identity
        if (segment.mn, segment.pw) == (identity.mn, identity.pw):
            return False
        self.counters.strangers += 1
        return True

    def _take_receipt(self, segment: Segment, wanted: dict[str, type], now: float) -> None:
        """9013 or 9014: end the exchange that it belongs to. wanted: whose exchange each of the two codes answers."""
        qn = segment.exchange
        exchange = None if qn is None else self._exchanges.get(qn)
        owner = wanted.get(segment.cn or "")
        if qn is None or exchange is None or owner is None or not isinstance(exchange.owner, owner):
            self.counters.strays += 1
        elif segment.pno is not None and segment.pno != exchange.part + 1:
            self.counters.strays += 1  # a part that was answered twice
        else:
            exchange.answered(now)
            self._settle(qn, exchange)
