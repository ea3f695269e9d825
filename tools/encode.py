"""`wayside encode PROTOCOL`: the inverse of `decode` for canonical frames."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from drivers.text import _
from protocols.core.errors import OptionError, ProtocolError
from tools.json_lines import answer_lines, plain_error
from tools.output import Exit, fail, print_json, print_line, say
from tools.protocol_table import codec_of

app = typer.Typer()


@app.command()
def encode(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL")],
    messages: Annotated[list[str] | None, typer.Argument(metavar="[MESSAGE]...", help=_("messages as JSON"))] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help=_("one JSON object a line in and out"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("one JSON object a message out"))] = False,
) -> None:
    """Encode messages into frames."""
    codec = codec_of(protocol)
    if jsonl:
        if messages:
            fail(_("with --jsonl the messages come on stdin"), Exit.USAGE)
        encode_message = codec.encoder()
        answer_lines(lambda case: encode_message(_message_of(case)))
        return
    if not messages:
        fail(_("give messages as arguments, each a JSON object, or use --jsonl"), Exit.USAGE)
    encode_message = codec.encoder()
    all_good = True
    for text in messages:
        try:
            frame = encode_message(_parsed(text))
        except ProtocolError as error:
            all_good = False
            if as_json:
                print_json({"error": plain_error(error)})
            say(f"wayside: {error}")
            continue
        if as_json:
            print_json(frame)
        else:
            for line in _lines_of(frame):
                print_line(line)
    if not all_good:
        raise typer.Exit(Exit.REFUSED)


def _lines_of(frame: Mapping[str, Any]) -> list[str]:
    """What a person may paste elsewhere: the frame, or its frames or lines one by one."""
    given = next(frame[key] for key in ("hex", "text", "frames") if key in frame)
    parts = given if isinstance(given, list) else [given]
    return [" ".join(str(value) for value in part.values()) if isinstance(part, dict) else str(part) for part in parts]


def _message_of(case: Mapping[str, Any]) -> dict[str, Any]:
    for key in case:
        if key != "message":
            raise OptionError("unknown key; a line holds message and nothing else", field=key)
    message = case.get("message")
    if not isinstance(message, dict):
        raise OptionError("a line must hold a message that is an object", field="message")
    return message


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise OptionError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise OptionError("not a JSON object")
    return message
