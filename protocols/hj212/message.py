r"""Packets <-> the readable keys of `wayside decode hj212`.

A case holds `text` or `hex`, one packet from `##` to CR LF, and perhaps `crc_mode`: "modbus" also takes packets of
devices that compute CRC-16/MODBUS. A header field that the packet lacks has no key.

>>> message = decode_message({"text": "##0057ST=91;CN=9014;PW=1;MN=X;Flag=4;CP=&&Note=on;a1-Rtd=2.50&&3900\r\n"})
>>> message["cn"], message["cp"], message["factors"]
('9014', {'Note': 'on'}, {'a1': {'Rtd': '2.50'}})
>>> encode_message({"cn": "9014", "st": "91", "pw": "1", "mn": "X", "flag": 4, "cp": {"Note": "on"}, "factors": {}})
{'text': '##0045ST=91;CN=9014;PW=1;MN=X;Flag=4;CP=&&Note=on&&D1C1\r\n'}
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, OptionError, RemoteProtocolError
from protocols.hj212.cp import Item, chained
from protocols.hj212.packet import HEAD_BYTES, MAX_PACKET_BYTES, Packet, decode_packet, encode_packet
from protocols.hj212.segment import FLAG_ACK, FLAG_SPLIT, MAX_PARTS, Segment, decode_segment, encode_segment, header_of

MODBUS = "modbus"
_TEXT_FIELDS = ("qn", "st", "cn", "pw", "mn")
_MAX_HEX_CHARS = 4 * MAX_PACKET_BYTES
"""No packet is longer; blanks between the digits included."""

Values = dict[str, str | None]


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One packet and how to read it."""

    text: str | None = None
    hex: str | None = None
    crc_mode: Literal["standard", "modbus"] = "standard"


class Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a message, as it is written. data_length and crc_hex follow from the others and are not read."""

    cn: str
    qn: str | None = None
    st: str | None = None
    pw: str | None = None
    mn: str | None = None
    flag: Annotated[int, msgspec.Meta(ge=0, le=0xFF)] | None = None
    pnum: Annotated[int, msgspec.Meta(ge=0, le=MAX_PARTS)] | None = None
    pno: Annotated[int, msgspec.Meta(ge=0, le=MAX_PARTS)] | None = None
    version_bits: int | None = None
    ack_required: bool | None = None
    split_packet: bool | None = None
    cp: Values = {}
    factors: dict[str, Values] = {}
    crc_variant: Literal["modbus"] | None = None
    data_length: int | None = None
    crc_hex: str | None = None


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """What one packet says. Raises `OptionError` for the case itself, `RemoteProtocolError` for what it holds."""
    try:
        options = msgspec.convert(dict(case), Case)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter for half a surrogate pair
        raise OptionError(str(error)) from error
    wire = _wire_of(options)
    try:
        return _read(decode_packet(wire, accepts_modbus_crc=options.crc_mode == MODBUS))
    except RemoteProtocolError as error:
        if options.text is not None and error.offset is not None:
            error.offset = len(wire[: error.offset].decode("gbk", "ignore"))  # of text the place is a character
        raise


def _read(packet: Packet) -> dict[str, object]:
    try:
        segment = decode_segment(packet.data)
    except RemoteProtocolError as error:
        error.offset = HEAD_BYTES + (error.offset or 0)
        raise
    message: dict[str, object] = {
        "data_length": len(packet.data),
        "crc_hex": packet.crc_digits.decode("ascii").upper(),
    }
    if packet.is_modbus_crc:
        message["crc_variant"] = MODBUS
    for key in _TEXT_FIELDS:
        text = segment.field(key.upper())
        if text is not None:
            message[key] = _readable(text, key)
    if segment.flag is not None:
        message |= _flag_keys(segment.flag)
    message |= {key: number for key, number in (("pnum", segment.pnum), ("pno", segment.pno)) if number is not None}
    plain, factors = values_of(segment.items)
    return {**message, "cp": plain, "factors": factors}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """The canonical packet of a message: `{"text": ...}`. Raises `LocalProtocolError` where there is none.

    Plain items come first, then the factors, each with its attributes together.
    """
    try:
        fields = msgspec.convert(dict(message), Fields)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter for half a surrogate pair
        raise LocalProtocolError(str(error)) from error
    for key, value in _flag_keys(fields.flag or 0).items():
        if getattr(fields, key) not in (None, value):
            raise LocalProtocolError("does not fit flag", field=key)
    if not all(fields.factors.values()):
        raise LocalProtocolError("a factor without an attribute", field="factors")
    items = [Item(name, value) for name, value in fields.cp.items()]
    items += [
        Item(code, value, attribute)
        for code, attributes in fields.factors.items()
        for attribute, value in attributes.items()
    ]
    header = header_of(
        qn=fields.qn,
        st=fields.st,
        cn=fields.cn,
        pw=fields.pw,
        mn=fields.mn,
        flag=fields.flag,
        pnum=fields.pnum,
        pno=fields.pno,
    )
    data = encode_segment(Segment(header, chained(items)))
    wire = encode_packet(Packet(data, is_modbus_crc=fields.crc_variant == MODBUS))
    try:
        return {"text": wire.decode("gbk")}
    except UnicodeDecodeError as error:
        raise LocalProtocolError("a character that GBK does not have", field="cp") from error


def values_of(items: tuple[Item, ...]) -> tuple[Values, dict[str, Values]]:
    """Plain items by name; factors by code and attribute. Raises `FieldError` for two values of the same thing."""
    plain: Values = {}
    factors: dict[str, Values] = {}
    for item in items:
        known = plain if item.attribute is None else factors.setdefault(_readable(item.name, "cp"), {})
        key = _readable(item.name if item.attribute is None else item.attribute, "cp")
        value = None if item.value is None else _readable(item.value, "cp")
        if known.setdefault(key, value) != value:
            raise FieldError(f"{key:.40} has two values", field="cp")
    return plain, factors


def _flag_keys(flag: int) -> dict[str, object]:
    return {
        "flag": flag,
        "version_bits": flag >> 2,
        "ack_required": bool(flag & FLAG_ACK),
        "split_packet": bool(flag & FLAG_SPLIT),
    }


def _readable(text: str, field: str) -> str:
    """Text without bytes that are not GBK."""
    if not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text):
        raise FieldError("bytes that are not GBK", field=field)
    return text


def _wire_of(options: Case) -> bytes:
    if (options.text is None) == (options.hex is None):
        raise OptionError("either text or hex is wanted", field="text")
    if options.text is not None:
        try:
            return options.text.encode("gbk")
        except UnicodeEncodeError as error:
            raise FrameError("a character that GBK does not have", error.start, "text") from error
    assert options.hex is not None
    if len(options.hex) > _MAX_HEX_CHARS:
        raise FrameError(f"{len(options.hex)} characters are no packet", 0, "hex")
    try:
        return bytes.fromhex(options.hex)
    except ValueError as error:
        raise FrameError("not hex digits", 0, "hex") from error
