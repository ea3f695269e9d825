"""Readable form of an ELM327's replies. See `message.py`."""

import re

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.message_fields import Fields
from protocols.vehicle_bus.elm import (
    EMPTY,
    ERROR_TEXTS,
    OK,
    PROTOCOL_NUMBER,
    Reply,
    decode_reply,
    encode_command,
    encode_reply,
    is_setting,
    plain_command,
)
from protocols.vehicle_bus.elm_answers import BUSES, EcuAnswer, kline_messages, read_lines, write_lines
from protocols.vehicle_bus.message_fields import Case, Message, choice, flag, octets_of, text
from protocols.vehicle_bus.message_obd import CAN, KLINE, read_answer
from protocols.vehicle_bus.obd import ANSWER, NEGATIVE

_VOLTAGE = re.compile(r"(\d+(?:\.\d+)?)\s*V?", re.IGNORECASE)
_IDENTIFYING = frozenset({"ATZ", "ATI", "ATWS"})


def decode_elm(case: Case) -> Message:
    """Read a case of kind `elm`."""
    request = text(case, "request")
    bus = choice(case, "bus", BUSES)
    has_headers = flag(case, "headers")
    try:
        encode_command(request)
    except LocalProtocolError as error:
        raise OptionError(error.reason, field="request") from None
    reply = decode_reply(text(case, "text"), request)
    if is_setting(request):
        return {"status": reply.status, **_read_setting(plain_command(request), reply)}
    return {"status": reply.status, **_read_answers(plain_command(request), reply, bus, has_headers=has_headers)}


def _read_setting(command: str, reply: Reply) -> Message:
    lines = reply.lines
    out: Message = {"text_lines": list(lines)}
    last = lines[-1] if lines else ""
    if command == "ATRV":
        voltage = _VOLTAGE.fullmatch(last)
        out["voltage_v"] = float(voltage.group(1)) if voltage else None
    elif command in _IDENTIFYING:
        out["adapter"] = last or None
    elif command == "ATDPN":
        protocol = PROTOCOL_NUMBER.fullmatch(last)
        out["automatic"] = bool(protocol.group(1)) if protocol else None
        out["protocol"] = protocol.group(2).upper() if protocol else None
    return out


def _read_answers(request: str, reply: Reply, bus: str, *, has_headers: bool) -> Message:
    found = read_lines(reply.lines, bus=bus, has_headers=has_headers)
    service = int(request[:2], 16) if len(request) > 1 else None
    answers: list[Message] = []
    foreign: list[str] = []
    for answer in found.answers:
        ours = tuple(one for one in answer.messages if service is None or _answers(one, service))
        foreign += [one.hex() for one in answer.messages if one not in ours]
        if ours:
            answers.append(_read_answer(EcuAnswer(answer.ecu, ours), bus))
    return {
        "bus": bus,
        "answers": answers,
        "foreign": foreign,
        "garbled": found.garbled,
        "incomplete": found.incomplete,
    }


def _answers(message: bytes, service: int) -> bool:
    return message[0] == service + ANSWER or (message[0] == NEGATIVE and message[1:2] == bytes((service,)))


def _read_answer(answer: EcuAnswer, bus: str) -> Message:
    try:
        message: Message | None = read_answer(answer.messages, KLINE if bus == "kline" else CAN)
    except RemoteProtocolError:
        message = None
    return {"ecu": answer.ecu, "data_hex": b"".join(answer.messages).hex(), "message": message}


def encode_elm(fields: Fields) -> Message:
    """Write a reply as an adapter does, echo and linefeeds off."""
    status = fields.text("status") if fields.has("status") else OK
    lines: list[str] = []
    if fields.has("text_lines"):
        lines += fields.names("text_lines")
    if fields.has("answers"):
        for one in fields.records("answers"):
            ecu = one.text("ecu") if one.has("ecu") else None
            data = octets_of(one.text("data_hex"), "data_hex")
            is_kline = fields.has("bus") and fields.text("bus") == "kline"
            lines += write_lines(EcuAnswer(ecu, tuple(kline_messages(data)) if is_kline else (data,)))
    if fields.has("garbled"):
        lines += fields.names("garbled")
    if status not in {OK, EMPTY}:
        if status not in ERROR_TEXTS:
            raise LocalProtocolError("no such status", field="status")
        lines.append(ERROR_TEXTS[status])
    return {"text": encode_reply(lines)}
