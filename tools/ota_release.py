"""`wayside ota repo add-release`: a folder becomes a release that waits for its signatures."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import typer

from drivers.text import _
from tools.ota_step import DryRunOption, JsonOption, Repository, finish, refusals
from tools.output import Exit, fail

FamilyOption = Annotated[
    str, typer.Option("--family", metavar="FAMILY/PRODUCT", help=_("what it is a release of, such as rsu/gateway"))
]


def add_release(
    folder: Repository,
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER", help=_("what is to lie in a slot; a RAUC bundle is a file"))
    ],
    family: FamilyOption,
    version: Annotated[str, typer.Option("--version", help=_("such as 1.4.2"))],
    counter: Annotated[int, typer.Option("--counter", help=_("the release counter; rises with each release"))],
    hardware: Annotated[list[str], typer.Option("--hardware", metavar="ID", help=_("hardware that it runs on"))],
    entry: Annotated[str, typer.Option("--entry", help=_("what is started, with its arguments"))] = "python -m edge",
    kind: Annotated[str, typer.Option("--kind", help=_("release-dir, mcu or rauc"))] = "release-dir",
    min_counter: Annotated[
        int,
        typer.Option(
            "--min-counter", help=_("once confirmed, nothing below this counter; 0: a rollback stays possible")
        ),
    ] = 0,
    reads_from: Annotated[int, typer.Option("--reads-from", help=_("oldest edition of the data that it reads"))] = 0,
    writes: Annotated[int, typer.Option("--writes", help=_("edition of the data that it writes"))] = 0,
    deltas: Annotated[int, typer.Option("--deltas", min=0, max=32, help=_("from so many releases before it"))] = 3,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help=_("list only so many, the newest, of this product"))
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build a release of FOLDER and list it, unsigned, in DIR/staged. The family's holders sign it next."""
    with refusals(as_json=as_json, folder=folder, dry_run=dry_run):
        from ota.repository import release
        from ota.repository.build import ENDINGS, Facts, Kind
        from ota.repository.workspace import opened
        from ota.targets import Schema

        if kind not in ENDINGS:
            text = _("there is no kind {kind}: {kinds}").format(kind=kind, kinds=", ".join(ENDINGS))
            fail(text, Exit.USAGE, as_json=as_json)
        try:
            start = shlex.split(entry) if kind == "release-dir" else []
        except ValueError as error:
            fail(f"--entry: {error}", Exit.USAGE, as_json=as_json)
        facts = Facts(
            kind=cast("Kind", kind),
            family=family,
            version=version,
            counter=counter,
            hardware=hardware,
            entry=start,
            min_counter=min_counter,
            schema=Schema(reads_from=reads_from, writes=writes),
        )
        with opened(folder) as workspace:
            made = release.add_release(workspace, source, facts, datetime.now(UTC), deltas=deltas, keep=keep)
            finish(made, workspace.storage, folder=folder, dry_run=dry_run, as_json=as_json)
