"""Holders whose keys lie in a token (SoftHSM2), through the command line, up to a device that verifies."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ota.repository import token_keys
from ota.repository.keys import ED25519, P256, PublicKey
from ota.testing.soft_token import PIN, SoftToken, missing, softhsm_folder
from tools.tests.ota_repositories import (
    PASSPHRASE,
    Desk,
    FieldDevice,
    done,
    hurry,
    refused,
    release_words,
    repo,
    source,
    tree,
)

pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed: keys in a token cannot be tried")
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

IMAGE = "rsu/gateway/1.1.tar"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Bob and carol have files; what alice and dave have, a test says."""
    assert PIN == PASSPHRASE  # a desk has one secret
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        yield Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_folder(tmp_path / "softhsm")))
    token = SoftToken("depot")
    token.make_key("root", ED25519, b"\1")
    token.make_key("targets", P256, b"\2")
    return token


def into_token(desk: Desk, token: SoftToken, holder: str, role: str) -> None:
    """From now on a holder's key of that role is the token's."""
    for file in (desk.key(holder, role), desk.pub(holder, role)):
        file.unlink(missing_ok=True)
    words = ["--role", role, "--out", desk.folder / holder, "--passphrase-file", desk.secret]
    done("key", holder, *words, "--token", token.uri(role))


@pytest.fixture
def repository(desk: Desk, token: SoftToken, tmp_path: Path) -> Path:
    """Published; alice signs in the token, and devices know her key from there."""
    into_token(desk, token, "alice", "root")
    into_token(desk, token, "alice", "targets")
    return desk.begun(tmp_path / "repository")


def staged(repository: Path) -> list[Path]:
    return sorted((repository / "staged").rglob("*.json"))


def test_the_whole_ceremony_with_one_holders_key_in_a_token_and_a_device_that_verifies(
    desk: Desk, repository: Path, tmp_path: Path
) -> None:
    root = json.loads((repository / "public/metadata/1.root.json").read_bytes())["signed"]
    mine = PublicKey.read(desk.pub("alice", "targets"))
    assert root["keys"][mine.keyid]["keytype"] == "ecdsa"
    assert root["keys"][mine.keyid]["scheme"] == "ecdsa-sha2-nistp256"
    assert root["keys"][mine.keyid]["keyval"]["public"].startswith("-----BEGIN PUBLIC KEY-----")
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    desk.sign(repository, "alice", "bob")
    desk.publish(repository)
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={IMAGE}"))
    listed = json.loads((repository / "public/metadata/2.rsu.json").read_bytes())
    assert mine.keyid in {one["keyid"] for one in listed["signatures"]}
    device = FieldDevice(repository / "public")
    assert device.refresh(repository / "public").targets["gateway"].path == IMAGE


def test_a_key_in_a_token_takes_the_place_of_one_in_a_file_and_a_device_follows(
    desk: Desk, token: SoftToken, tmp_path: Path
) -> None:
    for role in ("root", "targets"):
        desk.key("alice", role).unlink(missing_ok=True)
        desk.pub("alice", role).unlink(missing_ok=True)
        desk.new_key("alice", role)
    repository = desk.begun(tmp_path / "repository")
    device = FieldDevice(repository / "public")
    into_token(desk, token, "dave", "root")
    into_token(desk, token, "dave", "targets")
    for role in ("root", "targets"):
        old = PublicKey.read(desk.pub("carol", role)).keyid
        done("rotate-key", repository, old, "--new", desk.pub("dave", role))
    desk.sign(repository, "dave", "alice", "bob")
    desk.publish(repository)
    done(*release_words(repository, source(tmp_path / "1", "1"), 1, deltas=0))
    desk.sign(repository, "dave", "alice")
    desk.publish(repository)
    done(*desk.plan_words(repository, "rsu-7", "--ecu", f"gateway={IMAGE}"))
    assert device.refresh(repository / "public").targets["gateway"].path == IMAGE


def test_signing_the_same_again_keeps_the_signature_that_lies_there(desk: Desk, repository: Path) -> None:
    done("renew", repository, "targets")
    file = repository / "staged/image/2.targets.json"
    done(*desk.sign_words(file, "alice"))
    before = tree(repository)
    assert list(file.parent.glob("2.targets.json.alice-*.sig"))
    done(*desk.sign_words(file, "alice"))  # an ECDSA signature is another one each time
    assert tree(repository) == before


def test_an_old_signature_under_the_same_name_is_not_taken_for_the_new_one(desk: Desk, repository: Path) -> None:
    done("renew", repository, "targets")
    file = repository / "staged/image/2.targets.json"
    done(*desk.sign_words(file, "alice"))
    file.write_text(file.read_text().replace('"version": 2', '"version": 2, "x": 1'))
    said = refused(*desk.sign_words(file, "alice"))
    assert said.endswith("it exists with other content, and is not replaced")


def test_a_token_that_is_pulled_between_two_files_leaves_no_signature(
    desk: Desk, repository: Path, token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("renew", repository, "targets")
    done("renew", repository, "rsu")
    real = token_keys._TokenSigner.sign
    made = []

    def sign(signer: token_keys._TokenSigner, payload: bytes) -> object:
        made.append(real(signer, payload))
        token.pull()
        return made[-1]

    monkeypatch.setattr(token_keys._TokenSigner, "sign", sign)
    before = tree(repository)
    words = ["--key", desk.key("alice", "targets"), "--passphrase-file", desk.secret]
    assert refused("sign", *staged(repository), *words) == "key: token depot, key targets: the token is gone"
    assert len(made) == 1
    assert tree(repository) == before


@pytest.mark.parametrize("as_json", [False, True])
def test_a_wrong_pin_is_one_line_without_it_and_changes_nothing(
    desk: Desk, repository: Path, tmp_path: Path, as_json: bool
) -> None:
    done("renew", repository, "targets")
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong horse battery")
    wrong.chmod(0o600)
    before = tree(repository)
    words = [*staged(repository), "--key", desk.key("alice", "targets"), "--passphrase-file", wrong]
    result = repo("sign", *words, *(["--json"] if as_json else []))
    assert result.exit_code == 1
    assert "key: token depot, key targets: the PIN is wrong" in result.output
    assert "wrong horse" not in result.output
    assert tree(repository) == before


def test_a_pin_comes_from_where_the_uri_says_and_a_wrong_role_is_told_before_it_is_asked_for(
    desk: Desk, repository: Path, token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVE_PIN", PIN)
    made = repo(
        "key",
        "eve",
        "--role",
        "root",
        "--out",
        tmp_path / "eve",
        "--token",
        token.uri("root", pin_source="env:EVE_PIN"),
    )
    assert made.exit_code == 0, made.output
    assert "eve-root.key says where the key lies and stays with its holder" in made.stdout.replace("\n", " ")
    done("renew", repository, "targets")
    monkeypatch.delenv("EVE_PIN")
    (file,) = staged(repository)
    said = refused("sign", file, "--key", tmp_path / "eve/eve-root.key")
    assert said == f"key: {file}: targets keys sign this, and this one is for root"


def test_a_pin_in_the_uri_is_refused_and_a_terminal_is_asked_where_nothing_says_it(
    desk: Desk, token: SoftToken, tmp_path: Path
) -> None:
    words = ["key", "eve", "--role", "root", "--out", tmp_path / "eve", "--token"]
    said = refused(*words, f"{token.uri('root')}&pin-value={PIN.replace(' ', '%20')}")
    assert said == "key: pkcs11 URI: pin-value: a PIN does not stand in a name; say with pin-source where it is"
    nobody = repo(*words, token.uri("root"))
    assert (nobody.exit_code, nobody.stderr) == (
        2,
        "wayside: there is no terminal to ask at; name a --passphrase-file\n",
    )
    assert not (tmp_path / "eve").exists()


def test_a_dry_run_asks_no_token(desk: Desk, repository: Path, token: SoftToken, tmp_path: Path) -> None:
    done("renew", repository, "targets")
    token.pull()
    before = tree(repository)
    words = [*staged(repository), "--key", desk.key("alice", "targets"), "--dry-run"]
    assert done("sign", *words)["changes"]
    assert done("key", "eve", "--role", "root", "--out", tmp_path / "eve", "--token", token.uri("root"), "--dry-run")
    assert not (tmp_path / "eve").exists()
    assert tree(repository) == before


def test_an_online_key_is_not_taken_from_a_token(
    desk: Desk, repository: Path, token: SoftToken, tmp_path: Path
) -> None:
    words = ["--out", tmp_path / "eve", "--passphrase-file", desk.secret, "--token", token.uri("root")]
    said = refused("key", "eve", "--role", "online", *words)
    assert said == "key: eve: a key for online is no offline key, and lies in a file"
    key = desk.key("alice", "root")
    said = refused("publish", repository, "--online-key", key, "--passphrase-file", desk.secret)
    assert said.startswith(f"key: {key}: it is no key as `wayside ota repo key` writes it, or one in a token")


def test_without_the_library_it_says_what_to_install(
    desk: Desk, repository: Path, token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("renew", repository, "targets")
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    result = repo(*desk.sign_words(staged(repository)[0], "alice"))
    assert (result.exit_code, result.stderr) == (
        2,
        'wayside: pkcs11 is not installed here: pip install "wayside[ota,pkcs11]"\n',
    )
