"""Frames <-> requests and answers, of both editions.

>>> from protocols.dlt645.frame import decode_frame
>>> decode_request(decode_frame(bytes.fromhex("6890785634120068110433333333" "5516")), Edition.E2007)
ReadData(di=0, rest=b'')
"""

from protocols.core.errors import LocalProtocolError, UnsupportedError
from protocols.dlt645.answers import Answer, DoneAnswer, ErrorAnswer, function_of, read_answer, write_answer
from protocols.dlt645.edition import CODES, FUNCTIONS, Edition, Function
from protocols.dlt645.frame import ERROR, MORE, RESPONSE, Frame
from protocols.dlt645.guarded import (
    ChangePassword,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    SetOutput,
    SwitchRelay,
    WriteData,
)
from protocols.dlt645.requests import (
    Freeze,
    ReadAddress,
    ReadAgain,
    ReadData,
    ReadFollowing,
    Request,
    SetBaud,
    SetClock,
    WriteAddress,
)

REQUESTS: dict[Function, type[Request]] = {
    Function.SET_CLOCK: SetClock,
    Function.READ_DATA: ReadData,
    Function.READ_FOLLOWING: ReadFollowing,
    Function.READ_AGAIN: ReadAgain,
    Function.READ_ADDRESS: ReadAddress,
    Function.WRITE_DATA: WriteData,
    Function.WRITE_ADDRESS: WriteAddress,
    Function.FREEZE: Freeze,
    Function.SET_BAUD: SetBaud,
    Function.CHANGE_PASSWORD: ChangePassword,
    Function.CLEAR_DEMAND: ClearDemand,
    Function.CLEAR_METER: ClearMeter,
    Function.CLEAR_EVENTS: ClearEvents,
    Function.SWITCH_RELAY: SwitchRelay,
    Function.SET_OUTPUT: SetOutput,
}


def frame_of_request(address: str, request: Request, edition: Edition, *, preamble_count: int = 0) -> Frame:
    """The frame of a request. Raises `LocalProtocolError`."""
    return Frame(address, _code(request.FUNCTION, edition), request.encode(edition), preamble_count)


def decode_request(frame: Frame, edition: Edition) -> Request:
    """What a frame asks for. Raises `FieldError`; `UnsupportedError` for a function that the edition does not have."""
    return REQUESTS[_function(frame, edition, is_response=False)].decode(frame.data, edition)


def frame_of_answer(address: str, answer: Answer, edition: Edition, *, preamble_count: int = 0) -> Frame:
    """The frame of an answer. Raises `LocalProtocolError`."""
    control = RESPONSE | _code(function_of(answer), edition)
    if isinstance(answer, ErrorAnswer):
        control |= ERROR
    elif not isinstance(answer, DoneAnswer) and getattr(answer, "has_more", False):
        control |= MORE
    return Frame(address, control, write_answer(answer, edition), preamble_count)


def decode_answer(frame: Frame, edition: Edition) -> Answer:
    """What a frame answers. Raises `FieldError`; `UnsupportedError` for a function that the edition does not have."""
    function = _function(frame, edition, is_response=True)
    return read_answer(function, frame.data, edition, is_error=frame.is_error, has_more=frame.has_more)


def _code(function: Function, edition: Edition) -> int:
    code = CODES[edition].get(function)
    if code is None:
        raise LocalProtocolError(f"the edition of {edition.value} has no such function", field="function")
    return code


def _function(frame: Frame, edition: Edition, *, is_response: bool) -> Function:
    function = FUNCTIONS[edition].get(frame.function)
    if frame.is_response is not is_response:
        raise UnsupportedError("a frame of the other direction", field="control")
    if function is None:
        raise UnsupportedError(f"function {frame.function:02X}H is not listed", field="function")
    return function
