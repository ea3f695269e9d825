"""`wayside keys new NAME`: an operator's key pair. The private half stays with its owner, boxes get the public one."""

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from drivers.device_config import Name
from drivers.text import _
from edge.gateway.config_words import described, shown
from edge.identity.operator_keys import OperatorKey
from tools.output import Exit, fail, print_json, print_line, say

VARIABLE = "WAYSIDE_KEY_PASSPHRASE"
"""The environment variable that a script hands a passphrase over in."""
MIN_PASSPHRASE_CHARS = 8

app = typer.Typer(no_args_is_help=True)


@app.callback()
def keys() -> None:
    """Make operators' keys."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_("who signs: becomes the key_id, such as ops-1"))],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help=_("folder to write the two files to"))] = Path(),
    op: Annotated[
        list[str] | None,
        typer.Option("--op", metavar="OP", help=_("an operation for the printed table, such as vms.*")),
    ] = None,
    passphrase: Annotated[bool, typer.Option("--passphrase", help=_("ask for a passphrase and encrypt"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("one JSON object out"))] = False,
) -> None:
    """Make an Ed25519 key pair: NAME.key (private, for its owner alone) and NAME.pub.

    The private key is encrypted when --passphrase asks for one or WAYSIDE_KEY_PASSPHRASE holds one.
    """
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        text = _("{name} cannot be a key_id, must be {expected}")
        fail(text.format(name=shown(name), expected=described(Name)), Exit.USAGE, as_json=as_json)
    secret = _passphrase(is_asked=passphrase, as_json=as_json)
    private, public = out / f"{name}.key", out / f"{name}.pub"
    try:
        out.mkdir(parents=True, exist_ok=True)
        OperatorKey.new().write(private, public, secret)
    except FileExistsError as error:
        text = _("{file} exists, and is not replaced: whoever holds it would lose it")
        fail(text.format(file=error.filename), as_json=as_json)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", as_json=as_json)
    operations = op or ["modbus.write"]
    if as_json:
        print_json(
            {"ok": True, "name": name, "private": str(private), "public": str(public), "is_encrypted": bool(secret)}
        )
    else:
        print_line(operator_table(name, str(public), operations))
    say(
        _("{private} signs and never leaves its owner; {public} and the table above go to the boxes").format(
            private=private, public=public
        )
    )


def _passphrase(*, is_asked: bool, as_json: bool) -> bytes | None:
    """What to encrypt with; None for a key in the clear."""
    secret = os.environ.get(VARIABLE, "")
    if not secret and is_asked:
        if not sys.stdin.isatty():
            text = _("there is no terminal to ask at; put the passphrase into {variable}")
            fail(text.format(variable=VARIABLE), Exit.USAGE, as_json=as_json)
        secret = typer.prompt(_("passphrase"), hide_input=True, confirmation_prompt=True, err=True)
    if not secret:
        return None
    if len(secret) < MIN_PASSPHRASE_CHARS:
        text = _("a passphrase has at least {least} characters")
        fail(text.format(least=MIN_PASSPHRASE_CHARS), Exit.USAGE, as_json=as_json)
    return secret.encode()


def operator_table(name: str, public: str, operations: list[str]) -> str:
    """The table that lets an operator into a configuration."""
    ops = ", ".join(f'"{operation}"' for operation in operations)
    return f'[[commands.operator]]\nname = "{name}"\nkey = "{public}"\nops = [{ops}]'
