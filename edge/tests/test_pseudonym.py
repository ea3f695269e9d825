"""Identities leave as keyed hashes: stable under one key, unlike under another, and no way back."""

import hashlib
import hmac

import pytest

from edge.identity.pseudonym import Pseudonym, PseudonymKeyError, pseudonym_of, read_pseudonym_key

KEY = bytes(range(32))


def test_it_is_hmac_sha256_cut_to_128_bits_with_the_keys_id_in_front():
    key_id, _colon, digest = pseudonym_of(KEY)(b"\x04\xa1\xb2\xc3").partition(":")
    assert digest == hmac.new(KEY, b"\x04\xa1\xb2\xc3", hashlib.sha256).hexdigest()[:32]
    assert key_id.startswith("k")
    assert len(key_id) == 7


def test_another_key_gives_another_id_and_another_hash():
    one, other = pseudonym_of(KEY)(b"card"), pseudonym_of(KEY[::-1])(b"card")
    assert one == pseudonym_of(KEY)(b"card")
    assert set(one.split(":")).isdisjoint(other.split(":"))


@pytest.mark.parametrize("size", [0, 15, 1025])
def test_a_key_of_no_use_is_refused_without_showing_it(size, tmp_path):
    (tmp_path / "key").write_bytes(b"K" * size)
    with pytest.raises(PseudonymKeyError, match="bytes") as caught:
        read_pseudonym_key(tmp_path / "key")
    assert "KK" not in str(caught.value)
    with pytest.raises(PseudonymKeyError):
        pseudonym_of(b"K" * size)


def test_a_line_end_in_the_file_is_not_part_of_the_key(tmp_path):
    (tmp_path / "key").write_bytes(KEY.hex().encode() + b"\r\n")
    assert read_pseudonym_key(tmp_path / "key") == KEY.hex().encode()


@pytest.mark.parametrize("content", [None, b"short"])
def test_without_a_key_no_identity_is_ever_let_through(tmp_path, content):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    for pseudonym in (Pseudonym(file), Pseudonym(None), Pseudonym(tmp_path / "nul\0")):
        with pytest.raises(PseudonymKeyError) as caught:
            pseudonym.open()
        assert "Errno" not in str(caught.value)
        with pytest.raises(PseudonymKeyError):
            pseudonym(b"card")


def test_a_key_that_comes_is_taken_and_one_that_is_replaced_waits_for_the_next_start(tmp_path):
    file = tmp_path / "key"
    pseudonym = Pseudonym(file)
    with pytest.raises(PseudonymKeyError, match=r"key: No such file"):
        pseudonym.open()
    file.write_bytes(KEY)
    pseudonym.open()
    assert pseudonym(b"card") == pseudonym_of(KEY)(b"card")
    for later in (KEY[::-1], b""):
        file.write_bytes(later)
        pseudonym.open()
        assert pseudonym(b"card") == pseudonym_of(KEY)(b"card")
