"""`wayside ota fleet`: which devices there are, what they run, who is silent or stuck; and where they come from."""

import csv
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from drivers.text import _
from tools.output import Exit, fail, print_json, print_line
from tools.rollouts.office import DEFAULT, ConfigOption, DryRunOption, JsonOption, opened, refusals
from tools.rollouts.tables import date_of, print_some, print_table, table_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ota.campaign.selection import FleetDevice

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
    silent = []
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
            table.add_row(model, version, f"{number}")
    print_table(table)
    print_some(
        _("silent for {hours:g} hours and more: {number} of {all}").format(
            hours=silent_hours, number=len(silent), all=len(known)
        ),
        (f"  {one['device']}  {date_of(one['heard_at'])}" for one in silent),
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
    with refusals(as_json=as_json), opened(config) as office:
        from ota.campaign.store import devices

        wanted, keys = _read_fleet(file, as_json=as_json)
        if dry_run:
            with office.database.reading() as connection:
                there = devices.get(connection, [one.id for one in wanted])
            added, changed = (
                len(wanted) - len(there),
                sum(there[one.id].device != one for one in wanted if one.id in there),
            )
        else:
            with office.database.transaction() as connection:
                added, changed = devices.put(connection, wanted, keys, int(time.time()))
    if as_json:
        print_json({"ok": True, "dry_run": dry_run, "added": added, "changed": changed})
    else:
        print_line(_("{added} added, {changed} changed").format(added=added, changed=changed))


def remove(
    names: Annotated[list[str], typer.Argument(metavar="DEVICE...", help=_("devices that are no more"))],
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Forget devices, with their plans and reports; the trail keeps what was done with them."""
    with refusals(as_json=as_json), opened(config) as office:
        from ota.campaign.rules import CampaignError
        from ota.campaign.store import devices, trail

        with office.database.transaction() as connection:
            removed = devices.remove(connection, names)
            if missing := sorted(set(names) - set(removed)):
                raise CampaignError(f"device: {missing[0]}: no device of this name is in the fleet")
            trail.append(connection, at=int(time.time()), who=trail.OPERATOR, what="removed", devices=removed)
    if as_json:
        print_json({"ok": True, "removed": removed})
    else:
        print_line(_("{number} removed").format(number=len(removed)))


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


def _read_fleet(file: Path, *, as_json: bool) -> "tuple[list[FleetDevice], dict[str, str]]":
    devices: list[FleetDevice] = []
    keys: dict[str, str] = {}
    try:
        for row in _rows(file):
            device, key = _device(row)
            devices.append(device)
            if key:
                keys[device.id] = key
    except OSError as error:
        fail(f"{file}: {error.strerror}", Exit.USAGE, as_json=as_json)
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error) as error:
        fail(f"{file}: device {len(devices) + 1}: {error}", Exit.USAGE, as_json=as_json)
    return devices, keys


def _rows(file: Path) -> Iterable[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as opened_file:
        if file.suffix == ".csv":
            yield from csv.DictReader(opened_file, strict=True)
        else:
            for line in opened_file:
                yield msgspec.json.decode(line, type=dict[str, Any])


def _device(row: dict[str, Any]) -> "tuple[FleetDevice, str]":
    from ota.campaign.selection import FleetDevice

    body: dict[str, Any] = {"ecus": {}, "targets": {}, "labels": {}}
    for name, value in row.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise csv.Error("each column has a name, and each row a text for it")
        head, dot, tail = name.partition(".")
        if value and head in ("ecu", "target") and dot:
            body[f"{head}s"][tail] = value
        elif name in ("id", "model", "version"):
            body[name] = value
        elif value and name != "report_key":
            body["labels"][name] = value
    key = row.get("report_key", "")
    if key and (len(key) != 64 or not all(each in "0123456789abcdef" for each in key)):
        raise csv.Error("report_key: 64 hexadecimal digits are wanted")
    return msgspec.convert(body, FleetDevice), key
