"""What every verb of the command line keeps to: data on stdout, talk on stderr, and what an exit code means.

Scripts read stdout and the exit code; people read both. With `--json` stdout holds JSON and nothing else, one object a
line, in UTF-8 whatever the terminal's locale.
"""

import difflib
import sys
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NoReturn

import msgspec
import typer


class Exit(IntEnum):
    """Why a command ended."""

    DONE = 0
    REFUSED = 1
    """It was refused or failed."""
    USAGE = 2
    """Wrong usage or a wrong configuration."""
    UNREACHABLE = 3
    """Whom it needed could not be reached."""


def say(text: str) -> None:
    """Talk: one line for a person, on stderr."""
    print(visible(text), file=sys.stderr, flush=True)


def print_line(text: str) -> None:
    """Data as text: one line on stdout, in UTF-8, written at once."""
    _write(text.encode("utf-8", "backslashreplace") + b"\n")


def print_json(value: Any) -> None:
    """Data as JSON: one line on stdout, written at once. What JSON cannot say (NaN, infinity) becomes null."""
    _write(msgspec.json.encode(value) + b"\n")


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def fail(reason: str, code: Exit = Exit.REFUSED, *, as_json: bool = False) -> NoReturn:
    """End with one clear line on stderr; with `as_json` also with `{"ok": false, "reason": ...}` on stdout."""
    if as_json:
        print_json({"ok": False, "reason": reason})
    say(f"wayside: {reason}")
    raise typer.Exit(code)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like `word`; empty when there is none to choose from."""
    return max(known, key=lambda other: difflib.SequenceMatcher(None, word, other).ratio(), default="")


def visible(text: str) -> str:
    """Text that may hold what a peer sent: control characters are shown, and no longer obeyed by the terminal."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in "\n\t"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
