"""Registration and authentication (JT/T 808-2019, 8.8 and after it).

The code of an authentication is a secret: it is in no `repr` here.

>>> from protocols.jt808.dialect import JT2011
>>> body = bytes.fromhex("001f007363640000007777772e3830382e3736353433323101b2e24131323334")
>>> Registration.from_bytes(body, JT2011).terminal_model
b'www.808.'
"""

from typing import Annotated, ClassVar

from protocols.jt808.conditions import Either, When, is_extended
from protocols.jt808.dialect import Dialect
from protocols.jt808.kinds import BYTE_TEXT, U8, U16, FixedText, Text, TextToEnd
from protocols.jt808.layout import ABSENT, Body, Readable, Scope

REGISTERED = 0
VEHICLE_ALREADY_REGISTERED = 1
NO_SUCH_VEHICLE = 2
TERMINAL_ALREADY_REGISTERED = 3
NO_SUCH_TERMINAL = 4
"""Results of a registration."""


class Registration(Body, frozen=True):
    """0x0100, 8.8. plate_no: a VIN where `plate_color` is 0."""

    ID: ClassVar[int] = 0x0100
    province_id: U16
    city_id: U16
    manufacturer_id: Annotated[bytes, FixedText("maker_bytes")]
    terminal_model: Annotated[bytes, FixedText("model_bytes", "model_padding")]
    terminal_id: Annotated[bytes, FixedText("terminal_id_bytes")]
    plate_color: U8
    plate_no: TextToEnd


class _CodeOnSuccess(Text):
    """The code ends the body; behind another result than success the bytes mean nothing."""

    def show(self, value: bytes, scope: Scope) -> object:
        """What it says, on success."""
        return ABSENT if scope.values["result"] else super().show(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> bytes:
        """From what it says, on success."""
        return b"" if scope.values["result"] else super().parse(fields, name, scope)


class RegistrationReply(Body, frozen=True):
    """0x8100."""

    ID: ClassVar[int] = 0x8100
    reply_serial: U16
    result: U8
    auth_code: Annotated[bytes, _CodeOnSuccess()] = b""

    def __repr__(self) -> str:
        return f"RegistrationReply(reply_serial={self.reply_serial}, result={self.result})"


class Authentication(Body, frozen=True):
    """0x0102. imei and software_version: 2019 only."""

    ID: ClassVar[int] = 0x0102
    auth_code: Annotated[bytes, Either(is_extended, BYTE_TEXT, Text())]
    imei: Annotated[bytes | None, When(is_extended, FixedText(15))] = None
    software_version: Annotated[bytes | None, When(is_extended, FixedText(20))] = None

    def __repr__(self) -> str:
        return f"Authentication(imei={self.imei!r}, software_version={self.software_version!r})"


def can_be_shown(auth_code: bytes, dialect: Dialect) -> bool:
    """Whether an authentication can hold the code that a platform gave: in 2019 a byte counts it."""
    return len(auth_code) <= 0xFF or not dialect.has_extended_messages
