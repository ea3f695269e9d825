"""Function code and direction -> how a body is read, written out by hand.

SL 651-2014, table 4 and clause 6.5. MicroPython-clean.

>>> from protocols.sl651.frame import decode_frame
>>> frame = decode_frame(bytes.fromhex("7E7E001000000006000040001302015122120613485" "5F1F11000000006031004D2031B0F"))
>>> [group.leader for group in decode_body(frame).groups_of_body]
['F1', '03']
"""

from protocols.core.errors import RemoteProtocolError, UnsupportedError
from protocols.sl651.bodies import (
    Bare,
    Body,
    IdentifierList,
    Payload,
    PeriodQuery,
    Report,
    Unread,
    read_opening,
)
from protocols.sl651.frame import ENQ, Frame
from protocols.sl651.payloads import read_event_counts, read_quota, read_switches, read_version
from protocols.sl651.series import Series

KEEP_ALIVE = 0x2F
TEST = 0x30
EQUAL_INTERVAL = 0x31
TIMED = 0x32
ADDITIONAL = 0x33
HOURLY = 0x34
MANUAL = 0x35
PICTURE = 0x36
QUERY_CURRENT = 0x37
QUERY_PERIOD = 0x38
QUERY_MANUAL = 0x39
QUERY_ELEMENTS = 0x3A
SET_BASIC = 0x40
READ_BASIC = 0x41
SET_RUNNING = 0x42
READ_RUNNING = 0x43
QUERY_PUMPS = 0x44
QUERY_VERSION = 0x45
QUERY_STATUS = 0x46
CLEAR_DATA = 0x47
FACTORY_RESET = 0x48
CHANGE_PASSWORD = 0x49
SET_CLOCK = 0x4A
SET_IC_CARD = 0x4B
PUMPS = 0x4C
VALVES = 0x4D
GATES = 0x4E
QUOTA = 0x4F
QUERY_EVENTS = 0x50
QUERY_CLOCK = 0x51

CHANGES = (
    SET_BASIC,
    SET_RUNNING,
    CLEAR_DATA,
    FACTORY_RESET,
    CHANGE_PASSWORD,
    SET_CLOCK,
    SET_IC_CARD,
    PUMPS,
    VALVES,
    GATES,
    QUOTA,
)
"""Commands that change the station: the centre commands, the station shows the new state, the centre confirms, and only
then is it applied."""

PARAMETERS = (SET_BASIC, READ_BASIC, SET_RUNNING, READ_RUNNING, CHANGE_PASSWORD)
"""Functions whose groups are parameters of appendix D, not elements of appendix C."""

# How the body of a station, and that of a centre, is read.
UP = {
    KEEP_ALIVE: Bare.read,
    TEST: Report.read,
    EQUAL_INTERVAL: Series.read,
    TIMED: Report.read,
    ADDITIONAL: Report.read,
    HOURLY: Report.read,
    MANUAL: Report.read,
    PICTURE: Report.read,
    QUERY_CURRENT: Report.read,
    QUERY_PERIOD: Series.read,
    QUERY_MANUAL: Report.read,
    QUERY_ELEMENTS: Report.read,
    SET_BASIC: Report.read_basic,
    READ_BASIC: Report.read_basic,
    SET_RUNNING: Report.read_untyped,
    READ_RUNNING: Report.read_untyped,
    QUERY_PUMPS: Report.read,
    QUERY_VERSION: Payload.read_answer,
    QUERY_STATUS: Report.read_untyped,
    CLEAR_DATA: Payload.read_station,
    FACTORY_RESET: Payload.read_station,
    CHANGE_PASSWORD: Report.read_untyped,
    SET_CLOCK: Payload.read_station,
    SET_IC_CARD: Report.read_untyped,
    PUMPS: Payload.read_answer,
    VALVES: Payload.read_answer,
    GATES: Payload.read_answer,
    QUOTA: Payload.read_answer,
    QUERY_EVENTS: Payload.read_answer,
    QUERY_CLOCK: Payload.read_station,
}
DOWN = {
    KEEP_ALIVE: Bare.read,
    TEST: Bare.read,
    EQUAL_INTERVAL: Bare.read,
    TIMED: Bare.read,
    ADDITIONAL: Bare.read,
    HOURLY: Bare.read,
    MANUAL: Bare.read,
    PICTURE: Bare.read,
    QUERY_CURRENT: Bare.read,
    QUERY_PERIOD: PeriodQuery.read,
    QUERY_MANUAL: Bare.read,
    QUERY_ELEMENTS: IdentifierList.read,
    SET_BASIC: Report.read_basic,
    READ_BASIC: IdentifierList.read,
    SET_RUNNING: Report.read_untyped,
    READ_RUNNING: IdentifierList.read,
    QUERY_PUMPS: Bare.read,
    QUERY_VERSION: Bare.read,
    QUERY_STATUS: Bare.read,
    CLEAR_DATA: IdentifierList.read,
    FACTORY_RESET: IdentifierList.read,
    CHANGE_PASSWORD: Report.read_untyped,
    SET_CLOCK: Bare.read,
    SET_IC_CARD: Report.read_untyped,
    PUMPS: Payload.read,
    VALVES: Payload.read,
    GATES: Payload.read,
    QUOTA: Payload.read,
    QUERY_EVENTS: Bare.read,
    QUERY_CLOCK: Bare.read,
}


def decode_body(frame: Frame) -> Body:
    """Read the body of a frame that holds all of it. Raises `FieldError`, its offset counted from the frame's start.

    One of several packets of a station is an `UnsupportedError`: join them first, see `packets`.
    """
    if frame.packet_total not in (None, 1) and not frame.is_down:
        raise UnsupportedError("one packet of several; join them first", field="packet_seq")
    is_confirm = frame.is_down and frame.end_char != ENQ
    try:
        return read_body(frame.body, frame.function_code, frame.is_down, frame.is_ascii, is_confirm)
    except RemoteProtocolError as error:
        error.offset = frame.body_offset + (error.offset or 0)
        raise


def read_body(body: bytes, function_code: int, is_down: bool, is_ascii: bool, is_confirm: bool = False) -> Body:
    """Read a body. Raises `FieldError`. is_confirm: it may end after its opening, whatever the function."""
    opening, at = read_opening(body, is_ascii)
    if is_confirm and at == len(body):
        return Bare(opening)
    read = (DOWN if is_down else UP).get(function_code, Unread.read)
    decoded: Body = read(opening, body, at, is_ascii)
    if isinstance(decoded, Payload):
        _check_payload(decoded.payload, function_code)
    return decoded


def _check_payload(payload: bytes, function_code: int) -> None:
    """Raise what is wrong with a payload that has a form."""
    if function_code == QUERY_VERSION:
        read_version(payload)
    elif function_code == QUERY_EVENTS:
        read_event_counts(payload)
    elif function_code == QUOTA:
        read_quota(payload)
    elif function_code in (PUMPS, VALVES, GATES):
        read_switches(payload, function_code == GATES)
