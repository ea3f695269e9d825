"""Rows that purse tables are made of, beside those of `etc_rsu.rows`: a field's type carries its row.

BCD digits, dates, terminal numbers and cryptograms stay bytes, with their filling, so that nothing is lost: erased
digits (F) are no error. They are shown as digits.
"""

from typing import Annotated

from protocols.etc_rsu.rows import Octets
from protocols.message_fields import Fields


class Rest(Octets):
    """What stands behind the fields that are known; may be missing in the readable form."""

    def __init__(self) -> None:
        super().__init__(None)

    def parse(self, fields: Fields, name: str) -> bytes:
        """From hex digits."""
        return fields.octets(name, default="")


Bytes1 = Annotated[bytes, Octets(1)]
Bytes2 = Annotated[bytes, Octets(2)]
Bytes3 = Annotated[bytes, Octets(3)]
Bytes4 = Annotated[bytes, Octets(4)]
Bytes6 = Annotated[bytes, Octets(6)]
Bytes7 = Annotated[bytes, Octets(7)]
Bytes8 = Annotated[bytes, Octets(8)]
Bytes8OrNone = Annotated[bytes | None, Octets(8)]
Bytes13 = Annotated[bytes, Octets(13)]
Trailing = Annotated[bytes, Rest()]
Time = Annotated[bytes, Octets(3)]
"""BCD, hhmmss."""
Cryptogram = Annotated[bytes, Octets(4)]
"""A MAC or TAC."""
