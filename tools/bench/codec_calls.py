"""How the codecs of `codec_rows.py` are called: what of a case is a frame, and what reads and writes it.

A frame goes through all layers of its codec, down to the wire types and back.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastcrc import crc16
from msgspec.structs import replace

from protocols.ais.assembler import Assembler
from protocols.ais.catalogue import encode as encode_ais
from protocols.ais.sentence import encode_part, parts_of
from protocols.aton.commands import ANSWER, COMMAND, decode_answer, decode_command, encode_answer, encode_command
from protocols.aton.frame import Frame as AtonFrame
from protocols.aton.frame import decode_frame as decode_aton
from protocols.aton.frame import encode_frame as encode_aton
from protocols.aton.telemetry import decode_report, encode_report
from protocols.dlt645 import catalogue as dlt645
from protocols.dlt645.edition import Edition
from protocols.dlt645.frame import decode_frame as decode_dlt645
from protocols.dlt645.frame import encode_frame as encode_dlt645
from protocols.epurse.message import TABLES as EPURSE
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
from protocols.nmea0183.sentence import Sentence
from protocols.rfid_and_gates import idcard_sam, llrp_message, uhf_m100, uhf_r2000
from protocols.sl651.catalogue import decode_body as decode_sl651_body
from protocols.sl651.frame import Frame as SlFrame
from protocols.sl651.frame import decode_frame as decode_sl651
from protocols.sl651.frame import encode_frame as encode_sl651
from protocols.traffic_survey import ss125, survey_frame
from protocols.traffic_survey.ss125_messages import decode_body as decode_ss125_body
from protocols.traffic_survey.ss125_messages import encode_body as encode_ss125_body
from protocols.traffic_survey.survey_commands import encode_packet as encode_survey
from protocols.vehicle_bus.identifier import J1939Id, decode_identifier
from protocols.vehicle_bus.parameter_group import decode_group
from protocols.vms.contents import decode_content
from protocols.vms.frame import DIALECTS, Dialect
from protocols.vms.frame import decode_frame as decode_vms
from protocols.vms.frame import encode_frame as encode_vms

__all__ = ["EPURSE"]

Case = Mapping[str, Any]


def octets(case: Case) -> bytes | None:
    """One frame in hex."""
    given = case.get("hex")
    return bytes.fromhex(given) if isinstance(given, str) and given else None


def of(key: str, *names: str) -> Callable[[Case], tuple[bytes, str] | None]:
    """The cases of some kinds or protocols, each frame with its name."""
    return lambda case: (bytes.fromhex(case["hex"]), case[key]) if case.get(key) in names else None


def one_line(case: Case) -> bytes | None:
    """A line without tag block, as a receiver sends it."""
    text = case.get("text")
    return text.rstrip("\r\n").encode() if isinstance(text, str) and text[0] in "$!" else None


# -- JT/T 808 -----


def jt808_location(case: Case) -> bytes | None:
    wire = octets(case)
    return wire if wire is not None and isinstance(read_packet(decode_jt808(wire)).body, Location) else None


def read_jt808(wire: bytes) -> Any:
    return read_packet(decode_jt808(wire))


def write_jt808(packet: Any) -> bytes:
    return encode_jt808(replace(packet.frame, body=packet.body.to_bytes(packet.dialect)))


# -- AIS -----

_POSITION_TYPES = (1, 2, 3)


def ais_position(case: Case) -> bytes | None:
    return one_line(case) if case["expect"]["type"] in _POSITION_TYPES else None


def ais_message(case: Case) -> bytes | None:
    """Whole in one line, and nothing behind its checksum."""
    line = one_line(case)
    return line if line is not None and line[7:10] == b"1,1" and line[-3:-2] == b"*" else None


_ASSEMBLER = Assembler()


def take_ais(line: bytes) -> Any:
    return _ASSEMBLER.take_line(line, 0.0)


def read_ais(line: bytes) -> Any:
    """With the message, which is read at the first look at it."""
    received: Any = _ASSEMBLER.take_line(line, 0.0)
    return received.head, received.message


def write_ais(received: Any) -> bytes:
    head, message = received
    (part,) = parts_of(*encode_ais(message), head.talker, head.formatter, head.channel)
    return encode_part(part)


AIS_ODD = frozenset({"msg19_06", "msg21_01", "msg21_03", "msg6_235_10_05", "msg8_other_03"})

# -- NMEA 0183 -----


def read_with_fields(line: bytes) -> Sentence:
    sentence = decode_nmea(line)
    sentence.read()
    return sentence


# -- the others -----

_ATON_BODIES: Mapping[int, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    1: (decode_report, encode_report),
    COMMAND: (decode_command, encode_command),
    ANSWER: (decode_answer, encode_answer),
}


def read_aton(wire: bytes) -> tuple[AtonFrame, Any]:
    frame = decode_aton(wire)
    return frame, _ATON_BODIES[frame.kind][0](frame.body)


def write_aton(message: tuple[AtonFrame, Any]) -> bytes:
    frame, body = message
    return encode_aton(AtonFrame(frame.kind, frame.station, frame.serial, _ATON_BODIES[frame.kind][1](body)))


def light_text(case: Case) -> str | None:
    """A character of a light as charts write it."""
    text = case.get("text")
    return text if text == case["expect"].get("character") else None


def dlt645_frame(case: Case) -> tuple[bytes, Edition]:
    return bytes.fromhex(case["hex"]), Edition(case.get("version", 2007))


def read_dlt645(given: tuple[bytes, Edition]) -> Any:
    frame = decode_dlt645(given[0])
    decode = dlt645.decode_answer if frame.is_response else dlt645.decode_request
    return frame, decode(frame, given[1])


def write_dlt645(given: tuple[Any, Edition]) -> bytes:
    (frame, message), edition = given
    frame_of: Callable[..., Any] = dlt645.frame_of_answer if frame.is_response else dlt645.frame_of_request
    return encode_dlt645(frame_of(frame.address, message, edition, preamble_count=frame.preamble_count))


_INTERFACES = frozenset(interface.value for interface in Interface)


def etc_rsu_frame(case: Case) -> tuple[bytes, Interface] | None:
    return (bytes.fromhex(case["hex"]), Interface(case["kind"])) if case["kind"] in _INTERFACES else None


def read_etc_rsu(given: tuple[bytes, Interface]) -> Any:
    frame = decode_etc_rsu(given[1], given[0])
    return frame, decode_payload(given[1], frame.data)


def write_etc_rsu(given: Any) -> bytes:
    (frame, payload), _interface = given
    return encode_etc_rsu(replace(frame, data=payload.to_bytes()))


def gbt32960_frame(case: Case) -> bytes | None:
    return octets(case) if case["version"] != "gb17691" else None


def read_gbt32960(wire: bytes) -> Any:
    frame = decode_gbt(wire)
    return frame, decode_gbt_body(frame)


def write_gbt32960(message: Any) -> bytes:
    frame, body = message
    return encode_gbt(replace(frame, data=encode_gbt_body(body, frame.edition)))


def read_hj212(wire: bytes) -> Any:
    packet = decode_packet(wire, accepts_modbus_crc=True)
    return packet, decode_segment(packet.data)


def write_hj212(message: Any) -> bytes:
    packet, segment = message
    return encode_packet(replace(packet, data=encode_segment(segment)))


ISO14443: Mapping[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
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


READERS: Mapping[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "uhf_m100": (uhf_m100.decode_frame, uhf_m100.encode_frame),
    "uhf_r2000": (uhf_r2000.decode_frame, uhf_r2000.encode_frame),
    "llrp": (llrp_message.decode_message_frame, llrp_message.encode_message_frame),
    "idcard_sam": (idcard_sam.decode_frame, idcard_sam.encode_frame),
}


def modbus_frame(case: Case) -> tuple[bytes, str | None] | None:
    wire = octets(case) if case.get("protocol", "rtu") == "rtu" else None
    return None if wire is None else (wire, case.get("direction"))


def read_modbus(given: tuple[bytes, str | None]) -> Any:
    frame = decode_rtu(given[0], crc16.modbus)
    return frame.unit_id, decode_pdu(frame.pdu, given[1])


def write_modbus(given: Any) -> bytes:
    (unit_id, pdu), _direction = given
    return encode_rtu(unit_id, pdu.encode(), crc16.modbus)


def sl651_frame(case: Case) -> bytes | None:
    """A message in one packet."""
    return None if case.get("scan") or "packet_seq" in case["expect"] else octets(case)


def read_sl651(wire: bytes) -> Any:
    frame = decode_sl651(wire, crc16.modbus)
    return frame, decode_sl651_body(frame)


def write_sl651(message: Any) -> bytes:
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


def j1939_group(case: Case) -> tuple[bytes, int] | None:
    if case["kind"] != "j1939":
        return None
    identifier = decode_identifier(int(case["id"], 16), 29)
    assert isinstance(identifier, J1939Id)
    return bytes.fromhex(case["hex"]), identifier.pgn


def read_j1939(given: tuple[bytes, int]) -> Any:
    group = decode_group(given[1], given[0])
    values = getattr(group, "values", None)
    if values is not None:
        values()
    return group


def obd_answer(case: Case) -> bytes | None:
    return octets(case) if case["kind"] == "obd" and case.get("bus", "can") == "can" else None


def survey_frame_of(case: Case) -> tuple[bytes, int] | None:
    return (bytes.fromhex(case["hex"]), case.get("device_class", 1)) if case["protocol"] == "jtt1008" else None


def write_survey(given: Any) -> bytes:
    return survey_frame.encode_frame(survey_frame.Frame(encode_survey(given[0])))


def ss125_frame(case: Case) -> bytes | None:
    return octets(case) if case["protocol"] == "ss125" else None


def read_ss125(wire: bytes) -> Any:
    frame = ss125.decode_frame(wire)
    return frame, decode_ss125_body(frame.body)


def write_ss125(message: Any) -> bytes:
    frame, body = message
    return ss125.encode_frame(replace(frame, body=encode_ss125_body(body)))


def vms_frame(case: Case) -> tuple[bytes, Dialect, bool, str | None] | None:
    wire = octets(case)
    is_response = case.get("direction") == "response"
    return None if wire is None else (wire, DIALECTS[case["profile"]], is_response, case.get("request_type"))


def read_vms(given: tuple[bytes, Dialect, bool, str | None]) -> Any:
    wire, dialect, is_response, request_type = given
    frame = decode_vms(wire, dialect, is_response=is_response)
    return frame, decode_content(frame, dialect, is_response=is_response, request_type=request_type)


def write_vms(given: Any) -> bytes:
    (frame, content), dialect, is_response, _request_type = given
    return encode_vms(replace(frame, data=content.data()), dialect, is_response=is_response)
