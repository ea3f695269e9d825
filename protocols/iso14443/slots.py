"""How a reader finds one card of type B among several (ISO/IEC 14443-3:2016, 7.6), as a dialogue without I/O.

REQB or WUPB with N slots, of which a card picks one by lot; markers open the second and later slots. Where answers
collide, the next round has twice as many slots, up to 16.

What each answer leads to stands in `TypeBSearch.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.iso14443.air import AirFrame, air_frame
from protocols.iso14443.crc import crc_b, strip_crc_b
from protocols.iso14443.search import FindCard, Halt, Search, SearchCommand, TypeBFound
from protocols.iso14443.type_b import (
    ATQB_TIMEOUT_S,
    HLTB_ANSWER,
    MAX_SLOTS,
    Atqb,
    decode_atqb,
    encode_hltb,
    encode_reqb,
    encode_slot_marker,
    reqb,
)

MAX_ROUNDS = 24
"""Rounds before it gives up: with 16 slots two cards meet in one round of sixteen."""


class StateB(Enum):
    """Where a search of type B stands."""

    IDLE = "idle"
    LISTENING = "listening"
    HALTING = "halting"


class StimulusB(Enum):
    """What may happen to it."""

    FIND = "FindCard"
    HALT = "Halt"
    ATQB = "ATQB"
    NEXT_SLOT = "silence or collision, slots left"
    COLLIDED = "round over, some collided"
    EMPTY = "round over, silence"
    SPENT = "rounds spent"
    ANSWER = "answer to HLTB"
    SILENCE = "silence"


class TypeBSearch(Search):
    """Finds and halts cards of type B. See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self._state = StateB.IDLE
        self._find = FindCard()
        self._pupi = b""
        self._slots = 1
        self._slot = 1
        self._rounds = 0
        self._is_collision_seen = False
        self._atqb = Atqb(b"")

    @property
    def state(self) -> StateB:
        """Where it stands."""
        return self._state

    def send(self, command: SearchCommand, now: float) -> None:
        """Start. Raises `LocalProtocolError` while another command runs, or for a PUPI or AFI that cannot be."""
        if self._state is not StateB.IDLE:
            raise LocalProtocolError("a search is under way")
        if isinstance(command, Halt):
            encode_hltb(command.pupi)
            self._pupi = command.pupi
            self._step(StimulusB.HALT, now)
            return
        encode_reqb(reqb(afi=command.afi))
        self._find = command
        self._slots, self._rounds = 1, 0
        self._step(StimulusB.FIND, now)

    def receive(self, answer: AirFrame, now: float) -> None:
        """Take what was heard; what is no ATQB was a collision. Late answers are passed over."""
        if self._state is StateB.IDLE:
            return
        try:
            body = strip_crc_b(answer.data) if answer.is_whole else b""
            if self._state is StateB.HALTING:
                self._step(StimulusB.ANSWER if body == HLTB_ANSWER else StimulusB.SILENCE, now)
                return
            self._atqb = decode_atqb(body)
        except RemoteProtocolError:
            self._is_collision_seen = True
            self._step(StimulusB.SILENCE if self._state is StateB.HALTING else self._slot_over(), now)
        else:
            self._step(StimulusB.ATQB, now)

    def tick(self, now: float) -> None:
        """Nobody answered in this slot."""
        if self._deadline is not None and now >= self._deadline:
            self._step(StimulusB.SILENCE if self._state is StateB.HALTING else self._slot_over(), now)

    def _slot_over(self) -> StimulusB:
        if self._slot < self._slots:
            return StimulusB.NEXT_SLOT
        if not self._is_collision_seen:
            return StimulusB.EMPTY
        if self._rounds >= MAX_ROUNDS:
            return StimulusB.SPENT
        self._slots = min(2 * self._slots, MAX_SLOTS)
        return StimulusB.COLLIDED

    def _step(self, stimulus: StimulusB, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _request(self, now: float) -> None:
        self._rounds += 1
        self._slot = 1
        self._is_collision_seen = False
        self._say(encode_reqb(reqb(afi=self._find.afi, slots=self._slots, wakeup=self._find.wake)), now)

    def _mark(self, now: float) -> None:
        self._slot += 1
        self._say(encode_slot_marker(self._slot), now)

    def _halt(self, now: float) -> None:
        self._say(encode_hltb(self._pupi), now)

    def _say(self, body: bytes, now: float) -> None:
        self.transmit(air_frame(body + crc_b(body)), now + ATQB_TIMEOUT_S)

    def _found(self, _now: float) -> None:
        self.report(TypeBFound(self._atqb))

    TRANSITIONS: ClassVar[Mapping[tuple[StateB, StimulusB], tuple[Callable[["TypeBSearch", float], None], StateB]]] = {
        (StateB.IDLE, StimulusB.FIND): (_request, StateB.LISTENING),
        (StateB.LISTENING, StimulusB.ATQB): (_found, StateB.IDLE),
        (StateB.LISTENING, StimulusB.NEXT_SLOT): (_mark, StateB.LISTENING),
        (StateB.LISTENING, StimulusB.COLLIDED): (_request, StateB.LISTENING),
        (StateB.LISTENING, StimulusB.EMPTY): (Search.nobody, StateB.IDLE),
        (StateB.LISTENING, StimulusB.SPENT): (Search.gave_up, StateB.IDLE),
        (StateB.IDLE, StimulusB.HALT): (_halt, StateB.HALTING),
        (StateB.HALTING, StimulusB.ANSWER): (Search.halted, StateB.IDLE),
        (StateB.HALTING, StimulusB.SILENCE): (Search.not_halted, StateB.IDLE),
    }
