"""What is heard of devices into what is known of them and of their courses; the same heard twice changes nothing.

Whatever a device says may be false, or nonsense: what no well device says is refused, and the rest of the batch holds.
Nothing is written that a database would not take: one that did not would refuse the whole batch, again and again.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from ota.campaign import course as courses_of
from ota.campaign.course import MAX_REASON_CHARS, Course, Vitals
from ota.campaign.engine.heard import Account, Answer, Heard, Look, Reported, Sign
from ota.campaign.engine.planning import targets_of
from ota.campaign.retry import DEFAULTS
from ota.campaign.rules import Campaign
from ota.campaign.store import campaigns, courses, devices, plans, reports
from ota.campaign.store.campaigns import ACTIVE
from ota.campaign.store.devices import Known
from ota.campaign.store.plans import command_id
from ota.errors import OtaError, printable
from ota.reports import MAX_LOG_BYTES, Report, read_report
from ota.targets import Plan

PASSING = frozenset(DEFAULTS)
"""Rules by which a device refuses today what it takes tomorrow: it asks again by itself."""
UNANSWERED = frozenset({"told", "reverting"})
"""What a device was told may have gone to nobody, when it had no session at the broker: its birth tells that it has."""
MAX_NUMBER = 1 << 30
"""Of a plan that is believed to have been taken: what a device says may stop its own updates and no more."""
MAX_ACCOUNT_BYTES = 16 * 1024
MAX_ACCOUNT_DEPTH = 8
MAX_STARTS, MAX_RECORDS = 10**9, 1 << 53
"""What is above them no device has counted."""
_DEVICE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RULE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
UNKNOWN = "unknown"
"""In the place of a rule that is no word."""
_OUTCOMES = frozenset({"confirmed", "rolled-back", "failed", "cancelled", "refused"})
VerifyBy = Callable[[str, bytes, bytes], bool]
"""Whether (public key in hexadecimal, signature, bytes) is so."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was heard and is not believed, for a log."""

    device: str
    reason: str


class Intake:
    """One batch in one transaction."""

    def __init__(self, connection: Connection, verify: VerifyBy) -> None:
        self._connection = connection
        self._verify = verify
        self._known: dict[str, Known] = {}
        self._plans: dict[str, Plan] = {}
        self._courses: dict[str, dict[str, Course]] = {}
        """By device, by campaign."""
        self._campaigns: dict[str, Campaign] = {}
        self._before: dict[tuple[str, str], Course] = {}
        self._again: dict[str, int] = {}
        self.refused: list[Refused] = []

    def take(self, heard: Sequence[Heard]) -> int:
        """How many courses are in another state now."""
        self._load({one.device for one in heard if _DEVICE.fullmatch(one.device)})
        for one in heard:
            if one.device in self._known:
                self._take(one)
            else:
                self._refuse(one, "no device of this fleet")
        return self._save()

    def _refuse(self, one: Heard, reason: str) -> None:
        self.refused.append(Refused(device=_line(one.device, 64), reason=_line(reason)))

    def _load(self, ids: set[str]) -> None:
        self._known = devices.get(self._connection, ids, is_locked=True)
        self._plans = {name: made.plan for name, made in plans.latest(self._connection, self._known).items()}
        for name, one in courses.of_devices(self._connection, self._known, ACTIVE):
            self._courses.setdefault(one.device, {})[name] = one
            self._before[name, one.device] = one
            if name not in self._campaigns:
                kept = campaigns.get(self._connection, name)
                assert kept is not None, "the query joined it"
                self._campaigns[name] = kept.campaign

    def _save(self) -> int:
        devices.save(self._connection, self._known.values())
        plans.send_again(self._connection, self._again)
        changed = 0
        for name, campaign in self._campaigns.items():
            now = [mine[name] for mine in self._courses.values() if name in mine]
            moved = [one for one in now if _is_other(one, self._before[name, one.device])]
            courses.save(self._connection, campaign, moved)
            changed += sum(one.state != self._before[name, one.device].state for one in moved)
        return changed

    def _take(self, one: Heard) -> None:
        known = self._known[one.device]
        if one.is_fresh and one.at > known.heard_at:
            self._known[one.device] = known._replace(heard_at=one.at)
            self._each(one.device, lambda campaign, course: _alive(campaign, course, one.at))
        match one:
            case Look():
                self._look(one)
            case Answer():
                self._answer(one)
            case Account():
                self._account(one)
            case Reported():
                self._report(one)
            case Sign():
                pass

    def _each(self, device: str, move: Callable[[Campaign, Course], Course]) -> None:
        mine = self._courses.get(device, {})
        for name, course in mine.items():
            mine[name] = move(self._campaigns[name], course)

    def _look(self, one: Look) -> None:
        """What it did not say is as it was: a birth has no counter of records, a round of health none of starts."""
        if not (_is_count(one.starts, MAX_STARTS) and _is_count(one.records, MAX_RECORDS)):
            self._refuse(one, "its counters are no numbers of starts and records")
            return
        known = self._known[one.device]
        last = known.looks.last or Vitals(at=0)
        starts = last.starts if one.starts is None else one.starts
        records = last.records if one.records is None else one.records
        vitals = Vitals(at=one.at, starts=starts, records=records)
        self._known[one.device] = known._replace(looks=known.looks.with_(vitals))
        self._each(one.device, lambda campaign, course: courses_of.watched(campaign, course, vitals))
        is_birth = one.starts is not None
        if is_birth and any(each.state in UNANSWERED for each in self._courses.get(one.device, {}).values()):
            plan = self._plans.get(one.device)
            if plan is not None:
                self._again[command_id(plan)] = one.at

    def _answer(self, one: Answer) -> None:
        plan = self._plans.get(one.device)
        if plan is not None and one.command == command_id(plan):
            self._each(one.device, lambda _campaign, course: courses_of.reached(course, plan.number, one.at))

    def _account(self, one: Account) -> None:
        if reason := _why_no_account(one.account):
            self._refuse(one, reason)
            return
        known = self._known[one.device]
        account, before = one.account, known.account
        if account == before:
            return
        self._known[one.device] = known._replace(account=account, plan=max(known.plan, _number_taken(account)))
        plan = self._plans.get(one.device)
        if plan is None:
            return
        number, has_taken = account.get("plan"), account.get("has_taken")
        rule, reason = _text(account, "rule"), _text(account, "reason")
        if plan.number in (number, has_taken):
            self._each(one.device, lambda _campaign, course: courses_of.reached(course, plan.number, one.at))
        if number == plan.number:
            outcome = _text(account, "outcome").replace(" ", "-")
            self._ended(one.device, plan.number, outcome, one.at, rule, reason)
        elif has_taken == plan.number:  # it ran all of it already: there was no attempt
            self._ended(one.device, plan.number, "confirmed", one.at, "", "")
        elif account.get("refusal") and account["refusal"] != before.get("refusal"):
            self._refusal(one, plan.number, _text(account, "refusal_rule"), _text(account, "refusal"))

    def _refusal(self, one: Account, number: int, rule: str, reason: str) -> None:
        """It does not take what it was given, and asking again would not change that.

        A refusal names no plan: it counts where it is new, and the device has told us before that it knows its plan.
        """
        if not rule or rule in PASSING:
            return
        rule, reason = _rule(rule), _line(reason)
        for name, course in self._courses.get(one.device, {}).items():
            if course.state == "reached":
                campaign = self._campaigns[name]
                ended = courses_of.ended(campaign, course, number, "refused", one.at, rule, reason)
                self._courses[one.device][name] = ended

    def _report(self, one: Reported) -> None:
        known = self._known[one.device]
        try:
            report = self._read(known, one)
        except OtaError as error:
            self._refuse(one, str(error))
            return
        log = one.log[-MAX_LOG_BYTES:].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        kept = reports.Kept(one.device, report.attempt, report.plan, report.outcome, one.at, one.line, log)
        if reports.put(self._connection, kept):
            self._ended(one.device, report.plan, report.outcome, one.at, report.rule, report.reason)

    def _read(self, known: Known, one: Reported) -> Report:
        if not known.report_key:
            raise OtaError("signature: its report key is not known here")
        try:
            line = one.line.encode()
        except UnicodeEncodeError as error:
            raise OtaError("format: a report that is no Unicode") from error
        report = read_report(
            line,
            lambda signature, data: self._verify(known.report_key, signature, data),
        )
        if report.device != one.device:
            raise OtaError(f"signature: a report of {report.device} came from {one.device}")
        return report

    def _ended(self, device: str, number: int, outcome: str, at: int, rule: str, reason: str) -> None:
        if outcome not in _OUTCOMES:
            return
        rule, reason = _rule(rule), _line(reason)
        plan = self._plans.get(device)
        if outcome == "confirmed" and plan is not None and plan.number == number:
            known = self._known[device]
            targets = {**known.device.targets, **targets_of(plan, known.device.ecus)}
            version, sha256 = _confirmed_of(known.account)
            told = msgspec.structs.replace(
                known.device, targets=targets, version=version or known.device.version, sha256=sha256
            )
            self._known[device] = known._replace(device=told)
        self._each(
            device,
            lambda campaign, course: courses_of.ended(campaign, course, number, outcome, at, rule, reason),
        )


def _number_taken(account: dict[str, Any]) -> int:
    """The highest plan that it has taken, whoever made it: the next one must be above. Nothing where that is absurd."""
    number = account.get("has_taken")
    return number if isinstance(number, int) and 0 < number < MAX_NUMBER else 0


def _alive(campaign: Campaign, course: Course, at: int) -> Course:
    """Heard of, and with that perhaps at the end of the watch over it."""
    return courses_of.passed(campaign, courses_of.heard(course, at), at)


def _is_other(now: Course, before: Course) -> bool:
    """When it was heard is kept with the device."""
    return now is not before and now != msgspec.structs.replace(before, heard_at=now.heard_at)


def _is_count(value: object, most: int) -> bool:
    return value is None or (type(value) is int and 0 <= value <= most)


def _why_no_account(account: dict[str, Any]) -> str:
    if not _is_shallow(account, MAX_ACCOUNT_DEPTH):
        return "an account that is nested too deeply"
    try:
        size = len(msgspec.json.encode(account))
    except (ValueError, TypeError, OverflowError):  # no Unicode, too long a number
        return "an account that cannot be written down"
    return "" if size <= MAX_ACCOUNT_BYTES else f"an account of {size} bytes"


def _is_shallow(value: object, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_shallow(each, depth - 1) for each in inner)


def _text(account: dict[str, Any], name: str) -> str:
    value = account.get(name)
    return value if isinstance(value, str) else ""


def _rule(rule: str) -> str:
    return rule if not rule or _RULE.fullmatch(rule) else UNKNOWN


def _line(text: str, length: int = MAX_REASON_CHARS) -> str:
    """In one line that any file, database and terminal takes."""
    return printable(text[:length])[:length]


def _slots(account: dict[str, Any]) -> list[dict[str, Any]]:
    slots = account.get("slots")
    return [one for one in slots if isinstance(one, dict)] if isinstance(slots, list) else []


def _confirmed_of(account: dict[str, Any]) -> tuple[str, str | None]:
    """Version and hash of what runs; nothing where it does not say."""
    for one in _slots(account):
        if one.get("is_confirmed") is True:
            version, sha256 = one.get("version"), one.get("sha256")
            is_hash = isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256) is not None
            return (_line(version, 64) if isinstance(version, str) else ""), (sha256 if is_hash else None)
    return "", None
