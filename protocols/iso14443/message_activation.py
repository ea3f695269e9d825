"""Readable form of what happens before the first block: ATQA to SAK, ATQB, ATTRIB, RATS, ATS, PPS. See `message.py`."""

from collections.abc import Callable, Mapping
from itertools import combinations

from protocols.core.errors import LocalProtocolError
from protocols.iso14443.activation import (
    Ats,
    Pps,
    Rats,
    decode_ats,
    decode_pps,
    decode_rats,
    encode_ats,
    encode_pps,
    encode_rats,
)
from protocols.iso14443.parameters import DEFAULT_FWI, MAX_FWI, frame_size_code_of
from protocols.iso14443.type_a import (
    Atqa,
    Sak,
    Select,
    UidPart,
    decode_anticollision_reply,
    decode_atqa,
    decode_sak,
    decode_select,
    encode_anticollision_reply,
    encode_atqa,
    encode_sak,
    encode_select,
)
from protocols.iso14443.type_b import Atqb, Attrib, decode_atqb, decode_attrib, encode_atqb, encode_attrib
from protocols.message_fields import Fields

_DEFAULT_FSC = 32
_INTERFACE_BYTES = {"ta": 0x10, "tb": 0x20, "tc": 0x40}


def _read_atqa(data: bytes) -> dict[str, object]:
    atqa = decode_atqa(data)
    return {
        "uid_size": atqa.uid_size,
        "bit_frame_anticollision": atqa.bit_frame_anticollision,
        "proprietary": atqa.proprietary,
    }


def _write_atqa(fields: Fields) -> bytes:
    return encode_atqa(
        Atqa(
            fields.integer("uid_size", 10),
            fields.integer("bit_frame_anticollision", 16),
            fields.integer("proprietary", 15, 0),
        )
    )


def _read_reply(data: bytes) -> dict[str, object]:
    part = decode_anticollision_reply(data)
    return {"uid_part": part.part.hex(), "bcc": f"{part.bcc:02x}", "cascade": part.cascade}


def _write_reply(fields: Fields) -> bytes:
    return encode_anticollision_reply(UidPart(fields.octets("uid_part", 4)))


def _read_select(data: bytes) -> dict[str, object]:
    select = decode_select(data)
    return {"cascade_level": select.cascade_level, "uid_part": select.part.hex(), "bcc": f"{select.bcc:02x}"}


def _write_select(fields: Fields) -> bytes:
    return encode_select(Select(fields.integer("cascade_level", 3), fields.octets("uid_part", 4)))


def _read_sak(data: bytes) -> dict[str, object]:
    sak = decode_sak(data)
    return {"uid_complete": sak.uid_complete, "iso14443_4": sak.iso14443_4, "sak": sak.value}


def _write_sak(fields: Fields) -> bytes:
    value = fields.optional("sak", 0xFF)
    if value is None:
        value = (0 if fields.flag("uid_complete") else 0x04) | (0x20 if fields.flag("iso14443_4") else 0)
    return encode_sak(Sak(value))


def _read_atqb(data: bytes) -> dict[str, object]:
    atqb = decode_atqb(data)
    return {
        "pupi": atqb.pupi.hex(),
        "afi": atqb.afi,
        "crc_b_aid": atqb.crc_b_aid.hex(),
        "num_applications": atqb.num_applications,
        "bit_rate": atqb.bit_rate,
        "fsc": atqb.fsc,
        "protocol_type": atqb.protocol_type,
        "iso14443_4": atqb.iso14443_4,
        "min_tr2_code": atqb.min_tr2_code,
        "fwi": atqb.fwi,
        "adc": atqb.adc,
        "nad_supported": atqb.nad_supported,
        "cid_supported": atqb.cid_supported,
        "sfgi": atqb.sfgi,
        "is_extended": atqb.extension is not None,
    }


def _write_atqb(fields: Fields) -> bytes:
    sfgi = fields.integer("sfgi", 15, 0)
    is_extended = fields.flag("is_extended", default=sfgi > 0)
    if sfgi and not is_extended:
        raise LocalProtocolError("only the extended form has room for it", field="sfgi")
    options = fields.flag("nad_supported") << 1 | fields.flag("cid_supported")
    return encode_atqb(
        Atqb(
            pupi=fields.octets("pupi", 4),
            afi=fields.integer("afi", 0xFF),
            crc_b_aid=fields.octets("crc_b_aid", 2),
            num_applications=fields.integer("num_applications", 0xFF),
            bit_rate=fields.integer("bit_rate", 0xFF),
            size_and_type=frame_size_code_of(fields.integer("fsc", 256)) << 4 | fields.integer("protocol_type", 15),
            timing=fields.integer("fwi", 15) << 4 | fields.integer("adc", 3) << 2 | options,
            extension=sfgi << 4 if is_extended else None,
        )
    )


def _read_attrib(data: bytes) -> dict[str, object]:
    request = decode_attrib(data)
    return {
        "pupi": request.pupi.hex(),
        "param1": request.param1,
        "dsi": request.dsi,
        "dri": request.dri,
        "fsd": request.fsd,
        "protocol_type": request.protocol_type,
        "cid": request.cid,
        "inf": request.inf.hex(),
    }


def _write_attrib(fields: Fields) -> bytes:
    rates = fields.integer("dsi", 3) << 6 | fields.integer("dri", 3) << 4
    return encode_attrib(
        Attrib(
            pupi=fields.octets("pupi", 4),
            param1=fields.integer("param1", 0xFF),
            param2=rates | frame_size_code_of(fields.integer("fsd", 256)),
            param3=fields.integer("protocol_type", 15),
            param4=fields.integer("cid", 15),
            inf=fields.octets("inf", default=""),
        )
    )


def _read_rats(data: bytes) -> dict[str, object]:
    request = decode_rats(data)
    return {"fsd": request.fsd, "cid": request.cid}


def _write_rats(fields: Fields) -> bytes:
    return encode_rats(Rats(frame_size_code_of(fields.integer("fsd", 256)), fields.integer("cid", 14)))


def _read_ats(data: bytes) -> dict[str, object]:
    answer = decode_ats(data)
    parts = {"ta": answer.ta, "tb": answer.tb, "tc": answer.tc}
    return {
        "tl": answer.tl,
        "fsc": answer.fsc,
        "same_divisor": answer.same_divisor,
        "ds_supported": answer.ds_supported,
        "dr_supported": answer.dr_supported,
        "fwi": answer.fwi,
        "sfgi": answer.sfgi,
        "cid_supported": answer.cid_supported,
        "nad_supported": answer.nad_supported,
        "historical_bytes": answer.historical_bytes.hex(),
        "interface_bytes": [name for name, part in parts.items() if part is not None],
    }


def _write_ats(fields: Fields) -> bytes:
    historical = fields.octets("historical_bytes", default="")
    rates = _divisor_bits(fields, "ds_supported") << 4 | _divisor_bits(fields, "dr_supported")
    values = {
        "ta": fields.flag("same_divisor", default=False) << 7 | rates,
        "tb": fields.integer("fwi", MAX_FWI) << 4 | fields.integer("sfgi", MAX_FWI),
        "tc": fields.flag("cid_supported") << 1 | fields.flag("nad_supported"),
    }
    is_default = {"ta": values["ta"] == 0, "tb": values["tb"] == DEFAULT_FWI << 4, "tc": values["tc"] == 2}
    fsc = fields.integer("fsc", 256)
    present = _interface_bytes(fields, len(historical), is_default)
    if any(not is_default[name] for name in values if name not in present):
        raise LocalProtocolError("a value that is not the default needs its interface byte", field="interface_bytes")
    if not present and not historical and fsc == _DEFAULT_FSC and fields.optional("tl", 0xFF) == 1:
        return encode_ats(Ats())
    parts = {name: values[name] if name in present else None for name in values}
    t0 = frame_size_code_of(fsc) | sum(_INTERFACE_BYTES[name] for name in present)
    data = encode_ats(Ats(t0, parts["ta"], parts["tb"], parts["tc"], historical))
    if fields.has("tl") and fields.integer("tl", 0xFF) != len(data):
        raise LocalProtocolError(f"these fields make an ATS of {len(data)} bytes", field="tl")
    return data


def _interface_bytes(fields: Fields, historical: int, is_default: Mapping[str, bool]) -> list[str]:
    """Which interface bytes to send: as told, else as many as `tl` leaves room for, else all."""
    if fields.has("interface_bytes"):
        names = [str(name) for name in fields.sequence("interface_bytes")]
        if any(name not in is_default for name in names):
            raise LocalProtocolError("ta, tb and tc", field="interface_bytes")
        return names
    if not fields.has("tl"):
        return list(is_default)
    needed = {name for name, default in is_default.items() if not default}
    room = max(0, fields.integer("tl", 0xFF) - 2 - historical)
    fitting = [set(names) for names in combinations(is_default, min(room, len(is_default))) if needed <= set(names)]
    return [name for name in is_default if name in (fitting[0] if fitting else needed)]


def _divisor_bits(fields: Fields, name: str) -> int:
    bits = {1: 0, 2: 1, 4: 2, 8: 4}
    total = 0
    for divisor in fields.sequence(name):
        if not isinstance(divisor, int) or divisor not in bits:
            raise LocalProtocolError("a list of 1, 2, 4 and 8", field=name)
        total |= bits[divisor]
    return total


def _read_pps(data: bytes) -> dict[str, object]:
    request = decode_pps(data)
    return {"cid": request.cid, "dsi": request.dsi, "dri": request.dri, "has_pps1": request.pps1 is not None}


def _write_pps(fields: Fields) -> bytes:
    pps1 = fields.integer("dsi", 3) << 2 | fields.integer("dri", 3)
    has_pps1 = fields.flag("has_pps1", default=True)
    if pps1 and not has_pps1:
        raise LocalProtocolError("a rate above 106 kbit/s needs PPS1", field="has_pps1")
    return encode_pps(Pps(fields.integer("cid", 15), pps1 if has_pps1 else None))


KINDS: Mapping[str, tuple[Callable[[bytes], dict[str, object]], Callable[[Fields], bytes]]] = {
    "atqa": (_read_atqa, _write_atqa),
    "anticoll_reply": (_read_reply, _write_reply),
    "select": (_read_select, _write_select),
    "sak": (_read_sak, _write_sak),
    "atqb": (_read_atqb, _write_atqb),
    "attrib": (_read_attrib, _write_attrib),
    "rats": (_read_rats, _write_rats),
    "ats": (_read_ats, _write_ats),
    "pps": (_read_pps, _write_pps),
}
