"""Which message answers which (JT/T 808-2019, chapters 6 to 8).

A terminal's message wants 0x8001 and a platform's 0x0001, unless a row here says otherwise. Some answers bear the
serial of what they answer; the others are told by their id.
"""

from collections.abc import Mapping

from protocols.jt808.dialect import Dialect

TERMINAL_REPLY = 0x0001
PLATFORM_REPLY = 0x8001

_ANSWERS: Mapping[int, int] = {
    0x0004: 0x8004,
    0x0100: 0x8100,
    0x0801: 0x8800,
    0x0A00: 0x8A00,
    0x8104: 0x0104,
    0x8106: 0x0104,
    0x8107: 0x0107,
    0x8201: 0x0201,
    0x8500: 0x0500,
    0x8608: 0x0608,
    0x8700: 0x0700,
    0x8702: 0x0702,
    0x8801: 0x0805,
    0x8802: 0x0802,
    0x8A00: 0x0A00,
}
ONLY_ANSWERS = frozenset(
    {TERMINAL_REPLY, PLATFORM_REPLY, 0x0104, 0x0107, 0x0201, 0x0500, 0x0608, 0x0700, 0x0802, 0x0805}
    | {0x8004, 0x8100, 0x8800}
)
"""Messages that are nothing but answers, and get none."""
ANSWER_THAT_WANTS_ONE = 0x0702
"""A driver's card is reported unasked as well, and 0x8001 answers it either way."""
GENERAL_REPLY_IS_ENOUGH = frozenset({0x0801})
"""Messages with an answer of their own that many platforms answer with a general response all the same."""
_PICTURE = 0x8801


def is_from_platform(msg_id: int) -> bool:
    """Whether a platform sends this message; ids from E000 are the vendor's own."""
    return 0x8000 <= msg_id < 0xE000 or msg_id >= 0xF000


def answer_of(msg_id: int, dialect: Dialect) -> int | None:
    """The id of what answers a message, or None for a message that gets no answer."""
    if msg_id in ONLY_ANSWERS or msg_id in {0x0005, 0x8003}:
        return None
    if msg_id == _PICTURE and dialect.edition == 2011:
        return TERMINAL_REPLY
    return _ANSWERS.get(msg_id, TERMINAL_REPLY if is_from_platform(msg_id) else PLATFORM_REPLY)
