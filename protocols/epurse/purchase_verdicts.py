"""What the answers of card and SAM mean in a purchase: pure judgements, which `PurchaseDialogue` acts on.

A judgement of money that looks at one answer alone stands nowhere here: `judge_balance` weighs proof and balance
together, `judge_count` the counter where they disagree.
"""

import msgspec

from protocols.core.errors import RemoteProtocolError
from protocols.epurse.purchase_events import Mac2, Pending
from protocols.epurse.purchase_events import PurchaseStimulus as Stimulus
from protocols.epurse.purchase_tables import Balance, DebitAnswer, InitPurchaseAnswer, ProveAnswer
from protocols.epurse.sam import SamInitAnswer
from protocols.epurse.status import SW_CONDITIONS, SW_MAC_INVALID, SW_NO_KEY, meaning_of
from protocols.epurse.union_files import LOG_RECORD_BYTES, PurseRecord, is_unused
from protocols.iso14443.apdu import ResponseApdu

Answer = InitPurchaseAnswer | SamInitAnswer | ProveAnswer | None


class Verdict(msgspec.Struct, frozen=True):
    """What an answer means. answer: its data, where they are good. reason, sw: why, where they are not."""

    stimulus: Stimulus
    answer: Answer = None
    reason: str = ""
    sw: int | None = None


def judge_init(response: ResponseApdu, balance: int | None) -> Verdict:
    """The card's answer to 8050. balance: what it must be, if that matters."""
    if not response.ok:
        return _refusal(Stimulus.REFUSED, response)
    try:
        answer = InitPurchaseAnswer.from_bytes(response.data)
    except RemoteProtocolError as error:
        return Verdict(Stimulus.REFUSED, reason=str(error))
    if balance not in (None, Balance(answer.balance).amount):
        return Verdict(Stimulus.REFUSED, reason="the balance is not the one that was read")
    return Verdict(Stimulus.INITIALISED, answer)


def judge_update(response: ResponseApdu, *, is_last: bool) -> Verdict:
    """The card's answer to 80DC."""
    if not response.ok:
        return _refusal(Stimulus.REFUSED, response)
    return Verdict(Stimulus.ALL_UPDATED if is_last else Stimulus.UPDATED)


def judge_debit(response: ResponseApdu) -> Verdict:
    """The card's answer to 8054. Whatever is not clearly done is not clear."""
    if not response.ok:
        return _refusal(Stimulus.DEBIT_UNCLEAR, response)
    try:
        answer = DebitAnswer.from_bytes(response.data)
    except RemoteProtocolError as error:
        return Verdict(Stimulus.DEBIT_UNCLEAR, reason=str(error))
    return Verdict(Stimulus.DEBITED, ProveAnswer(answer.mac2, answer.tac))


def judge_proof(response: ResponseApdu, *, is_last: bool) -> Verdict:
    """The card's answer to 805A: a proof, or none, however the card says so."""
    none = Verdict(Stimulus.NO_PROOF if is_last else Stimulus.NO_PROOF_YET)
    if not response.ok:
        return none
    try:
        return Verdict(Stimulus.PROOF, ProveAnswer.from_bytes(response.data))
    except RemoteProtocolError:
        return none


def judge_balance(
    response: ResponseApdu, pending: Pending, proof: ProveAnswer | None, *, is_recovered: bool, is_checkable: bool
) -> Verdict:
    """The card's answer to 805C, beside its proof. is_recovered: the card was away. is_checkable: the SAM was not."""
    if not response.ok:
        return Verdict(Stimulus.UNCLEAR, reason=f"the balance cannot be read: {meaning_of(response.sw)}")
    try:
        balance = Balance.from_bytes(response.data).amount
    except RemoteProtocolError as error:
        return Verdict(Stimulus.UNCLEAR, reason=str(error))
    if balance == pending.old_balance:
        return Verdict(_not_debited(is_recovered=is_recovered) if proof is None else Stimulus.DOUBTED)
    if balance == pending.old_balance - pending.amount:
        return Verdict(Stimulus.LOWER if is_recovered else _debited(proof, is_checkable=is_checkable))
    return Verdict(Stimulus.UNCLEAR, reason="the balance is neither the old one nor the new one")


def judge_count(response: ResponseApdu, pending: Pending, *, is_recovered: bool) -> Verdict:
    """The card's answer to an 8050 of amount 0, where its balance is the old one and yet it gave a proof.

    A counter that still stands where it stood tells that the proof is an earlier purchase's.
    """
    verdict = judge_init(response, pending.old_balance)
    if not isinstance(verdict.answer, InitPurchaseAnswer):
        return Verdict(Stimulus.UNCLEAR, reason=f"the counter cannot be read: {verdict.reason}")
    if verdict.answer.offline_serial == pending.offline_serial:
        return Verdict(_not_debited(is_recovered=is_recovered))
    if pending.amount == 0:
        return Verdict(Stimulus.DEBITED_BEFORE)
    return Verdict(Stimulus.UNCLEAR, reason="there is a proof, but the balance is the old one")


def judge_log(response: ResponseApdu, pending: Pending, proof: ProveAnswer | None, *, is_checkable: bool) -> Verdict:
    """The newest record of the purse's log, where the card was away and its balance is lower by the amount.

    A purchase at another terminal may have cost as much, and have the proof; and a load may have made up for the rest.
    Where the log cannot be read, or holds nothing, balance and proof decide.
    """
    is_told = response.ok and len(response.data) == LOG_RECORD_BYTES and not is_unused(response.data)
    if is_told and PurseRecord.from_bytes(response.data).terminal_id != pending.terminal_id:
        return Verdict(Stimulus.UNCLEAR, reason="another terminal may have debited it")
    return Verdict(_debited(proof, is_checkable=is_checkable))


def _debited(proof: ProveAnswer | None, *, is_checkable: bool) -> Stimulus:
    return Stimulus.DEBITED_CHECKABLE if is_checkable and proof is not None else Stimulus.DEBITED_BEFORE


def _not_debited(*, is_recovered: bool) -> Stimulus:
    return Stimulus.UNCHANGED if is_recovered else Stimulus.UNCHANGED_REFUSED


def judge_sam_init(response: ResponseApdu | None, *, may_select: bool) -> Verdict:
    """The SAM's answer to 8070; None is its silence."""
    if response is None or not response.ok:
        if response is not None and response.sw in (SW_CONDITIONS, SW_NO_KEY) and may_select:
            return Verdict(Stimulus.SAM_LOST_SELECTION)
        return _sam_refusal(response)
    try:
        return Verdict(Stimulus.MAC1, SamInitAnswer.from_bytes(response.data))
    except RemoteProtocolError as error:
        return Verdict(Stimulus.SAM_REFUSED, reason=f"SAM: {error}")


def judge_sam_selection(response: ResponseApdu | None) -> Verdict:
    """The SAM's answer to SELECT."""
    if response is None or not response.ok:
        return _sam_refusal(response)
    return Verdict(Stimulus.SAM_SELECTED)


def judge_mac2(response: ResponseApdu | None) -> Mac2:
    """The SAM's answer to 8072."""
    if response is None:
        return Mac2.UNCHECKED
    if response.ok:
        return Mac2.GENUINE
    return Mac2.WRONG if response.sw == SW_MAC_INVALID else Mac2.UNCHECKED


def _refusal(stimulus: Stimulus, response: ResponseApdu) -> Verdict:
    return Verdict(stimulus, reason=meaning_of(response.sw), sw=response.sw)


def _sam_refusal(response: ResponseApdu | None) -> Verdict:
    if response is None:
        return Verdict(Stimulus.SAM_REFUSED, reason="the SAM is silent")
    return Verdict(Stimulus.SAM_REFUSED, reason=f"SAM: {meaning_of(response.sw)}", sw=response.sw)
