"""Driving recorder, electronic waybill, driver's card (JT/T 808, 0x0700 to 0x0702 and 0x8700 to 0x8702).

What a recorder says is GB/T 19056 and stays bytes; so does a waybill, whose text is GBK.
"""

from typing import Annotated, ClassVar

from protocols.jt808.conditions import Either, Trailing, When, is_there
from protocols.jt808.kinds import BYTE, BYTE_TEXT, U8, U16, BcdTime, Blob, Date, FixedText, Octets, Sized, Text8
from protocols.jt808.layout import Body, Scope

INSERTED = 1
PULLED_OUT = 2
"""Values of `DriverCard.card_status`: the driver's duty begins and ends."""


class RecorderCollect(Body, frozen=True):
    """0x8700."""

    ID: ClassVar[int] = 0x8700
    command: U8
    data: Blob = b""


class RecorderParameters(Body, frozen=True):
    """0x8701."""

    ID: ClassVar[int] = 0x8701
    command: U8
    data: Blob = b""


class RecorderData(Body, frozen=True):
    """0x0700."""

    ID: ClassVar[int] = 0x0700
    reply_serial: U16
    command: U8
    data: Blob = b""


class Waybill(Body, frozen=True):
    """0x0701."""

    ID: ClassVar[int] = 0x0701
    content: Annotated[bytes, Sized(4, Octets())]


class QueryDriver(Body, frozen=True):
    """0x8702 (from 2013)."""

    ID: ClassVar[int] = 0x8702


def _must_have_id_card(scope: Scope) -> bool:
    return scope.dialect.has_id_card_at_end


class DriverCard(Body, frozen=True):
    """0x0702 of 2013 and 2019. A card pulled out has a time and usually nothing more.

    read_result: 0 read, 1 card key failed, 2 card locked, 3 card pulled out, 4 check failed. Without a driver's name
    nothing follows it. id_card_no: always behind a name in 2019, possible in 2013.
    """

    ID: ClassVar[int] = 0x0702
    card_status: U8
    time: BcdTime
    read_result: Annotated[int | None, Trailing(BYTE)] = None
    driver_name: Annotated[bytes | None, Trailing(BYTE_TEXT)] = None
    certificate_no: Annotated[bytes | None, When(is_there("driver_name"), FixedText(20))] = None
    issuer: Annotated[bytes | None, When(is_there("driver_name"), BYTE_TEXT)] = None
    valid_until: Annotated[bytes | None, When(is_there("driver_name"), Date())] = None
    id_card_no: Annotated[
        bytes | None,
        Either(
            _must_have_id_card,
            When(is_there("driver_name"), FixedText(20)),
            Trailing(FixedText(20)),
        ),
    ] = None


class DriverIdentity(Body, frozen=True):
    """0x0702 of 2011."""

    ID: ClassVar[int] = 0x0702
    driver_name: Text8
    id_card_no: Annotated[bytes, FixedText(20)]
    certificate_no: Annotated[bytes, FixedText(40)]
    issuer: Text8
