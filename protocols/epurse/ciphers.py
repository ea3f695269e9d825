"""MACs, session keys and derived keys of electronic purses, on 3DES and SM4 (JR/T 0025.1 and .2; ISO/IEC 9797-1).

    padding        80, then 00 to a whole block (9797-1 method 2): at least the 80
    MAC            CBC-MAC over the padded data, the first 4 bytes
    derived key    3DES: E(F) | E(not F)        SM4: E(F | not F)        F: 8 bytes of the card or its issuer

Single DES and 3DES with two keys are what the cards have; nothing new should rest on them. How purses use SM4 for
session keys and MACs is not public: the functions that end in `sm4_p1` are one reading of it.

Keys come in as bytes and leave no trace here: no error, `repr` or cache holds one.

>>> mac_des(bytes.fromhex("003238abc57659dd"), bytes.fromhex("000010000600112233445520120229135100")).hex()
'f15cab75'
"""

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from protocols.core.errors import LocalProtocolError

DES_BLOCK = 8
SM4_BLOCK = 16
DES_KEY_BYTES = 8
KEY_BYTES = 16
"""Of a 3DES key (two DES keys) and of an SM4 key."""
MAC_BYTES = 4
SEED_BYTES = 8
"""What a session key is made from: random, serial number, and two bytes of the terminal's."""


def _sized(value: bytes, size: int, field: str) -> bytes:
    """The bytes, if there are as many as there must be. The error holds none of them: they may be a key."""
    if len(value) != size:
        raise LocalProtocolError(f"{size} bytes, not {len(value)}", field=field)
    return bytes(value)


def _des(key: bytes) -> CipherAlgorithm:
    return TripleDES(_sized(key, DES_KEY_BYTES, "key") * 3)


def _triple_des(key: bytes) -> CipherAlgorithm:
    whole = _sized(key, KEY_BYTES, "key")
    return TripleDES(whole + whole[:DES_KEY_BYTES])


def _sm4(key: bytes) -> CipherAlgorithm:
    return SM4(_sized(key, KEY_BYTES, "key"))


def _encrypt(algorithm: CipherAlgorithm, data: bytes) -> bytes:
    """Block by block (ECB)."""
    encryptor = Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305 -- single blocks, as the standard has it
    return encryptor.update(data) + encryptor.finalize()


def _cbc_mac(algorithm: CipherAlgorithm, iv: bytes, data: bytes) -> bytes:
    """The last block of the padded data."""
    block = len(iv)
    padded = data + b"\x80"
    padded += bytes(-len(padded) % block)
    encryptor = Cipher(algorithm, modes.CBC(iv)).encryptor()
    return (encryptor.update(padded) + encryptor.finalize())[-block:]


def _inverted(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


def session_key_3des(key: bytes, seed: bytes) -> bytes:
    """The single DES key of one transaction, from a card's key."""
    return _encrypt(_triple_des(key), _sized(seed, SEED_BYTES, "seed"))


def mac_des(session_key: bytes, data: bytes) -> bytes:
    """MAC1, MAC2 or TAC: CBC-MAC with single DES, IV zero."""
    return _cbc_mac(_des(session_key), bytes(DES_BLOCK), data)[:MAC_BYTES]


def mac_3des(key: bytes, iv: bytes, data: bytes) -> bytes:
    """MAC of secure messaging: ISO/IEC 9797-1 algorithm 3. iv: the card's random and 00000000."""
    whole = _sized(key, KEY_BYTES, "key")
    left, right = whole[:DES_KEY_BYTES], whole[DES_KEY_BYTES:]
    last = _cbc_mac(_des(left), _sized(iv, DES_BLOCK, "iv"), data)
    decryptor = Cipher(_des(right), modes.ECB()).decryptor()  # noqa: S305 -- a single block, as the standard has it
    return _encrypt(_des(left), decryptor.update(last) + decryptor.finalize())[:MAC_BYTES]


def tac_key(key: bytes) -> bytes:
    """The single DES key of the TAC: both halves of the card's key combined by exclusive or."""
    whole = _sized(key, KEY_BYTES, "key")
    return bytes(left ^ right for left, right in zip(whole[:DES_KEY_BYTES], whole[DES_KEY_BYTES:], strict=True))


def diversify_3des(key: bytes, *factors: bytes) -> bytes:
    """The key below a master key; with several factors, one level below the other."""
    for factor in factors:
        eight = _sized(factor, DES_BLOCK, "factor")
        key = _encrypt(_triple_des(key), eight + _inverted(eight))
    return key


def diversify_sm4(key: bytes, *factors: bytes) -> bytes:
    """The same with SM4."""
    for factor in factors:
        eight = _sized(factor, DES_BLOCK, "factor")
        key = _encrypt(_sm4(key), eight + _inverted(eight))
    return key


def session_key_sm4_p1(key: bytes, seed: bytes) -> bytes:
    """The key of one transaction: the padded seed encrypted."""
    return _encrypt(_sm4(key), (_sized(seed, SEED_BYTES, "seed") + b"\x80").ljust(SM4_BLOCK, b"\x00"))


def mac_sm4_p1(key: bytes, data: bytes) -> bytes:
    """MAC1, MAC2 or TAC: CBC-MAC with SM4, IV zero. A TAC takes the card's key whole."""
    return _cbc_mac(_sm4(key), bytes(SM4_BLOCK), data)[:MAC_BYTES]
