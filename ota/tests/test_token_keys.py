"""Keys in a token, with a real one: SoftHSM2. What it signs is verified by the key that devices are given."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from securesystemslib.signer import Key, Signature

from ota.errors import RefusedError, Rule
from ota.repository.keys import ED25519, P256, KeyRole, PublicKey, role_of
from ota.repository.token_keys import TokenReference, opened_key, read_pin, read_reference, write_reference
from ota.testing.soft_token import PIN, SoftToken, missing, module_path, softhsm_folder

pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed: keys in a token cannot be tried")
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

SECRET = PIN.encode()
MESSAGE = b'{"signed": {}}'


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_folder(tmp_path / "softhsm")))
    return SoftToken("alice")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "desk"
    folder.mkdir()
    yield folder
    for file in folder.rglob("*"):
        assert SECRET not in file.read_bytes()


def refused(said: str, call: Callable[[], object]) -> None:
    with pytest.raises(RefusedError, match=said) as error:
        call()
    assert error.value.rule is Rule.KEY
    assert "\n" not in str(error.value)
    assert PIN not in str(error.value)


def reference(token: SoftToken, desk: Path, scheme: str = ED25519, **template: object) -> TokenReference:
    token.make_key("k", scheme, **template)
    return write_reference(desk, KeyRole.ROOT, "alice", token.uri("k"), SECRET)


def signed(found: TokenReference, pin: bytes = SECRET) -> tuple[PublicKey, Signature]:
    with opened_key(found, pin) as key:
        made = key.signer.sign(MESSAGE)
        key.public.tuf.verify_signature(made, MESSAGE)
    return key.public, made


@pytest.mark.parametrize(("scheme", "keytype"), [(ED25519, "ed25519"), (P256, "ecdsa")])
def test_what_a_token_signs_is_plain_tuf(token: SoftToken, desk: Path, scheme: str, keytype: str) -> None:
    made = reference(token, desk, scheme)
    found = read_reference(desk / "alice-root.key")
    assert found == made
    public, signature = signed(found)
    shown = PublicKey.read(desk / "alice-root.pub", KeyRole.ROOT)
    assert shown == public
    listed = msgspec.json.decode(msgspec.json.encode(shown.tuf.to_dict()))
    assert (listed["keytype"], listed["scheme"]) == (keytype, scheme)
    Key.from_dict(shown.keyid, listed).verify_signature(signature, MESSAGE)  # as a device reads metadata


def test_the_private_half_stays_where_it_is_and_the_reference_is_its_owners(token: SoftToken, desk: Path) -> None:
    reference(token, desk)
    assert sorted(path.name for path in desk.iterdir()) == ["alice-root.key", "alice-root.pub"]
    assert (desk / "alice-root.key").stat().st_mode & 0o777 == 0o600
    said = msgspec.json.decode((desk / "alice-root.key").read_bytes())
    assert set(said) == {"format", "role", "holder", "keyid", "public", "scheme", "uri"}


def test_a_wrong_pin_and_a_token_without_that_key(token: SoftToken, desk: Path) -> None:
    token.make_key("k", ED25519)

    def made(uri: str, pin: bytes = SECRET) -> Callable[[], object]:
        return lambda: write_reference(desk, KeyRole.ROOT, "alice", uri, pin)

    refused("^key: token alice, key k: the PIN is wrong$", made(token.uri("k"), b"1234"))
    refused("^key: token alice, key k: the PIN is no UTF-8$", made(token.uri("k"), b"\xff"))
    refused("^key: token alice, key j: it has no public half of it$", made(token.uri("j")))
    refused("^key: token bob, key k: no such token is plugged in$", made(token.uri("k").replace("alice", "bob")))
    refused(
        "^key: /nowhere/p11.so: it cannot be loaded as a PKCS #11 library$",
        made(token.uri("k").replace(module_path(), "/nowhere/p11.so")),
    )
    refused("it cannot be loaded as a PKCS #11 library", made(token.uri("k").replace(module_path(), __file__)))
    assert list(desk.iterdir()) == []


def test_a_pin_that_was_wrong_is_no_hindrance_to_the_right_one(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk)
    refused("the PIN is wrong", lambda: signed(made, b"wrong"))
    signed(made)


def test_two_keys_of_one_label_are_told_apart_by_their_id_only(token: SoftToken, desk: Path) -> None:
    token.make_key("k", ED25519, b"\1")
    token.make_key("k", P256, b"\2")
    refused(
        "^key: token alice, key k: 2 keys are called so; name its id=$",
        lambda: write_reference(desk, KeyRole.ROOT, "alice", token.uri("k"), SECRET),
    )
    made = write_reference(desk, KeyRole.ROOT, "alice", token.uri("k").replace("?", ";id=%02?"), SECRET)
    assert made.public.tuf.scheme == P256
    signed(made)


def test_two_tokens_of_one_label_are_not_guessed_among(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk)
    SoftToken("alice")
    refused("^key: token alice, key k: 2 tokens are called so; name its serial=$", lambda: signed(made))


def test_a_second_key_of_the_label_that_comes_later_is_not_guessed_among(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk)
    token.make_key("k", ED25519, b"\2")
    refused("^key: token alice, key k: 2 keys are called so; name its id=$", lambda: signed(made))


@pytest.mark.parametrize("scheme", [ED25519, P256])
def test_another_key_under_the_same_name_signs_nothing(token: SoftToken, desk: Path, scheme: str) -> None:
    made = reference(token, desk, scheme)
    token.remove_objects("PRIVATE_KEY")
    refused("^key: token alice, key k: it has no such private key$", lambda: signed(made))
    token.make_key("k", scheme)
    refused(f"it is not the key {made.public.keyid[:8]} that alice has shown to the others$", lambda: signed(made))


def test_a_key_of_another_kind_under_the_same_name_signs_nothing(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk, ED25519)
    token.remove_objects("PRIVATE_KEY")
    token.make_key("k", P256)
    refused("^key: token alice, key k: it is no key that signs ed25519$", lambda: signed(made))


def test_a_key_on_another_curve_is_refused(token: SoftToken, desk: Path) -> None:
    token.make_key("k", "secp384r1")
    refused(
        "^key: token alice, key k: it is neither an Ed25519 nor an ECDSA P-256 key$",
        lambda: write_reference(desk, KeyRole.ROOT, "alice", token.uri("k"), SECRET),
    )


def test_a_key_that_may_not_sign_is_refused(token: SoftToken, desk: Path) -> None:
    refused("^key: token alice, key k: it is no key that signs ecdsa", lambda: reference(token, desk, P256, SIGN=False))
    assert list(desk.iterdir()) == []


def test_a_key_that_wants_the_pin_for_each_signature_gets_it(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk, P256, ALWAYS_AUTHENTICATE=True)
    with opened_key(made, SECRET) as key:
        for _ in range(2):
            key.public.tuf.verify_signature(key.signer.sign(MESSAGE), MESSAGE)


def test_a_token_that_is_pulled_between_two_signatures(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk)

    def work() -> None:
        with opened_key(made, SECRET) as key:
            key.signer.sign(MESSAGE)
            token.pull()
            key.signer.sign(MESSAGE)

    refused("^key: token alice, key k: the token is gone$", work)
    refused("^key: token alice, key k: no such token is plugged in$", work)


def test_only_offline_roles_are_kept_in_a_token(token: SoftToken, desk: Path) -> None:
    token.make_key("k", ED25519)
    for role in (KeyRole.ONLINE, KeyRole.DIRECTOR):
        said = f"a key for {role.value} is no offline key, and lies in a file"
        refused(said, lambda role=role: write_reference(desk, role, "server", token.uri("k"), SECRET))
    assert list(desk.iterdir()) == []


def test_a_reference_replaces_nothing(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk)
    again = lambda: write_reference(desk, KeyRole.ROOT, "alice", token.uri("k"), SECRET)  # noqa: E731
    refused("it exists, and is not replaced", again)
    made.file.unlink()
    refused(r"alice-root\.pub: it exists, and is not replaced", again)
    assert not made.file.exists()


def changed(file: Path, **fields: object) -> None:
    file.write_bytes(msgspec.json.encode({**msgspec.json.decode(file.read_bytes()), **fields}))


def test_a_reference_that_others_may_write_is_not_followed(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk)
    made.file.chmod(0o620)
    refused("others may change which library it loads; chmod go-w it$", lambda: read_reference(made.file))


def test_a_damaged_reference_is_refused(token: SoftToken, desk: Path) -> None:
    made = reference(token, desk)
    good = made.file.read_bytes()
    for fields, said in (
        ({"keyid": "00" * 32}, "its key id does not belong to its key"),
        ({"public": "00"}, "its key is none: the file is damaged"),
        ({"scheme": P256}, "its key is none: the file is damaged"),
        ({"role": "online"}, "is no offline key"),
        ({"uri": "pkcs11:token=a"}, "pkcs11 URI"),
    ):
        made.file.write_bytes(good)
        changed(made.file, **fields)
        refused(said, lambda: read_reference(made.file))
    made.file.write_bytes(good[:100])
    assert read_reference(made.file) is None
    refused("it is no key as `wayside ota repo key` writes it", lambda: role_of(made.file))


def test_a_pin_comes_from_its_file_or_its_variable(token: SoftToken, tmp_path: Path) -> None:
    token.make_key("k", ED25519)
    file = tmp_path / "pin"
    file.write_text(f"{PIN}\n")
    file.chmod(0o600)

    def pin(**more: str) -> bytes | None:
        made = write_reference(tmp_path / "new", KeyRole.ROOT, "alice", token.uri("k", **more), SECRET)
        made.file.unlink()
        made.file.with_suffix(".pub").unlink()  # the next one takes its place
        return read_pin(made.uri, {"ALICE_PIN": PIN})

    assert pin() is None
    assert pin(pin_source=f"file:{file}") == pin(pin_source=str(file)) == pin(pin_source="env:ALICE_PIN") == SECRET
    refused("the environment has no BOB_PIN, where its PIN should be", lambda: pin(pin_source="env:BOB_PIN"))
    file.chmod(0o640)
    refused("others may read this passphrase", lambda: pin(pin_source=f"file:{file}"))
