"""Operators' keys: what is written is read, what is signed is believed, everything else is refused by name."""

import base64
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.identity.operator_keys import MAX_FILE_BYTES, OperatorKey, OperatorKeyError, is_signed, read_public_key

# RFC 8032, section 7.1, test 2
SECRET = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
# RFC 8410, section 10.1 (public) and 10.3 (private)
RFC_8410_PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
RFC_8410_PRIVATE = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
RFC_8410_BYTES = bytes.fromhex("19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")


def test_the_standards_signature_is_believed_and_no_other() -> None:
    assert is_signed(PUBLIC, SIGNATURE, b"\x72")
    assert not is_signed(PUBLIC, SIGNATURE, b"\x73")
    assert not is_signed(RFC_8410_BYTES, SIGNATURE, b"\x72")
    assert not is_signed(PUBLIC, SIGNATURE[:-1] + b"\x01", b"\x72")


@given(st.binary(max_size=40), st.binary(max_size=70), st.binary(max_size=10))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_any_bytes_are_simply_not_signed(key: bytes, signature: bytes, data: bytes) -> None:
    assert not is_signed(key, signature, data)


def test_public_keys_are_read_as_pem_and_as_base64(tmp_path: Path) -> None:
    file = tmp_path / "k.pub"
    for text in (RFC_8410_PUBLIC, base64.b64encode(RFC_8410_BYTES).decode(), RFC_8410_PUBLIC.replace("\n", "\r\n")):
        file.write_text(text)
        assert read_public_key(file) == RFC_8410_BYTES


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"AAAA",
        base64.b64encode(bytes(31)),
        base64.b64encode(bytes(44)),
        b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(bytes(44)) + b"\n-----END PUBLIC KEY-----\n",
        RFC_8410_PUBLIC.encode() * 2,
        b"A" * (MAX_FILE_BYTES + 10),
        RFC_8410_PUBLIC.encode()[:-30],
    ],
)
def test_other_files_are_no_public_keys(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "k.pub").write_bytes(text)
    with pytest.raises(OperatorKeyError, match="is not an Ed25519 public key"):
        read_public_key(tmp_path / "k.pub")


def test_a_private_key_on_the_box_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "k.pub").write_text(RFC_8410_PRIVATE)
    with pytest.raises(OperatorKeyError, match="holds a private key") as caught:
        read_public_key(tmp_path / "k.pub")
    assert "MC4CAQ" not in str(caught.value)


def test_private_keys_are_read(tmp_path: Path) -> None:
    (tmp_path / "k.key").write_text(RFC_8410_PRIVATE)
    key = OperatorKey.read(tmp_path / "k.key")
    assert key.public_bytes == RFC_8410_BYTES
    assert OperatorKey.read(tmp_path / "k.key", b"a passphrase that it does not need").public_bytes == RFC_8410_BYTES
    assert is_signed(RFC_8410_BYTES, key.sign(b"data"), b"data")


def test_what_is_written_is_read_and_private_to_its_owner(tmp_path: Path) -> None:
    key = OperatorKey.new()
    key.write(tmp_path / "a.key", tmp_path / "a.pub")
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert read_public_key(tmp_path / "a.pub") == key.public_bytes
    assert OperatorKey.read(tmp_path / "a.key").public_bytes == key.public_bytes


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    OperatorKey.new().write(tmp_path / "a.key", tmp_path / "a.pub")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(FileExistsError):
        OperatorKey.new().write(tmp_path / "a.key", tmp_path / "b.pub")
    with pytest.raises(FileExistsError):
        OperatorKey.new().write(tmp_path / "b.key", tmp_path / "a.pub")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_passphrase_protects(tmp_path: Path) -> None:
    key = OperatorKey.new()
    key.write(tmp_path / "a.key", tmp_path / "a.pub", b"correct horse")
    assert OperatorKey.read(tmp_path / "a.key", b"correct horse").public_bytes == key.public_bytes
    with pytest.raises(OperatorKeyError, match="is encrypted"):
        OperatorKey.read(tmp_path / "a.key")
    with pytest.raises(OperatorKeyError, match="cannot be opened with this passphrase"):
        OperatorKey.read(tmp_path / "a.key", b"wrong")


def test_what_is_no_private_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.key"
    for text in (b"", b"nonsense", RFC_8410_PUBLIC.encode()):
        file.write_bytes(text)
        with pytest.raises(OperatorKeyError, match="is not a private key in PEM"):
            OperatorKey.read(file)
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", str(file)], check=True, capture_output=True)
    with pytest.raises(OperatorKeyError, match="is not an Ed25519 key"):
        OperatorKey.read(file)
    with pytest.raises(FileNotFoundError):
        OperatorKey.read(tmp_path / "none")


def test_openssl_agrees(tmp_path: Path) -> None:
    OperatorKey.new().write(tmp_path / "a.key", tmp_path / "a.pub")
    done = subprocess.run(
        ["openssl", "pkey", "-in", str(tmp_path / "a.key"), "-pubout"], check=True, capture_output=True, text=True
    )
    assert done.stdout == (tmp_path / "a.pub").read_text()


def test_reading_a_public_key_loads_no_cryptography(tmp_path: Path) -> None:
    (tmp_path / "k.pub").write_text(RFC_8410_PUBLIC)
    program = (
        "import sys, pathlib, edge.identity.operator_keys as k; k.read_public_key(pathlib.Path(sys.argv[1]));"
        "print('cryptography' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "k.pub")], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"
