"""`wayside decode PROTOCOL`: captured frames in, what they say out.

A person gives frames as arguments or one a line on stdin and reads a table; a script gives one JSON object a line and
reads one a line (`tools/json_lines.py`).
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.text import _
from protocols.core.errors import OptionError, ProtocolError
from tools.json_lines import answer_lines, lines_of, plain_error
from tools.output import Exit, fail, print_json, print_line, say, visible
from tools.protocol_table import Codec, codec_of

SHOWN_BEFORE = 12
SHOWN_AFTER = 12
"""How much of a refused frame is shown around the offending place."""
_BETWEEN = re.compile(r"[\s:,-]|0[xX]")
"""What people write between bytes."""
PLAIN_WIDTH = 200
"""Columns of a table that no terminal shows."""

app = typer.Typer()


@app.command()
def decode(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL")],
    frames: Annotated[list[str] | None, typer.Argument(metavar="[HEX]...", help=_("frames, or text in quotes"))] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="KEY=VALUE", help=_("an option of the protocol"))
    ] = None,
    together: Annotated[bool, typer.Option("--together", help=_("all frames are parts of one message"))] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help=_("one JSON object a line in and out"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_("one JSON object a frame out"))] = False,
) -> None:
    """Decode frames: HEX as arguments or one a line on stdin; text in quotes for text protocols."""
    codec = codec_of(protocol)
    options = dict(map(_pair, option or []))
    if jsonl:
        if frames or together:
            fail(_("with --jsonl the frames come on stdin, a message a line"), Exit.USAGE)
        decode_message = codec.decoder()
        answer_lines(lambda case: {"message": decode_message({**options, **case})})
        return
    key = codec.input_key(options)
    if not frames and sys.stdin.isatty():
        fail(_("give frames as arguments, or one a line on stdin"), Exit.USAGE)
    if together:
        parts = list(frames or _typed_lines(codec))
        _decode_together(codec, parts, options, as_json=as_json)
        return
    given = _arguments(frames, key) if frames else _typed_lines(codec)
    if not _decode_each(codec, given, key, options, as_json=as_json):
        raise typer.Exit(Exit.REFUSED)


def _decode_together(codec: Codec, parts: list[str], options: Mapping[str, Any], *, as_json: bool) -> None:
    """Show the one message of all parts, or what is wrong with them."""
    if not codec.several:
        fail(_("no message of this protocol comes in several frames"), Exit.USAGE)
    if not parts:
        fail(_("no frame came"))
    plain = [re.sub(_BETWEEN, "", part) for part in parts] if codec.several == "hex" else parts
    try:
        message = codec.decoder()({**options, codec.several: plain})
    except ProtocolError as error:
        if as_json:
            print_json({"error": plain_error(error)})
        is_usage = isinstance(error, OptionError) and error.field != codec.several
        fail(str(error), Exit.USAGE if is_usage else Exit.REFUSED)
    if as_json:
        print_json({"message": message})
    else:
        _show(message)


def _decode_each(codec: Codec, given: Iterable[str], key: str, options: Mapping[str, Any], *, as_json: bool) -> bool:
    """Show each frame or what is wrong with it; say whether all were good."""
    decode_message = codec.decoder()
    all_good = True
    frame = None
    for frame in given:
        plain = frame if key == "text" else re.sub(_BETWEEN, "", frame)
        if codec.line_end:
            plain = plain.rstrip("\r\n") + codec.line_end
        try:
            message = decode_message({**options, key: plain})
        except ProtocolError as error:
            if as_json:
                print_json({"error": plain_error(error)})
            if isinstance(error, OptionError) and error.field != key:
                fail(_("{error}; an option is given as -o KEY=VALUE").format(error=error), Exit.USAGE)
            all_good = False
            say(f"wayside: {error}: {_marked(plain.removesuffix(codec.line_end), key, error.offset)}")
            continue
        if as_json:
            print_json({"message": message})
        else:
            _show(message)
    if frame is None:
        fail(_("no frame came"))
    return all_good


def _pair(text: str) -> tuple[str, Any]:
    """KEY=VALUE, the value as JSON where it is JSON, else as text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        fail(_('"{text}" is not KEY=VALUE').format(text=text), Exit.USAGE)
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return key, value


def _arguments(frames: list[str], key: str) -> list[str]:
    """Each argument is a frame, unless all are single bytes: then a frame was given without quotes around it."""
    if key == "hex" and len(frames) > 1 and all(re.fullmatch(r"(0[xX])?[0-9A-Fa-f]{1,2}", frame) for frame in frames):
        return ["".join(frame[-2:].removeprefix("x").zfill(2) for frame in frames)]
    return frames


def _typed_lines(codec: Codec) -> Iterator[str]:
    for line in lines_of(sys.stdin.buffer):
        if line is None:
            fail(_("a line is too long to be a frame"))
        if line.strip():
            yield line.decode(codec.charset, "surrogateescape")  # a byte that is none of it is the decoder's to refuse


def _marked(frame: str, key: str, offset: int | None) -> str:
    """A refused frame, or what stands around the offending place of a long one, with that place in >...<."""
    whole = len(frame) % 2 == 0 and re.fullmatch(r"[0-9A-Fa-f]*", frame) is not None
    parts = re.findall("..", frame) if key == "hex" and whole else list(frame)
    joint = " " if key == "hex" and whole else ""
    place = len(parts) if offset is not None and offset > len(parts) else offset
    first = max(0, (place or 0) - SHOWN_BEFORE)
    last = (place or 0) + 1 + SHOWN_AFTER
    window = parts[first:last]
    if place is not None:
        window[place - first : place - first + 1] = [f">{''.join(parts[place : place + 1])}<"]
    return visible(("... " if first else "") + joint.join(window) + (" ..." if last < len(parts) else ""))


def _show(message: Mapping[str, Any]) -> None:
    """A message as a table; colour on a terminal only."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    with console.capture() as captured:
        console.print(_table_of(message))
    print_line("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _table_of(message: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in message.items():
        table.add_row(Text(visible(key)), _cell(value))
    return table


def _cell(value: Any) -> Table | Text:
    match value:
        case dict() if value:
            return _table_of(value)
        case [dict(), *_others]:
            return _table_of({str(number): row for number, row in enumerate(value, 1)})
        case list():
            return Text(visible(", ".join(map(str, value))))
        case None:
            return Text(_("not available"), style="dim")
        case _:
            text = {True: _("yes"), False: _("no")}[value] if isinstance(value, bool) else visible(str(value))
            return Text(text, style="" if isinstance(value, str) else "cyan")
