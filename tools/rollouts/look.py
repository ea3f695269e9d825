"""`wayside ota campaign show|history`: how rollouts stand and who did what, for people and programs."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from drivers.text import _
from ota.errors import printable
from tools.output import Exit, print_json, print_line, say, visible
from tools.rollouts.office import DEFAULT, ConfigOption, JsonOption, opened, refusals
from tools.rollouts.tables import add_row, date_of, print_some, print_table, span_of, table_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ota.campaign.course import State
    from ota.campaign.judge import Tally
    from ota.campaign.rules import Campaign
    from ota.campaign.store.campaigns import Kept

_COLUMNS: tuple[Any, ...] = (
    "waiting",
    "told",
    "reached",
    "retrying",
    "confirmed",
    "good",
    "failed",
    "silent",
    "regressed",
)


def show(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=_("one campaign; else all of them"))] = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show how a campaign stands, stage by stage; without a name, every campaign in a line."""
    with refusals(as_json=as_json), opened(config) as office, office.database.reading() as connection:
        from ota.campaign.rules import CampaignError
        from ota.campaign.store import campaigns

        if name is None:
            _show_all(campaigns.every(connection), as_json=as_json)
            return
        kept = campaigns.get(connection, name)
        if kept is None:
            raise CampaignError(f"name: {name}: there is no campaign of this name")
        stages = campaigns.by_stage(connection, name)
        approved = campaigns.approvals(connection, name)
        troubles = _troubles(connection, name)
    if as_json:
        more = {"approved": approved, "stages": _stages_json(kept, stages), "troubles": troubles}
        print_json({**_facts(kept), "campaign": kept.campaign, **more})
        return
    _show_one(kept, stages, approved, troubles)


def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=_("of one campaign; else all of it"))] = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show who did what and why, and whether the trail is as it was written (exit 1 where it is not)."""
    with refusals(as_json=as_json), opened(config) as office, office.database.reading() as connection:
        from ota.campaign.rules import CampaignError
        from ota.campaign.store import campaigns, trail

        if name is not None and campaigns.get(connection, name) is None:
            raise CampaignError(f"name: {name}: there is no campaign of this name")
        entries = list(trail.read(connection, name))
        broken = trail.first_break(connection)
    if as_json:
        print_json({"ok": broken is None, "broken_at": broken, "entries": entries})
    else:
        for entry in entries:
            facts = ", ".join(
                f"{key} {_brief(value)}"
                for key, value in entry.facts.items()
                if key not in ("signed", "signature") and value not in ("", [], {})
            )
            who = f"{date_of(entry.at)}  {entry.seq:>5}  {entry.who:<12} {entry.what:<16} {entry.campaign}"
            print_line(printable(f"{who}  {facts}".rstrip()))
        if entries and broken is None:
            say(_("the trail holds; its last hash is {hash}").format(hash=entries[-1].hash))
    if broken is not None:
        say(_("the trail is broken: line {number} is not what was written").format(number=broken))
        raise typer.Exit(Exit.REFUSED)


def _show_all(every: "list[Kept]", *, as_json: bool) -> None:
    if as_json:
        print_json({"campaigns": [_facts(kept) for kept in every]})
        return
    if not every:
        say(_("there is no campaign yet"))
        return
    table = table_of(_("campaign"), _("release"), _("state"), _("stage"), _("since"), _("why"))
    for kept in every:
        stage = f"{kept.stage + 1}/{len(kept.campaign.stage)}"
        since = date_of(kept.begun_at or kept.created_at)
        add_row(table, kept.campaign.name, kept.campaign.target, kept.state, stage, since, kept.reason)
    print_table(table)


def _show_one(
    kept: "Kept", stages: "dict[int, dict[str, Tally]]", approved: dict[str, int], troubles: list[dict[str, Any]]
) -> None:
    campaign = kept.campaign
    print_line(
        visible(f"{campaign.name}: {campaign.target}: {kept.state}" + (f": {kept.reason}" if kept.reason else ""))
    )
    names = ", ".join(f"{who} ({date_of(at)})" for who, at in approved.items()) or _("nobody yet")
    text = _("made by {author} {at}; approved by {names}; content {digest}")
    print_line(text.format(author=kept.author, at=date_of(kept.created_at), names=names, digest=kept.digest[:16]))
    if kept.guilty:
        print_line(_("sent back: {models}").format(models=", ".join(kept.guilty)))
    for line in _content(campaign):
        print_line(visible(line))
    if stages:
        _print_stages(kept, stages)
    print_some(
        _("not as they should be: {number}").format(number=len(troubles)),
        (f"  {one['device']}  {one['model']}: {one['state']}: {one['rule']}: {one['reason']}" for one in troubles),
        len(troubles),
    )


def _content(campaign: "Campaign") -> list[str]:
    """What a second person puts his name to; `--json` has all of it."""
    stages = "; ".join(
        _("{percent:g} %, watched for {soak}").format(percent=each.percent, soak=span_of(each.soak_s))
        for each in campaign.stage
    )
    gate, window = campaign.gate, campaign.when.window
    tolerated = _("tolerated: {share:g} % failed; else {on_failure}")
    when = _("at any time") if window is None else _("from {begin} to {end}").format(begin=window.from_, end=window.to)
    local = ", ".join([when, *campaign.when.local])
    return [
        _("for: {terms}").format(terms=" and ".join(campaign.where) or _("the whole fleet")),
        _("stages: {stages}").format(stages=stages),
        tolerated.format(share=100 * gate.tolerated, on_failure=gate.on_failure),
        _("devices take it {when}").format(when=local),
    ]


def _print_stages(kept: "Kept", stages: "dict[int, dict[str, Tally]]") -> None:
    """With those columns only in which there is anything."""
    states: list[tuple[str, tuple[Any, ...]]] = [(_(state), (state,)) for state in _COLUMNS]
    states += [(_("back"), ("reverting", "reverted", "stranded")), (_("left out"), ("cancelled",))]
    tallies = [tally for of_stage in stages.values() for tally in of_stage.values()]
    shown = [(name, of) for name, of in states if any(tally.of(*of) for tally in tallies)]
    table = table_of(_("stage"), "%", _("model"), _("devices"), *(name for name, _of in shown))
    for number, of_stage in stages.items():
        for model, tally in of_stage.items():
            marker = ">" if number == kept.stage and kept.state in ("running", "paused") else ""
            percent = f"{kept.campaign.stage[number].percent:g}"
            cells = [str(tally.of(*of) or "") for _name, of in shown]
            add_row(table, f"{marker}{number + 1}", percent, model, str(tally.all), *cells)
    print_table(table)


def _facts(kept: "Kept") -> dict[str, Any]:
    return {
        "name": kept.campaign.name,
        "target": kept.campaign.target,
        "state": kept.state,
        "stage": kept.stage + 1,
        "stages_in_all": len(kept.campaign.stage),
        "reason": kept.reason,
        "sent_back": kept.guilty,
        "author": kept.author,
        "created_at": kept.created_at,
        "begun_at": kept.begun_at,
        "digest": kept.digest,
    }


def _stages_json(kept: "Kept", stages: "dict[int, dict[str, Tally]]") -> list[dict[str, Any]]:
    return [
        {
            "stage": number + 1,
            "percent": kept.campaign.stage[number].percent,
            "models": {model: {"devices": one.all, **one.states, "rules": one.rules} for model, one in of.items()},
        }
        for number, of in stages.items()
    ]


def _troubles(connection: "Connection", name: str) -> list[dict[str, Any]]:
    from ota.campaign.store import courses

    states: tuple[State, ...] = ("failed", "silent", "regressed", "stranded", "retrying")
    found = courses.in_states(connection, name, states, 1000)
    found += [one for one in courses.in_states(connection, name, ("reverting", "reverted"), 1000) if one.rule]
    return [
        {"device": one.device, "model": one.model, "state": one.state, "rule": one.rule, "reason": one.reason}
        for one in found
    ]


def _brief(value: Any) -> str:
    if isinstance(value, dict | list):
        return (
            _("{number} devices").format(number=len(value)) if len(value) > 3 else msgspec.json.encode(value).decode()
        )
    return str(value)
