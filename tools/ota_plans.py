"""`wayside ota repo plan | bundle`: what a device is to run, as it is served and as it travels on a stick."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from drivers.text import _
from tools.ota_step import DryRunOption, JsonOption, PassphraseOption, Repository, finish, passphrase_of, refusals
from tools.output import Exit, fail

DirectorKey = Annotated[Path, typer.Option("--director-key", metavar="KEY", help=_("the Director's private key"))]
EcuOption = Annotated[
    list[str] | None,
    typer.Option("--ecu", metavar="ECU=TARGET", help=_("what one ECU is to run; what is not named stays as it was")),
]
HardwareOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hardware", metavar="ECU=ID", help=_("what each ECU of the device is: the plan is checked against it")
    ),
]
Devices = Annotated[list[str] | None, typer.Argument(metavar="DEVICE...", help=_("devices"))]


def plan(
    folder: Repository,
    director_key: DirectorKey,
    devices: Devices = None,
    ecu: EcuOption = None,
    hardware: HardwareOption = None,
    number: Annotated[int | None, typer.Option("--number", help=_("the plan's number; rises by itself"))] = None,
    conditions: Annotated[
        Path | None, typer.Option("--conditions", metavar="JSON", help=_("a file: when it may be done"))
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help=_("stop what is under way"))] = False,
    every: Annotated[bool, typer.Option("--all", help=_("sign the plan of every device again"))] = False,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what devices are to run. Without --ecu their plans are signed again: a plan holds for a day."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository import planning
        from ota.repository.change_set import ChangeSet
        from ota.repository.files import read_file
        from ota.repository.keys import SigningKey
        from ota.repository.workspace import opened
        from ota.targets import Conditions

        ecus, known = _pairs(ecu, as_json=as_json), _pairs(hardware, as_json=as_json)
        when = None
        if conditions is not None:
            try:
                when = msgspec.json.decode(read_file(conditions), type=Conditions)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                fail(f"{conditions}: {error}", Exit.USAGE, as_json=as_json)
        with opened(folder) as workspace:
            names = workspace.devices() if every else devices or []
            if not names or (every and (devices or ecus)):
                fail(_("name a device, or --all and nothing else"), Exit.USAGE, as_json=as_json)
            signer = SigningKey.read(director_key, passphrase_of(passphrase_file, director_key.name, as_json=as_json))
            planner = planning.Planner(workspace, signer, datetime.now(UTC))
            made = ChangeSet(is_served=True, facts={"plans": []})
            for device in names:
                last = planner.last(device)
                wanted = planning.next_plan(
                    device,
                    ecus,
                    last.plan if last else None,
                    number=number,
                    conditions=when,
                    is_cancelled=cancel or (not ecus and last is not None and last.plan.is_cancelled),
                )
                one = planner.put(wanted, hardware=known or None)
                made.add(one)
                made.facts["plans"] += one.facts["plans"]
            finish(made, workspace.storage, folder=folder, dry_run=dry_run, as_json=as_json)


def bundle(
    folder: Repository,
    out: Annotated[Path, typer.Argument(metavar="OUT", help=_("a new folder, such as one on the stick"))],
    director_key: DirectorKey,
    online_key: Annotated[Path, typer.Option("--online-key", metavar="KEY", help=_("the publishing machine's key"))],
    devices: Annotated[list[str], typer.Option("--device", metavar="DEVICE", help=_("for whom it is"))],
    days: Annotated[int, typer.Option("--days", min=1, max=365, help=_("how long it holds"))] = 90,
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a folder for a USB stick: plans that hold longer, and all that their devices need."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.errors import RefusedError, Rule
        from ota.repository.bundle import make_bundle
        from ota.repository.keys import SigningKey
        from ota.repository.workspace import HostStorage, opened

        stick = HostStorage(out)
        if stick.list(""):
            raise RefusedError(Rule.STORAGE, str(out), "it is not empty; a bundle is never mixed with another")
        with opened(folder) as workspace:
            made, served = make_bundle(
                workspace,
                devices,
                director=SigningKey.read(
                    director_key, passphrase_of(passphrase_file, director_key.name, as_json=as_json)
                ),
                online=SigningKey.read(online_key, passphrase_of(passphrase_file, online_key.name, as_json=as_json)),
                now=datetime.now(UTC),
                holds=timedelta(days=days),
            )
            if not dry_run:
                served.apply(workspace.storage)  # first: a stick is never newer than what is served next
                stick.open()
            finish(made, stick, folder=folder, dry_run=dry_run, as_json=as_json)


def _pairs(words: list[str] | None, *, as_json: bool) -> dict[str, str]:
    pairs = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        if not (name and equals and value) or name in pairs:
            fail(_("{word}: give each ECU once, as ECU=VALUE").format(word=word), Exit.USAGE, as_json=as_json)
        pairs[name] = value
    return pairs
