"""`wayside ota explain DEVICE --fleet FILE`: what a device runs, what it was told and why, from the operator's side."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.text import _
from tools.output import print_json, print_line, visible
from tools.rollouts.office import opened, refusals
from tools.rollouts.tables import date_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ota.campaign.course import Course
    from ota.campaign.store.devices import Known
    from ota.campaign.store.plans import Made

_REPORTS = 5


def explain_device(device: str, config: Path, *, as_json: bool) -> None:
    """In whole sentences."""
    with refusals(as_json=as_json), opened(config) as office, office.database.reading() as connection:
        sentences = _sentences(connection, device)
    if as_json:
        print_json({"device": device, "told": sentences})
        return
    for sentence in sentences:
        print_line(visible(sentence))


def _sentences(connection: "Connection", name: str) -> list[str]:
    from ota.campaign.rules import CampaignError
    from ota.campaign.store import campaigns, courses, devices, plans, reports

    known = devices.get(connection, [name]).get(name)
    if known is None:
        raise CampaignError(f"device: {name}: no device of this name is in the fleet")
    made = plans.latest(connection, [name]).get(name)
    told = [_known(known), *_planned(made)]
    every = {kept.campaign.name: kept for kept in campaigns.every(connection)}
    for campaign, course in courses.of_devices(connection, [name], campaigns.EVERY):
        kept = every[campaign]
        text = _("Campaign {campaign} is {state}; this device is in stage {stage} of {all}, and {what}.")
        told.append(
            text.format(
                campaign=campaign,
                state=kept.state,
                stage=course.stage + 1,
                all=len(kept.campaign.stage),
                what=_in_words(course),
            )
        )
        if course.state == "waiting" and kept.reason:
            told.append(_("The campaign says: {reason}.").format(reason=kept.reason))
    told += _said(known.account)
    for _index, report in zip(range(_REPORTS), reports.of_device(connection, name), strict=False):
        text = _("It reported {at}: plan {plan} {outcome}.")
        told.append(text.format(at=date_of(report.at), plan=report.plan, outcome=report.outcome))
    return told


def _known(known: "Known") -> str:
    target = known.device.targets.get("main", "") or _("something that is not known")
    heard = date_of(known.heard_at) if known.heard_at else _("never")
    text = _("{device} is a {model} and runs {target}; it was heard last: {heard}.")
    return text.format(device=known.device.id, model=known.device.model, target=target, heard=heard)


def _planned(made: "Made | None") -> list[str]:
    if made is None:
        return [_("There is no plan for it yet.")]
    what = ", ".join(f"{ecu}: {one.target}" for ecu, one in made.plan.ecus.items())
    if made.plan.is_cancelled:
        what = _("nothing new: what was under way is cancelled")
    text = _("Its newest plan is number {number}, made {at} by {campaign}: {what}.")
    return [text.format(number=made.plan.number, at=date_of(made.made_at), campaign=made.campaign, what=what)]


def _in_words(course: "Course") -> str:
    words = {
        "waiting": _("waits for its turn"),
        "told": _("was told {at} and has not answered"),
        "reached": _("knows its plan since {at}"),
        "retrying": _("will be told again {next}: {rule}: {reason}"),
        "confirmed": _("has confirmed {ended} and is still watched"),
        "good": _("is done"),
        "failed": _("failed {ended}: {rule}: {reason}"),
        "silent": _("is silent: {reason}"),
        "regressed": _("is worse off than before: {reason}"),
        "cancelled": _("was left out"),
        "reverting": _("is on its way back to {before}"),
        "reverted": _("went back to {before}"),
        "stranded": _("could not be sent back: {reason}"),
    }
    return words[course.state].format(
        at=date_of(course.told_at),
        next=date_of(course.next_at),
        ended=date_of(course.ended_at),
        rule=course.rule,
        reason=course.reason,
        before=course.before,
    )


def _said(account: dict[str, Any]) -> list[str]:
    """What the device itself says of why it does or does not."""
    told = []
    for key, text in (
        ("waits_for", _("It says that it waits: {reason}.")),
        ("refusal", _("It says that it refuses: {reason}.")),
    ):
        if reason := account.get(key):
            told.append(text.format(reason=reason))
    return told
