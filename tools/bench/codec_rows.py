"""The codecs that `wayside bench codecs` measures: a line of a table each, on the wire types.

What is decoded comes from the shared vectors: all of a file that are whole frames and no errors. `encode` takes what
`decode` gave, and must give the same frame again: that is checked before anything is measured.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from fastcrc import crc16
from msgspec.structs import replace

from protocols.ais.assembler import Assembler
from protocols.ais.catalogue import encode as encode_ais
from protocols.ais.sentence import encode_part, parts_of
from protocols.aton import character as lights
from protocols.aton.commands import ANSWER, COMMAND, decode_answer, decode_command, encode_answer, encode_command
from protocols.aton.frame import Frame as AtonFrame
from protocols.aton.frame import decode_frame as decode_aton
from protocols.aton.frame import encode_frame as encode_aton
from protocols.aton.telemetry import decode_report, encode_report
from protocols.core.errors import NeedData
from protocols.dlt645 import catalogue as dlt645
from protocols.dlt645.edition import Edition
from protocols.dlt645.frame import decode_frame as decode_dlt645
from protocols.dlt645.frame import encode_frame as encode_dlt645
from protocols.etc_rsu.catalogue import Interface, decode_payload
from protocols.etc_rsu.message import decode_frame as decode_etc_rsu
from protocols.etc_rsu.message import encode_frame as encode_etc_rsu
from protocols.gbt32960.catalogue import decode_body as decode_gbt_body
from protocols.gbt32960.catalogue import encode_body as encode_gbt_body
from protocols.gbt32960.frame import decode_frame as decode_gbt
from protocols.gbt32960.frame import encode_frame as encode_gbt
from protocols.hj212.packet import decode_packet, encode_packet
from protocols.hj212.segment import decode_segment, encode_segment
from protocols.iso14443 import activation, apdu, ber_tlv, block, type_a, type_b
from protocols.jt808.catalogue import read_packet
from protocols.jt808.frame import decode_frame as decode_jt808
from protocols.jt808.frame import encode_frame as encode_jt808
from protocols.jt808.location import Location
from protocols.modbus_devices.pdu_message import decode_pdu
from protocols.modbus_devices.rtu import decode_rtu, encode_rtu
from protocols.nmea0183.catalogue import decode as decode_nmea
from protocols.nmea0183.sentence import Sentence, encode_sentence
from protocols.pn532.frame import decode_frame as decode_pn532
from protocols.pn532.frame import encode_frame as encode_pn532
from protocols.sl651.catalogue import decode_body as decode_sl651_body
from protocols.sl651.frame import Frame as SlFrame
from protocols.sl651.frame import decode_frame as decode_sl651
from protocols.sl651.frame import encode_frame as encode_sl651
from protocols.traffic_survey import ss125, survey_frame
from protocols.traffic_survey.ss125_messages import decode_body as decode_ss125_body
from protocols.traffic_survey.ss125_messages import encode_body as encode_ss125_body
from protocols.traffic_survey.survey_commands import decode_packet as decode_survey
from protocols.traffic_survey.survey_commands import encode_packet as encode_survey
from protocols.vehicle_bus.identifier import J1939Id, decode_identifier
from protocols.vehicle_bus.obd import decode_answer as decode_obd
from protocols.vehicle_bus.obd import encode_answer as encode_obd
from protocols.vehicle_bus.parameter_group import decode_group, encode_group
from protocols.vms.contents import decode_content
from protocols.vms.frame import DIALECTS, Dialect
from protocols.vms.frame import decode_frame as decode_vms
from protocols.vms.frame import encode_frame as encode_vms

Case = Mapping[str, Any]


class Codec(msgspec.Struct, frozen=True):
    """One codec and how it is called.

    A frame is the bytes (or text) of a case, or a tuple of these and of what the codec must be told beside them; then
    `encode` gets a tuple with the same behind the message.
    """

    name: str
    what: str
    vectors: str
    frame: Callable[[Case], Any]
    """What is decoded of a case; None: nothing, the case is of another kind."""
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any] | None
    """None: as another line of the table encodes it."""
    odd: frozenset[str] = frozenset()
    """Cases that say it in a legal but odd way, which nobody encodes: left out."""


def _hex(case: Case) -> bytes | None:
    given = case.get("hex")
    return bytes.fromhex(given) if isinstance(given, str) and given else None


def _of_kinds(*kinds: object) -> Callable[[Case], tuple[bytes, Any] | None]:
    return lambda case: (bytes.fromhex(case["hex"]), case["kind"]) if case.get("kind") in kinds else None


def _line(case: Case) -> bytes | None:
    """A line without tag block, as a receiver sends it."""
    text = case.get("text")
    return text.rstrip("\r\n").encode() if isinstance(text, str) and text[0] in "$!" else None


# -- JT/T 808 -----


def _jt808_location(case: Case) -> bytes | None:
    wire = _hex(case)
    return wire if wire is not None and isinstance(read_packet(decode_jt808(wire)).body, Location) else None


def _encode_jt808(packet: Any) -> bytes:
    return encode_jt808(replace(packet.frame, body=packet.body.to_bytes(packet.dialect)))


# -- AIS -----

_POSITION_TYPES = (1, 2, 3)


def _ais_position(case: Case) -> bytes | None:
    return _line(case) if case["expect"]["type"] in _POSITION_TYPES else None


def _ais_message(case: Case) -> bytes | None:
    """Whole in one line, and nothing behind its checksum."""
    line = _line(case)
    return line if line is not None and line[7:10] == b"1,1" and line[-3:-2] == b"*" else None


_take_ais = partial(Assembler().take_line, now=0.0)


def _decode_ais(line: bytes) -> Any:
    """With the message, which is read at the first look at it."""
    received = _take_ais(line)
    assert not isinstance(received, NeedData)
    return received.head, received.message


def _encode_ais(received: Any) -> bytes:
    head, message = received
    (part,) = parts_of(*encode_ais(message), head.talker, head.formatter, head.channel)
    return encode_part(part)


_AIS_ODD = frozenset({"msg19_06", "msg21_01", "msg21_03", "msg6_235_10_05", "msg8_other_03"})

# -- NMEA 0183 -----


def _decode_and_read(line: bytes) -> Sentence:
    sentence = decode_nmea(line)
    sentence.read()
    return sentence


# -- the others -----

_ATON_BODIES: Mapping[int, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    1: (decode_report, encode_report),
    COMMAND: (decode_command, encode_command),
    ANSWER: (decode_answer, encode_answer),
}


def _decode_aton(wire: bytes) -> tuple[AtonFrame, Any]:
    frame = decode_aton(wire)
    return frame, _ATON_BODIES[frame.kind][0](frame.body)


def _encode_aton(message: tuple[AtonFrame, Any]) -> bytes:
    frame, body = message
    return encode_aton(AtonFrame(frame.kind, frame.station, frame.serial, _ATON_BODIES[frame.kind][1](body)))


def _light(case: Case) -> str | None:
    """A character of a light as charts write it."""
    text = case.get("text")
    return text if text == case["expect"].get("character") else None


def _dlt645(case: Case) -> tuple[bytes, Edition]:
    return bytes.fromhex(case["hex"]), Edition(case.get("version", 2007))


def _decode_dlt645(given: tuple[bytes, Edition]) -> Any:
    frame = decode_dlt645(given[0])
    decode = dlt645.decode_answer if frame.is_response else dlt645.decode_request
    return frame, decode(frame, given[1])


def _encode_dlt645(given: tuple[Any, Edition]) -> bytes:
    (frame, message), edition = given
    frame_of: Callable[..., Any] = dlt645.frame_of_answer if frame.is_response else dlt645.frame_of_request
    return encode_dlt645(frame_of(frame.address, message, edition, preamble_count=frame.preamble_count))


_INTERFACES = frozenset(interface.value for interface in Interface)


def _etc_rsu(case: Case) -> tuple[bytes, Interface] | None:
    return (bytes.fromhex(case["hex"]), Interface(case["kind"])) if case["kind"] in _INTERFACES else None


def _decode_etc_rsu(given: tuple[bytes, Interface]) -> Any:
    frame = decode_etc_rsu(given[1], given[0])
    return frame, decode_payload(given[1], frame.data)


def _encode_etc_rsu(given: Any) -> bytes:
    (frame, payload), _interface = given
    return encode_etc_rsu(replace(frame, data=payload.to_bytes()))


def _gbt32960(case: Case) -> bytes | None:
    return _hex(case) if case["version"] != "gb17691" else None


def _decode_gbt32960(wire: bytes) -> Any:
    frame = decode_gbt(wire)
    return frame, decode_gbt_body(frame)


def _encode_gbt32960(message: Any) -> bytes:
    frame, body = message
    return encode_gbt(replace(frame, data=encode_gbt_body(body, frame.edition)))


def _decode_hj212(wire: bytes) -> Any:
    packet = decode_packet(wire, accepts_modbus_crc=True)
    return packet, decode_segment(packet.data)


def _encode_hj212(message: Any) -> bytes:
    packet, segment = message
    return encode_packet(replace(packet, data=encode_segment(segment)))


_ISO14443: Mapping[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "atqa": (type_a.decode_atqa, type_a.encode_atqa),
    "anticoll_reply": (type_a.decode_anticollision_reply, type_a.encode_anticollision_reply),
    "select": (type_a.decode_select, type_a.encode_select),
    "sak": (type_a.decode_sak, type_a.encode_sak),
    "atqb": (type_b.decode_atqb, type_b.encode_atqb),
    "ats": (activation.decode_ats, activation.encode_ats),
    "block": (block.decode_block, block.encode_block),
    "apdu_command": (apdu.decode_command, apdu.encode_command),
    "apdu_response": (apdu.decode_response, apdu.encode_response),
    "ber_tlv": (ber_tlv.decode_tlv, ber_tlv.encode_tlv),
}


def _modbus(case: Case) -> tuple[bytes, str | None] | None:
    wire = _hex(case) if case.get("protocol", "rtu") == "rtu" else None
    return None if wire is None else (wire, case.get("direction"))


def _decode_modbus(given: tuple[bytes, str | None]) -> Any:
    frame = decode_rtu(given[0], crc16.modbus)
    return frame.unit_id, decode_pdu(frame.pdu, given[1])


def _encode_modbus(given: Any) -> bytes:
    (unit_id, pdu), _direction = given
    return encode_rtu(unit_id, pdu.encode(), crc16.modbus)


def _sl651(case: Case) -> bytes | None:
    """A message in one packet."""
    return None if case.get("scan") or "packet_seq" in case["expect"] else _hex(case)


def _decode_sl651(wire: bytes) -> Any:
    frame = decode_sl651(wire, crc16.modbus)
    return frame, decode_sl651_body(frame)


def _encode_sl651(message: Any) -> bytes:
    frame, body = message
    own = SlFrame(
        frame.center_addr,
        frame.station_addr,
        frame.password,
        frame.function_code,
        body.encode(frame.is_ascii),
        frame.end_char,
        frame.is_down,
        frame.is_ascii,
        spelling=frame.spelling,
    )
    return encode_sl651(own, crc16.modbus)


def _j1939(case: Case) -> tuple[bytes, int] | None:
    if case["kind"] != "j1939":
        return None
    identifier = decode_identifier(int(case["id"], 16), 29)
    assert isinstance(identifier, J1939Id)
    return bytes.fromhex(case["hex"]), identifier.pgn


def _decode_j1939(given: tuple[bytes, int]) -> Any:
    group = decode_group(given[1], given[0])
    values = getattr(group, "values", None)
    if values is not None:
        values()
    return group


def _obd(case: Case) -> bytes | None:
    return _hex(case) if case["kind"] == "obd" and case.get("bus", "can") == "can" else None


def _survey(case: Case) -> tuple[bytes, int] | None:
    return (bytes.fromhex(case["hex"]), case.get("device_class", 1)) if case["protocol"] == "jtt1008" else None


def _encode_survey(given: Any) -> bytes:
    return survey_frame.encode_frame(survey_frame.Frame(encode_survey(given[0])))


def _ss125(case: Case) -> bytes | None:
    return _hex(case) if case["protocol"] == "ss125" else None


def _decode_ss125(wire: bytes) -> Any:
    frame = ss125.decode_frame(wire)
    return frame, decode_ss125_body(frame.body)


def _encode_ss125(message: Any) -> bytes:
    frame, body = message
    return ss125.encode_frame(replace(frame, body=encode_ss125_body(body)))


def _vms(case: Case) -> tuple[bytes, Dialect, bool, str | None] | None:
    wire = _hex(case)
    is_response = case.get("direction") == "response"
    return None if wire is None else (wire, DIALECTS[case["profile"]], is_response, case.get("request_type"))


def _decode_vms(given: tuple[bytes, Dialect, bool, str | None]) -> Any:
    wire, dialect, is_response, request_type = given
    frame = decode_vms(wire, dialect, is_response=is_response)
    return frame, decode_content(frame, dialect, is_response=is_response, request_type=request_type)


def _encode_vms(given: Any) -> bytes:
    (frame, content), dialect, is_response, _request_type = given
    return encode_vms(replace(frame, data=content.data()), dialect, is_response=is_response)


# A codec is a line: its name, what is measured, its file of vectors, what of a case is decoded, and both ways.
CODECS: tuple[Codec, ...] = (
    Codec("jt808-location", "`jt808` 0x0200: unescape, check, header, body, extras", "jt808", _jt808_location,
          lambda wire: read_packet(decode_jt808(wire)), _encode_jt808),
    Codec("jt808", "`jt808`: all messages", "jt808", _hex, lambda wire: read_packet(decode_jt808(wire)), _encode_jt808),
    Codec("ais-position", "`ais` position reports: line, armour, message", "ais", _ais_position,
          _decode_ais, _encode_ais),
    Codec("ais-position-unread", "`ais` position reports, passed on unread", "ais", _ais_position, _take_ais, None),
    Codec("ais", "`ais`: all messages of one line", "ais", _ais_message,
          _decode_ais, _encode_ais, _AIS_ODD),
    Codec("nmea0183", "`nmea0183`: all sentences", "nmea0183", _line, decode_nmea, encode_sentence),
    Codec("nmea0183-fields", "`nmea0183`: all sentences and all their fields", "nmea0183", _line,
          _decode_and_read, None),
    Codec("aton", "`aton` frames", "aton", _hex, _decode_aton, _encode_aton),
    Codec("aton-light", "`aton` characters of lights", "aton", _light,
          lights.parse_character, lights.character_text),
    Codec("dlt645", "`dlt645`, both editions", "dlt645", _dlt645, _decode_dlt645, _encode_dlt645),
    Codec("etc_rsu", "`etc_rsu`: frame and payload", "etc_rsu", _etc_rsu, _decode_etc_rsu, _encode_etc_rsu),
    Codec("gbt32960", "`gbt32960`, both editions", "gbt32960", _gbt32960, _decode_gbt32960, _encode_gbt32960),
    Codec("hj212", "`hj212`: packet and segment", "hj212", lambda case: case["text"].encode("gbk"),
          _decode_hj212, _encode_hj212),
    Codec("iso14443", "`iso14443`: cards, blocks, APDUs", "iso14443", _of_kinds(*_ISO14443),
          lambda given: _ISO14443[given[1]][0](given[0]), lambda given: _ISO14443[given[1]][1](given[0])),
    Codec("modbus", "`modbus_devices`: RTU frame and PDU", "modbus_devices", _modbus, _decode_modbus, _encode_modbus),
    Codec("pn532", "`pn532` frames", "pn532", _of_kinds("host_frame"),
          lambda given: decode_pn532(given[0]), lambda given: encode_pn532(given[0]),
          frozenset({"libnfc wakeup + sam"})),
    Codec("sl651", "`sl651`: frame and body", "sl651", _sl651, _decode_sl651, _encode_sl651),
    Codec("jtt1008", "`traffic_survey`: JT/T 1008", "traffic_survey", _survey,
          lambda given: decode_survey(survey_frame.decode_frame(given[0]).data, given[1]), _encode_survey),
    Codec("ss125", "`traffic_survey`: SS125", "traffic_survey", _ss125, _decode_ss125, _encode_ss125),
    Codec("j1939", "`vehicle_bus`: groups of J1939 with their values", "vehicle_bus", _j1939,
          _decode_j1939, lambda given: encode_group(given[0])),
    Codec("obd", "`vehicle_bus`: answers of OBD", "vehicle_bus", _obd, decode_obd, encode_obd),
    Codec("vms", "`vms`: frame and content, all dialects", "vms", _vms, _decode_vms, _encode_vms),
)  # fmt: skip
