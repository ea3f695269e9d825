r"""ECUs' answers out of the lines that an ELM327 prints (ELM327 data sheet, "Multiline Responses" and "Headers").

    headers off    41 0C 1A F8                                           one answer a line
                   014 / 0: 49 02 01 .. / 1: .. / 2: ..                  its length in hex, then its lines
    headers on     7E8 04 41 0C 1A F8                                    CAN: identifier, then an ISO-TP frame
                   87 F1 10 49 02 01 00 00 00 57 2B                      K-line: three bytes, the message, a checksum

The adapter has verified the K-line's checksum; it is cut off. On the K-line all messages of one ECU make one answer.

>>> read_lines(("7E8 06 41 00 BE 3F A8 13",), bus="can11", has_headers=True).answers
[EcuAnswer(ecu='7E8', messages=(b'A\x00\xbe?\xa8\x13',))]
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.vehicle_bus.iso_tp import encode_frame, segment
from protocols.vehicle_bus.iso_tp_assembly import Assembly

LINE_BYTES = 7
"""Of a message that fits one line; the first of several lines has one less."""
BUSES = ("can11", "can29", "kline")
_ID_DIGITS = {"can11": 3, "can29": 8}
_KLINE_HEADER = 3
_LENGTH_LINE = re.compile(r"[0-9A-Fa-f]{3}")
_NUMBERED_LINE = re.compile(r"([0-9A-Fa-f]):(.*)")


class EcuAnswer(msgspec.Struct, frozen=True):
    """What one ECU said. ecu: its identifier, or on the K-line its address, in hex; None without headers.

    messages: one, or those of the K-line that belong together.
    """

    ecu: str | None
    messages: tuple[bytes, ...]


class Answers(msgspec.Struct):
    """What the lines of one reply held. incomplete: answers of several frames that were begun and not finished."""

    answers: list[EcuAnswer] = []
    garbled: list[str] = []
    incomplete: int = 0


def read_lines(lines: Sequence[str], *, bus: str, has_headers: bool) -> Answers:
    """Put together what the lines of a reply hold. Raises nothing: what is no answer is named in the result."""
    if bus == "kline":
        return _read_kline(lines, has_headers=has_headers)
    return _read_can(lines, _ID_DIGITS[bus]) if has_headers else _read_plain(lines)


def _read_can(lines: Sequence[str], id_digits: int) -> Answers:
    out = Answers()
    assemblies: dict[str, Assembly] = {}
    found: dict[str, list[EcuAnswer]] = {}
    for line in lines:
        digits = "".join(line.split()).upper()
        field = octets_of(digits[id_digits:])
        if field is None or octets_of(digits[:id_digits].zfill(8)) is None or len(digits) <= id_digits:
            out.garbled.append(line)
            continue
        ecu = digits[:id_digits]
        message = assemblies.setdefault(ecu, Assembly()).add(field)
        answers = found.setdefault(ecu, [])
        if message is not None:
            answers.append(EcuAnswer(ecu, (message,)))
    out.answers = [answer for answers in found.values() for answer in answers]
    out.incomplete = sum(assembly.begun - assembly.finished for assembly in assemblies.values())
    return out


def _read_plain(lines: Sequence[str]) -> Answers:
    out = Answers()
    length = number = 0
    data = b""
    for line in lines:
        numbered = _NUMBERED_LINE.fullmatch(line)
        part = octets_of(numbered.group(2) if numbered else line)
        if _LENGTH_LINE.fullmatch(line) and int(line, 16):
            out.incomplete += length > 0
            length, number, data = int(line, 16), 0, b""
        elif part is None or (numbered and not length):
            out.garbled.append(line)
        elif numbered is None:
            out.answers.append(EcuAnswer(None, (part,)))
        elif int(numbered.group(1), 16) != number % 16:
            out.incomplete += 1
            length = 0
        else:
            number += 1
            data += part
            if len(data) >= length:
                out.answers.append(EcuAnswer(None, (data[:length],)))
                length = 0
    out.incomplete += length > 0
    return out


def _read_kline(lines: Sequence[str], *, has_headers: bool) -> Answers:
    out = Answers()
    found: dict[str | None, list[bytes]] = {}
    for line in lines:
        message = octets_of(line)
        ecu = None
        if has_headers and message is not None:
            ecu = message[_KLINE_HEADER - 1 : _KLINE_HEADER].hex().upper()
            message = message[_KLINE_HEADER:-1]
        if message:
            found.setdefault(ecu, []).append(message)
        else:
            out.garbled.append(line)
    out.answers = [EcuAnswer(ecu, tuple(messages)) for ecu, messages in found.items()]
    return out


def kline_messages(data: bytes) -> list[bytes]:
    """The messages of an answer on the K-line, which has no longer ones."""
    return [data[at : at + LINE_BYTES] for at in range(0, len(data), LINE_BYTES)]


def write_lines(answer: EcuAnswer) -> list[str]:
    """The lines in which an adapter prints an answer, on CAN or without headers. Raises `LocalProtocolError`."""
    if answer.ecu is None:
        if len(answer.messages) == 1 and len(answer.messages[0]) > LINE_BYTES:
            return _numbered_lines(answer.messages[0])
        return [_spaced(message) for message in answer.messages]
    if len(answer.ecu) not in _ID_DIGITS.values() or octets_of(answer.ecu.zfill(8)) is None:
        raise LocalProtocolError("3 or 8 digits; the header of a K-line is not known", field="ecu")
    ecu = answer.ecu if len(answer.ecu) == 3 else _spaced(bytes.fromhex(answer.ecu))
    return [f"{ecu} {_spaced(encode_frame(frame))}" for message in answer.messages for frame in segment(message)]


def _numbered_lines(message: bytes) -> list[str]:
    if len(message) > 0xFFF:
        raise LocalProtocolError("more than three digits of length", field="data_hex")
    cuts = [0, LINE_BYTES - 1, *range(2 * LINE_BYTES - 1, len(message), LINE_BYTES), len(message)]
    parts = [message[at:end] for at, end in pairwise(cuts)]
    return [f"{len(message):03X}", *(f"{number % 16:X}: {_spaced(part)}" for number, part in enumerate(parts))]


def _spaced(data: bytes) -> str:
    return data.hex(" ").upper()


def octets_of(text: str) -> bytes | None:
    """The bytes that a line of hex digits says; None for an empty one, or anything else."""
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None
