"""`wayside ota campaign show|history`: how rollouts stand and who did what, for people and programs."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from drivers.text import _
from tools.output import Exit, print_json, print_line, say, visible
from tools.rollouts.office import DEFAULT, ConfigOption, JsonOption, opened, refusals
from tools.rollouts.tables import date_of, print_some, print_table, table_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ota.campaign.judge import Tally
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
        print_json({**_facts(kept), "approved": approved, "stages": _stages_json(kept, stages), "troubles": troubles})
        return
    _show_one(kept, stages, approved, troubles)


def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=_("of one campaign; else all of it"))] = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show who did what and why, and whether the trail is as it was written (exit 1 where it is not)."""
    with refusals(as_json=as_json), opened(config) as office, office.database.reading() as connection:
        from ota.campaign.store import trail

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
            print_line(visible(f"{who}  {facts}".rstrip()))
        if entries and broken is None:
            say(_("the trail holds; its last hash is {hash}").format(hash=entries[-1].hash))
    if broken is not None:
        say(_("the trail is broken: line {number} is not what was written").format(number=broken))
        raise typer.Exit(Exit.REFUSED)


def _show_all(every: "list[Kept]", *, as_json: bool) -> None:
    if as_json:
        print_json({"campaigns": [_facts(kept) for kept in every]})
        return
    table = table_of(_("campaign"), _("release"), _("state"), _("stage"), _("since"), _("why"))
    for kept in every:
        stage = f"{kept.stage + 1}/{len(kept.campaign.stage)}"
        since = date_of(kept.begun_at or kept.created_at)
        table.add_row(kept.campaign.name, kept.campaign.target, kept.state, stage, since, kept.reason)
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
    table = table_of(
        _("stage"), "%", _("model"), _("devices"), *(_(state) for state in _COLUMNS), _("back"), _("left out")
    )
    for number, of_stage in stages.items():
        for model, tally in of_stage.items():
            counts = [tally.of(state) for state in _COLUMNS]
            marker = ">" if number == kept.stage and kept.state in ("running", "paused") else ""
            back = tally.of("reverting", "reverted", "stranded")
            cells = [str(count or "") for count in (*counts, back, tally.of("cancelled"))]
            percent = f"{campaign.stage[number].percent:g}"
            table.add_row(f"{marker}{number + 1}", percent, model, str(tally.all), *cells)
    print_table(table)
    print_some(
        _("not as they should be: {number}").format(number=len(troubles)),
        (f"  {one['device']}  {one['model']}: {one['state']}: {one['rule']}: {one['reason']}" for one in troubles),
        len(troubles),
    )


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

    states = ("failed", "silent", "regressed", "stranded", "retrying")
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
