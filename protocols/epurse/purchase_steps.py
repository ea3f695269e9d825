"""What a terminal says at each step of a purchase, made from what it was told and from what it heard before."""

from protocols.core.errors import LocalProtocolError
from protocols.epurse import commands
from protocols.epurse.purchase_events import MAX_UPDATES, Buy, Pending, PurchaseSettings
from protocols.epurse.purchase_tables import Balance, DebitCommand, InitCommand, InitPurchaseAnswer
from protocols.epurse.sam import SamInitAnswer, SamInitCommand, factors_of, init_sam
from protocols.iso14443.apdu import CommandApdu, encode_command


def init_of(settings: PurchaseSettings, buy: Buy) -> CommandApdu:
    """8050."""
    data = InitCommand(buy.key_index, buy.amount, settings.terminal_id)
    return commands.init_purchase(data, buy.trans_type, purse=settings.purse)


def count_of(settings: PurchaseSettings, pending: Pending) -> CommandApdu:
    """8050 of amount 0: it reads counter and balance, and takes nothing."""
    data = InitCommand(pending.key_index, 0, settings.terminal_id)
    return commands.init_purchase(data, pending.trans_type, purse=settings.purse)


def sam_init_of(settings: PurchaseSettings, buy: Buy, init: InitPurchaseAnswer) -> CommandApdu:
    """8070."""
    factors = factors_of(settings.factor_order, buy.card.card_factor, buy.card.issuer_id)
    return init_sam(
        SamInitCommand(
            init.random,
            init.offline_serial,
            buy.amount,
            buy.trans_type,
            buy.date,
            buy.time,
            init.key_version,
            init.alg_id,
            *factors,
        )
    )


def updates_of(buy: Buy) -> list[CommandApdu]:
    """80DC, one a record."""
    return [commands.update_record(update) for update in buy.updates]


def pending_of(settings: PurchaseSettings, buy: Buy, init: InitPurchaseAnswer, answer: SamInitAnswer) -> Pending:
    """What must be stored before 8054."""
    return Pending(
        card=buy.card,
        key_index=buy.key_index,
        offline_serial=init.offline_serial,
        old_balance=Balance(init.balance).amount,
        amount=buy.amount,
        trans_type=buy.trans_type,
        key_version=init.key_version,
        alg_id=init.alg_id,
        terminal_id=settings.terminal_id,
        terminal_serial=answer.terminal_serial,
        date=buy.date,
        time=buy.time,
        mac1=answer.mac1,
        updates=buy.updates,
    )


def debit_of(pending: Pending) -> CommandApdu:
    """8054."""
    return commands.debit(DebitCommand(pending.terminal_serial, pending.date, pending.time, pending.mac1))


def check(settings: PurchaseSettings, buy: Buy) -> None:
    """Hold a purchase against what the wire can carry, before its first step. Raises `LocalProtocolError`."""
    if buy.updates and buy.trans_type != commands.COMPOSITE_PURCHASE:
        raise LocalProtocolError("only a composite purchase updates records", field="updates")
    if len(buy.updates) > MAX_UPDATES:
        raise LocalProtocolError(f"at most {MAX_UPDATES} records", field="updates")
    init = InitPurchaseAnswer(0, 0, 0, 0, 0, bytes(4))
    pending = pending_of(settings, buy, init, SamInitAnswer(0, bytes(4)))
    for command in (init_of(settings, buy), sam_init_of(settings, buy, init), *updates_of(buy), debit_of(pending)):
        encode_command(command)
