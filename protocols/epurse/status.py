"""What status words of purses and of SAMs mean (ISO/IEC 7816-4:2013, 5.6; JR/T 0025.1 for 93xx and 94xx).

>>> meaning_of(0x9401)
'insufficient balance'
>>> meaning_of(0x63C2)
'verification failed, tries left: 2'
"""

from collections.abc import Mapping

SW_MAC_INVALID = 0x9302
SW_LOCKED_FOREVER = 0x9303
SW_INSUFFICIENT = 0x9401
SW_COUNTER_FULL = 0x9402
SW_NO_KEY_INDEX = 0x9403
SW_NO_PROOF = 0x9406
SW_CONDITIONS = 0x6985
SW_NO_KEY = 0x6A88
SW_WRONG_LENGTH = 0x6700

MEANINGS: Mapping[int, str] = {
    0x9000: "done",
    0x6281: "the data may be corrupt",
    0x6283: "the selected file or key is invalid",
    0x6400: "nothing was changed",
    0x6581: "memory failure",
    SW_WRONG_LENGTH: "wrong length",
    0x6901: "not accepted in this state",
    0x6981: "wrong type of file",
    0x6982: "security status not satisfied",
    0x6983: "the key is locked",
    0x6984: "the reference data is invalid",
    SW_CONDITIONS: "a condition of use is not met",
    0x6988: "data of secure messaging are wrong",
    0x6A80: "wrong data",
    0x6A81: "function not supported, or application locked",
    0x6A82: "there is no such file",
    0x6A83: "there is no such record",
    0x6A84: "no space left",
    0x6A86: "wrong P1 or P2",
    SW_NO_KEY: "there is no such key",
    0x6B00: "offset outside the file",
    0x6D00: "unknown INS",
    0x6E00: "unknown CLA",
    SW_MAC_INVALID: "the MAC is invalid",
    SW_LOCKED_FOREVER: "the application is locked for ever",
    SW_INSUFFICIENT: "insufficient balance",
    SW_COUNTER_FULL: "the transaction counter is at its maximum",
    SW_NO_KEY_INDEX: "the key index is not supported",
    SW_NO_PROOF: "the MAC or TAC asked for is not available",
}


def tries_left(sw: int) -> int | None:
    """How often a PIN may still be tried (63Cx), or None."""
    return sw & 0xF if sw & 0xFFF0 == 0x63C0 else None


def meaning_of(sw: int) -> str:
    """In words; a status word without a name stands for itself."""
    if (left := tries_left(sw)) is not None:
        return f"verification failed, tries left: {left}"
    match sw >> 8:
        case 0x61:
            return "more data"
        case 0x6C:
            return "wrong Le"
    return MEANINGS.get(sw, f"status {sw:04x}")
