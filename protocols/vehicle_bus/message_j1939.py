"""Readable form of identifiers, parameter groups and the transport protocol of J1939. See `message.py`."""

import re
from collections.abc import Callable, Mapping

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, NeedData, OptionError, RemoteProtocolError
from protocols.message_fields import Fields
from protocols.vehicle_bus import catalogue
from protocols.vehicle_bus.catalogue import GROUPS, NAMES, TP_CM, TP_DT
from protocols.vehicle_bus.diagnostics import (
    LAMPS,
    DiagnosticMessage,
    Fault,
    Lamps,
    diagnostic_message,
    encode_fault,
    fault_of,
)
from protocols.vehicle_bus.identifier import (
    GLOBAL_ADDRESS,
    MAX_11_BIT,
    MAX_PGN,
    Identifier,
    J1939Id,
    StandardId,
    decode_identifier,
    encode_identifier,
)
from protocols.vehicle_bus.identity import (
    NAME_FIELDS,
    ComponentIdentification,
    Name,
    VehicleIdentification,
    component_identification,
    vehicle_identification,
)
from protocols.vehicle_bus.message_fields import Case, Message, octets, octets_of, text, texts
from protocols.vehicle_bus.parameter_group import (
    Group,
    NumberGroup,
    OtherGroup,
    decode_group,
    encode_group,
    number_group,
)
from protocols.vehicle_bus.requests import MAX_WIRE_PGN, Acknowledgement, ClearFaults, Request
from protocols.vehicle_bus.transport import (
    BAM,
    END_OF_MESSAGE,
    MAX_SIZE,
    MIN_SIZE,
    RTS,
    announcement,
    clear_to_send,
    encode_control,
    encode_packet,
    packet_of,
    packets_of,
)
from protocols.vehicle_bus.transport_listener import Aborted, Completed, TransportListener

_PGNS = {name: pgn for pgn, name in NAMES.items()}
_COMPONENT_KEYS = ("make", "model", "serial", "unit")
_HEAD_KEYS = frozenset({"kind", "bits", "id", "priority", "pgn", "destination", "source", "group"})
_TRANSPORT_PRIORITY = 7
_NO_LAMP = 3


def identifier_of(digits: str) -> Identifier:
    """An identifier of 3 or 8 hex digits. Raises `FieldError`."""
    plain = "".join(digits.split())
    if not re.fullmatch(r"[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8}", plain):
        raise FieldError("3 or 8 hex digits", field="id")
    return decode_identifier(int(plain, 16), 11 if len(plain) == 3 else 29)


def head_of(identifier: Identifier) -> Message:
    """The keys of an identifier."""
    if isinstance(identifier, StandardId):
        return {"bits": 11, "id": identifier.value}
    return {
        "bits": 29,
        "priority": identifier.priority,
        "pgn": identifier.pgn,
        "destination": identifier.destination,
        "source": identifier.source,
        "group": NAMES.get(identifier.pgn),
    }


def decode_can_id(case: Case) -> Message:
    """Read a case of kind `can_id`."""
    return head_of(identifier_of(text(case, "hex")))


def encode_can_id(fields: Fields) -> Message:
    """Write a message of kind `can_id`."""
    return {"hex": _digits(_identifier(fields))}


def _identifier(fields: Fields) -> Identifier:
    if fields.optional("bits", 29) == 11:
        return StandardId(fields.integer("id", MAX_11_BIT))
    pgn = fields.optional("pgn", MAX_PGN)
    if pgn is None:
        pgn = _PGNS.get(fields.text("group"))
        if pgn is None:
            raise LocalProtocolError("there is no such group", field="group")
    return J1939Id(
        fields.integer("priority", 7, 6),
        pgn,
        fields.integer("destination", 0xFF, GLOBAL_ADDRESS),
        fields.integer("source", 0xFF, 0),
    )


def _digits(identifier: Identifier) -> str:
    return f"{encode_identifier(identifier):0{3 if isinstance(identifier, StandardId) else 8}X}"


def decode_j1939(case: Case) -> Message:
    """Read a case of kind `j1939`."""
    if "id" not in case:
        raise OptionError("the identifier of the frame", field="id")
    identifier = identifier_of(text(case, "id"))
    if isinstance(identifier, StandardId):
        raise FieldError("J1939 has identifiers of 29 bits", field="id")
    return {**head_of(identifier), **_read_group(decode_group(identifier.pgn, octets(case)))}


def _read_group(group: Group) -> Message:
    match group:
        case NumberGroup():
            return dict(group.values())
        case OtherGroup():
            return {"raw": group.data.hex()}
        case DiagnosticMessage():
            return _read_dm(group)
        case Request():
            return {"requested_pgn": group.pgn}
        case ClearFaults():
            return {}
        case _:
            return _read_answer(group)


def _read_answer(group: Acknowledgement | VehicleIdentification | ComponentIdentification | Name) -> Message:
    match group:
        case Acknowledgement():
            return {"ack": group.control, "ack_pgn": group.pgn}
        case VehicleIdentification():
            return {"vin": group.vin()}
        case ComponentIdentification():
            return {"component_id": dict(zip(_COMPONENT_KEYS, group.parts(), strict=True))}
        case Name():
            return {field: getattr(group, field) for field, _size in NAME_FIELDS if field != "reserved"}


def _read_dm(message: DiagnosticMessage) -> Message:
    lamps = {name: _known(getattr(message.lamps, name)) for name in LAMPS}
    flash = {f"{name}_flash": _known(getattr(message.flash, name)) for name in LAMPS}
    return {**lamps, **flash, "dtcs": [_read_fault(fault) for fault in message.faults if not fault.is_none]}


def _known(bits: int) -> int | None:
    return bits if bits < 2 else None


def _read_fault(fault: Fault) -> Message:
    readable: Message = {
        "spn": fault.spn,
        "fmi": fault.fmi,
        "occurrence": fault.occurrence,
        "conversion": fault.conversion,
    }
    return {**readable, "raw": encode_fault(fault).hex()} if fault.conversion else readable


def encode_j1939(fields: Fields) -> Message:
    """Write a message of kind `j1939`: its identifier and its data."""
    identifier = _identifier(fields)
    if isinstance(identifier, StandardId):
        raise LocalProtocolError("J1939 has identifiers of 29 bits", field="bits")
    group = _group_of(identifier.pgn, fields)
    return {"id": _digits(identifier), "hex": encode_group(group).hex()}


def _group_of(pgn: int, fields: Fields) -> Group:
    if pgn in GROUPS:
        values = {key: fields.number(key) for key in fields.all_names() if key not in _HEAD_KEYS}
        return number_group(pgn, values)
    write = _WRITERS.get(pgn)
    return OtherGroup(pgn, fields.octets("raw")) if write is None else write(fields)


def _dm_of(fields: Fields) -> Group:
    faults = []
    for one in fields.records("dtcs"):
        if one.has("raw"):
            faults.append(Fault(*one.octets("raw", 4)))
        else:
            faults.append(
                fault_of(one.integer("spn", 0x7FFFF), one.integer("fmi", 0x1F), one.optional("occurrence", 0x7F))
            )
    return diagnostic_message(_lamps_of(fields, ""), _lamps_of(fields, "_flash"), faults)


def _lamps_of(fields: Fields, suffix: str) -> Lamps:
    bits = [fields.optional(name + suffix, 1) for name in LAMPS]
    return Lamps(*(_NO_LAMP if one is None else one for one in bits))


def _component_of(fields: Fields) -> Group:
    parts = fields.record("component_id")
    return component_identification(*(parts.text(key) if parts.has(key) else None for key in _COMPONENT_KEYS))


def _name_of(fields: Fields) -> Group:
    return Name(*(fields.integer(field, (1 << size) - 1, 0) for field, size in NAME_FIELDS))


_WRITERS: Mapping[int, Callable[[Fields], Group]] = {
    catalogue.DM1: _dm_of,
    catalogue.DM2: _dm_of,
    catalogue.DM3: lambda _fields: ClearFaults(),
    catalogue.DM11: lambda _fields: ClearFaults(),
    catalogue.VEHICLE_IDENTIFICATION: lambda fields: vehicle_identification(
        fields.text("vin") if fields.has("vin") else None
    ),
    catalogue.COMPONENT_IDENTIFICATION: _component_of,
    catalogue.REQUEST: lambda fields: Request(fields.integer("requested_pgn", MAX_WIRE_PGN)),
    catalogue.ACKNOWLEDGE: lambda fields: Acknowledgement(
        fields.integer("ack", 0xFF), fields.integer("ack_pgn", MAX_WIRE_PGN)
    ),
    catalogue.ADDRESS_CLAIMED: _name_of,
}


def decode_transport(case: Case) -> Message:
    """Read a case of kind `j1939_tp`."""
    listener = TransportListener()
    for line in texts(case, "frames"):
        digits, mark, data = line.partition("#")
        if not mark:
            raise FrameError("is ID#DATA", field="frames")
        identifier = identifier_of(digits)
        if isinstance(identifier, J1939Id):
            listener.receive(identifier, octets_of(data, "frames"), now=0.0)
    messages: list[Message] = []
    aborted: list[Message] = []
    while not isinstance(event := listener.next_event(), NeedData):
        if isinstance(event, Completed):
            messages.append(_read_completed(event))
        else:
            aborted.append(_read_aborted(event))
    return {
        "messages": messages,
        "aborted": aborted,
        "dropped": listener.dropped,
        "open": listener.open_sessions,
    }


def _read_completed(event: Completed) -> Message:
    readable: Message = {
        "pgn": event.pgn,
        "group": NAMES.get(event.pgn),
        "source": event.source,
        "destination": event.destination,
        "size": len(event.data),
        "data_hex": event.data.hex(),
    }
    if event.pgn in GROUPS:
        return readable
    try:
        group = _read_group(decode_group(event.pgn, event.data))
    except RemoteProtocolError:
        return readable  # a whole message whose contents are not those of its group: its bytes are there
    return {**readable, **{key: value for key, value in group.items() if key != "raw"}}


def _read_aborted(event: Aborted) -> Message:
    return {
        "pgn": event.pgn,
        "source": event.source,
        "destination": event.destination,
        "reason": event.reason,
    }


def encode_transport(fields: Fields) -> Message:
    """Write the messages of a message of kind `j1939_tp`: each as a broadcast, or as one grant to its destination."""
    frames: list[str] = []
    for one in fields.records("messages"):
        data = one.octets("data_hex")
        if not MIN_SIZE <= len(data) <= MAX_SIZE:
            raise LocalProtocolError(f"{MIN_SIZE} to {MAX_SIZE} bytes", field="data_hex")
        pgn, source = one.integer("pgn", MAX_PGN), one.integer("source", 0xFF)
        frames += _transport_frames(pgn, source, one.integer("destination", 0xFF, GLOBAL_ADDRESS), data)
    return {"frames": frames}


def _transport_frames(pgn: int, source: int, destination: int, data: bytes) -> list[str]:
    packets = packets_of(len(data))
    there = encode_identifier(J1939Id(_TRANSPORT_PRIORITY, TP_CM, destination, source))
    bodies = encode_identifier(J1939Id(_TRANSPORT_PRIORITY, TP_DT, destination, source))
    begin = announcement(BAM if destination == GLOBAL_ADDRESS else RTS, pgn, len(data))
    frames = [(bodies, encode_packet(packet_of(data, number))) for number in range(1, packets + 1)]
    if destination == GLOBAL_ADDRESS:
        frames = [(there, encode_control(begin)), *frames]
    else:
        back = encode_identifier(J1939Id(_TRANSPORT_PRIORITY, TP_CM, source, destination))
        frames = [
            (there, encode_control(begin)),
            (back, encode_control(clear_to_send(pgn, packets, 1))),
            *frames,
            (back, encode_control(announcement(END_OF_MESSAGE, pgn, len(data)))),
        ]
    return [f"{identifier:08X}#{body.hex().upper()}" for identifier, body in frames]
