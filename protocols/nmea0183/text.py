"""TXT: text for people.

NMEA 0183 / IEC 61162-1, TXT. MicroPython-clean. Reserved characters travel as `^hh`; a comma inside the text that was
not escaped belongs to it.
"""

from protocols.nmea0183.characters import escape, unescape
from protocols.nmea0183.fields import read_integer, write_integer
from protocols.nmea0183.sentence import Sentence, address_of


class Txt(Sentence):
    """Text of a receiver, such as the state of its antenna."""

    __slots__ = ("msg_num", "num_msgs", "text", "text_id")

    FORMATTER = "TXT"
    FEWEST_FIELDS = 4

    num_msgs: int | None
    msg_num: int | None
    text_id: int | None
    """u-blox: 0 error, 1 warning, 2 notice, 7 user."""
    text: str | None

    def read(self) -> None:
        """Read all fields. Raises `FieldError`."""
        fields = self.fields
        self.num_msgs = read_integer(fields, 1, "num_msgs")
        self.msg_num = read_integer(fields, 2, "msg_num")
        self.text_id = read_integer(fields, 3, "text_id")
        self.text = unescape(",".join(fields[4:])) or None

    @classmethod
    def of(cls, talker: str, num_msgs: int | None, msg_num: int | None, text_id: int | None, text: str | None) -> "Txt":
        """A sentence of our own. Raises `LocalProtocolError`."""
        fields = [
            address_of(talker, cls.FORMATTER),
            write_integer(num_msgs, 2, "num_msgs"),
            write_integer(msg_num, 2, "msg_num"),
            write_integer(text_id, 2, "text_id"),
            escape(text or "", "text"),
        ]
        return cls(",".join(fields))
