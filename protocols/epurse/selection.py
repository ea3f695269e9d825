"""Which purse a card carries: names of applications, SELECT, and the directory of applications (PPSE, PSE).

Some cards refuse the Le that others need: `select` leaves it out, `select_again` adds it to a command that was refused.

>>> applications_of(bytes.fromhex("6f1e840e325041592e5359532e4444463031a50cbf0c0961074f05a000000632"))[0].hex()
'a000000632'
"""

from collections.abc import Iterator, Sequence

from protocols.core.errors import FrameError
from protocols.epurse.status import SW_WRONG_LENGTH
from protocols.iso14443.apdu import INS_SELECT, MAX_SHORT_NE, P1_BY_NAME, P2_FCI, CommandApdu, ResponseApdu
from protocols.iso14443.ber_tlv import Padding, Tlv, decode_tlv

T_UNION_PURSE = bytes.fromhex("a000000632010105")
T_UNION_CASH = bytes.fromhex("a000000632010106")
"""In the manner of EMV; not covered here."""
CITY_UNION = bytes.fromhex("a00000000386980701")
LINGNAN_INFORMATION = bytes.fromhex("5041592e41505059")
LINGNAN_PURSE = b"PAY.TICL"
LINGNAN_SECOND_LOG = b"PAY.PASD"
"""Older Yangcheng Tong cards."""
SHENZHEN = b"PAY.SZT"
WUHAN = b"AP1.WHCTC"
PPSE = b"2PAY.SYS.DDF01"
PSE = b"1PAY.SYS.DDF01"

_BLOCKED = frozenset({0x3031, 0x6283, 0x6A81})
"""3031 has one witness."""
_SHENZHEN_NUMBER = slice(16, 20)
_ENTRY = b"\x61"
_AID = b"\x4f"


def select(name: bytes) -> CommandApdu:
    """SELECT by name, without Le."""
    return CommandApdu(0, INS_SELECT, P1_BY_NAME, P2_FCI, name)


def select_again(command: CommandApdu, response: ResponseApdu) -> CommandApdu | None:
    """The same with Le, if the card wants one (6700); else None."""
    if response.sw != SW_WRONG_LENGTH or command.ne:
        return None
    return CommandApdu(command.cla, command.ins, command.p1, command.p2, command.data, MAX_SHORT_NE)


def is_blocked(response: ResponseApdu) -> bool:
    """Whether the application is locked, or the card on a black list: it must not be used."""
    return response.sw in _BLOCKED


def applications_of(directory: bytes) -> list[bytes]:
    """Names of applications in the answer to SELECT PPSE, or in a record of PSE. Raises `RemoteProtocolError`."""
    return list(_names_in(decode_tlv(directory), is_entry=False))


def _names_in(objects: Sequence[Tlv | Padding], *, is_entry: bool) -> Iterator[bytes]:
    for item in objects:
        if not isinstance(item, Tlv):
            continue
        if not isinstance(item.value, bytes):
            yield from _names_in(item.value, is_entry=item.tag == _ENTRY)
        elif is_entry and item.tag == _AID:
            yield item.value


def shenzhen_number(public_data: bytes) -> int:
    """The card number of a Shenzhen Tong card: bytes 16 to 19 of file 15, low byte first. Raises `FrameError`."""
    if len(public_data) < _SHENZHEN_NUMBER.stop:
        raise FrameError(f"at least {_SHENZHEN_NUMBER.stop} bytes are due", len(public_data), "card_number")
    return int.from_bytes(public_data[_SHENZHEN_NUMBER], "little")
