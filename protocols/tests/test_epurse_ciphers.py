"""Cryptograms of purses against published numbers, against the definitions they abbreviate, and against wrong keys."""

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from hypothesis import given
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError
from protocols.epurse import ciphers

KEY = bytes(range(16))


def block_by_block(encrypt, size, data):
    """CBC-MAC by its definition: pad, and fold each block into the encrypted one before it."""
    padded = data + b"\x80"
    padded += b"\x00" * ((size - len(padded) % size) % size)
    chain = bytes(size)
    for at in range(0, len(padded), size):
        chain = encrypt(bytes(a ^ b for a, b in zip(chain, padded[at : at + size], strict=True)))
    return chain


def encrypting(algorithm):
    return lambda block: Cipher(algorithm, modes.ECB()).encryptor().update(block)


def test_sm4_is_the_cipher_of_the_standard():
    """GB/T 32907-2016, annex A, example 1."""
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert encrypting(SM4(key))(key).hex() == "681edf34d206965e86b3e94f536e4246"


def test_triple_des_with_one_key_is_des():
    """FIPS 46 as everybody tests it: the plain text "Now is t"."""
    key = bytes.fromhex("0123456789abcdef")
    assert encrypting(TripleDES(key * 3))(b"Now is t").hex() == "3fa40e8a984d4815"


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=70))
def test_mac_des_is_the_cbc_mac(key, data):
    assert ciphers.mac_des(key, data) == block_by_block(encrypting(TripleDES(key * 3)), 8, data)[:4]


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=70))
def test_mac_sm4_is_the_cbc_mac(key, data):
    assert ciphers.mac_sm4_p1(key, data) == block_by_block(encrypting(SM4(key)), 16, data)[:4]


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=40))
def test_secure_messaging_with_equal_halves_is_the_plain_mac(half, data):
    """Decrypting with the key that encrypted, and encrypting again, changes nothing."""
    assert ciphers.mac_3des(half * 2, bytes(8), data) == ciphers.mac_des(half, data)


@given(st.binary(max_size=24))
def test_the_padding_tells_lengths_apart(data):
    assert ciphers.mac_des(KEY[:8], data) != ciphers.mac_des(KEY[:8], data + b"\x00")


def test_levels_of_keys_follow_one_another():
    first, second = bytes(8), bytes(range(8))
    assert ciphers.diversify_3des(KEY, first, second) == ciphers.diversify_3des(
        ciphers.diversify_3des(KEY, first), second
    )
    assert ciphers.diversify_sm4(KEY, first, second) == ciphers.diversify_sm4(ciphers.diversify_sm4(KEY, first), second)
    assert ciphers.diversify_3des(KEY, first, second) != ciphers.diversify_3des(KEY, second, first)


@pytest.mark.parametrize(
    "compute",
    [
        lambda key: ciphers.session_key_3des(key, bytes(8)),
        lambda key: ciphers.session_key_sm4_p1(key, bytes(8)),
        lambda key: ciphers.mac_des(key, b""),
        lambda key: ciphers.mac_3des(key, bytes(8), b""),
        lambda key: ciphers.mac_sm4_p1(key, b""),
        lambda key: ciphers.diversify_3des(key, bytes(8)),
        lambda key: ciphers.diversify_sm4(key, bytes(8)),
        ciphers.tac_key,
    ],
)
@pytest.mark.parametrize("size", [0, 7, 9, 15, 17, 24])
def test_a_key_of_the_wrong_size_is_refused_without_a_trace_of_it(compute, size):
    key = b"\x5e\xc2\xe7" * 8
    with pytest.raises(LocalProtocolError) as caught:
        compute(key[:size])
    error = caught.value
    assert (error.raw, error.__cause__, error.__context__) == (b"", None, None)
    assert "5e" not in str(error)


@pytest.mark.parametrize(
    "compute",
    [
        lambda data: ciphers.session_key_3des(KEY, data),
        lambda data: ciphers.session_key_sm4_p1(KEY, data),
        lambda data: ciphers.mac_3des(KEY, data, b""),
        lambda data: ciphers.diversify_3des(KEY, data),
        lambda data: ciphers.diversify_sm4(KEY, bytes(8), data),
    ],
)
@pytest.mark.parametrize("size", [0, 7, 9, 16])
def test_other_inputs_have_eight_bytes(compute, size):
    with pytest.raises(LocalProtocolError):
        compute(bytes(size))
