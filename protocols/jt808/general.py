"""Messages without a subject of their own: general responses, heartbeat, log-off, time, requests to resend.

JT/T 808-2019, chapter 8; the editions of 2011 and 2013 have the same but for 0x0004, 0x8004, 0x0005 and 0x8204.
"""

from typing import Annotated, ClassVar

from protocols.jt808.kinds import U8, U16, WORD, Blob, Counted, Time
from protocols.jt808.layout import Body

SUCCESS = 0
FAILURE = 1
MESSAGE_WRONG = 2
UNSUPPORTED = 3
ALARM_HANDLED = 4
"""Results of a general response; the last one comes from the platform only."""


class RawBody(Body, frozen=True):
    """A body that is kept as it came: encrypted, a part of one, or of an id that has no layout here."""

    ID: ClassVar[int] = -1
    raw: Blob = b""


class GeneralReply(Body, frozen=True):
    """The answer to a message that has none of its own."""

    reply_serial: U16
    reply_msg_id: U16
    result: U8 = SUCCESS


class TerminalReply(GeneralReply, frozen=True):
    """0x0001."""

    ID: ClassVar[int] = 0x0001


class PlatformReply(GeneralReply, frozen=True):
    """0x8001."""

    ID: ClassVar[int] = 0x8001


class Heartbeat(Body, frozen=True):
    """0x0002."""

    ID: ClassVar[int] = 0x0002


class LogOff(Body, frozen=True):
    """0x0003: the terminal is no longer registered."""

    ID: ClassVar[int] = 0x0003


class TimeQuery(Body, frozen=True):
    """0x0004, 8.4 (2019)."""

    ID: ClassVar[int] = 0x0004


class TimeReply(Body, frozen=True):
    """0x8004 (2019): the platform's clock, UTC unlike every other time. See `values.utc_ms_of(.., 0)`."""

    ID: ClassVar[int] = 0x8004
    time_utc: Annotated[bytes, Time("Z")]


class ResendRequest(Body, frozen=True):
    """Packages that did not arrive. original_serial: that of the wanted message's first package."""

    original_serial: U16
    package_ids: Annotated[tuple[int, ...], Counted("resend_count_bytes", WORD)]


class TerminalResendRequest(ResendRequest, frozen=True):
    """0x0005, 8.7 (2019)."""

    ID: ClassVar[int] = 0x0005


class PlatformResendRequest(ResendRequest, frozen=True):
    """0x8003."""

    ID: ClassVar[int] = 0x8003


class LinkCheck(Body, frozen=True):
    """0x8204 (2019)."""

    ID: ClassVar[int] = 0x8204
