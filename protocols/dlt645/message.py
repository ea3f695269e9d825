"""Frames <-> the readable keys of `wayside decode dlt645`.

A case holds `hex`, one frame with its wake-up bytes, and perhaps `version` 1997 (absent: the edition of 2007) and
`decode` "energy", which changes nothing here: values are always read. Identifiers and functions that are not listed
have no value and no unit.

>>> decode_message({"hex": "6812907856341268d101358d16"})["error_word"]
2
>>> encode_message({"address": "123456789012", "control": 17, "di": "00010000", "data_hex": "", "preamble_count": 4})
{'hex': 'fefefefe68129078563412681104333334336816'}
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError, OptionError, RemoteProtocolError
from protocols.dlt645.answers import AddressAnswer, AgainAnswer, DataAnswer, ErrorAnswer, FollowingAnswer
from protocols.dlt645.catalogue import decode_answer
from protocols.dlt645.edition import (
    BAUD_RATES,
    CODES,
    FUNCTIONS,
    Edition,
    ErrorWord,
    ErrorWord1997,
    Function,
    di_bytes,
    take_di,
)
from protocols.dlt645.frame import MAX_FRAME_BYTES, MAX_PREAMBLE_COUNT, Frame, decode_frame, encode_frame, is_address
from protocols.dlt645.quantities import Reading, decode_reading, quantity_of, scaled
from protocols.dlt645.quantities_1997 import decode_reading_1997, quantity_of_1997
from protocols.dlt645.requests import ReadFollowing, read_clock

_MAX_HEX_CHARS = 4 * (MAX_FRAME_BYTES + MAX_PREAMBLE_COUNT)
"""No frame is longer; blanks between the digits included."""
_WITH_DI = (Function.READ_DATA, Function.READ_FOLLOWING, Function.READ_AGAIN)


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One frame and how to read it."""

    hex: str
    version: Literal[1997, 2007] = 2007
    decode: Literal["energy"] | None = None


class Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a message, as it is written. Those below data_hex follow from the others and must fit them."""

    address: str
    control: Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
    data_hex: str = ""
    preamble_count: Annotated[int, msgspec.Meta(ge=0, le=MAX_PREAMBLE_COUNT)] = 0
    di: str | None = None
    sequence: Annotated[int, msgspec.Meta(ge=1, le=0xFF)] | None = None
    version: Literal[1997, 2007] | None = None
    is_response: bool | None = None
    is_error: bool | None = None
    has_more: bool | None = None
    function: int | None = None
    value: float | None = None
    values: list[float | None] | None = None
    unit: str | None = None
    meter_address: str | None = None
    quantity: str | None = None
    error_word: int | None = None
    errors: list[str] | None = None
    clock: str | None = None
    baud: int | None = None


def decode_message(case: Mapping[str, object]) -> dict[str, object]:
    """What one frame says. Raises `OptionError` for the case itself, `RemoteProtocolError` for what it holds."""
    try:
        options = msgspec.convert(dict(case), Case)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a surrogate pair is no text
        raise OptionError(str(error)) from error
    if len(options.hex) > _MAX_HEX_CHARS:
        raise FrameError(f"{len(options.hex)} characters are no frame", 0, "hex")
    try:
        wire = bytes.fromhex(options.hex)
    except ValueError as error:
        raise FrameError("not hex digits", 0, "hex") from error
    return message_of(decode_frame(wire), Edition(options.version))


def message_of(frame: Frame, edition: Edition) -> dict[str, object]:
    """What a frame says. Raises `RemoteProtocolError`."""
    message: dict[str, object] = {
        "preamble_count": frame.preamble_count,
        "address": frame.address,
        "control": frame.control,
        "is_response": frame.is_response,
        "is_error": frame.is_error,
        "has_more": frame.has_more,
        "function": frame.function,
        "data_hex": frame.data.hex(),
    }
    if FUNCTIONS[edition].get(frame.function) is None:
        return message
    try:
        return message | (_answer_keys(frame, edition) if frame.is_response else _request_keys(frame, edition))
    except RemoteProtocolError as error:
        if error.offset is None:
            error.offset = frame.data_offset
        raise


def _request_keys(frame: Frame, edition: Edition) -> dict[str, object]:
    """Of what reads, the clock and the baud rate. Other requests are shown as bytes, whatever they hold."""
    match FUNCTIONS[edition].get(frame.function):
        case Function.READ_DATA:
            return _di_keys(frame, edition)
        case Function.READ_FOLLOWING:
            request = ReadFollowing.decode(frame.data, edition)
            keys = _di_keys(frame, edition) | {"data_hex": ""}
            return keys if request.sequence is None else keys | {"sequence": request.sequence}
        case Function.SET_CLOCK:
            return {"clock": "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}".format(*read_clock(frame.data))}
        case Function.SET_BAUD:
            return _baud_keys(frame.data, edition)
        case _:
            return {}


def _answer_keys(frame: Frame, edition: Edition) -> dict[str, object]:
    answer = decode_answer(frame, edition)
    match answer:
        case ErrorAnswer():
            return {"error_word": answer.word, "errors": _errors_of(answer.word, edition)}
        case AddressAnswer():
            return {"meter_address": answer.address}
        case DataAnswer() | AgainAnswer() | FollowingAnswer():
            keys = _di_keys(frame, edition) | {"data_hex": answer.data.hex()}
            if isinstance(answer, FollowingAnswer) and answer.sequence is not None:
                keys["sequence"] = answer.sequence
            is_fragment = answer.has_more or isinstance(answer, FollowingAnswer)
            decode = decode_reading if edition is Edition.E2007 else decode_reading_1997
            return keys | _value_keys(decode(answer.di, answer.data, is_fragment=is_fragment))
        case _:
            return _baud_keys(answer.data, edition) if answer.function is Function.SET_BAUD else {}


def _di_keys(frame: Frame, edition: Edition) -> dict[str, object]:
    di, rest = take_di(frame.data, edition)
    keys: dict[str, object] = {"di": f"{di:0{2 * di_bytes(edition)}x}", "data_hex": rest.hex()}
    found = quantity_of(di) if edition is Edition.E2007 else quantity_of_1997(di)
    return keys if found is None else keys | {"quantity": found[0].name}


def _errors_of(word: int, edition: Edition) -> list[str]:
    """The bits of an error word, in words."""
    kind = ErrorWord if edition is Edition.E2007 else ErrorWord1997
    return [str(bit.name).lower().replace("_", " ") for bit in kind if bit & word]


def _baud_keys(data: bytes, edition: Edition) -> dict[str, object]:
    """The rate of a byte that the edition of 2007 lists."""
    rate = BAUD_RATES.get(data[0]) if len(data) == 1 and edition is Edition.E2007 else None
    return {} if rate is None else {"baud": rate}


def _value_keys(reading: Reading | None) -> dict[str, object]:
    if reading is None or reading.quantity.size == 0:
        return {}
    numbers = [scaled(reading.quantity, number) for number in reading.numbers]
    unit = reading.quantity.unit
    return {"values": numbers, "unit": unit} if reading.is_block else {"value": numbers[0], "unit": unit}


def encode_message(message: Mapping[str, object]) -> dict[str, object]:
    """The frame of a message: `{"hex": ...}`. Raises `LocalProtocolError` where there is none.

    The data of the frame are di, data_hex and sequence. `version` 1997 is needed only where nothing else tells it. What
    follows from these may be there and must fit.
    """
    try:
        fields = msgspec.convert(dict(message), Fields)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise LocalProtocolError(str(error)) from error
    if not is_address(fields.address.lower()):
        raise LocalProtocolError("an address is 12 hex digits", field="address")
    edition = _edition_of(fields)
    di, sequence = fields.di, fields.sequence
    data = b"" if di is None else _hex(di, "di", di_bytes(edition))[::-1]
    data += _hex(fields.data_hex, "data_hex", None) + (b"" if sequence is None else bytes((sequence,)))
    frame = Frame(fields.address.lower(), fields.control, data, fields.preamble_count)
    wire = encode_frame(frame)
    try:
        read = message_of(frame, edition)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.reason, field=error.field) from error
    for key, value in message.items():
        if key != "version" and value is not None and _plain(read.get(key)) != _plain(value):
            raise LocalProtocolError("does not fit the rest", field=key)
    return {"hex": wire.hex()}


def _edition_of(fields: Fields) -> Edition:
    if fields.version is not None:
        return Edition(fields.version)
    if fields.di is not None:
        return Edition.E1997 if len(fields.di) == 2 * di_bytes(Edition.E1997) else Edition.E2007
    function = fields.control & 0x1F
    is_1997_only = function in CODES[Edition.E1997].values() and function not in CODES[Edition.E2007].values()
    return Edition.E1997 if is_1997_only else Edition.E2007


def _hex(text: str, field: str, size: int | None) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise LocalProtocolError("not hex digits", field=field) from error
    if size is not None and len(data) != size:
        raise LocalProtocolError(f"{2 * size} hex digits are wanted", field=field)
    return data


def _plain(value: object) -> object:
    """Text without regard to case."""
    return value.lower() if isinstance(value, str) else value
