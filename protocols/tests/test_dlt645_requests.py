"""Requests and answers of both editions."""

import pytest

from protocols.core.errors import (
    FieldError,
    LocalProtocolError,
    UnsupportedError,
)
from protocols.dlt645.answers import (
    AddressAnswer,
    AgainAnswer,
    Answer,
    DataAnswer,
    DoneAnswer,
    ErrorAnswer,
    FollowingAnswer,
)
from protocols.dlt645.catalogue import REQUESTS, decode_answer, decode_request, frame_of_answer, frame_of_request
from protocols.dlt645.edition import CODES, READING, Edition, ErrorWord, ErrorWord1997, Function
from protocols.dlt645.frame import Frame
from protocols.dlt645.guarded import (
    ALL_EVENTS,
    TRIP,
    Authorisation,
    ChangePassword,
    ClearDemand,
    ClearEvents,
    ClearMeter,
    Password,
    SetOutput,
    SwitchRelay,
    WriteData,
)
from protocols.dlt645.requests import (
    Clock,
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

BOTH = pytest.mark.parametrize("edition", list(Edition))
E07, E97 = Edition.E2007, Edition.E1997
METER = "123456789012"
CLOCK = Clock(2025, 3, 1, 12, 30, 59)
RIGHT = Authorisation(Password(2, b"\x12\x34\x56"), b"\x01\x02\x03\x04")
RIGHT_97 = Authorisation(Password(2, b"\x12\x34\x56"), None)
REQUESTS_OF: dict[Edition, list[tuple[Request, str]]] = {
    E07: [
        (SetClock(CLOCK), "593012010325"),
        (ReadData(0x00010000), "00000100"),
        (ReadData(0x06000001, b"\x05\x30\x12\x01\x03\x25"), "01000006053012010325"),
        (ReadFollowing(0x03300D01, 1), "010d300301"),
        (ReadAddress(), ""),
        (WriteData(0x04000401, RIGHT, b"\x01"), "01040004021234560102030401"),
        (WriteAddress(METER), "129078563412"),
        (Freeze(), "99999999"),
        (Freeze(minute=30, hour=12), "30129999"),
        (SetBaud(0x08), "08"),
        (ChangePassword(0x04000C01, Password(2, b"abc"), Password(2, b"def")), "010c00040261626302646566"),
        (ClearDemand(RIGHT), "0212345601020304"),
        (ClearMeter(RIGHT), "0212345601020304"),
        (ClearEvents(RIGHT), "0212345601020304ffffffff"),
        (SwitchRelay(RIGHT, TRIP, CLOCK), "02123456010203041a00593012010325"),
        (SetOutput(2), "02"),
    ],
    E97: [
        (SetClock(CLOCK), "593012010325"),
        (ReadData(0x9010), "1090"),
        (ReadFollowing(0x901F), "1f90"),
        (ReadAgain(), ""),
        (WriteData(0xC032, RIGHT_97, b"\x01"), "32c00212345601"),
        (WriteAddress(METER), "129078563412"),
        (SetBaud(0x08), "08"),
        (ChangePassword(0, Password(2, b"abc"), Password(2, b"def")), "0261626302646566"),
        (ClearDemand(RIGHT_97), "02123456"),
    ],
}
EACH_REQUEST = [
    pytest.param(edition, request, data, id=f"{edition.value} {type(request).__name__}")
    for edition, rows in REQUESTS_OF.items()
    for request, data in rows
]


@pytest.mark.parametrize(("edition", "request_sent", "data"), EACH_REQUEST)
def test_a_request_is_written_and_read(edition: Edition, request_sent: Request, data: str) -> None:
    sent = frame_of_request(METER, request_sent, edition)
    assert sent.data == bytes.fromhex(data)
    assert sent.control == CODES[edition][request_sent.FUNCTION]
    assert decode_request(sent, edition) == request_sent


@pytest.mark.parametrize(("edition", "request_sent", "data"), EACH_REQUEST)
def test_a_request_of_another_length_is_refused(edition: Edition, request_sent: Request, data: str) -> None:
    sent = frame_of_request(METER, request_sent, edition)
    cut = Frame(METER, sent.control, sent.data[:-1])
    long = Frame(METER, sent.control, sent.data + b"\x01")
    for wrong in (cut, long):
        if (isinstance(request_sent, (ReadData, WriteData)) and request_sent != ReadData(0x9010)) or not data:
            continue
        if isinstance(request_sent, ReadData) and wrong is long:
            continue
        with pytest.raises(FieldError):
            decode_request(wrong, edition)


@BOTH
def test_every_function_has_a_request(edition: Edition) -> None:
    assert set(REQUESTS) == set(Function)
    assert {type(request).FUNCTION for request, _data in REQUESTS_OF[edition]} == set(CODES[edition])
    for request in REQUESTS.values():
        assert request.IS_GUARDED is not (request.FUNCTION in READING or request is SetClock)


@BOTH
def test_any_short_data_raise_only_field_errors(edition: Edition) -> None:
    refused = taken = 0
    for code in CODES[edition].values():
        for size in range(20):
            for fill in (b"\0", b"\x01", b"\xff"):
                try:
                    decode_request(Frame(METER, code, fill * size), edition)
                except FieldError:
                    refused += 1
                else:
                    taken += 1
    assert refused > 0
    assert taken > 0


ANSWERS_OF: dict[Edition, list[tuple[Answer, int]]] = {
    E07: [
        (DataAnswer(0x00010000, b"\x01\x02"), 0x91),
        (DataAnswer(0x00010000, b"\x01\x02", has_more=True), 0xB1),
        (FollowingAnswer(0x00010000, b"", 1), 0x92),
        (FollowingAnswer(0x00010000, b"\x01", 255, has_more=True), 0xB2),
        (AddressAnswer(METER), 0x93),
        (DoneAnswer(Function.WRITE_DATA), 0x94),
        (DoneAnswer(Function.SET_BAUD, b"\x08"), 0x97),
        (DoneAnswer(Function.SET_OUTPUT, b"\x02"), 0x9D),
        (ErrorAnswer(Function.READ_DATA, ErrorWord.NO_DATA), 0xD1),
        (ErrorAnswer(Function.READ_FOLLOWING, ErrorWord.OTHER), 0xD2),
        (ErrorAnswer(Function.SET_BAUD, ErrorWord.BAUD), 0xD7),
    ],
    E97: [
        (DataAnswer(0x9010, b"\x01\x02"), 0x81),
        (DataAnswer(0x9010, b"\x01\x02", has_more=True), 0xA1),
        (FollowingAnswer(0x9010, b"", None), 0x82),
        (AgainAnswer(0x9010, b"\x01", has_more=True), 0xA3),
        (DoneAnswer(Function.WRITE_DATA), 0x84),
        (ErrorAnswer(Function.READ_DATA, ErrorWord1997.IDENTIFIER), 0xC1),
    ],
}


@pytest.mark.parametrize(
    ("edition", "answer", "control"),
    [
        pytest.param(edition, *row, id=f"{edition.value} {row[1]:02X}")
        for edition, rows in ANSWERS_OF.items()
        for row in rows
    ],
)
def test_an_answer_is_written_and_read(edition: Edition, answer: Answer, control: int) -> None:
    sent = frame_of_answer(METER, answer, edition)
    assert sent.control == control
    assert decode_answer(sent, edition) == answer


@pytest.mark.parametrize(
    ("control", "data"),
    [(0x91, "000000"), (0x92, "00000000"), (0x92, "0000000000"), (0x93, "00"), (0xD1, ""), (0xD1, "0202")],
)
def test_a_wrong_answer_is_refused(control: int, data: str) -> None:
    with pytest.raises(FieldError):
        decode_answer(Frame(METER, control, bytes.fromhex(data)), E07)


def test_frames_of_the_other_direction_and_unlisted_functions_are_unsupported() -> None:
    for decode, control in (
        (decode_request, 0x91),
        (decode_answer, 0x11),
        (decode_request, 0x1F),
        (decode_answer, 0x9F),
    ):
        with pytest.raises(UnsupportedError):
            decode(Frame(METER, control, bytes(4)), E07)


@pytest.mark.parametrize(
    ("edition", "wrong"),
    [
        (E97, ReadAddress()),
        (E07, ReadAgain()),
        (E97, ReadData(0x00010000)),
        (E07, ReadData(-1)),
        (E07, ReadFollowing(0)),
        (E07, ReadFollowing(0, 0)),
        (E07, ReadFollowing(0, 256)),
        (E97, ReadFollowing(0, 1)),
        (E07, WriteAddress("1")),
        (E07, SetBaud(256)),
        (E07, SetOutput(-1)),
        (E07, Freeze(minute=100)),
        (E07, SetClock(Clock(1999, 12, 31, 0, 0, 0))),
        (E07, SetClock(Clock(2025, 2, 29, 0, 0, 0))),
        (E07, ClearMeter(RIGHT_97)),
        (E97, ClearDemand(RIGHT)),
        (E07, ClearMeter(Authorisation(Password(256, b"abc")))),
        (E07, ClearMeter(Authorisation(Password(0, b"abcd")))),
        (E07, ClearEvents(RIGHT, ALL_EVENTS + 1)),
        (E07, SwitchRelay(RIGHT, 256, CLOCK)),
    ],
)
def test_no_frame_for_a_senseless_request(edition: Edition, wrong: Request) -> None:
    with pytest.raises(LocalProtocolError):
        frame_of_request(METER, wrong, edition)


def test_no_frame_for_a_senseless_answer() -> None:
    for wrong in (AddressAnswer("1"), ErrorAnswer(Function.READ_DATA, 256), FollowingAnswer(0, b"", 0)):
        with pytest.raises(LocalProtocolError):
            frame_of_answer(METER, wrong, E07)


def test_no_password_is_shown() -> None:
    for request, _data in REQUESTS_OF[E07]:
        shown = repr(request)
        assert "abc" not in shown
        assert "\\x124V" not in shown
        assert "12, 34" not in shown
