"""What may be asked of either end of a session, and what may happen at either end."""

import msgspec

from protocols.jt808.catalogue import Packet
from protocols.jt808.general import SUCCESS
from protocols.jt808.layout import Body


class Connected(msgspec.Struct, frozen=True):
    """The connection is there."""


class Disconnected(msgspec.Struct, frozen=True):
    """The connection is gone, or could not be made."""


class Send(msgspec.Struct, frozen=True):
    """Send a message. token: whatever shall come back with what becomes of it."""

    body: Body
    token: object = None


class Answer(msgspec.Struct, frozen=True):
    """Answer what was received: with a message of its own, or a general response."""

    packet: Packet
    result: int = SUCCESS
    body: Body | None = None


class Received(msgspec.Struct, frozen=True):
    """A message that has to be answered: `Answer`. A repeat of it is dealt with, and is not received again."""

    packet: Packet


class Answered(msgspec.Struct, frozen=True):
    """A message got its answer. result: that of a general response, else 0."""

    token: object
    answer: Body
    result: int = SUCCESS


class Unanswered(msgspec.Struct, frozen=True):
    """A message got no answer, or the connection went before it came."""

    token: object


class Close(msgspec.Struct, frozen=True):
    """Close the connection."""

    reason: str
