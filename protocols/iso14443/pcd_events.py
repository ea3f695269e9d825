"""What goes into and comes out of the reader's end of ISO-DEP (`pcd.py`): commands, events, states."""

from enum import Enum

import msgspec

from protocols.iso14443.activation import Ats
from protocols.iso14443.type_b import Atqb, AttribAnswer


class Activate(msgspec.Struct, frozen=True):
    """Activate the selected card: with RATS, or with ATTRIB where the ATQB of a type B card is given."""

    atqb: Atqb | None = None


class SetRates(msgspec.Struct, frozen=True):
    """PPS: change the bit rates (codes 0 to 3); right after `Activated`, type A only."""

    dri: int
    dsi: int


class Transceive(msgspec.Struct, frozen=True):
    """Send an APDU and wait for the answer."""

    data: bytes


class CheckPresence(msgspec.Struct, frozen=True):
    """Ask whether the card is still there, without disturbing it."""


class Deselect(msgspec.Struct, frozen=True):
    """Send the card to HALT."""


PcdCommand = Activate | SetRates | Transceive | CheckPresence | Deselect


class Activated(msgspec.Struct, frozen=True):
    """The card speaks ISO-DEP now. answer: its ATS (type A) or its answer to ATTRIB (type B); wire: as it came."""

    answer: Ats | AttribAnswer
    wire: bytes


class RatesSet(msgspec.Struct, frozen=True):
    """The card took the new bit rates."""


class Answer(msgspec.Struct, frozen=True):
    """The card's whole answer."""

    data: bytes


class Present(msgspec.Struct, frozen=True):
    """The card is still there."""


class Deselected(msgspec.Struct, frozen=True):
    """The card was sent to HALT. is_confirmed: whether it said so."""

    is_confirmed: bool


class CardLost(msgspec.Struct, frozen=True):
    """The card does not answer any more, or not as it should; reset the field. reason: of the last trouble."""

    reason: str


PcdEvent = Activated | RatesSet | Answer | Present | Deselected | CardLost


class PcdState(Enum):
    """Where the reader stands."""

    IDLE = "idle"
    ACTIVATING = "activating"
    ACTIVATED = "activated"
    PPS = "pps"
    XFER_TX = "sending"
    XFER_RX = "receiving"
    CHECKING = "checking"
    DESELECTING = "deselecting"
    GIVING_UP = "giving up"
    HALTED = "halted"
    LOST = "lost"


class PcdStimulus(Enum):
    """What may happen to it."""

    ACTIVATE = "Activate"
    SET_RATES = "SetRates"
    TRANSCEIVE = "Transceive"
    CHECK = "CheckPresence"
    DESELECT = "Deselect"
    ACTIVATED = "ATS or answer to ATTRIB"
    RATES_SET = "answer to PPS"
    BLOCK_MORE = "I-block, chaining"
    BLOCK_LAST = "I-block"
    ACK = "R(ACK), own number"
    ACK_OTHER = "R(ACK), other number"
    WTX = "S(WTX)"
    DESELECTED = "S(DESELECT)"
    TROUBLE = "broken or no answer"
    SPENT = "retries or time spent"
