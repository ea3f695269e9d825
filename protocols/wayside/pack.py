"""The telemetry pack: poll rounds of one device as columns, in its two forms. MicroPython-clean.

`pack_map` builds the map with the JSON keys, `cbor_map` turns it into the one with integer keys, `pack_of` reads either
back. The encoder stays with the caller: `json.dumps` on a microcontroller, `pack_codec.py` on CPython.
See `docs/wire.md`, "Telemetry pack".

What is left out: the compression around a pack, and the catalogue that a `block` points into.
"""

from protocols.core.errors import FieldError, LocalProtocolError, UnsupportedError
from protocols.wayside.topics import LANES, is_level

VERSION = 1
KEYS = ("v", "node", "epoch", "boot", "lane", "seq", "device", "time", "time_quality", "uptime", "points", "block",
        "offsets", "values", "bad")  # fmt: skip
"""The position of a key is its integer in CBOR."""

TIME_QUALITIES = ("gnss", "ntp", "rtc", "hold", "none")

UNCERTAIN = 1
COMMUNICATION_FAILED = 2
OUT_OF_RANGE = 3
DEVICE_FAULT = 4
SUBSTITUTED = 5
CLOCK_DOUBTFUL = 6

MAX_PACK_BYTES = 65_536
"""A message on the wire, whatever its form."""
MAX_NAME_CHARS = 128
MAX_TIME_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""
MAX_UPTIME_MS = 1 << 53
MAX_BOOT = (1 << 31) - 1
"""A CloudEvents integer, which the same number is in an event, has 32 bits with a sign."""
MAX_SEQ = (1 << 63) - 1
MAX_OFFSET_MS = 1e10
_MIN_INTEGER = -(1 << 63)
_MAX_INTEGER = (1 << 64) - 1
_SCALARS = frozenset((int, float, bool, str, type(None)))
_HEX = "0123456789abcdef"


class Pack:
    """A pack that was read. Attributes are named as on the wire: `time` and `uptime` are ms, `offsets` ms from `time`.

    Exactly one of `points` (names, in order) and `block` (their name in the catalogue) is there. In `values` one row a
    sample; every null has its code in `bad`.
    """

    __slots__ = ("bad", "block", "boot", "device", "epoch", "lane", "node", "offsets", "points", "seq", "time",
                 "time_quality", "uptime", "values")  # fmt: skip

    node: str
    epoch: str
    boot: int
    lane: str
    seq: int
    device: str
    time: int
    time_quality: str
    uptime: int
    points: list[str] | None
    block: str | None
    offsets: list[float]
    values: list[list[float | int | bool | str | None]]
    bad: list[list[int]]


def pack_map(
    *,
    node: str,
    epoch: str,
    boot: int,
    lane: str,
    seq: int,
    device: str,
    time: int,
    time_quality: str,
    uptime: int,
    points: list[str] | None,
    block: str | None,
    offsets: list[float],
    values: list,  # type: ignore[type-arg]  # of rows, of anything that `_SCALARS` names
    bad: list,  # type: ignore[type-arg]  # of [sample, point, quality]
) -> dict[str, object]:
    """The map of a pack with its JSON keys. With `block` the names are left out. NaN and infinities become null.

    Raises `LocalProtocolError` where rows, offsets and points do not fit each other.
    """
    if len(values) != len(offsets):
        raise LocalProtocolError("there are not as many rows as offsets", field="values")
    if points is not None:
        width = len(points)
        for row in values:
            if len(row) != width:
                raise LocalProtocolError("a row is not as long as the list of points", field="values")
    elif block is None:
        raise LocalProtocolError("needs points or a block", field="points")
    try:
        values, bad = clean_rows(values, bad)
    except FieldError as error:
        raise LocalProtocolError(error.reason, field=error.field) from None
    pack = {"v": VERSION, "node": node, "epoch": epoch, "boot": boot, "lane": lane, "seq": seq, "device": device,
            "time": time, "time_quality": time_quality, "uptime": uptime}  # fmt: skip
    if block is None:
        pack["points"] = points
    else:
        pack["block"] = block
    pack["offsets"] = offsets
    pack["values"] = values
    if bad:
        pack["bad"] = bad
    return pack


def cbor_map(pack: dict[str, object]) -> dict[int, object]:
    """The same map with integer keys."""
    return {KEYS.index(key): value for key, value in pack.items()}


def clean_rows(rows: list, bad: list) -> tuple:  # type: ignore[type-arg]  # see `pack_map`
    """Rows without NaN and infinities, and the codes of all that is null; the same objects where nothing is to do.

    NaN is a device fault, an infinity out of range, a null without a code a failed communication. Raises `FieldError`
    for an integer that 64 bits do not hold.
    """
    cleaned = None
    coded = {}
    for sample, row in enumerate(rows):
        try:
            total = sum(row)
            # A sum of finite numbers is finite, so one look at it is enough for nearly every row.
            if total - total == 0 and _MIN_INTEGER < total < -_MIN_INTEGER:
                continue
        except (TypeError, OverflowError):  # there are strings, nulls or huge numbers in the row
            pass
        if cleaned is None:
            cleaned = list(rows)
            coded = {(entry[0], entry[1]): entry for entry in bad}
            coded_before = len(coded)
        cleaned[sample] = _clean_row(sample, row, coded)
    if cleaned is None:
        return rows, bad
    if len(coded) > coded_before:
        bad = sorted(map(list, coded.values()))
    return cleaned, bad


def _clean_row(sample: int, row: list, coded: dict) -> list:  # type: ignore[type-arg]
    """One row without NaN and infinities. `coded`, by (sample, point), gains the codes that were missing."""
    cleaned = list(row)
    for point, value in enumerate(row):
        if value is None:
            code = COMMUNICATION_FAILED
        elif isinstance(value, float) and value - value != 0:
            code = OUT_OF_RANGE if value == value else DEVICE_FAULT  # noqa: PLR0124 -- NaN alone differs from itself
            cleaned[point] = None
        elif isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise FieldError("an integer does not fit 64 bits", field="values")
        else:
            continue
        if (sample, point) not in coded:
            coded[(sample, point)] = [sample, point, code]
    return cleaned


def pack_of(fields: dict[object, object]) -> Pack:
    """Read a pack from its map, with JSON keys or integer ones. Keys that it does not know are passed over.

    Raises `FieldError` or `UnsupportedError`, nothing else.
    """
    if not isinstance(fields, dict):
        raise FieldError("is not a map")
    known = KEYS if "v" in fields else range(len(KEYS))
    (version, node, epoch, boot, lane, seq, device, time, time_quality, uptime, points, block, offsets, values,
     bad) = [fields.get(key) for key in known]  # fmt: skip
    if version != VERSION or isinstance(version, (bool, float)):
        raise UnsupportedError("is not version 1", field="v")
    pack = Pack()
    pack.node = _level(node, "node")
    pack.epoch = check_epoch(epoch)
    pack.boot = _integer(boot, "boot", 0, MAX_BOOT)
    if lane not in LANES:
        raise FieldError("is no lane", field="lane")
    pack.lane = lane
    pack.seq = _integer(seq, "seq", 1, MAX_SEQ)
    pack.device = _level(device, "device")
    pack.time = _integer(time, "time", 0, MAX_TIME_MS)
    if time_quality not in TIME_QUALITIES:
        raise FieldError("is none of gnss, ntp, rtc, hold, none", field="time_quality")
    pack.time_quality = time_quality
    pack.uptime = _integer(uptime, "uptime", 0, MAX_UPTIME_MS)
    width = _read_points(pack, points, block)
    _read_rows(pack, offsets, values, width)
    _read_bad(pack, [] if bad is None else bad)
    pack.values, pack.bad = clean_rows(pack.values, pack.bad)
    return pack


def check_epoch(epoch: object) -> str:
    """Return an epoch, 16 lower hexadecimal digits, or raise `FieldError`."""
    if not isinstance(epoch, str) or len(epoch) != 16 or epoch.strip(_HEX):
        raise FieldError("is not 16 lower hexadecimal digits", field="epoch")
    return epoch


def _read_points(pack: Pack, points: object, block: object) -> int | None:
    """Take the names or the block. Return how many values a row has, or None where only the catalogue knows."""
    pack.points = pack.block = None
    if (points is None) == (block is None):
        raise FieldError("needs exactly one of points and block", field="points")
    if block is not None:
        digest, slash, name = block.partition("/") if isinstance(block, str) else ("", "", "")
        if not slash or not is_level(digest) or not is_level(name):
            raise FieldError("is not <digest>/<name>", field="block")
        pack.block = block  # type: ignore[assignment]  # looked at above
        return None
    if not isinstance(points, list) or not points:
        raise FieldError("is not a list of names", field="points")
    for name in points:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS:
            raise FieldError("a name is not a string of 1 to 128 characters", field="points")
    if len(set(points)) != len(points):
        raise FieldError("a name stands twice", field="points")
    pack.points = points
    return len(points)


def _read_rows(pack: Pack, offsets: object, values: object, width: int | None) -> None:
    if not isinstance(offsets, list) or not isinstance(values, list) or len(offsets) != len(values):
        raise FieldError("offsets and values are not two lists of one length", field="values")
    for offset in offsets:
        if isinstance(offset, bool) or not isinstance(offset, (int, float)) or not abs(offset) <= MAX_OFFSET_MS:
            raise FieldError("is no number within bounds", field="offsets")
    for row in values:
        if not isinstance(row, list):
            raise FieldError("a row is not a list", field="values")
        if width is None:
            width = len(row)
        if len(row) != width:
            raise FieldError("a row has another length than its points", field="values")
        if not set(map(type, row)) <= _SCALARS:
            raise FieldError("is neither a number, a string, a boolean nor null", field="values")
    pack.offsets = offsets
    pack.values = values


def _read_bad(pack: Pack, bad: object) -> None:
    if not isinstance(bad, list):
        raise FieldError("is not a list", field="bad")
    for entry in bad:
        if not isinstance(entry, list) or len(entry) != 3:
            raise FieldError("is not [sample, point, quality]", field="bad")
        sample = _integer(entry[0], "bad", 0, len(pack.values) - 1)
        _integer(entry[1], "bad", 0, len(pack.values[sample]) - 1)
        _integer(entry[2], "bad", 0, 255)
    pack.bad = bad


def _integer(value: object, field: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise FieldError("is not an integer from " + str(low) + " to " + str(high), field=field)
    return value


def _level(value: object, field: str) -> str:
    if not isinstance(value, str) or not is_level(value):
        raise FieldError("is not 1 to 64 of a-z 0-9 _ -", field=field)
    return value
