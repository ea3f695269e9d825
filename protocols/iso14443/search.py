"""What the searches of both types share: commands, events, and the half of their face that is the same.

A search is a dialogue whose frames are `AirFrame`s. To find all cards, send each that was found to HALT and look again
with a request that halted cards do not hear, until `NoCard`.
"""

import msgspec

from protocols.dialogue import EventQueue
from protocols.iso14443.air import AirFrame
from protocols.iso14443.type_a import Sak
from protocols.iso14443.type_b import AFI_ALL, Atqb


class FindCard(msgspec.Struct, frozen=True):
    """Find one card. wake: halted ones too. uid: of type A, only this one. afi: of type B, only this family."""

    wake: bool = False
    uid: bytes = b""
    afi: int = AFI_ALL


class Halt(msgspec.Struct, frozen=True):
    """Send the card that was found to HALT. pupi: type B only."""

    pupi: bytes = b""


class TypeAFound(msgspec.Struct, frozen=True):
    """A card is selected (ACTIVE). atqa: in air order; a mixture when several cards answered at once."""

    uid: bytes
    atqa: bytes
    sak: Sak


class TypeBFound(msgspec.Struct, frozen=True):
    """A card answered alone; ATTRIB or HLTB is next."""

    atqb: Atqb


class NoCard(msgspec.Struct, frozen=True):
    """Nobody answered the request."""


class Halted(msgspec.Struct, frozen=True):
    """The card went to HALT. is_accepted: False when its behaviour says otherwise."""

    is_accepted: bool


class SearchFailed(msgspec.Struct, frozen=True):
    """Cards are there, but none could be told apart in the attempts that there are."""


SearchCommand = FindCard | Halt
SearchEvent = TypeAFound | TypeBFound | NoCard | Halted | SearchFailed


class Search(EventQueue[SearchEvent]):
    """What both searches share: the frame that is due, the deadline."""

    def __init__(self) -> None:
        super().__init__()
        self._outgoing: AirFrame | None = None
        self._deadline: float | None = None

    def frame_to_send(self) -> AirFrame | None:
        """The frame that is due on the air now."""
        frame, self._outgoing = self._outgoing, None
        return frame

    def next_deadline(self) -> float | None:
        """When the answer must have come."""
        return self._deadline

    def transmit(self, frame: AirFrame, deadline: float) -> None:
        """Put a frame on the air and wait for an answer until `deadline`. For the search itself."""
        self._outgoing = frame
        self._deadline = deadline

    def report(self, event: SearchEvent) -> None:
        """End the wait and say what came of it. For the search itself."""
        self._deadline = None
        self._events.append(event)

    # Actions of both tables of transitions

    def nobody(self, _now: float) -> None:
        """No card is there."""
        self.report(NoCard())

    def gave_up(self, _now: float) -> None:
        """All attempts are spent."""
        self.report(SearchFailed())

    def halted(self, _now: float) -> None:
        """The card went to HALT."""
        self.report(Halted(is_accepted=True))

    def not_halted(self, _now: float) -> None:
        """The card did not go to HALT."""
        self.report(Halted(is_accepted=False))
