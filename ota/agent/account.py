"""What runs, what waits and why: the state of updates for people and programs, read from the disk and nothing else.

It needs no running agent, changes nothing and takes no lock: what is read while somebody writes is the record before.
"""

import time
from contextlib import nullcontext, suppress
from typing import Any

import msgspec

from ota.agent.audit import AUDIT, OLD_AUDIT, Instant, Seen, read_seen
from ota.agent.config import OWN, UpdateConfig
from ota.agent.kept import UNREADABLE
from ota.errors import StorageError
from ota.installers.release_dir import ReleaseDir
from ota.reports import ReportQueue
from ota.slots.ecus import table_of
from ota.slots.machine import CRASH_TABLE, RESTING, State, state_of
from ota.slots.record import SLOTS, Record, RecordStore, read_key
from ota.storage import PosixStorage, Storage
from ota.text import _

_MAX_AUDIT_BYTES = 1 << 20


class _Line(msgspec.Struct):
    """What each line of the trail has."""

    time: Instant
    what: str


class SlotAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One slot."""

    slot: str
    target: str = ""
    version: str = ""
    counter: int = 0
    sha256: str = ""
    is_confirmed: bool = False
    is_on_trial: bool = False


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`wayside ota status --json`."""

    device: str
    is_set_up: bool
    state: str = "idle"
    slots: list[SlotAccount] = []
    boots_left: int = 0
    plan: int = 0
    """The highest that was taken, whether or not there was anything to do."""
    attempt: str = ""
    """The one that is under way, or was last; `outcome`, `rule` and `reason` are its own."""
    ecus: dict[str, dict[str, Any]] = {}
    outcome: str = ""
    rule: str = ""
    reason: str = ""
    floors: dict[str, int] = {}
    quarantine: dict[str, int] = {}
    reports_waiting: int = 0
    seen: Seen = Seen()
    faults: list[str] = []
    """Files of the slots' state that do not hold."""


def read_account(config: UpdateConfig) -> Account:
    """Look at the disk. Raises `StorageError`."""
    return account_on(PosixStorage(config.path(config.data)), config.device)


def account_on(storage: Storage, device: str) -> Account:
    """What one storage says. Raises `StorageError`."""
    key = read_key(storage)
    if key is None:
        return Account(device=device, is_set_up=False)
    store = RecordStore(storage, key, nullcontext)  # it is only read
    record = store.read() or Record()
    installer = ReleaseDir(storage, key)
    slots = []
    for slot in SLOTS:
        trailer = installer.trailer(slot)
        account = SlotAccount(
            slot=slot, is_confirmed=record.confirmed == slot, is_on_trial=record.trial == slot and not record.fell_back
        )
        if trailer is not None:
            account = msgspec.structs.replace(
                account, target=trailer.target, version=trailer.version, counter=trailer.counter, sha256=trailer.sha256
            )
        slots.append(account)
    state = state_of(record.state)
    return Account(
        device=device,
        is_set_up=True,
        state=record.state.lower() if state is None else state.value,
        slots=slots,
        boots_left=record.boots_left,
        plan=record.plan_number,
        attempt=record.attempt,
        ecus={name: msgspec.to_builtins(row) for name, row in table_of(record).items()},
        outcome=record.outcome,
        rule=record.rule,
        reason=record.reason,
        floors=dict(record.floors),
        quarantine=dict(record.quarantine),
        reports_waiting=len(ReportQueue(storage, lambda _data: b"", "").waiting()),
        seen=read_seen(storage),
        faults=[fault for fault in store.faults() if storage.size(fault.partition(":")[0]) >= 0],
    )


def confirmed_slot(config: UpdateConfig) -> str:
    """The slot that runs where no launcher has said which: the confirmed one. Raises `StorageError`."""
    return next((each.slot for each in read_account(config).slots if each.is_confirmed), SLOTS[0])


def read_audit(config: UpdateConfig, last: int) -> list[dict[str, Any]]:
    """The newest lines of the audit trail; one that was cut by a power failure is left out."""
    storage = PosixStorage(config.path(config.data))
    lines: list[bytes] = []
    for name in (OLD_AUDIT, AUDIT):
        with suppress(StorageError):
            lines += storage.read(name, 0, _MAX_AUDIT_BYTES).splitlines()
    found = []
    for line in lines[-last:]:
        with suppress(*UNREADABLE):
            msgspec.json.decode(line, type=_Line)
            found.append(msgspec.json.decode(line, type=dict[str, Any]))
    return found


def explained(account: Account) -> list[str]:
    """In whole sentences: what runs, what is under way, and why something was or was not taken."""
    if not account.is_set_up:
        return [_("This device is not set up for updates: it has no slots and no key.")]
    told = [*_what_runs(account), *_what_is_under_way(account), *_what_was_last(account), *_what_the_look_said(account)]
    damaged = _("A file of the slots' state is damaged: {fault}.")
    told += [damaged.format(fault=fault) for fault in account.faults]
    if account.reports_waiting:
        told.append(_("{n} reports wait for somebody to take them.").format(n=account.reports_waiting))
    return told


def _what_runs(account: Account) -> list[str]:
    told = []
    for slot in account.slots:
        if slot.is_confirmed and slot.version:
            text = _("Slot {slot} is confirmed: version {version} (release counter {counter}).")
            told.append(text.format(slot=slot.slot, version=slot.version, counter=slot.counter))
        elif slot.is_on_trial:
            text = _(
                "Slot {slot} is on trial: version {version}; {n} more starts before the confirmed slot runs again."
            )
            told.append(text.format(slot=slot.slot, version=slot.version, n=account.boots_left))
    if not told:
        told.append(_("No slot is confirmed."))
    return told


def _what_is_under_way(account: Account) -> list[str]:
    if account.state in {state.value for state in RESTING}:
        return [_("No update is under way.")]
    told = []
    for name, row in account.ecus.items():
        if row.get("progress", "wanted") in ("wanted", "staged"):
            which = _("this device") if name == OWN else name
            text = _("Plan {plan} wants version {version} on {which} ({target}).")
            told.append(text.format(plan=account.plan, version=row["version"], which=which, target=row["target"]))
    state = next((each for each in State if each.value == account.state), None)
    if state is not None:
        text = _("It is at the step: {state}. Should the power go now: {after}.")
        told.append(text.format(state=account.state, after=CRASH_TABLE[state].after_cut))
    seen = account.seen
    if seen.all_bytes and seen.done_bytes < seen.all_bytes:
        text = _("{done:,} of {all:,} bytes are here ({way}).")
        told.append(text.format(done=seen.done_bytes, all=seen.all_bytes, way=seen.way))
    if seen.waits_for:
        told.append(_("It waits: {reason}.").format(reason=seen.waits_for))
    return told


def _what_was_last(account: Account) -> list[str]:
    if not account.outcome:
        return []
    told = [_("The last attempt, of plan {plan}, ended: {outcome}.").format(plan=account.plan, outcome=account.outcome)]
    if account.reason:
        told.append(_("Because of the rule `{rule}`: {reason}.").format(rule=account.rule, reason=account.reason))
    for sha256, plan in account.quarantine.items():
        text = _("The image {hash} failed here and is not tried again before a plan above {plan}.")
        told.append(text.format(hash=sha256[:12], plan=plan))
    return told


def _what_the_look_said(account: Account) -> list[str]:
    seen = account.seen
    if not seen.asked_at:
        return [_("The repositories have not been asked yet.")]
    told = [_("The repositories were asked last at {time}.").format(time=_instant(seen.asked_at))]
    if seen.refusal:
        text = _("What they said was refused: {refusal}.")
        told.append(text.format(refusal=seen.refusal))
        if seen.answered_at:
            told.append(_("They last gave a plan that held at {time}.").format(time=_instant(seen.answered_at)))
    if seen.remark:
        told.append(_("Noticed: {remark}.").format(remark=seen.remark))
    if seen.next_at:
        told.append(_("They are asked again at {time}.").format(time=_instant(seen.next_at)))
    return told


def _instant(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
