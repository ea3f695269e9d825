"""`wayside ota fleet`: which devices there are, what they run, who is silent or stuck; and where they come from."""

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drivers.text import _
from ota.campaign.config import read_config
from tools.output import Exit, fail, print_json, print_line, say
from tools.rollouts.office import (
    DEFAULT,
    ConfigOption,
    DryRunOption,
    JsonOption,
    Office,
    is_missing,
    opened,
    refusals,
)
from tools.rollouts.tables import add_row, at_work, date_of, print_some, print_table, table_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tools.rollouts.fleet_file import FleetFile

STUCK_S = 86_400
"""A device that was told so long ago, and neither took it nor failed."""


def fleet(
    context: typer.Context,
    config: ConfigOption = DEFAULT,
    silent_hours: Annotated[
        float, typer.Option("--silent", metavar="HOURS", min=0.1, help=_("not heard of for"))
    ] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Show the fleet: how many run which version, who is silent, who is stuck in a campaign and why."""
    if context.invoked_subcommand is not None:
        return
    with refusals(as_json=as_json), opened(config) as office, office.database.reading() as connection:
        from ota.campaign.store import devices

        known = devices.every(connection)
        stuck = _stuck(connection)
    now = int(time.time())
    versions: dict[str, dict[str, int]] = {}
    silent: list[dict[str, Any]] = []
    for one in known:
        version = one.device.version or one.device.targets.get("main", "") or "-"
        of_model = versions.setdefault(one.device.model, {})
        of_model[version] = of_model.get(version, 0) + 1
        if now - one.heard_at >= silent_hours * 3600:
            silent.append({"device": one.device.id, "heard_at": one.heard_at or None})
    if as_json:
        print_json({"devices": len(known), "versions": versions, "silent": silent, "stuck": stuck})
        return
    table = table_of(_("model"), _("version"), _("devices"))
    for model, of_model in sorted(versions.items()):
        for version, number in sorted(of_model.items()):
            add_row(table, model, version, f"{number}")
    if not known:
        say(_("there is no device yet: wayside ota fleet import"))
        return
    print_table(table)
    print_some(
        _("silent for {hours:g} hours and more: {number} of {all}").format(
            hours=silent_hours, number=len(silent), all=len(known)
        ),
        (f"  {one['device']}  {date_of(one['heard_at']) if one['heard_at'] else _('never heard')}" for one in silent),
        len(silent),
    )
    print_some(
        _("stuck: {number}").format(number=len(stuck)),
        (f"  {one['device']}  {one['campaign']}: {one['state']}: {one['reason']}" for one in stuck),
        len(stuck),
    )


def import_fleet(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_("a .csv, or .jsonl with a device a line"))],
    config: ConfigOption = DEFAULT,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say which devices there are: id, model, ecu.main, target.main, version, report_key; other columns are labels."""
    with refusals(as_json=as_json):
        from tools.rollouts.fleet_file import read_fleet

        settings = read_config(config)
        try:
            with at_work(_("reading {file}").format(file=file)):
                said = read_fleet(file)
        except OSError as error:
            fail(f"{file}: {error.strerror}", Exit.USAGE, as_json=as_json)
        if dry_run and is_missing(settings):
            added, changed = len(said.devices), 0
        else:
            with opened(config, makes_database=True) as office, at_work(_("comparing with the fleet")):
                added, changed = _put(office, said, dry_run=dry_run)
    if as_json:
        print_json({"ok": True, "dry_run": dry_run, "added": added, "changed": changed})
    else:
        print_line(_("{added} added, {changed} changed").format(added=added, changed=changed))
        if dry_run:
            say(_("a dry run: nothing has changed"))


def remove(
    names: Annotated[list[str], typer.Argument(metavar="DEVICE...", help=_("devices that are no more"))],
    config: ConfigOption = DEFAULT,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forget devices, with their plans and reports; the trail keeps what was done with them."""
    removed: list[str] = []
    with refusals(as_json=as_json), opened(config) as office:
        from ota.campaign.rules import CampaignError
        from ota.campaign.store import devices, trail

        with suppress(_DryRunError), office.database.transaction() as connection:
            removed = devices.remove(connection, names)
            if missing := sorted(set(names) - set(removed)):
                raise CampaignError(f"device: {missing[0]}: no device of this name is in the fleet")
            if dry_run:
                raise _DryRunError
            trail.append(connection, at=int(time.time()), who=trail.OPERATOR, what="removed", devices=removed)
    if as_json:
        print_json({"ok": True, "dry_run": dry_run, "removed": removed})
    else:
        print_line(_("{number} removed").format(number=len(removed)))
        if dry_run:
            say(_("a dry run: nothing has changed"))


class _DryRunError(Exception):
    """Takes back what a dry run has written."""


def _put(office: Office, said: "FleetFile", *, dry_run: bool) -> tuple[int, int]:
    """How many were added and changed, or would be."""
    from ota.campaign.store import devices

    counts = 0, 0
    with suppress(_DryRunError), office.database.transaction() as connection:
        counts = devices.put(connection, said.devices, said.keys, int(time.time()))
        if dry_run:
            raise _DryRunError
    return counts


def _stuck(connection: "Connection") -> list[dict[str, Any]]:
    """Devices that were told long ago, and neither took it nor said why not."""
    from ota.campaign.store import campaigns, courses, devices

    found = []
    for kept in campaigns.every(connection, campaigns.ACTIVE):
        slow = courses.in_states(connection, kept.campaign.name, ("told", "reached", "retrying", "reverting"), 10_000)
        late = [one for one in slow if time.time() - one.told_at > STUCK_S]
        known = devices.get(connection, [one.device for one in late])
        for one in late:
            account = known[one.device].account
            said = account.get("waits_for") or account.get("refusal") or one.reason or _("nothing was heard of it")
            facts = {"campaign": kept.campaign.name, "state": one.state, "told_at": one.told_at, "reason": str(said)}
            found.append({"device": one.device, **facts})
    return found
