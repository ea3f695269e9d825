"""The payloads that have a form of their own: versions, event counters, switches, the quota.

SL 651-2014, functions 45, 4C to 4F and 50. MicroPython-clean.
Reading raises `FieldError`, writing `LocalProtocolError`.

    45  length 1 | ASCII text              50  32 counters of 2 bytes          4F  FF in force, 00 not
    4C pumps, 4D valves, 4E gates          count 1 | bits, D0 of the first byte is no. 1, 1 is on or open
    4E also                                2 BCD bytes for each gate: its opening in cm

>>> read_switches(bytes.fromhex("0305" "0120" "0000" "0050"), True)
Switches(is_on=[True, False, True], openings_cm=[120, 0, 50], spare=b'')
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.sl651.bodies import EVENT_COUNTERS
from protocols.sl651.values import read_bcd, write_bcd
from protocols.sl651.wire import Wire

QUOTA_ON = 0xFF
QUOTA_OFF = 0x00
_OPENING_BYTES = 2


class Switches(Wire):
    """Pumps, valves or gates. openings_cm: of gates; None where the digits are none. spare: bits behind the last one.

    `spare` is empty when they are all 0, else the bit bytes as they came.
    """

    __slots__ = ("is_on", "openings_cm", "spare")

    def __init__(self, is_on: list[bool], openings_cm: "list[int | None] | None" = None, spare: bytes = b"") -> None:
        self.is_on = is_on
        self.openings_cm = [] if openings_cm is None else openings_cm
        self.spare = spare


def read_version(payload: bytes) -> bytes:
    """The text of a software version."""
    if not payload or payload[0] != len(payload) - 1:
        raise FieldError("not the length that it says", 0, "version", payload)
    return payload[1:]


def write_version(text: bytes) -> bytes:
    """The inverse."""
    if len(text) > 0xFF:
        raise LocalProtocolError("up to 255 characters", field="version")
    return bytes((len(text),)) + text


def read_event_counts(payload: bytes) -> list[int]:
    """The 32 counters, see `elements.EVENTS`."""
    if len(payload) != 2 * EVENT_COUNTERS:
        raise FieldError("32 counters of two bytes", len(payload), "event_counts", payload)
    return [payload[at] << 8 | payload[at + 1] for at in range(0, len(payload), 2)]


def write_event_counts(counts: list[int]) -> bytes:
    """The inverse."""
    if len(counts) != EVENT_COUNTERS or not all(0 <= count <= 0xFFFF for count in counts):
        raise LocalProtocolError("32 counters of two bytes", field="event_counts")
    return b"".join([count.to_bytes(2, "big") for count in counts])


def read_quota(payload: bytes) -> bool:
    """Whether the fixed quota is in force."""
    if payload not in (bytes((QUOTA_ON,)), bytes((QUOTA_OFF,))):
        raise FieldError("FF or 00", 0, "quota", payload)
    return payload[0] == QUOTA_ON


def write_quota(is_on: bool) -> bytes:
    """The inverse."""
    return bytes((QUOTA_ON if is_on else QUOTA_OFF,))


def read_switches(payload: bytes, are_gates: bool) -> Switches:
    """What the bits say, and the openings of gates."""
    count = payload[0] if payload else 0
    bits_end = 1 + (count + 7) // 8
    end = bits_end + (_OPENING_BYTES * count if are_gates else 0)
    if not payload or len(payload) != end:
        raise FieldError("not the length for so many", len(payload), "switches", payload)
    bits = int.from_bytes(payload[1:bits_end], "little")
    openings: list[int | None] = []
    for at in range(bits_end, end, _OPENING_BYTES):
        data = payload[at : at + _OPENING_BYTES]
        openings.append(read_bcd(data) if data.hex().isdigit() else None)
    is_on = [bool(bits >> number & 1) for number in range(count)]
    return Switches(is_on, openings, payload[1:bits_end] if bits >> count else b"")


def write_switches(switches: Switches) -> bytes:
    """The inverse; an opening that is None is written as FFFF."""
    count = len(switches.is_on)
    if count > 0xFF or len(switches.openings_cm) not in (0, count):
        raise LocalProtocolError("up to 255, and an opening for each gate", field="switches")
    bits = 0
    for number, is_on in enumerate(switches.is_on):
        bits |= is_on << number
    size = (count + 7) // 8
    if switches.spare and (
        len(switches.spare) != size or (int.from_bytes(switches.spare, "little") ^ bits) & ((1 << count) - 1)
    ):
        raise LocalProtocolError("not these switches", field="switches")
    openings = [write_bcd(opening, 2 * _OPENING_BYTES) for opening in switches.openings_cm]
    if any(len(opening) != _OPENING_BYTES for opening in openings):
        raise LocalProtocolError("an opening is not negative", field="openings_cm")
    return bytes((count,)) + (switches.spare or bits.to_bytes(size, "little")) + b"".join(openings)
