"""All commands by their code, and by the way they go: the centre asks down for what the site sends up.

HJ 212-2017 table 9.

>>> from protocols.hj212.segment import decode_segment
>>> decode_command(decode_segment(b"ST=32;CN=1062;CP=&&RtdInterval=30&&"), Way.DOWN)
SetRealtimeInterval(others=(), interval_s=30)
"""

from enum import Enum

from protocols.core.errors import FieldError
from protocols.hj212 import answers, control, data, parameters
from protocols.hj212.command import Command, OtherCommand, read_command
from protocols.hj212.segment import Segment

_FAMILIES = (parameters, data, control, answers)


class Way(Enum):
    """Which way a packet goes."""

    UP = "from the site to the centre"
    DOWN = "from the centre to the site"


KINDS: dict[Way, dict[str, type[Command]]] = {
    Way.UP: {kind.CN: kind for family in _FAMILIES for kind in family.UP},
    Way.DOWN: {kind.CN: kind for family in _FAMILIES for kind in family.DOWN},
}
NOTICES = {
    Way.UP: frozenset({parameters.ClockNotice.CN}),
    Way.DOWN: frozenset({data.StopRealtime.CN, data.StopStates.CN}),
}
"""Answered with 9013 and nothing else."""


def decode_command(segment: Segment, way: Way) -> Command:
    """The command in a data segment. Raises `FieldError`."""
    code = segment.cn
    if code is None:
        raise FieldError("is missing", field="CN")
    kind = KINDS[way].get(code)
    return OtherCommand(code=code, others=segment.items) if kind is None else read_command(kind, segment)
