"""Rows that purse tables are made of, beside those of `protocols/table_rows.py`.

BCD digits, dates, terminal numbers and cryptograms stay bytes, with their filling, so that nothing is lost: erased
digits (F) are no error. They are shown as digits.
"""

from typing import Annotated

from protocols.message_fields import Fields
from protocols.table_rows import Bytes4, Octets


class Rest(Octets):
    """What stands behind the fields that are known; may be missing in the readable form."""

    def __init__(self) -> None:
        super().__init__(None)

    def parse(self, fields: Fields, name: str) -> bytes:
        """From hex digits."""
        return fields.octets(name, default="")


Bytes7 = Annotated[bytes, Octets(7)]
Bytes8OrNone = Annotated[bytes | None, Octets(8)]
Bytes13 = Annotated[bytes, Octets(13)]
Trailing = Annotated[bytes, Rest()]
Time = Annotated[bytes, Octets(3)]
"""BCD, hhmmss."""
Cryptogram = Bytes4
"""A MAC or TAC."""
