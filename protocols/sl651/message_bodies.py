"""Bodies <-> readable keys, one pair of functions for each shape of body."""

import hashlib

from protocols.core.errors import LocalProtocolError
from protocols.sl651.bodies import (
    Bare,
    Body,
    IdentifierList,
    Opening,
    Payload,
    PeriodQuery,
    Report,
    Unread,
)
from protocols.sl651.catalogue import (
    DOWN,
    GATES,
    PARAMETERS,
    PUMPS,
    QUERY_EVENTS,
    QUERY_PERIOD,
    QUERY_VERSION,
    QUOTA,
    READ_BASIC,
    SET_BASIC,
    UP,
    VALVES,
)
from protocols.sl651.elements import HOUR_LEVELS, HOUR_RAIN, parameter_digits_of
from protocols.sl651.frame import Frame
from protocols.sl651.groups import (
    ASCII_BULK,
    ASCII_MANUAL,
    ASCII_PICTURE,
    ASCII_STATION,
    BULK,
    MANUAL,
    PICTURE,
    STATION,
    Group,
    ident_of,
    observed_group,
    station_group,
    step_group,
)
from protocols.sl651.message_elements import (
    ELEMENT_KEYS,
    ascii_value,
    defined_data,
    defined_ident,
    groups_of_elements,
    groups_of_params,
    is_observed,
    readable_column,
    readable_elements,
    readable_params,
    time_text,
)
from protocols.sl651.message_fields import (
    Message,
    ascii_of,
    digits_of,
    hex_of,
    integer_of,
    leader_of,
    list_of,
    objects_of,
    refuse_others,
    text_of,
)
from protocols.sl651.payloads import (
    Switches,
    read_event_counts,
    read_quota,
    read_switches,
    read_version,
    write_event_counts,
    write_quota,
    write_switches,
    write_version,
)
from protocols.sl651.series import Series
from protocols.sl651.values import definition_of

_BASIC = (SET_BASIC, READ_BASIC)
_OPENING = frozenset({"serial", "send_time"})
_STATION = frozenset({"elem_station_addr", "station_type"})
_REPORT = frozenset({"obs_time", "elements", "params", "manual_text", "picture_hex", "flow_data", "time_step"})
_DERIVED = frozenset({"picture_len", "picture_sha256"})


def readable_body(body: Body, frame: Frame) -> dict[str, object]:
    """The keys of a body; `frame` is where it stood."""
    message: dict[str, object] = {"serial": body.opening.serial, "send_time": body.opening.send_time}
    message.update(_readable_station(body.groups_of_body))
    if isinstance(body, Report):
        message.update(_readable_report(body, frame.function_code))
    elif isinstance(body, Series):
        message.update(_readable_series(body, frame.is_ascii))
    elif isinstance(body, PeriodQuery):
        message["range_start"] = body.range_start
        message["range_end"] = body.range_end
        message["time_step"] = body.step.step
        message.update(_readable_idents(body.idents, frame))
    elif isinstance(body, IdentifierList):
        message.update(_readable_idents(body.idents, frame))
    elif isinstance(body, Payload):
        message.update(_readable_payload(body.payload, frame.function_code))
    elif isinstance(body, Unread):
        message["raw"] = body.rest.hex().upper()
    return message


def _readable_station(groups: list[Group]) -> dict[str, object]:
    for group in groups:
        if group.ident == STATION and not group.is_ascii:
            station: dict[str, object] = {"elem_station_addr": group.data[:5].hex().upper()}
            return {**station, "station_type": group.data[5:].hex().upper()} if group.data[5:] else station
        if group.ident == ASCII_STATION and group.is_ascii:
            address, _, letter = group.data.partition(b" ")
            station = {"elem_station_addr": address.decode()}
            return {**station, "station_type": letter.hex().upper()} if letter else station
    return {}


def _readable_report(body: Report, function_code: int) -> dict[str, object]:
    message: dict[str, object] = {}
    if function_code in PARAMETERS:
        params = readable_params(body.groups, function_code in _BASIC)
        return {"params": params} if params else {}
    for group in body.groups:
        if is_observed(group):
            message.setdefault("obs_time", time_text(group))
        elif group.ident in {MANUAL, ASCII_MANUAL}:
            message["manual_text"] = group.data.decode("latin-1")
        elif group.ident in {PICTURE, ASCII_PICTURE}:
            picture = bytes.fromhex(group.data.decode()) if group.is_ascii else group.data
            message["picture_len"] = len(picture)
            message["picture_sha256"] = hashlib.sha256(picture).hexdigest()
        elif group.ident in {BULK, ASCII_BULK}:
            message["flow_data"] = group.data.hex().upper()
        elif group.is_step:
            message["time_step"] = group.step
    elements = readable_elements(body.groups)
    return {**message, "elements": elements} if elements else message


def _readable_series(body: Series, is_ascii: bool) -> dict[str, object]:
    message: dict[str, object] = {}
    time = None
    for group in body.groups:
        if is_observed(group):
            time = time_text(group)
            message.setdefault("obs_time", time)
        elif group.is_step:
            message["time_step"] = group.step
    elements = readable_elements(body.groups)
    for ident, column in zip(body.idents, body.columns(is_ascii), strict=True):
        elements.append(readable_column(column, ident, is_ascii, time))
    return {**message, "elements": elements} if elements else message


def _readable_idents(idents: list[bytes], frame: Frame) -> dict[str, object]:
    if not idents:
        return {}
    leaders = [Group(ident, b"", frame.is_ascii).leader for ident in idents]
    message: dict[str, object] = {"query_ids": leaders}
    if not frame.is_ascii:
        known = [_known_ident(leader, frame.function_code) for leader in leaders]
        if known != idents:
            message["query_definitions"] = [f"{ident[-1]:02X}" for ident in idents]
    return message


def _known_ident(leader: str, function_code: int) -> bytes | None:
    """How a list names an element or parameter; None for one that the standard does not have."""
    code = leader_of(leader)
    if len(code) > 1:
        return None
    if function_code in PARAMETERS:
        digits = parameter_digits_of(code[0])
        return None if digits is None else code + bytes((definition_of((digits[0] + 1) // 2, digits[1]),))
    if code[0] == HOUR_RAIN or code[0] in HOUR_LEVELS:
        return code + (b"\x60" if code[0] == HOUR_RAIN else b"\xc0")
    if code[0] in _GUARDS:
        return code + b"\x00"
    try:
        return ident_of(code[0])
    except LocalProtocolError:
        return None


_GUARDS = (0x97, 0x98)
"""What the centre says with 47 and 48, so that no slip clears a station."""


def _readable_payload(payload: bytes, function_code: int) -> dict[str, object]:
    if function_code == QUERY_VERSION:
        return {"version": read_version(payload).decode("latin-1")}
    if function_code == QUERY_EVENTS:
        return {"event_counts": read_event_counts(payload)}
    if function_code == QUOTA:
        return {"quota": read_quota(payload)}
    if function_code in (PUMPS, VALVES, GATES):
        switches = read_switches(payload, function_code == GATES)
        message: dict[str, object] = {"is_on": switches.is_on}
        if switches.spare:
            message["bits"] = switches.spare.hex().upper()
        return {**message, "openings_cm": switches.openings_cm} if function_code == GATES else message
    return {}


def body_of(message: Message, function_code: int, is_down: bool, is_ascii: bool, is_confirm: bool) -> Body:
    """The inverse of `readable_body`; `message` holds its keys and no others. Raises `LocalProtocolError`."""
    opening = Opening(integer_of(message, "serial"), digits_of(message, "send_time", 12))
    shape, has_station_type = _shape_of(function_code, is_down)
    if is_confirm and set(message) <= _OPENING:
        shape = Bare
    if shape in (PeriodQuery, IdentifierList):
        return _query_of(opening, message, function_code, is_ascii)
    if shape is Report:
        refuse_others(message, _OPENING | _STATION | _REPORT | _DERIVED)
        return Report(opening, _report_groups(message, function_code, is_ascii), has_station_type)
    if shape is Series:
        refuse_others(message, _OPENING | _STATION | {"obs_time", "time_step", "elements"})
        return _series_of(opening, message, is_ascii)
    if shape is Payload:
        return _payload_of(opening, message, function_code, is_down, is_ascii)
    if shape is Unread:
        refuse_others(message, _OPENING | {"raw"})
        return Unread(opening, hex_of(message, "raw"))
    refuse_others(message, _OPENING)
    return Bare(opening)


def _shape_of(function_code: int, is_down: bool) -> tuple[type[Body], bool]:
    """The class of a body that is no confirm, and whether its group of the station carries a type."""
    read = (DOWN if is_down else UP).get(function_code, Unread.read)
    for shape, readers in _SHAPES:
        if read in readers:
            return shape, read == Report.read
    return Bare, False


_SHAPES: tuple[tuple[type[Body], tuple[object, ...]], ...] = (
    (Report, (Report.read, Report.read_untyped, Report.read_basic)),
    (Series, (Series.read,)),
    (Payload, (Payload.read, Payload.read_answer, Payload.read_station)),
    (IdentifierList, (IdentifierList.read,)),
    (PeriodQuery, (PeriodQuery.read,)),
    (Unread, (Unread.read,)),
)

_QUERY = frozenset({"query_ids", "query_definitions"})


def _query_of(opening: Opening, message: Message, function_code: int, is_ascii: bool) -> Body:
    if function_code != QUERY_PERIOD:
        refuse_others(message, _OPENING | _QUERY)
        return IdentifierList(opening, _idents_of(message, function_code, is_ascii))
    refuse_others(message, _OPENING | {"range_start", "range_end", "time_step", *_QUERY})
    span = digits_of(message, "range_start", 8), digits_of(message, "range_end", 8)
    step = step_group(text_of(message, "time_step"), is_ascii)
    return PeriodQuery(opening, *span, step, _idents_of(message, function_code, is_ascii))


def _station_of(message: Message, is_ascii: bool) -> list[Group]:
    if "elem_station_addr" not in message:
        return []
    address = hex_of(message, "elem_station_addr", 5)
    letter = chr(hex_of(message, "station_type", 1)[0]) if "station_type" in message else None
    if not is_ascii and letter is not None:
        return [Group(STATION, address + hex_of(message, "station_type", 1))]
    return [station_group(address, letter, is_ascii)]


def _report_groups(message: Message, function_code: int, is_ascii: bool) -> list[Group]:
    groups = _station_of(message, is_ascii)
    if function_code in PARAMETERS:
        return groups + groups_of_params(objects_of(message, "params"), function_code in _BASIC, is_ascii)
    time = text_of(message, "obs_time") if "obs_time" in message else None
    if "time_step" in message:
        groups.append(step_group(text_of(message, "time_step"), is_ascii))
    groups += groups_of_elements(objects_of(message, "elements"), time, is_ascii)
    if "manual_text" in message:
        groups.append(Group(ASCII_MANUAL if is_ascii else MANUAL, _latin(message, "manual_text"), is_ascii))
    if "flow_data" in message:
        groups.append(Group(ASCII_BULK if is_ascii else BULK, hex_of(message, "flow_data"), is_ascii))
    if "picture_hex" in message:
        picture = hex_of(message, "picture_hex")
        data = picture.hex().upper().encode() if is_ascii else picture
        groups.append(Group(ASCII_PICTURE if is_ascii else PICTURE, data, is_ascii))
    elif "picture_sha256" in message:
        raise LocalProtocolError("the picture itself is wanted to write one", field="picture_hex")
    return groups


def _latin(message: Message, key: str) -> bytes:
    try:
        return text_of(message, key).encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError("a character beyond Latin-1", field=key) from None


def _series_of(opening: Opening, message: Message, is_ascii: bool) -> Series:
    groups = _station_of(message, is_ascii)
    elements = objects_of(message, "elements")
    if elements and all(_is_hour(element) for element in elements):
        time = text_of(message, "obs_time") if "obs_time" in message else None
        hours = groups_of_elements(elements, time, is_ascii)
        at = 0 if time is None else 1
        step = step_group(text_of(message, "time_step"), is_ascii)
        return Series(opening, [*groups, *hours[:at], step, *hours[at:]], [], [])
    if "obs_time" in message:
        groups.append(observed_group(text_of(message, "obs_time"), is_ascii))
    if "time_step" in message:
        groups.append(step_group(text_of(message, "time_step"), is_ascii))
    idents: list[bytes] = []
    columns: list[list[bytes]] = []
    for element in elements:
        refuse_others(element, ELEMENT_KEYS)
        identifier = text_of(element, "id")
        values = list_of(element, "values")
        if is_ascii:
            idents.append(ascii_of(identifier, "id"))
            columns.append([ascii_value(identifier, value) for value in values])
            continue
        ident = defined_ident(element, identifier) if "definition" in element else _ident_of_hex(identifier)
        idents.append(ident)
        columns.append([defined_data(ident, value) for value in values])
    if len({len(column) for column in columns}) > 1:
        raise LocalProtocolError("as many values of each element", field="values")
    return Series(opening, groups, idents, [value for row in zip(*columns, strict=True) for value in row])


def _is_hour(element: Message) -> bool:
    identifier = text_of(element, "id")
    return identifier.startswith(("F", "DR")) and not identifier.startswith("FF") and identifier != "FL"


def _ident_of_hex(identifier: str) -> bytes:
    return ident_of(hex_of({"id": identifier}, "id", 1)[0])


def _idents_of(message: Message, function_code: int, is_ascii: bool) -> list[bytes]:
    leaders = [text_of({"query_ids": leader}, "query_ids") for leader in list_of(message, "query_ids")]
    if is_ascii:
        return [ascii_of(leader, "query_ids") for leader in leaders]
    definitions = list_of(message, "query_definitions")
    if definitions and len(definitions) != len(leaders):
        raise LocalProtocolError("one for each of query_ids", field="query_definitions")
    idents: list[bytes] = []
    for number, leader in enumerate(leaders):
        if definitions:
            idents.append(defined_ident({"definition": definitions[number]}, leader))
            continue
        known = _known_ident(leader, function_code)
        if known is None:
            raise LocalProtocolError("give query_definitions for what the standard lacks", field="query_ids")
        idents.append(known)
    return idents


def _payload_of(opening: Opening, message: Message, function_code: int, is_down: bool, is_ascii: bool) -> Payload:
    station = _station_of(message, is_ascii)
    if is_down == bool(station):
        raise LocalProtocolError("stands in what the station says, and there only", field="elem_station_addr")
    keys, payload = _written_payload(message, function_code)
    refuse_others(message, _OPENING | _STATION | keys)
    return Payload(opening, station[0] if station else None, payload)


def _written_payload(message: Message, function_code: int) -> tuple[frozenset[str], bytes]:
    if function_code == QUERY_VERSION:
        return frozenset({"version"}), write_version(_latin(message, "version"))
    if function_code == QUERY_EVENTS:
        counts = [integer_of({"event_counts": count}, "event_counts") for count in list_of(message, "event_counts")]
        return frozenset({"event_counts"}), write_event_counts(counts)
    if function_code == QUOTA:
        return frozenset({"quota"}), write_quota(_booleans([message.get("quota")], "quota")[0])
    if function_code in (PUMPS, VALVES, GATES):
        openings: list[int | None] = [
            None if item is None else integer_of({"openings_cm": item}, "openings_cm")
            for item in list_of(message, "openings_cm")
        ]
        bits = hex_of(message, "bits") if "bits" in message else b""
        switches = Switches(_booleans(list_of(message, "is_on"), "is_on"), openings, bits)
        keys = {"is_on", "bits", "openings_cm"} if function_code == GATES else {"is_on", "bits"}
        return frozenset(keys), write_switches(switches)
    return frozenset(), b""


def _booleans(values: list[object], key: str) -> list[bool]:
    if not all(isinstance(value, bool) for value in values):
        raise LocalProtocolError("true or false", field=key)
    return [bool(value) for value in values]
