"""What a buoy is told, and what it answers.

MicroPython-clean. The bodies of frames of kind 2 (command) and 3 (answer), see `frame`:

    command   id (4) | valid until, UTC seconds since 1970 (4) | verb (1) | arguments
    answer    id (4) | stage (1) | reason (1) | text

A command that comes again under the same id is not done again, only answered again. Verbs and their arguments stand in
`verbs`; what a buoy refuses is told by `orders.why_refused`.

>>> from protocols.aton.verbs import LAMP_OFF, LampMode
>>> off = Command(5, 1764000000, LampMode(LAMP_OFF, 3600, 1))
>>> decode_command(encode_command(off)).arguments
LampMode(2, 3600, 1)
"""

import struct

from protocols.aton.verbs import VERBS, Arguments, UnknownVerb, decode_text, encode_text
from protocols.core.errors import FieldError, LocalProtocolError

COMMAND = 2
ANSWER = 3
"""The kinds of their frames."""

RECEIVED = 0
EXECUTED = 1
REFUSED = 2
VERIFIED = 3
STAGES = ("received", "executed", "refused", "verified")
"""`verified`: what was done has been measured, the lamp above all."""
REASONS = ("", "expired", "unknown_verb", "bad_value", "not_confirmed", "not_allowed", "no_fix", "failed",
           "busy", "no_time")  # fmt: skip
_COMMAND = ">IIB"
_COMMAND_BYTES = 9
_ANSWER = ">IBB"
_ANSWER_BYTES = 6


class Command:
    """A command."""

    __slots__ = ("arguments", "command_id", "expires_s")

    def __init__(self, command_id: int, expires_s: int, arguments: Arguments) -> None:
        self.command_id = command_id
        self.expires_s = expires_s
        self.arguments = arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Command) and encode_command(self) == encode_command(other)

    def __hash__(self) -> int:
        return hash(encode_command(self))


class Answer:
    """How far a command has come."""

    __slots__ = ("command_id", "reason", "stage", "text")

    def __init__(self, command_id: int, stage: int, reason: int = 0, text: str = "") -> None:
        self.command_id = command_id
        self.stage = stage
        self.reason = reason
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and encode_answer(self) == encode_answer(other)

    def __hash__(self) -> int:
        return hash(encode_answer(self))


def encode_command(command: Command) -> bytes:
    """The body of a command. Raises `LocalProtocolError`."""
    arguments = command.arguments
    verb = arguments.verb if isinstance(arguments, UnknownVerb) else arguments.VERB
    for name, value, size in (("id", command.command_id, 32), ("expires", command.expires_s, 32), ("verb", verb, 8)):
        if not 0 <= value < 1 << size:
            raise LocalProtocolError(f"does not fit into {size} bits", field=name)
    return struct.pack(_COMMAND, command.command_id, command.expires_s, verb) + arguments.encode()


def decode_command(body: bytes) -> Command:
    """Decode the body of a command. Raises `FieldError`."""
    if len(body) < _COMMAND_BYTES:
        raise FieldError("ends before its verb", offset=len(body), field="length", raw=body)
    command_id, expires_s, verb = struct.unpack(_COMMAND, body[:_COMMAND_BYTES])
    raw = bytes(body[_COMMAND_BYTES:])
    kind = VERBS.get(verb)
    return Command(command_id, expires_s, UnknownVerb(verb, raw) if kind is None else kind.decode(raw))


def encode_answer(answer: Answer) -> bytes:
    """The body of an answer. Raises `LocalProtocolError`."""
    if not (0 <= answer.command_id < 1 << 32 and 0 <= answer.stage <= 255 and 0 <= answer.reason <= 255):
        raise LocalProtocolError("an id has 32 bits, stage and reason 8", field="id")
    return struct.pack(_ANSWER, answer.command_id, answer.stage, answer.reason) + encode_text(answer.text, "text")


def decode_answer(body: bytes) -> Answer:
    """Decode the body of an answer. Raises `FieldError`."""
    if len(body) < _ANSWER_BYTES:
        raise FieldError("ends before its reason", offset=len(body), field="length", raw=body)
    command_id, stage, reason = struct.unpack(_ANSWER, body[:_ANSWER_BYTES])
    return Answer(command_id, stage, reason, decode_text(body[_ANSWER_BYTES:], "text"))
