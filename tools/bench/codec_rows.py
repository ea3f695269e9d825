"""The codecs that `wayside bench codecs` measures: a line of a table each, on the wire types.

What is decoded comes from the shared vectors: all of a file that are whole frames and no errors. `encode` takes what
`decode` gave, and must give the same frame again: that is checked before anything is measured.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from protocols.aton import character as lights
from protocols.nmea0183.catalogue import decode as decode_nmea
from protocols.nmea0183.sentence import encode_sentence
from protocols.pn532.frame import decode_frame as decode_pn532
from protocols.pn532.frame import encode_frame as encode_pn532
from protocols.traffic_survey import survey_frame
from protocols.traffic_survey.survey_commands import decode_packet as decode_survey
from protocols.vehicle_bus.obd import decode_answer as decode_obd
from protocols.vehicle_bus.obd import encode_answer as encode_obd
from protocols.vehicle_bus.parameter_group import encode_group
from tools.bench import codec_calls as call
from tools.bench.codec_calls import Case


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


# A codec is a line: its name, what is measured, its file of vectors, what of a case is decoded, and both ways.
CODECS: tuple[Codec, ...] = (
    Codec("jt808-location", "`jt808` 0x0200: unescape, check, header, body, extras", "jt808", call.jt808_location,
          call.read_jt808, call.write_jt808),
    Codec("jt808", "`jt808`: all messages", "jt808", call.octets, call.read_jt808, call.write_jt808),
    Codec("ais-position", "`ais` position reports: line, armour, message", "ais", call.ais_position,
          call.read_ais, call.write_ais),
    Codec("ais-position-unread", "`ais` position reports, passed on unread", "ais", call.ais_position,
          call.take_ais, None),
    Codec("ais", "`ais`: all messages of one line", "ais", call.ais_message,
          call.read_ais, call.write_ais, call.AIS_ODD),
    Codec("nmea0183", "`nmea0183`: all sentences", "nmea0183", call.one_line, decode_nmea, encode_sentence),
    Codec("nmea0183-fields", "`nmea0183`: all sentences and all their fields", "nmea0183", call.one_line,
          call.read_with_fields, None),
    Codec("aton", "`aton` frames", "aton", call.octets, call.read_aton, call.write_aton),
    Codec("aton-light", "`aton` characters of lights", "aton", call.light_text,
          lights.parse_character, lights.character_text),
    Codec("dlt645", "`dlt645`, both editions", "dlt645", call.dlt645_frame, call.read_dlt645, call.write_dlt645),
    Codec("epurse", "`epurse`: data of cards and SAMs", "epurse", call.of("kind", *call.EPURSE),
          lambda given: call.EPURSE[given[1]].from_bytes(given[0]), lambda given: given[0].to_bytes()),
    Codec("etc_rsu", "`etc_rsu`: frame and payload", "etc_rsu", call.etc_rsu_frame,
          call.read_etc_rsu, call.write_etc_rsu),
    Codec("gbt32960", "`gbt32960`, both editions", "gbt32960", call.gbt32960_frame,
          call.read_gbt32960, call.write_gbt32960),
    Codec("hj212", "`hj212`: packet and segment", "hj212", lambda case: case["text"].encode("gbk"),
          call.read_hj212, call.write_hj212),
    Codec("iso14443", "`iso14443`: cards, blocks, APDUs", "iso14443", call.of("kind", *call.ISO14443),
          lambda given: call.ISO14443[given[1]][0](given[0]), lambda given: call.ISO14443[given[1]][1](given[0])),
    Codec("modbus", "`modbus_devices`: RTU frame and PDU", "modbus_devices", call.modbus_frame,
          call.read_modbus, call.write_modbus),
    Codec("pn532", "`pn532` frames", "pn532", call.of("kind", "host_frame"),
          lambda given: decode_pn532(given[0]), lambda given: encode_pn532(given[0]),
          frozenset({"libnfc wakeup + sam"})),
    Codec("rfid", "`rfid_and_gates`: frames of readers", "rfid_and_gates", call.of("protocol", *call.READERS),
          lambda given: call.READERS[given[1]][0](given[0]), lambda given: call.READERS[given[1]][1](given[0])),
    Codec("sl651", "`sl651`: frame and body", "sl651", call.sl651_frame, call.read_sl651, call.write_sl651),
    Codec("jtt1008", "`traffic_survey`: JT/T 1008", "traffic_survey", call.survey_frame_of,
          lambda given: decode_survey(survey_frame.decode_frame(given[0]).data, given[1]), call.write_survey),
    Codec("ss125", "`traffic_survey`: SS125", "traffic_survey", call.ss125_frame, call.read_ss125, call.write_ss125),
    Codec("j1939", "`vehicle_bus`: groups of J1939 with their values", "vehicle_bus", call.j1939_group,
          call.read_j1939, lambda given: encode_group(given[0])),
    Codec("obd", "`vehicle_bus`: answers of OBD", "vehicle_bus", call.obd_answer, decode_obd, encode_obd),
    Codec("vms", "`vms`: frame and content, all dialects", "vms", call.vms_frame, call.read_vms, call.write_vms),
)  # fmt: skip
