"""What a secondary and its gateway prove to each other with the key that only the two have. MicroPython-clean.

HMAC-SHA-256 (RFC 2104) by hand: MicroPython has `hashlib` and no `hmac`.
"""

import hashlib

MAC_BYTES = 32
NONCE_BYTES = 16
KEY_BYTES = 32
_BLOCK_BYTES = 64


def mac(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA-256 over all parts, each with its length in front, so that no two rows of parts look alike."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]) + b"\x36" * (_BLOCK_BYTES - len(key)))
    for part in parts:
        inner.update(len(part).to_bytes(4, "big"))
        inner.update(part)
    outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in key]) + b"\x5c" * (_BLOCK_BYTES - len(key)))
    outer.update(inner.digest())
    return outer.digest()


def is_same(a: bytes, b: bytes) -> bool:
    """Whether two codes are alike; the time it takes tells nothing of where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for index in range(len(a)):
        difference |= a[index] ^ b[index]
    return difference == 0
