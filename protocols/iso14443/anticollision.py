"""How a reader finds one card of type A among several (ISO/IEC 14443-3:2016, 6.5.3), as a dialogue without I/O.

REQA or WUPA, then level by level the bits of the UID: where cards disagree, the branch with bit 1 goes first. Every
round learns at least one bit, so a level takes at most 32 rounds.

What each answer leads to stands in `TypeASearch.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.iso14443.air import AirFrame, air_frame, bits_of
from protocols.iso14443.crc import strip_crc_a
from protocols.iso14443.search import FindCard, Halt, Search, SearchCommand, TypeAFound
from protocols.iso14443.type_a import (
    ATQA_TIMEOUT_S,
    HALT_TIMEOUT_S,
    REQA,
    SELECT_TIMEOUT_S,
    UID_PART_BITS,
    WUPA,
    Anticollision,
    Sak,
    Select,
    decode_anticollision_reply,
    decode_sak,
    encode_anticollision,
    encode_select,
    hlta,
    parts_of,
    uid_of,
)

MAX_TRIES = 3
"""Whole attempts before it gives up: a card on the edge of the field answers now and then."""


class StateA(Enum):
    """Where a search of type A stands."""

    IDLE = "idle"
    REQUESTED = "requested"
    SEARCHING = "searching"
    SELECTING = "selecting"
    HALTING = "halting"


class StimulusA(Enum):
    """What may happen to it."""

    FIND = "FindCard"
    HALT = "Halt"
    ATQA = "ATQA"
    ATQA_KNOWN = "ATQA, UID known"
    COLLISION = "collision"
    PART = "UID part"
    SAK_NEXT = "SAK: next level"
    SAK_NEXT_KNOWN = "SAK: next level, UID known"
    SAK_DONE = "SAK: complete"
    ANSWER = "any answer"
    SILENCE = "silence"
    BROKEN = "broken or no answer"
    SPENT = "broken, attempts spent"


class TypeASearch(Search):
    """Finds and halts cards of type A. See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self._state = StateA.IDLE
        self._find = FindCard()
        self._tries = 0
        self._known_parts: list[bytes] = []
        self._parts: list[bytes] = []
        self._atqa = b""
        self._known = 0
        self._known_bits = 0
        self._sak = Sak(0)

    @property
    def state(self) -> StateA:
        """Where it stands."""
        return self._state

    def send(self, command: SearchCommand, now: float) -> None:
        """Start. Raises `LocalProtocolError` while another command runs, or for a UID that there cannot be."""
        if self._state is not StateA.IDLE:
            raise LocalProtocolError("a search is under way")
        if isinstance(command, Halt):
            self._step(StimulusA.HALT, now)
            return
        self._known_parts = parts_of(command.uid) if command.uid else []
        self._find = command
        self._tries = 0
        self._step(StimulusA.FIND, now)

    def receive(self, answer: AirFrame, now: float) -> None:
        """Take what was heard. Late answers are passed over."""
        if self._state is not StateA.IDLE:
            self._step(self._stimulus_of(answer), now)

    def tick(self, now: float) -> None:
        """Nobody answered in time."""
        if self._deadline is not None and now >= self._deadline:
            if self._state in {StateA.REQUESTED, StateA.HALTING}:
                self._step(StimulusA.SILENCE, now)
            else:
                self._step(self._broken(), now)

    def _stimulus_of(self, answer: AirFrame) -> StimulusA:
        match self._state:
            case StateA.HALTING:
                return StimulusA.ANSWER
            case StateA.REQUESTED:
                self._atqa = answer.data[:2]
                return StimulusA.ATQA_KNOWN if self._known_parts else StimulusA.ATQA
            case StateA.SEARCHING:
                return self._part(answer)
            case _:
                return self._acknowledged(answer)

    def _broken(self) -> StimulusA:
        return StimulusA.BROKEN if self._tries < MAX_TRIES else StimulusA.SPENT

    def _part(self, answer: AirFrame) -> StimulusA:
        """Learn from the bits of one answer to an anticollision request."""
        if answer.bits + self._known_bits != UID_PART_BITS:
            return self._broken()
        if answer.collision is not None:
            at = self._known_bits + answer.collision
            if at >= UID_PART_BITS - 8:  # cards with one UID part also have one BCC
                return self._broken()
            heard = bits_of(answer) & ((1 << answer.collision) - 1)
            self._known |= heard << self._known_bits | 1 << at
            self._known_bits = at + 1
            return StimulusA.COLLISION
        whole = self._known | bits_of(answer) << self._known_bits
        try:
            part = decode_anticollision_reply(whole.to_bytes(UID_PART_BITS // 8, "little"))
        except RemoteProtocolError:
            return self._broken()
        self._parts.append(part.part)
        return StimulusA.PART

    def _acknowledged(self, answer: AirFrame) -> StimulusA:
        """Judge the answer to a SELECT."""
        try:
            self._sak = decode_sak(strip_crc_a(answer.data) if answer.is_whole else b"")
            uid_of([*self._parts, b"\x00" * 4] if not self._sak.uid_complete else self._parts)
        except RemoteProtocolError:
            return self._broken()
        if self._sak.uid_complete:
            is_wanted = not self._known_parts or self._parts == self._known_parts
            return StimulusA.SAK_DONE if is_wanted else self._broken()
        if not self._known_parts:
            return StimulusA.SAK_NEXT
        return StimulusA.SAK_NEXT_KNOWN if len(self._parts) < len(self._known_parts) else self._broken()

    def _step(self, stimulus: StimulusA, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _request(self, now: float) -> None:
        self._tries += 1
        self._parts = []
        self.transmit(WUPA if self._find.wake else REQA, now + ATQA_TIMEOUT_S)

    def _search(self, now: float) -> None:
        self._known = self._known_bits = 0
        self._narrow(now)

    def _narrow(self, now: float) -> None:
        request = Anticollision(len(self._parts) + 1, self._known, self._known_bits)
        self.transmit(encode_anticollision(request), now + SELECT_TIMEOUT_S)

    def _select_known(self, now: float) -> None:
        self._parts.append(self._known_parts[len(self._parts)])
        self._select(now)

    def _select(self, now: float) -> None:
        frame = encode_select(Select(len(self._parts), self._parts[-1]))
        self.transmit(air_frame(frame), now + SELECT_TIMEOUT_S)

    def _halt(self, now: float) -> None:
        self.transmit(hlta(), now + HALT_TIMEOUT_S)

    def _found(self, _now: float) -> None:
        self.report(TypeAFound(uid_of(self._parts), self._atqa, self._sak))

    TRANSITIONS: ClassVar[Mapping[tuple[StateA, StimulusA], tuple[Callable[["TypeASearch", float], None], StateA]]] = {
        (StateA.IDLE, StimulusA.FIND): (_request, StateA.REQUESTED),
        (StateA.REQUESTED, StimulusA.ATQA): (_search, StateA.SEARCHING),
        (StateA.REQUESTED, StimulusA.ATQA_KNOWN): (_select_known, StateA.SELECTING),
        (StateA.REQUESTED, StimulusA.SILENCE): (Search.nobody, StateA.IDLE),
        (StateA.SEARCHING, StimulusA.COLLISION): (_narrow, StateA.SEARCHING),
        (StateA.SEARCHING, StimulusA.PART): (_select, StateA.SELECTING),
        (StateA.SEARCHING, StimulusA.BROKEN): (_request, StateA.REQUESTED),
        (StateA.SEARCHING, StimulusA.SPENT): (Search.gave_up, StateA.IDLE),
        (StateA.SELECTING, StimulusA.SAK_NEXT): (_search, StateA.SEARCHING),
        (StateA.SELECTING, StimulusA.SAK_NEXT_KNOWN): (_select_known, StateA.SELECTING),
        (StateA.SELECTING, StimulusA.SAK_DONE): (_found, StateA.IDLE),
        (StateA.SELECTING, StimulusA.BROKEN): (_request, StateA.REQUESTED),
        (StateA.SELECTING, StimulusA.SPENT): (Search.gave_up, StateA.IDLE),
        (StateA.IDLE, StimulusA.HALT): (_halt, StateA.HALTING),
        (StateA.HALTING, StimulusA.SILENCE): (Search.halted, StateA.IDLE),
        (StateA.HALTING, StimulusA.ANSWER): (Search.not_halted, StateA.IDLE),
    }
