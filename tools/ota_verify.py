"""`wayside ota repo verify`: everything that is served, from the root to the last byte of the last delta."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from drivers.text import _
from tools.ota_step import DryRunOption, JsonOption, Repository, refusals
from tools.output import print_json, print_line, say, visible


def verify(
    folder: Repository,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="FILE", help=_("a root that you know is right: devices' own"))
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Verify DIR/public as a device does, and that every blob makes its image. Changes nothing."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository.files import read_file
        from ota.repository.inspection import inspect
        from ota.repository.workspace import opened

        now = datetime.now(UTC)
        with opened(folder) as workspace:
            trusted = read_file(root) if root is not None else None
            found = inspect(workspace.read_public, workspace.devices(), now, trusted)
    if as_json:
        print_json(
            {"ok": True, "roles": found.roles, "images": found.images, "blobs": found.blobs, "plans": found.plans}
        )
        return
    for role in found.roles:
        line = _("{role}: version {version}, until {expires}, signed by {holders}")
        until = f"{role.expires:%Y-%m-%d %H:%M}"
        holders = ", ".join(role.signed_by)
        print_line(visible(line.format(role=role.role, version=role.version, expires=until, holders=holders)))
        if role.is_soon:
            say(_("{role} ends soon: wayside ota repo renew {role}").format(role=role.role))
    text = _("{images} images of {blobs} blobs, {plans} plans: all of it is as it was signed")
    print_line(text.format(images=found.images, blobs=found.blobs, plans=len(found.plans)))
