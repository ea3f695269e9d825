"""Key files: encrypted, their owner's alone, never for two roles, never quietly damaged."""

import json
import stat
from pathlib import Path

import msgspec
import pytest

from ota.errors import RefusedError, Rule, StorageError
from ota.repository import keys
from ota.repository.keys import KeyRole, PublicKey, SigningKey, read_passphrase, role_of

PASSPHRASE = b"correct horse battery"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return SigningKey.new(KeyRole.TARGETS, "alice").write(tmp_path / "alice", PASSPHRASE)


def changed(file: Path, **fields: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def test_a_key_comes_back_and_signs_as_it_did(tmp_path: Path) -> None:
    key = SigningKey.new(KeyRole.ROOT, "bob")
    private, public = key.write(tmp_path, PASSPHRASE)
    again = SigningKey.read(private, PASSPHRASE)
    assert again.signer.sign(b"x").signature == key.signer.sign(b"x").signature
    assert PublicKey.read(public, KeyRole.ROOT) == again.public == key.public
    PublicKey.read(public, KeyRole.ROOT).tuf.verify_signature(again.signer.sign(b"x"), b"x")


def test_the_private_half_is_its_owners_and_says_what_it_is_and_no_more(files: tuple[Path, Path]) -> None:
    private, public = files
    assert (private.name, public.name) == ("alice-targets.key", "alice-targets.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    held = SigningKey.read(private, PASSPHRASE)
    assert role_of(private) == (KeyRole.TARGETS, held.public.keyid)
    assert held._key.private_bytes_raw().hex() not in private.read_text()


def test_a_wrong_passphrase_is_told_from_a_damaged_file(files: tuple[Path, Path]) -> None:
    private, _public = files
    with pytest.raises(RefusedError, match=r"^key: .*alice-targets\.key: this passphrase does not open it$"):
        SigningKey.read(private, b"wrong horse battery")
    changed(private, encrypted="00" * 48)
    with pytest.raises(RefusedError, match="the file is damaged: its checksum is wrong"):
        SigningKey.read(private, PASSPHRASE)


@pytest.mark.parametrize("fields", [{"nonce": "00"}, {"encrypted": "00"}, {"scrypt_cost": (1 << 15) + 1}])
def test_a_file_that_was_made_up_is_refused_and_opens_nothing(
    files: tuple[Path, Path], fields: dict[str, object]
) -> None:
    """Its checksum anybody can make."""
    private, _public = files
    found = json.loads(private.read_text())
    made_up = msgspec.convert({**found, **fields}, keys._PrivateFile)
    changed(private, **fields, checksum=made_up.digest())
    with pytest.raises(RefusedError, match=r"^key: .*alice-targets\.key: ") as refused:
        SigningKey.read(private, PASSPHRASE)
    assert refused.value.rule is Rule.KEY


def test_a_key_does_not_become_one_of_another_role_by_editing(files: tuple[Path, Path]) -> None:
    private, public = files
    with pytest.raises(RefusedError, match="it is a key for targets, not for root; one key has one role"):
        PublicKey.read(public, KeyRole.ROOT)
    changed(private, role="root")
    with pytest.raises(RefusedError, match="damaged"):
        SigningKey.read(private, PASSPHRASE)
    forged = msgspec.json.decode(private.read_bytes(), type=keys._PrivateFile)
    changed(private, checksum=forged.digest())
    assert role_of(private)[0] is KeyRole.ROOT
    with pytest.raises(RefusedError, match="this passphrase does not open it"):  # what is in clear is authenticated
        SigningKey.read(private, PASSPHRASE)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 100, b"[1]", b'{"format": "wayside-key-2"}', b"x" * 9000])
def test_a_broken_key_file_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "k").write_bytes(data)
    for read in (
        lambda: SigningKey.read(tmp_path / "k", PASSPHRASE),
        lambda: PublicKey.read(tmp_path / "k", KeyRole.ROOT),
    ):
        with pytest.raises(RefusedError) as refused:
            read()
        assert "\n" not in str(refused.value)
        assert str(tmp_path / "k") in str(refused.value)


def test_every_cut_of_a_key_file_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    data = files[0].read_bytes()
    for size in range(len(data) - 2):
        (tmp_path / "cut").write_bytes(data[:size])
        with pytest.raises(RefusedError):
            SigningKey.read(tmp_path / "cut", PASSPHRASE)


def test_a_key_that_is_not_there_and_one_that_is(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        SigningKey.read(tmp_path / "none", PASSPHRASE)
    before = files[0].read_bytes()
    with pytest.raises(RefusedError, match="exists, and is not replaced"):
        SigningKey.new(KeyRole.TARGETS, "alice").write(tmp_path / "alice", PASSPHRASE)
    assert files[0].read_bytes() == before


def test_short_passphrases_and_odd_names_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="at least 12"):
        SigningKey.new(KeyRole.ROOT, "bob").write(tmp_path / "new", b"short")
    for name in ("", "../bob", "Bob", "b" * 42):
        with pytest.raises(RefusedError):
            SigningKey.new(KeyRole.ROOT, name)
    assert not (tmp_path / "new").exists()


def test_a_passphrase_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pass"
    file.write_bytes(PASSPHRASE + b"\r\nmore")
    file.chmod(0o644)
    with pytest.raises(RefusedError) as refused:
        read_passphrase(file)
    assert refused.value.rule is Rule.KEY
    file.chmod(0o600)
    assert read_passphrase(file) == PASSPHRASE
