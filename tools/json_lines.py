"""One JSON object a line in, one JSON object a line out: how scripts speak to `wayside decode` and `wayside encode`.

Every line gets its answer, the empty, the endless and the senseless one too: a bad line costs its own answer and
nothing else. An error is `{"error": {"kind", "offset", "field", "reason"}}`.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

from protocols.core.errors import OptionError, ProtocolError
from tools.output import print_json

MAX_LINE_BYTES = 1 << 20
"""A line may hold a long run of frames, but nobody may fill our memory with one."""


def answer_lines(answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Answer each line of stdin on stdout until it ends. A `ProtocolError` that `answer` raises becomes the answer."""
    for line in lines_of(sys.stdin.buffer):
        try:
            print_json(answer(_object_of(line)))
        except ProtocolError as error:
            print_json({"error": plain_error(error)})


def plain_error(error: ProtocolError) -> dict[str, Any]:
    """An error as plain data."""
    return {"kind": error.kind, "offset": error.offset, "field": error.field, "reason": error.reason}


def lines_of(stream: BinaryIO) -> Iterator[bytes | None]:
    """Each line without its end; None in place of one that is longer than `MAX_LINE_BYTES`."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line.rstrip(b"\r\n")
            continue
        while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None


def _object_of(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise OptionError(f"a line of more than {MAX_LINE_BYTES} bytes")
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OptionError(f"not a line of JSON: {error}") from error
    if not isinstance(value, dict):
        raise OptionError("not a JSON object")
    return value
