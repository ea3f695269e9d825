"""Which characters a line may hold, and how fields write those that they may not.

NMEA 0183 / IEC 61162-1, valid and reserved characters. MicroPython-clean.

>>> escape("gr\u00fcn, ok", "text"), unescape("gr^FCn^2C ok")
('gr^FCn^2C ok', 'gr\u00fcn, ok')
"""

from protocols.core.errors import LocalProtocolError

RESERVED = "$!*\\"
"""Never inside a line, wherever they come from."""
_RESERVED_IN_FIELDS = "$!*,\\^~"
_IN_FIELDS = "".join([chr(code) for code in range(0x20, 0x7F) if chr(code) not in _RESERVED_IN_FIELDS])
_HEX_DIGITS = "0123456789ABCDEF"


_INSIDE = [code for code in range(0x20, 0x7F) if chr(code) not in RESERVED]
BLANKS = bytes([code if code in _INSIDE else 0 for code in range(256)])
"""Each character as itself, or as 0 where it may not stand inside a line."""


def _blanked(line: bytes, blanks: bytes) -> bytes:
    return bytes([blanks[code] for code in line])


blanked = getattr(bytes, "translate", _blanked)
"""`blanked(inside, BLANKS)` is the same again where all may stand there. MicroPython's `bytes` cannot translate."""


def is_plain(line: bytes) -> bool:
    """Whether all is printable ASCII."""
    return not line or (min(line) >= 0x20 and max(line) <= 0x7E)


def consists_of(text: str, characters: str) -> bool:
    """Whether there is nothing else in a text: then stripping them off leaves nothing."""
    return not text.strip(characters)


def unescape(text: str) -> str:
    """Undo `^hh` (one Latin-1 character). A `^` without two hex digits stands for itself."""
    parts = text.split("^")
    out = [parts[0]]
    for part in parts[1:]:
        digits = part[:2].upper()
        is_escape = len(digits) == 2 and all(digit in _HEX_DIGITS for digit in digits)
        out.append(chr(int(digits, 16)) + part[2:] if is_escape else "^" + part)
    return "".join(out)


def is_field(text: str) -> bool:
    """Whether a field may hold this text as it stands."""
    return consists_of(text, _IN_FIELDS)


def escape(text: str, name: str) -> str:
    """Write what a field cannot hold as `^hh`; raises `LocalProtocolError` beyond Latin-1."""
    out = []
    for character in text:
        if is_field(character):
            out.append(character)
        elif ord(character) <= 0xFF:
            out.append("^%02X" % ord(character))
        else:
            raise LocalProtocolError("a character beyond Latin-1", field=name)
    return "".join(out)
