"""The editions of JT/T 808 as data: what the editions of 2011, 2013 and 2019 write differently, and nothing else.

A frame tells 2019 by bit 14 of its body properties. A frame of 2011 looks like one of 2013; `catalogue.py` tells them
apart by the body, where it can.
"""

import msgspec


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One way of writing the standard. Sizes are bytes on the wire."""

    edition: int
    has_version: bool
    """Bit 14 is set, and a protocol version and a phone of 20 digits stand in the header (2019)."""
    phone_bytes: int
    maker_bytes: int
    """`manufacturer_id` in a registration (0x0100)."""
    upgrade_maker_bytes: int
    """`manufacturer_id` in attributes and upgrades (0x0107, 0x8108)."""
    model_bytes: int
    model_padding: bytes = b"\x00"
    terminal_id_bytes: int
    resend_count_bytes: int
    """The count of packages in a request to resend (0x0005, 0x8003)."""
    has_bulk_upload: bool = True
    """0x0704 and 0x0705 exist."""
    has_id_card_at_end: bool = False
    """0x0702 ends with the number of the driver's identity card."""
    has_extended_messages: bool = False
    """2019: sized authentication code with IMEI, text type, control list, night speed and names of regions."""


JT2011 = Dialect(
    edition=2011,
    has_version=False,
    phone_bytes=6,
    maker_bytes=5,
    upgrade_maker_bytes=5,
    model_bytes=8,
    model_padding=b" ",
    terminal_id_bytes=7,
    resend_count_bytes=1,
    has_bulk_upload=False,
)
JT2013 = Dialect(
    edition=2013,
    has_version=False,
    phone_bytes=6,
    maker_bytes=5,
    upgrade_maker_bytes=5,
    model_bytes=20,
    terminal_id_bytes=7,
    resend_count_bytes=1,
)
JT2019 = Dialect(
    edition=2019,
    has_version=True,
    phone_bytes=10,
    maker_bytes=11,
    upgrade_maker_bytes=5,
    model_bytes=30,
    terminal_id_bytes=30,
    resend_count_bytes=2,
    has_id_card_at_end=True,
    has_extended_messages=True,
)
JT2019_WIDE_MAKER = msgspec.structs.replace(JT2019, upgrade_maker_bytes=11)
"""Terminals that write the maker with 11 bytes everywhere, as a registration has it."""
