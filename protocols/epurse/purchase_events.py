"""What the dialogue of a purchase is told and what it tells, its settings, its states.

told    Buy  SamAnswered  Stored  CardLost  Resume
tells   AskSam  Store  Paid  Declined  NotDebited  Unknown  Suspicious
"""

from enum import Enum

import msgspec

from protocols.epurse.commands import PURSE, RecordUpdate
from protocols.epurse.sam import FactorOrder
from protocols.iso14443.apdu import CommandApdu, ResponseApdu

MAX_UPDATES = 8


class PurchaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal, and the make of its cards.

    proof_offsets: what is added to the serial number of 8050 to ask for a proof, in this order. Most cards want the
    number as it was (0), some count it up before they store the proof (1).
    """

    terminal_id: bytes
    purse: int = PURSE
    factor_order: FactorOrder = FactorOrder.CARD_ISSUER
    sam_application_id: int = 0xDF01
    proof_offsets: tuple[int, ...] = (0, 1)
    card_timeout_s: float = 1.0
    """For one answer. The transmission protocol below tells of a lost card sooner (`CardLost`)."""
    sam_timeout_s: float = 1.0
    store_timeout_s: float = 1.0
    keep_s: float = 300.0
    """How long a purchase with an unknown end waits for its card."""
    max_kept: int = 16
    """How many of them; the oldest gives way."""


class PurseCard(msgspec.Struct, frozen=True):
    """The card in the field, as its public data tell."""

    card_number: bytes
    card_factor: bytes
    issuer_id: bytes


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to settle a purchase whose end was not heard. It is stored before the card may debit."""

    card: PurseCard
    key_index: int
    offline_serial: int
    old_balance: int
    amount: int
    trans_type: int
    key_version: int
    alg_id: int
    terminal_id: bytes
    terminal_serial: int
    date: bytes
    time: bytes
    mac1: bytes
    updates: tuple[RecordUpdate, ...] = ()


class Mac2(Enum):
    """Whether the card is known to be genuine: what the SAM said of MAC2."""

    GENUINE = "genuine"
    WRONG = "wrong"
    UNCHECKED = "unchecked"


class Buy(msgspec.Struct, frozen=True, kw_only=True):
    """The selected card shall pay. date, time: BCD. balance: as it was read, if the amount or a record rests on it."""

    card: PurseCard
    amount: int
    trans_type: int
    date: bytes
    time: bytes
    key_index: int = 1
    updates: tuple[RecordUpdate, ...] = ()
    balance: int | None = None


class SamAnswered(msgspec.Struct, frozen=True):
    """What the SAM answered to the command of an `AskSam`."""

    command: CommandApdu
    response: ResponseApdu


class Stored(msgspec.Struct, frozen=True):
    """The purchase lies where a loss of power leaves it."""

    pending: Pending


class CardLost(msgspec.Struct, frozen=True):
    """The card has left the field."""


class Resume(msgspec.Struct, frozen=True):
    """A purchase that was stored, and not settled, before this terminal started."""

    pending: Pending


class AskSam(msgspec.Struct, frozen=True):
    """Take this to the SAM and answer with `SamAnswered`."""

    command: CommandApdu


class Store(msgspec.Struct, frozen=True):
    """Store this durably and answer with `Stored`. Only then the card is told to debit."""

    pending: Pending


class Paid(msgspec.Struct, frozen=True):
    """The card was debited, once. tac: None where the balance alone shows it. is_recovered: in an earlier tap.

    With a wrong MAC2 the card is a forgery: nobody passes.
    """

    pending: Pending
    tac: bytes | None
    mac2: Mac2
    is_recovered: bool


class Declined(msgspec.Struct, frozen=True):
    """The card was not debited, and this purchase is over. sw: the status word that ended it, if one did."""

    card: PurseCard
    reason: str
    sw: int | None = None
    pending: Pending | None = None
    """What was stored, or was about to be, and may be dropped."""


class NotDebited(msgspec.Struct, frozen=True):
    """An earlier purchase whose end was unknown took no money: drop it. The new one begins."""

    pending: Pending


class Unknown(msgspec.Struct, frozen=True):
    """Nobody knows whether the card was debited. It is kept: neither let the passenger pass nor void it."""

    pending: Pending
    reason: str


class Suspicious(msgspec.Struct, frozen=True):
    """The card did not come back to settle this: it is no longer kept, and goes to the clearing centre as it is."""

    pending: Pending


PurchaseCommand = Buy | SamAnswered | Stored | CardLost | Resume
PurchaseEvent = AskSam | Store | Paid | Declined | NotDebited | Unknown | Suspicious


class PurchaseState(Enum):
    """Where the terminal stands with the card in the field."""

    IDLE = "idle"
    PROVING = "asking for a proof"
    WEIGHING = "reading the balance"
    COUNTING = "reading the counter"
    READING_LOG = "reading the log"
    INITIALISING = "initialising"
    ASKING_MAC1 = "asking for MAC1"
    SELECTING_SAM = "selecting in the SAM"
    UPDATING = "updating records"
    STORING = "storing"
    DEBITING = "debiting"
    CHECKING_MAC2 = "checking MAC2"


WAITS_FOR_SAM = frozenset({PurchaseState.ASKING_MAC1, PurchaseState.SELECTING_SAM, PurchaseState.CHECKING_MAC2})
WAITS_FOR_CARD = frozenset(PurchaseState) - WAITS_FOR_SAM - {PurchaseState.IDLE, PurchaseState.STORING}


class PurchaseStimulus(Enum):
    """What may happen."""

    BUY = "Buy"
    BUY_UNSETTLED = "Buy, an earlier end unknown"
    PROOF = "proof"
    NO_PROOF_YET = "no proof, another serial left"
    NO_PROOF = "no proof"
    LOWER = "balance lower by the amount, card was away"
    DOUBTED = "proof, but balance unchanged"
    UNCHANGED = "not debited"
    UNCHANGED_REFUSED = "not debited, 8054 refused"
    DEBITED_BEFORE = "debited"
    DEBITED_CHECKABLE = "debited, the SAM remembers"
    UNCLEAR = "neither is certain"
    INITIALISED = "8050 answered"
    MAC1 = "MAC1"
    MAC1_UPDATES = "MAC1, records to update"
    SAM_LOST_SELECTION = "SAM not selected, once"
    SAM_SELECTED = "SAM selected"
    SAM_REFUSED = "SAM refused or silent"
    UPDATED = "record taken"
    ALL_UPDATED = "last record taken"
    STORED = "Stored"
    NOT_STORED = "not stored in time"
    DEBITED = "8054 answered"
    DEBIT_UNCLEAR = "8054 refused or garbled"
    MAC2_KNOWN = "SAM's verdict or silence"
    REFUSED = "card refused or garbled"
    LOST = "card lost or silent"
