r"""Information groups <-> readable elements and parameters.

An element is `{"id", "value" or "values", "obs_time"}`, and what the standard says of it: `quantity`, `unit`, and of
the status word and of gates `states`. HEX says length and decimals with each element: where that is not the standard's
own, `definition` tells it, so that the message can be written back as it was.

>>> from protocols.sl651.groups import Group
>>> readable_elements([Group(b"\x39\x1b", bytes.fromhex("001234"))])
[{'id': '39', 'quantity': 'river or tide level', 'value': 1.234, 'unit': 'm', 'definition': '1B'}]
"""

from protocols.core.errors import LocalProtocolError
from protocols.sl651.elements import (
    GATE_STATES,
    HOUR_LEVELS,
    HOUR_RAIN,
    STATUS,
    STATUS_BITS,
    element_of,
    is_ascii_identifier,
    parameter_digits_of,
)
from protocols.sl651.groups import (
    ASCII_BULK,
    ASCII_HOUR_LEVEL,
    ASCII_HOUR_RAIN,
    ASCII_MANUAL,
    ASCII_OBSERVED,
    ASCII_PICTURE,
    ASCII_STATION,
    ASCII_STATUS,
    BULK,
    MANUAL,
    OBSERVED,
    PICTURE,
    STATION,
    Group,
    hour_group,
    number_group,
    observed_group,
    status_group,
)
from protocols.sl651.message_fields import (
    Message,
    ascii_of,
    hex_of,
    leader_of,
    list_of,
    mantissa_of,
    number_of,
    refuse_others,
    text_of,
)
from protocols.sl651.values import definition_of, write_bcd, write_decimal

_NO_ELEMENTS = frozenset(
    {
        OBSERVED,
        STATION,
        MANUAL,
        PICTURE,
        BULK,
        ASCII_OBSERVED,
        ASCII_STATION,
        ASCII_MANUAL,
        ASCII_PICTURE,
        ASCII_BULK,
    }
)
ELEMENT_KEYS = frozenset({"id", "value", "values", "obs_time", "definition", "quantity", "unit", "states"})
"""Of one element. The last three follow from the others and are not read."""
_HOUR_DECIMALS = {True: 1, False: 2}
"""Of hour groups: rain in 0.1 mm, levels in 0.01 m."""
_GATE_OPENING = ("09", "GH")
_MOST_DECIMALS = 7


def is_observed(group: Group) -> bool:
    """Whether it tells when the groups behind it were measured."""
    return group.ident == (ASCII_OBSERVED if group.is_ascii else OBSERVED)


def time_text(group: Group) -> str:
    """The digits of an observation time."""
    return group.data.decode() if group.is_ascii else group.data.hex().upper()


def readable_elements(groups: list[Group]) -> list[dict[str, object]]:
    """The elements among groups."""
    elements: list[dict[str, object]] = []
    time = None
    for group in groups:
        if is_observed(group):
            time = time_text(group)
        elif group.ident not in _NO_ELEMENTS and not group.is_step:
            element = _readable_element(group)
            if time is not None:
                element["obs_time"] = time
            elements.append(element)
    return elements


def _readable_element(group: Group) -> dict[str, object]:
    if group.is_hour:
        decimals = _HOUR_DECIMALS[group.leader in {f"{HOUR_RAIN:02X}", ASCII_HOUR_RAIN.decode()}]
        told: dict[str, object] = {"values": [_scaled(count, decimals) for count in group.counts]}
    elif group.is_status:
        states = [state for bit, state in enumerate(STATUS_BITS) if group.status >> bit & 1]
        told = {"value": group.status, "states": states}
    else:
        value = _value_of(group)
        told = {"value": value}
        if group.leader in _GATE_OPENING and value in GATE_STATES:
            told["states"] = [GATE_STATES[value]]
    return _named(group, told)


def _named(group: Group, told: dict[str, object]) -> dict[str, object]:
    """What is told of an element, between its name and its unit where the standard's table has it."""
    element: dict[str, object] = {"id": group.leader}
    row = _row_of(group)
    if row is None:
        return {**element, **told, **_definition_of(group)}
    unit = {"unit": row[1]} if row[1] else {}
    return {**element, "quantity": row[0], **told, **unit, **_definition_of(group)}


def _row_of(group: Group) -> tuple[str, str] | None:
    """Quantity and unit."""
    if group.is_status:
        return "status word", ""
    if group.is_hour:
        if group.leader in {f"{HOUR_RAIN:02X}", ASCII_HOUR_RAIN.decode()}:
            return "rain in each 5 min", "mm"
        number = group.ident[3:].decode() if group.is_ascii else str(group.ident[0] - HOUR_RAIN)
        return f"relative level {number} every 5 min", "m"
    if not group.is_ascii and len(group.ident) > 2:
        return None
    try:
        element = element_of(group.leader if group.is_ascii else group.ident[0])
    except LocalProtocolError:
        return None
    return element.quantity, element.unit


def _value_of(group: Group) -> float | None:
    return group.status if group.is_status else _scaled(*group.value)


def readable_column(column: list[Group], ident: bytes, is_ascii: bool, time: str | None) -> dict[str, object]:
    """An element of a series."""
    head = Group(ident, b"", is_ascii)
    element = _named(head, {"values": [_value_of(group) for group in column]})
    if time is not None:
        element["obs_time"] = time
    return element


def _scaled(mantissa: int | None, decimals: int) -> float | None:
    if mantissa is None:
        return None
    return mantissa / 10**decimals if decimals else mantissa


def _definition_of(group: Group) -> dict[str, object]:
    """The definition where it is not what the standard says for this element."""
    if group.is_ascii or _standard_definition(group) == group.ident[-1]:
        return {}
    return {"definition": f"{group.ident[-1]:02X}"}


def _standard_definition(group: Group) -> int | None:
    if len(group.ident) != 2:
        return None
    code = group.ident[0]
    if group.is_hour:
        return 0x60 if code == HOUR_RAIN else 0xC0
    if code == STATUS:
        return definition_of(4, 0)
    try:
        element = element_of(code)
    except LocalProtocolError:
        return None
    is_negative = group.data[:1] == b"\xff" and group.value[0] is not None
    return element.definition + (8 if is_negative else 0)


def groups_of_elements(elements: list[Message], first_time: str | None, is_ascii: bool) -> list[Group]:
    """The inverse of `readable_elements`: a time stands wherever it changes. Raises `LocalProtocolError`."""
    groups: list[Group] = []
    is_timed = [element.get("obs_time") is not None for element in elements]
    time = None if any(is_timed) and not is_timed[0] else first_time
    if time is not None:
        groups.append(observed_group(time, is_ascii))
    for element in elements:
        if element.get("obs_time", time) != time:
            time = text_of(element, "obs_time")
            groups.append(observed_group(time, is_ascii))
        groups.append(_group_of(element, is_ascii))
    return groups


def _group_of(element: Message, is_ascii: bool) -> Group:
    refuse_others(element, ELEMENT_KEYS)
    identifier = text_of(element, "id")
    if "values" in element:
        return _hour_of(element, identifier, is_ascii)
    value = element.get("value")
    is_status = identifier == (ASCII_STATUS.decode() if is_ascii else f"{STATUS:02X}")
    if is_status and "definition" not in element:
        return _status_of(value, is_ascii)
    if is_ascii:
        return Group(ascii_of(identifier, "id"), ascii_value(identifier, value), True)
    if "definition" in element:
        return defined_group(element, identifier, value)
    row = element_of(_code_of(identifier))
    return number_group(row, mantissa_of(value, row.decimals, identifier))


def _status_of(value: object, is_ascii: bool) -> Group:
    if isinstance(value, bool) or not isinstance(value, int):
        raise LocalProtocolError("the status word is a whole number", field="value")
    return status_group(value, is_ascii)


def _hour_of(element: Message, identifier: str, is_ascii: bool) -> Group:
    if is_ascii:
        is_rain = identifier == ASCII_HOUR_RAIN.decode()
        number = identifier.removeprefix(ASCII_HOUR_LEVEL.decode())
        if not is_rain and number not in {str(code - HOUR_RAIN) for code in HOUR_LEVELS}:
            raise LocalProtocolError("DRP or DRZ1 to DRZ8", field="id")
        code = HOUR_RAIN + (0 if is_rain else int(number))
    else:
        code = _code_of(identifier)
    decimals = _HOUR_DECIMALS[code == HOUR_RAIN]
    group = hour_group(code, [mantissa_of(value, decimals, "values") for value in list_of(element, "values")], is_ascii)
    if "definition" in element and not is_ascii:
        return Group(bytes((code,)) + hex_of(element, "definition", 1), group.data)
    return group


def _code_of(identifier: str) -> int:
    leader = leader_of(identifier)
    if len(leader) > 1:
        raise LocalProtocolError("an element beyond the standard's table wants a definition", field="id")
    return leader[0]


def ascii_value(identifier: str, value: object) -> bytes:
    """A value as text: the standard's decimals, or as many as an unknown element needs."""
    if identifier == ASCII_STATUS.decode():
        return _status_of(value, True).data
    if is_ascii_identifier(identifier):
        decimals = element_of(identifier).decimals
    else:
        number = number_of(value, identifier)
        text = "" if number is None else f"{number:.{_MOST_DECIMALS}f}".rstrip("0")
        decimals = len(text.partition(".")[2])
    return write_decimal(mantissa_of(value, decimals, identifier), decimals)


def defined_ident(element: Message, identifier: str) -> bytes:
    """A HEX identifier with the definition that stands beside it."""
    return leader_of(identifier) + hex_of(element, "definition", 1)


def defined_group(element: Message, identifier: str, value: object) -> Group:
    """An element whose length and decimals the message tells."""
    ident = defined_ident(element, identifier)
    return Group(ident, defined_data(ident, value))


def defined_data(ident: bytes, value: object) -> bytes:
    """A value in the length and decimals of its identifier."""
    size = ident[-1] >> 3
    if ident[0] == STATUS:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 8 * size:
            raise LocalProtocolError("not a status word of this length", field="value")
        return value.to_bytes(size, "big")
    mantissa = mantissa_of(value, ident[-1] & 7, "value")
    is_negative = mantissa is not None and mantissa < 0
    data = write_bcd(mantissa, 2 * (size - is_negative))
    if len(data) != size:
        raise LocalProtocolError("does not fit its definition", field="value")
    return data


def readable_params(groups: list[Group], is_basic: bool) -> list[dict[str, object]]:
    """The parameters among groups."""
    params: list[dict[str, object]] = []
    for group in groups:
        if group.ident in {STATION, ASCII_STATION}:
            continue
        if group.is_ascii:
            params.append({"id": group.leader, "text": group.data.decode()})
            continue
        param: dict[str, object] = {"id": group.leader, "hex": group.data.hex().upper()}
        if group.ident != _param_ident(group.leader, group.data, is_basic):
            param["definition"] = f"{group.ident[-1]:02X}"
        params.append(param)
    return params


def groups_of_params(params: list[Message], is_basic: bool, is_ascii: bool) -> list[Group]:
    """The inverse. Raises `LocalProtocolError`."""
    groups = []
    for param in params:
        identifier = text_of(param, "id")
        if is_ascii:
            groups.append(Group(ascii_of(identifier, "id"), ascii_of(text_of(param, "text"), "text"), True))
            continue
        data = hex_of(param, "hex")
        defined = "definition" in param
        ident = defined_ident(param, identifier) if defined else _param_ident(identifier, data, is_basic)
        groups.append(Group(ident, data))
    return groups


def _param_ident(leader: str, data: bytes, is_basic: bool) -> bytes:
    code = leader_of(leader)
    if is_basic and code == b"\x0e":
        return code + bytes((len(data) & 0xFF,))
    digits = parameter_digits_of(code[0]) if len(code) == 1 else None
    return code + bytes(((len(data) & 31) << 3 | (0 if digits is None else digits[1]),))
