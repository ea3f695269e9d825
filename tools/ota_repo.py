"""`wayside ota repo ...`: the signing side of updates, as commands that a careful person follows.

What is signed, and what with, travels as files. A command that would change something says with `--dry-run` what, and
changes nothing. A refusal is one line that names the rule and the file; then nothing has changed.
"""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from drivers.text import _
from ota.errors import OtaError
from tools.output import Exit, fail, print_json, print_line

app = typer.Typer(no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help=_("one JSON object out"))]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=_("say what would change, change nothing"))]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help=_("where its passphrase is; else it is asked for")),
]


@app.callback()
def repo() -> None:
    """Sign and publish updates."""


@contextmanager
def refusals(*, as_json: bool) -> Iterator[None]:
    """Turn what the signing side refuses into one line and exit 1."""
    try:
        yield
    except OtaError as error:
        fail(str(error), as_json=as_json)
    except ModuleNotFoundError as error:
        text = _('{module} is not installed here: pip install "wayside[ota,release]"')
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


@app.command()
def key(
    holder: Annotated[str, typer.Argument(metavar="HOLDER", help=_("who will hold it, such as alice"))],
    role: Annotated[str, typer.Option("--role", help=_("root, targets, online or director"))],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help=_("folder to write the two files to"))] = Path(),
    passphrase_file: PassphraseOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key: HOLDER-ROLE.key for its holder alone, encrypted, and HOLDER-ROLE.pub for the ceremony."""
    with refusals(as_json=as_json):
        from ota.repository.keys import KeyRole, SigningKey, key_files

        if role not in {one.value for one in KeyRole}:
            fail(
                _("there is no role {role}: root, targets, online or director").format(role=role),
                Exit.USAGE,
                as_json=as_json,
            )
        made = SigningKey.new(KeyRole(role), holder)
        private, public = key_files(out, holder, made.public.role)
        if not dry_run:
            secret = passphrase_of(passphrase_file, private.name, is_new=True, as_json=as_json)
            made.write(out, secret)
    if as_json:
        done = {"private": str(private), "public": str(public)}
        print_json({"ok": True, "dry_run": dry_run, **done, **({} if dry_run else {"keyid": made.public.keyid})})
        return
    text = (
        _("would write {private} and {public}")
        if dry_run
        else _("{private} never leaves its holder; {public} goes to the ceremony")
    )
    print_line(text.format(private=private, public=public))
