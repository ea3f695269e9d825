"""What is heard of devices into what is known of them and of their courses; the same heard twice changes nothing."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from ota.campaign import course as courses_of
from ota.campaign.course import Course, Vitals
from ota.campaign.engine.heard import Account, Answer, Heard, Look, Reported, Sign
from ota.campaign.engine.planning import targets_of
from ota.campaign.retry import DEFAULTS
from ota.campaign.rules import Campaign
from ota.campaign.store import campaigns, courses, devices, plans, reports
from ota.campaign.store.campaigns import ACTIVE
from ota.campaign.store.devices import Known
from ota.campaign.store.plans import command_id
from ota.errors import OtaError
from ota.reports import Report, read_report
from ota.targets import Plan

PASSING = frozenset(DEFAULTS)
"""Rules by which a device refuses today what it takes tomorrow: it asks again by itself."""
UNANSWERED = frozenset({"told", "reverting"})
"""What a device was told may have gone to nobody, when it had no session at the broker: its birth tells that it has."""
MAX_NUMBER = 1 << 30
"""Of a plan that is believed to have been taken: what a device says may stop its own updates and no more."""
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
        self.refused: list[Refused] = []

    def take(self, heard: Sequence[Heard]) -> int:
        """How many courses are in another state now."""
        self._load({one.device for one in heard})
        for one in heard:
            if one.device in self._known:
                self._take(one)
            else:
                self.refused.append(Refused(device=one.device, reason="no device of this fleet"))
        return self._save()

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
        known = self._known[one.device]
        last = known.looks.last or Vitals(at=0)
        starts = last.starts if one.starts is None else one.starts
        records = last.records if one.records is None else one.records
        vitals = Vitals(at=one.at, starts=starts, records=records)
        self._known[one.device] = known._replace(looks=known.looks.with_(vitals))
        self._each(one.device, lambda campaign, course: courses_of.watched(campaign, course, vitals))
        is_birth = one.starts is not None
        if is_birth and any(each.state in UNANSWERED for each in self._courses.get(one.device, {}).values()):
            plans.send_again(self._connection, one.device, known.plan, before=one.at)

    def _answer(self, one: Answer) -> None:
        plan = self._plans.get(one.device)
        if plan is not None and one.command == command_id(plan):
            self._each(one.device, lambda _campaign, course: courses_of.reached(course, plan.number, one.at))

    def _account(self, one: Account) -> None:
        known = self._known[one.device]
        account, before = one.account, known.account
        if account == before:
            return
        self._known[one.device] = known._replace(account=account, plan=max(known.plan, _number_taken(account)))
        plan = self._plans.get(one.device)
        if plan is None:
            return
        number, has_taken = account.get("plan"), account.get("has_taken")
        rule, reason = str(account.get("rule", "")), str(account.get("reason", ""))
        if plan.number in (number, has_taken):
            self._each(one.device, lambda _campaign, course: courses_of.reached(course, plan.number, one.at))
        if number == plan.number:
            outcome = str(account.get("outcome", "")).replace(" ", "-")
            self._ended(one.device, plan.number, outcome, one.at, rule, reason)
        elif has_taken == plan.number:  # it ran all of it already: there was no attempt
            self._ended(one.device, plan.number, "confirmed", one.at, "", "")
        elif account.get("refusal") and account["refusal"] != before.get("refusal"):
            self._refusal(one, plan.number, str(account.get("refusal_rule", "")), str(account["refusal"]))

    def _refusal(self, one: Account, number: int, rule: str, reason: str) -> None:
        """It does not take what it was given, and asking again would not change that.

        A refusal names no plan: it counts where it is new, and the device has told us before that it knows its plan.
        """
        if not rule or rule in PASSING:
            return
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
            self.refused.append(Refused(device=one.device, reason=str(error)))
            return
        kept = reports.Kept(one.device, report.attempt, report.plan, report.outcome, one.at, one.line, one.log)
        if reports.put(self._connection, kept):
            self._ended(one.device, report.plan, report.outcome, one.at, report.rule, report.reason)

    def _read(self, known: Known, one: Reported) -> Report:
        if not known.report_key:
            raise OtaError("signature: its report key is not known here")
        report = read_report(
            one.line.encode("utf-8", "surrogatepass"),
            lambda signature, data: self._verify(known.report_key, signature, data),
        )
        if report.device != one.device:
            raise OtaError(f"signature: a report of {report.device} came from {one.device}")
        return report

    def _ended(self, device: str, number: int, outcome: str, at: int, rule: str, reason: str) -> None:
        if outcome not in _OUTCOMES:
            return
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


def _slots(account: dict[str, Any]) -> list[dict[str, Any]]:
    slots = account.get("slots")
    return [one for one in slots if isinstance(one, dict)] if isinstance(slots, list) else []


def _confirmed_of(account: dict[str, Any]) -> tuple[str, str | None]:
    """Version and hash of what runs; nothing where it does not say."""
    for one in _slots(account):
        if one.get("is_confirmed") is True:
            version, sha256 = one.get("version"), one.get("sha256")
            is_hash = isinstance(sha256, str) and len(sha256) == 64
            return (version if isinstance(version, str) else ""), (sha256 if is_hash else None)
    return "", None
