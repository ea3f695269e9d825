"""What status words of purses and of SAMs mean: those of ISO/IEC 7816-4, and 93xx and 94xx of JR/T 0025.1.

>>> meaning_of(0x9401)
'insufficient balance'
"""

from collections.abc import Mapping

from protocols.iso14443 import status

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
    **status.MEANINGS,
    0x6283: "the selected file or key is invalid",
    0x6901: "not accepted in this state",
    0x6A81: "function not supported, or application locked",
    SW_MAC_INVALID: "the MAC is invalid",
    SW_LOCKED_FOREVER: "the application is locked for ever",
    SW_INSUFFICIENT: "insufficient balance",
    SW_COUNTER_FULL: "the transaction counter is at its maximum",
    SW_NO_KEY_INDEX: "the key index is not supported",
    SW_NO_PROOF: "the MAC or TAC asked for is not available",
}


def meaning_of(sw: int) -> str:
    """In words; a status word without a name stands for itself."""
    return status.meaning_of(sw, MEANINGS)
