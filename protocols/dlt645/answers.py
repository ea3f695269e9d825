"""Answers of a meter: data, an address, done, an error (DL/T 645-2007 clause 7)."""

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.dlt645.bcd import bytes_of, digits_of
from protocols.dlt645.edition import Edition, Function, put_di, take_di
from protocols.dlt645.frame import is_address
from protocols.dlt645.requests import check_length, check_sequence, put_sequence


class DataAnswer(msgspec.Struct, frozen=True):
    """91H, 81H: the data. has_more: B1H, A1H; the rest can be asked for."""

    di: int
    data: bytes
    has_more: bool = False


class FollowingAnswer(msgspec.Struct, frozen=True):
    """92H, 82H: a piece. sequence: which, as it was asked for; None in the edition of 1997. has_more: B2H, A2H."""

    di: int
    data: bytes
    sequence: int | None = None
    has_more: bool = False


class AgainAnswer(msgspec.Struct, frozen=True):
    """83H, 1997 only: the last answer once more. has_more: A3H."""

    di: int
    data: bytes
    has_more: bool = False


class AddressAnswer(msgspec.Struct, frozen=True):
    """93H."""

    address: str


class DoneAnswer(msgspec.Struct, frozen=True):
    """The request is carried out. data: what some functions repeat of it, such as the baud rate."""

    function: Function
    data: bytes = b""


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The meter refuses. word: `ErrorWord`, of 1997 `ErrorWord1997`."""

    function: Function
    word: int


Answer = DataAnswer | FollowingAnswer | AgainAnswer | AddressAnswer | DoneAnswer | ErrorAnswer

_READING: dict[Function, type[DataAnswer | AgainAnswer]] = {
    Function.READ_DATA: DataAnswer,
    Function.READ_AGAIN: AgainAnswer,
}


def function_of(answer: Answer) -> Function:
    """What an answer answers."""
    match answer:
        case DataAnswer():
            return Function.READ_DATA
        case FollowingAnswer():
            return Function.READ_FOLLOWING
        case AgainAnswer():
            return Function.READ_AGAIN
        case AddressAnswer():
            return Function.READ_ADDRESS
        case _:
            return answer.function


def read_answer(function: Function, data: bytes, edition: Edition, *, is_error: bool, has_more: bool) -> Answer:
    """The answer in the data of a frame. Raises `FieldError`."""
    if is_error:
        check_length(data, 1, "error_word")
        return ErrorAnswer(function, data[0])
    if function in _READING:
        di, rest = take_di(data, edition)
        return _READING[function](di, rest, has_more)
    if function is Function.READ_FOLLOWING:
        di, rest = take_di(data, edition)
        if edition is Edition.E1997:
            return FollowingAnswer(di, rest, None, has_more)
        if not rest:
            raise FieldError("is missing", field="sequence")
        return FollowingAnswer(di, rest[:-1], check_sequence(rest[-1]), has_more)
    if function is Function.READ_ADDRESS:
        check_length(data, 6, "meter_address")
        return AddressAnswer(digits_of(data))
    return DoneAnswer(function, data)


def write_answer(answer: Answer, edition: Edition) -> bytes:
    """The data of a frame. Raises `LocalProtocolError`."""
    match answer:
        case DataAnswer() | AgainAnswer():
            return put_di(answer.di, edition) + answer.data
        case FollowingAnswer():
            return put_di(answer.di, edition) + answer.data + put_sequence(answer.sequence, edition)
        case AddressAnswer():
            if not is_address(answer.address):
                raise LocalProtocolError("an address is 12 hex digits in lower case", field="meter_address")
            return bytes_of(answer.address)
        case DoneAnswer():
            return answer.data
        case ErrorAnswer():
            if not 0 <= answer.word <= 0xFF:
                raise LocalProtocolError("is one byte", field="error_word")
            return bytes((answer.word,))
