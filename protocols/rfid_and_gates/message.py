"""Readable form of RFID, seals, scanners, cards, hostapd and tickets: what `wayside decode rfid_and_gates` shows.

A case holds `protocol`, one of `hex` and `text`, and options. The message holds the protocol again, so that it can be
written back; tokens and tickets, which their issuer signs, and what a card says cannot.

    uhf_m100      hex: a frame               frame_type command parameter_hex, of a tag rssi_dbm pc_hex epc_hex ..
    uhf_r2000     hex: a frame               reader_address command parameter_hex, and what that tells
    llrp          hex: a message             version message_type message_id parameter_types tags ..
    idcard_sam    hex: a frame; direction    command parameter data_hex | sw1 sw2 sw3 card_state id_number_masked ..
    scanner       hex: bytes so far          codes pending
    iso6346       text: a container          owner_code category serial check_digit valid low_trust
    ean13         text: an article           check_digit valid
    eseal         text: {"state", "event"}   state alarm
    hostapd       text: a datagram; kind     result_ok | end | state freq_mhz .. | mac flags .. | priority event mac
    jws           text: a token; key, key_type                          valid algorithm payload_text
    ticket        text: a token; the same, now, gate_id, used           valid reason algorithm key_id ticket_id

>>> decode_message({"protocol": "uhf_m100", "hex": "bb00220000227e"})
{'protocol': 'uhf_m100', 'frame_type': 0, 'command': 34, 'parameter_hex': ''}
"""

from collections.abc import Callable, Mapping

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.message_case import check_options, check_same, one_of, text_in
from protocols.message_fields import Fields, octets_of
from protocols.rfid_and_gates import message_codes as codes
from protocols.rfid_and_gates import message_readers as readers
from protocols.rfid_and_gates.llrp_message import MAX_MESSAGE_BYTES
from protocols.rfid_and_gates.message_idcard import decode_idcard, encode_idcard
from protocols.rfid_and_gates.message_tickets import KEY_OPTIONS, TICKET_OPTIONS, decode_gate_ticket, decode_jws

Message = dict[str, object]
Options = Mapping[str, object]

_MAX_HEX_CHARS = 4 * MAX_MESSAGE_BYTES
_NONE: frozenset[str] = frozenset()

_FRAMES: Mapping[str, tuple[Callable[[bytes, Options], Message], Callable[[Fields], bytes], frozenset[str]]] = {
    "uhf_m100": (lambda wire, _options: readers.decode_m100(wire), readers.encode_m100, _NONE),
    "uhf_r2000": (lambda wire, _options: readers.decode_r2000(wire), readers.encode_r2000, _NONE),
    "llrp": (lambda wire, _options: readers.decode_llrp(wire), readers.encode_llrp, _NONE),
    "idcard_sam": (
        lambda wire, options: decode_idcard(wire, options.get("direction")),
        encode_idcard,
        frozenset({"direction"}),
    ),
    "scanner": (lambda wire, _options: codes.decode_scanner(wire), codes.encode_scanner, _NONE),
}
_TEXTS: Mapping[str, tuple[Callable[[str, Options], Message], Callable[[Fields], str] | None, frozenset[str]]] = {
    "iso6346": (lambda text, _options: codes.decode_iso6346(text), codes.encode_iso6346, _NONE),
    "ean13": (lambda text, _options: codes.decode_article(text), codes.encode_article, _NONE),
    "eseal": (lambda text, _options: codes.decode_eseal(text), codes.encode_eseal, _NONE),
    "hostapd": (
        lambda text, options: codes.decode_hostapd(text, options.get("kind")),
        codes.encode_hostapd,
        frozenset({"kind"}),
    ),
    "jws": (decode_jws, None, KEY_OPTIONS),
    "ticket": (decode_gate_ticket, None, TICKET_OPTIONS),
}
PROTOCOLS = (*_FRAMES, *_TEXTS)


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """Read one case. Raises `RemoteProtocolError` for bad bytes, `OptionError` for a bad case."""
    protocol = one_of(case.get("protocol"), PROTOCOLS, "protocol", OptionError)
    given = "text" if protocol in _TEXTS else "hex"
    options = (_TEXTS[protocol] if protocol in _TEXTS else _FRAMES[protocol])[2]
    check_options(case, ("protocol", given, *options), protocol)
    value = text_in(case, given, "a text" if given == "text" else "bytes as hex digits")
    if protocol in _TEXTS:
        return {"protocol": protocol, **_TEXTS[protocol][0](value, case)}
    return {"protocol": protocol, **_FRAMES[protocol][0](octets_of(value, max_chars=_MAX_HEX_CHARS), case)}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """Write one message as `hex` or `text`. Raises `LocalProtocolError` for what cannot be written."""
    protocol = one_of(message.get("protocol"), PROTOCOLS, "protocol")
    options = {name: message[name] for name in ("kind", "direction") if name in message}
    try:
        written = _written(protocol, Fields(message))
        read = decode_message({"protocol": protocol, **written, **options})
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field) from None
    check_same(message, read)
    return written


def _written(protocol: str, fields: Fields) -> dict[str, object]:
    if protocol in _FRAMES:
        return {"hex": _FRAMES[protocol][1](fields).hex()}
    write = _TEXTS[protocol][1]
    if write is None:
        raise LocalProtocolError("its issuer signs it, nobody else writes it", field="protocol")
    return {"text": write(fields)}
