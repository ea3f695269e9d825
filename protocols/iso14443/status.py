"""What the status word of an answer means (ISO/IEC 7816-4:2013, 5.6). Applications add their own.

>>> meaning_of(0x6982), meaning_of(0x63C2)
('security status not satisfied', 'verification failed, tries left: 2')
"""

from collections.abc import Mapping

MEANINGS: Mapping[int, str] = {
    0x9000: "done",
    0x6281: "the data may be corrupt",
    0x6283: "the selected file is deactivated",
    0x6400: "nothing was changed",
    0x6581: "memory failure",
    0x6700: "wrong length",
    0x6981: "wrong type of file",
    0x6982: "security status not satisfied",
    0x6983: "the key is locked",
    0x6984: "the reference data is invalid",
    0x6985: "a condition of use is not met",
    0x6986: "no file is selected",
    0x6987: "data of secure messaging are missing",
    0x6988: "data of secure messaging are wrong",
    0x6A80: "wrong data",
    0x6A81: "function not supported",
    0x6A82: "there is no such file",
    0x6A83: "there is no such record",
    0x6A84: "no space left",
    0x6A86: "wrong P1 or P2",
    0x6A88: "there is no such key",
    0x6B00: "offset outside the file",
    0x6D00: "unknown INS",
    0x6E00: "unknown CLA",
}


def tries_left(sw: int) -> int | None:
    """How often a PIN may still be tried (63Cx), or None."""
    return sw & 0xF if sw & 0xFFF0 == 0x63C0 else None


def meaning_of(sw: int, meanings: Mapping[int, str] = MEANINGS) -> str:
    """In words; a status word without a name stands for itself."""
    if (left := tries_left(sw)) is not None:
        return f"verification failed, tries left: {left}"
    match sw >> 8:
        case 0x61:
            return "more data"
        case 0x6C:
            return "wrong Le"
    return meanings.get(sw, f"status {sw:04x}")
