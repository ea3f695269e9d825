"""One vehicle on its way through: what was last reported of it, and what is known of its debit."""

from protocols.etc_rsu.catalogue import Interface
from protocols.etc_rsu.classic_commands import DROP, Stop
from protocols.etc_rsu.codes import PURCHASE_GOOD, TAC_GOOD
from protocols.etc_rsu.controller_events import PassageState, PassageStimulus
from protocols.etc_rsu.gantry_commands import GantryStop
from protocols.etc_rsu.payload import AnyPayload, Payload

REPORT_STIMULI = {
    0xB2: PassageStimulus.FOUND,
    0xB3: PassageStimulus.VEHICLE,
    0xB4: PassageStimulus.CARD,
    0xB5: PassageStimulus.RESULT,
    0xB7: PassageStimulus.RESULT,
    0xB8: PassageStimulus.RESULT,
}
DECISION_STIMULI = {
    0xC1: PassageStimulus.CONTINUE,
    0xC2: PassageStimulus.STOP,
    0xC3: PassageStimulus.TRADE,
    0xC6: PassageStimulus.TRADE,
    0xC7: PassageStimulus.TRADE,
    0xC8: PassageStimulus.TRADE,
}
TAKES_ANEW = (0xC3, 0xC6)
"""These debit or write. C7 and C8 ask after what was done before."""
DEBIT = 0xC6
_GOOD = 0
_TAKEN = {(Interface.GANTRY, 0xB5): (_GOOD, PURCHASE_GOOD), (Interface.GANTRY, 0xB8): (_GOOD, TAC_GOOD)}
"""Codes of results that say that the money was taken, where it is not 0 alone."""
_RECORD_HEAD = 3
"""Identifier, length and lock flag of a record of file 0019."""


Key = tuple[int, bytes]
"""What a report is known by when it comes again: number and bytes."""


class Passage:
    """A vehicle. `key` is that of its last report."""

    __slots__ = ("asks", "deadline", "is_written", "key", "obu_id", "report", "state", "trade", "unsettled")

    def __init__(self, obu_id: bytes) -> None:
        self.obu_id = obu_id
        self.state = PassageState.ABSENT
        self.key: Key = (0, b"")
        self.report: AnyPayload | None = None
        self.deadline: float | None = None
        self.asks = 0
        """How often its current report was asked for again."""
        self.trade: AnyPayload | None = None
        """What it is trading now."""
        self.unsettled: AnyPayload | None = None
        """What it traded, with no result yet that settles it."""
        self.is_written = False


def type_of(payload: AnyPayload) -> int | None:
    """The first byte of a payload."""
    if isinstance(payload, Payload):
        return payload.TYPE
    return payload.raw[0] if payload.raw else None


def obu_of(report: AnyPayload) -> bytes | None:
    """The vehicle that a report is about."""
    obu_id = getattr(report, "obu_id", None)
    return obu_id if isinstance(obu_id, bytes) else None


def is_heartbeat(report: AnyPayload) -> bool:
    """Whether a B2 says only that the unit lives."""
    return bool(getattr(report, "is_heartbeat", False))


def stop_of(interface: Interface, obu_id: bytes, stop_type: int = DROP) -> AnyPayload:
    """C2."""
    if interface is Interface.GANTRY:
        return GantryStop(obu_id, stop_type, None)
    return Stop(obu_id, stop_type)


def is_settled(interface: Interface, report: AnyPayload) -> bool:
    """Whether a result says that the money was taken. One that does not leaves it to the card to tell."""
    kind = type_of(report)
    return kind is None or getattr(report, "error_code", _GOOD) in _TAKEN.get((interface, kind), (_GOOD,))


def is_on_card(trade: AnyPayload, report: AnyPayload) -> bool:
    """Whether the record that was to be written is the one that a card carries."""
    want, card = getattr(trade, "station", None), getattr(report, "last_station", None)
    if not isinstance(want, bytes) or not isinstance(card, bytes) or not any(want):
        return False
    return card == want if len(card) == len(want) else card[_RECORD_HEAD : _RECORD_HEAD + len(want)] == want
