"""What a centre is told, what its dialogue tells, and its settings. See `centre`."""

import msgspec

from protocols.sl651.bodies import Body
from protocols.sl651.frame import Frame
from protocols.sl651.link import REPLY_TIMEOUT_S

PACKET_TIMEOUT_S = 10.0
"""Silence after which the missing packets of a message are asked for."""


class CentreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a centre talks."""

    keeps_on_line: bool = False
    """Confirm with ESC, so that stations stay."""
    is_confirming: bool = True
    """False: its stations report in mode M1 and expect no confirm."""
    reply_timeout_s: float = REPLY_TIMEOUT_S
    packet_timeout_s: float = PACKET_TIMEOUT_S


class Ask(msgspec.Struct, frozen=True, eq=False):
    """Ask or command a station. The opening of `body` is written by the dialogue, with serial 0."""

    center_addr: int
    station_addr: bytes
    password: bytes
    function_code: int
    body: Body
    is_ascii: bool = False


class Received(msgspec.Struct, frozen=True):
    """A station reported. body: None when the frame is good and its body cannot be read."""

    frame: Frame
    body: Body | None


class Answered(msgspec.Struct, frozen=True):
    """The answer to a question, perhaps in several frames."""

    ask: Ask
    answers: list[Received]


class Unanswered(msgspec.Struct, frozen=True):
    """A question found no answer."""

    ask: Ask


class Incomplete(msgspec.Struct, frozen=True):
    """A message whose missing packets never came."""

    first: Frame
    missing: list[int]


class KeptAlive(msgspec.Struct, frozen=True):
    """A station on the line gave a sign of life."""

    station_addr: bytes


CentreEvent = Received | Answered | Unanswered | Incomplete | KeptAlive
