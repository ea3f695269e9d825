"""`wayside ota status|explain|run|setup`: updates on a device, for the technician beside it.

status and explain only read; run does what the gateway's supervisor does every hour.
"""

import os
import secrets
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from drivers.text import _
from ota.errors import OtaError, RefusedError
from tools.output import Exit, fail, print_json, print_line, say

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help=_("the device's update.toml"))]
JsonOption = Annotated[bool, typer.Option("--json", help=_("plain data for programs"))]
SLOT_VARIABLE = "WAYSIDE_SLOT"
"""What the launcher says of the slot that it has started."""
AUDIT_LINES = 20


class Slot(Enum):
    """The slots of a device."""

    A = "a"
    B = "b"


def status(config: ConfigArgument, *, as_json: JsonOption = False) -> None:
    """Show what runs, what waits and what was refused."""
    account = _account(config, as_json=as_json)
    if as_json:
        print_json(account)
        return
    if not account.is_set_up:
        from ota.agent.account import explained

        for sentence in explained(account):
            print_line(sentence)
        return
    table = Table(box=None, header_style="bold")
    for name in ("slot", "version", "counter", "target", "state"):
        table.add_column(name)
    for slot in account.slots:
        state = _("confirmed") if slot.is_confirmed else _("on trial") if slot.is_on_trial else ""
        table.add_row(slot.slot, slot.version or "-", str(slot.counter or "-"), slot.target or _("empty"), state)
    console = Console(highlight=False, width=160)
    with console.capture() as captured:
        console.print(table)
    print_line(captured.get().rstrip())
    print_line(_("update: {state}  plan: {plan}").format(state=account.state, plan=account.plan or "-"))
    for label, text in ((_("waits"), account.seen.waits_for), (_("refused"), account.seen.refusal)):
        if text:
            print_line(f"{label}: {text}")


def explain(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help=_("the device's update.toml; with --fleet, the device's name"))
    ],
    *,
    fleet: Annotated[
        Path | None,
        typer.Option("--fleet", metavar="FILE", help=_("ask the operator's side instead: its rollouts.toml")),
    ] = None,
    as_json: JsonOption = False,
    log: Annotated[bool, typer.Option("--log", help=_("also the last lines of the audit trail"))] = False,
) -> None:
    """Say in words why an update was taken or not."""
    if fleet is not None:
        from tools.rollouts.explain import explain_device

        explain_device(str(config), fleet, as_json=as_json)
        return
    from ota.agent.account import explained, read_audit

    account = _account(config, as_json=as_json)
    trail = read_audit(_config(config, as_json=as_json), AUDIT_LINES) if log else []
    if as_json:
        print_json({"told": explained(account), **({"log": trail} if log else {})})
        return
    for sentence in explained(account):
        print_line(sentence)
    for line in trail:
        print_line(_fact(line))


def run(
    config: ConfigArgument,
    *,
    now: Annotated[bool, typer.Option("--now", help=_("ask the repositories, whenever they were asked last"))] = False,
    stick: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help=_("read a bundle instead of the network"))
    ] = None,
    slot: Annotated[Slot | None, typer.Option(help=_("the slot that runs, where no launcher has said so"))] = None,
    as_json: JsonOption = False,
) -> None:
    """Take updates as far as they go; the exit code says what comes next (0, 10: soon again, 11: restart)."""
    from ota.agent.account import confirmed_slot, read_account
    from ota.agent.agent import UpdateAgent
    from ota.hawkbit.run import run as run_steered

    settings = _config(config, as_json=as_json)
    talk = _quiet if as_json else say
    try:
        running = (slot and slot.value) or os.environ.get(SLOT_VARIABLE) or confirmed_slot(settings)
        if settings.hawkbit is not None and stick is None:
            end = run_steered(settings, running=running, is_forced=now, say=talk)
        else:
            agent = UpdateAgent(settings, running=running, stick=stick, say=talk)
            end = agent.run(is_forced=now or stick is not None)
        if as_json:
            print_json({"end": end.name.lower(), "state": read_account(settings).state})
    except OtaError as error:
        fail(str(error), Exit.REFUSED, as_json=as_json)
    raise typer.Exit(int(end))


def setup(
    config: ConfigArgument,
    image: Annotated[Path, typer.Argument(help=_("the image of the release that the device is made with"))],
    *,
    target: Annotated[str, typer.Option(help=_("its name in the image repository: rsu/gateway/1.0.0.tar"))],
    counter: Annotated[
        int | None,
        typer.Option(min=0, help=_("its release counter, where the slots are RAUC's; else the image says it")),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the first image into slot a and make the device's key: at the bench, once.

    Where the slots are RAUC's, the system that runs is taken as it was flashed, out of the bundle that IMAGE is.
    """
    from ota.agent.own_slots import first_slots
    from ota.slots.lock import record_lock
    from ota.slots.setup import set_up
    from ota.storage import PosixStorage

    settings = _config(config, as_json=as_json)
    if (settings.rauc is None) is not (counter is None):
        fail(_("--counter goes with [rauc] in the file, and only with that"), Exit.USAGE, as_json=as_json)
    try:
        data = image.read_bytes()
    except OSError as error:
        fail(f"{image}: {error.strerror}", Exit.USAGE, as_json=as_json)
    folder = settings.path(settings.data)
    storage = PosixStorage(folder)
    try:
        storage.open()
        first = first_slots(settings, storage, image, target, counter)
        set_up(
            storage,
            partial(secrets.token_bytes, 32),
            lock=partial(record_lock, folder),
            installer_of=first.installer_of,
            trailer=first.trailer,
            pieces=[data],
        )
    except RefusedError as error:
        fail(str(error), Exit.REFUSED, as_json=as_json)
    except OtaError as error:
        fail(str(error), as_json=as_json)
    text = _("{folder}: slot a holds version {version}; started by: python -m ota.launcher {folder}")
    if settings.rauc is not None:
        text = _("{folder}: slot a, RAUC's {name}, holds version {version}; started by its bootloader")
    name = "" if settings.rauc is None else settings.rauc.a
    say(text.format(folder=folder, version=first.trailer.version, name=name))


def _account(config: Path, *, as_json: bool) -> Any:  # of a module that is loaded when it is needed
    from ota.agent.account import read_account

    try:
        return read_account(_config(config, as_json=as_json))
    except OtaError as error:
        fail(str(error), as_json=as_json)


def _config(config: Path, *, as_json: bool) -> Any:  # of a module that is loaded when it is needed
    from ota.agent.config import ConfigError, read_config

    try:
        return read_config(config)
    except ConfigError as error:
        fail(str(error), Exit.USAGE, as_json=as_json)


def _fact(line: dict[str, Any]) -> str:
    import time

    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(line.pop("time", 0)))
    what = line.pop("what", "?")
    return f"{at}  {what}  " + "  ".join(f"{name}={value}" for name, value in line.items() if value not in ("", None))


def _quiet(_line: str) -> None:
    """Programs read the last line."""
