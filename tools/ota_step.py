"""What every step of the signing side has in common: one line for a refusal, a passphrase, a dry run, JSON."""

import getpass
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.text import _
from ota.errors import OtaError, StorageError
from tools.output import Exit, fail, print_json, print_line, say, visible

if TYPE_CHECKING:
    from ota.repository.change_set import ChangeSet
    from ota.repository.pkcs11_uri import TokenUri
    from ota.storage import Storage

JsonOption = Annotated[bool, typer.Option("--json", help=_("one JSON object out"))]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=_("say what would change, change nothing"))]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help=_("where its passphrase is; else it is asked for")),
]
Repository = Annotated[Path, typer.Argument(metavar="DIR", help=_("the maintainers' folder"))]


@contextmanager
def refusals(*, as_json: bool, folder: Path | None = None, dry_run: bool = False) -> Iterator[None]:
    """Turn what the signing side refuses into one line and exit 1. `folder`: the maintainers', whose trail notes it."""
    try:
        yield
    except OtaError as error:
        if folder is not None and not dry_run:
            _note(folder, refusal=error)
        fail(str(error), as_json=as_json)
    except ModuleNotFoundError as error:
        text = _('{module} is not installed here: pip install "wayside[ota,release]"')
        if error.name == "pkcs11":
            text = _('{module} is not installed here: pip install "wayside[ota,pkcs11]"')
        fail(text.format(module=error.name), Exit.USAGE, as_json=as_json)


def passphrase_of(file: Path | None, what: str, *, is_new: bool = False, as_json: bool) -> bytes:
    """A passphrase from its file or from the terminal; never from an argument or the environment."""
    from ota.repository.keys import read_passphrase

    if file is not None:
        return read_passphrase(file)
    if not sys.stdin.isatty():
        fail(_("there is no terminal to ask at; name a --passphrase-file"), Exit.USAGE, as_json=as_json)
    first = getpass.getpass(_("passphrase of {what}: ").format(what=what))
    if is_new and getpass.getpass(_("once more: ")) != first:
        fail(_("the two passphrases differ"), Exit.USAGE, as_json=as_json)
    return first.encode()


def pin_of(uri: "TokenUri", file: Path | None, *, as_json: bool) -> bytes:
    """A token's PIN: from `--passphrase-file`, from where its URI says, or from the terminal."""
    from ota.repository.token_keys import read_pin

    known = read_pin(uri, os.environ) if file is None else None
    return known if known is not None else passphrase_of(file, uri.name, as_json=as_json)


def finish(made: "ChangeSet", storage: "Storage", *, folder: Path, dry_run: bool, as_json: bool) -> None:
    """Apply what a step would change, or only say it. `folder`: the maintainers', whose trail notes it."""
    if not dry_run:
        made.apply(storage)
        _note(folder, made=made)
    if as_json:
        print_json({"ok": True, "dry_run": dry_run, **made.facts, "changes": made.changes, "files": sorted(made.files)})
        return
    show(made)
    if dry_run:
        say(_("a dry run: nothing has changed"))


def _note(folder: Path, *, made: "ChangeSet | None" = None, refusal: OtaError | None = None) -> None:
    from ota.repository.trail import Trail

    trail = Trail(folder, time.time)
    try:
        if made is not None:
            trail.done(made)
        if refusal is not None:
            trail.refused(refusal)
    except StorageError as error:
        say(_("the audit trail does not have it: {error}").format(error=error))


def show(made: "ChangeSet") -> None:
    """What a step changes, in words."""
    for change in made.changes:
        print_line(visible(change.words()))
