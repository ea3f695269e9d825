"""What every verb of the command line keeps to: data on stdout, talk on stderr, and what an exit code means.

Scripts read stdout and the exit code; people read both. With `--json` stdout holds JSON and nothing else, one object a
line, in UTF-8 whatever the terminal's locale.
"""

import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, NoReturn

import msgspec
import typer

from drivers.text import _
from edge.gateway.plain_text import as_plain


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
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:  # the name of a file that is no text
        data = msgspec.json.encode(as_plain(msgspec.to_builtins(value)))
    _write(data + b"\n")


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def open_missing_streams() -> None:
    """Give a command that was started without stdin, stdout or stderr something in their place.

    Nothing comes from such a stdin. What is written to such a stdout fails as it should, and no file that is opened
    later takes its number. Talk that nobody hears is no failure.
    """
    streams = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))
    for number, (name, flags, mode) in enumerate(streams):
        if getattr(sys, name) is None:
            place = os.open(os.devnull, flags)
            if place != number:
                os.dup2(place, number)
                os.close(place)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # a stream


def fail_of_system(error: OSError) -> NoReturn:
    """End for what the system refused and no verb had an answer to: one line, and nothing more onto a full disk."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a buffer still holds would fail once more at the end
    where = _("stdout") if error.filename is None else os.fsdecode(error.filename)
    say(f"wayside: {where}: {error.strerror or error}")
    sys.exit(Exit.REFUSED)


def fail(reason: str, code: Exit = Exit.REFUSED, *, as_json: bool = False) -> NoReturn:
    """End with one clear line on stderr; with `as_json` also with `{"ok": false, "reason": ...}` on stdout."""
    if as_json:
        print_json({"ok": False, "reason": reason})
    say(f"wayside: {reason}")
    raise typer.Exit(code)


def fail_of_config(problems: Sequence[object], closing: str, *, as_json: bool) -> NoReturn:
    """End the command: what is wrong with a configuration, a line each, and what that means."""
    if as_json:
        print_json({"ok": False, "problems": problems})
    else:
        for problem in problems:
            print_line(visible(str(problem)))
    say(closing)
    raise typer.Exit(Exit.USAGE)


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
