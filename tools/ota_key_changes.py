"""`wayside ota repo rotate-key | revoke | renew | add-family`: what changes in who may sign, and for how long."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from drivers.text import _
from tools.ota_step import DryRunOption, JsonOption, Repository, finish, refusals
from tools.output import Exit, fail

KeyId = Annotated[str, typer.Argument(metavar="KEYID", help=_("the key's id, or how it begins"))]


def rotate_key(
    folder: Repository,
    old: KeyId,
    new: Annotated[Path, typer.Option("--new", metavar="PUB", help=_("the key that takes its place"))],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put a new key in the place of another, in every role that it has; to be signed and published."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository.key_changes import change_key
        from ota.repository.keys import PublicKey
        from ota.repository.workspace import opened

        with opened(folder) as workspace:
            made = change_key(workspace, old, PublicKey.read(new), datetime.now(UTC))
            finish(made, workspace.storage, folder=folder, dry_run=dry_run, as_json=as_json)


def revoke(folder: Repository, old: KeyId, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Take a key away from every role that it has; to be signed and published."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository.key_changes import change_key
        from ota.repository.workspace import opened

        with opened(folder) as workspace:
            made = change_key(workspace, old, None, datetime.now(UTC))
            finish(made, workspace.storage, folder=folder, dry_run=dry_run, as_json=as_json)


def renew(
    folder: Repository,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=_("root, targets or a product family"))],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say once more what a role says, for another year; to be signed and published."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository import ceremony
        from ota.repository.workspace import opened

        with opened(folder) as workspace:
            made = ceremony.renew(workspace, role, datetime.now(UTC))
            finish(made, workspace.storage, folder=folder, dry_run=dry_run, as_json=as_json)


def add_family(
    folder: Repository,
    name: Annotated[str, typer.Argument(metavar="NAME", help=_("the product family"))],
    key: Annotated[list[Path], typer.Option("--key", metavar="PUB", help=_("a key for it; three at least"))],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delegate to a new product family; to be signed and published."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository import key_changes
        from ota.repository.keys import KeyRole, PublicKey
        from ota.repository.workspace import opened

        if not name:
            fail(_("a family has a name"), Exit.USAGE, as_json=as_json)
        holders = [PublicKey.read(file, KeyRole.TARGETS) for file in key]
        with opened(folder) as workspace:
            made = key_changes.add_family(workspace, name, holders, datetime.now(UTC))
            finish(made, workspace.storage, folder=folder, dry_run=dry_run, as_json=as_json)
