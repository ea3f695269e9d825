"""What may be asked of the roadside unit's end of a link, what may happen there, and where a report stands."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from protocols.etc_rsu.catalogue import Choice, Interface
from protocols.etc_rsu.payload import AnyPayload


class RoadsideSettings(msgspec.Struct, frozen=True, kw_only=True):
    """retry_s: 120, 240 and 1000 ms are seen. window: reports at once; a lane has one. variants: `catalogue.VARIANTS`.

    heartbeat, heartbeat_s: what is reported when nothing else was for so long; none where there is no such payload.
    """

    interface: Interface = Interface.CLASSIC
    variants: Mapping[int, Choice] | None = None
    retry_s: float = 1.0
    max_repeats: int = 3
    window: int = 1
    heartbeat: AnyPayload | None = None
    heartbeat_s: float = 10.0


class Commanded(msgspec.Struct, frozen=True):
    """The computer says something. answers: the report that it answers, or None where it speaks unasked."""

    payload: AnyPayload
    answers: AnyPayload | None = None


class Acknowledged(msgspec.Struct, frozen=True):
    """The computer has a report and says nothing to it."""

    report: AnyPayload


class Unanswered(msgspec.Struct, frozen=True):
    """Nobody answered a report, however often it went out."""

    report: AnyPayload


RoadsideEvent = Commanded | Acknowledged | Unanswered


class ReportState(Enum):
    """Where a report stands."""

    QUEUED = "queued"
    DUE = "answer due"
    DONE = "done"


class ReportStimulus(Enum):
    """What may happen to it."""

    ROOM = "room in the window"
    UNASKED = "room, and no answer is due"
    ANSWER = "answer"
    ACKNOWLEDGEMENT = "acknowledgement"
    AGAIN = "C2, send again"
    SILENCE = "no answer, repeats left"
    SPENT = "no answer, repeats spent"
    RESET = "C0"
