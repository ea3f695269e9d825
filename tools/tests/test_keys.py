"""`wayside keys new`: two files, a table to paste, nothing overwritten."""

import json
import stat
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge.gateway.config import parse_config, problems_around
from edge.identity.operator_keys import OperatorKey, OperatorKeyError, is_signed, read_public_key
from edge.tests.config_documents import HEAD
from tools.cli import app


def keys_new(*arguments: object, passphrase: str | None = None) -> Result:
    environment = {"WAYSIDE_KEY_PASSPHRASE": passphrase}
    return CliRunner().invoke(app, ["keys", "new", *map(str, arguments)], env=environment)


def test_both_halves_fit_and_the_private_one_is_its_owners(tmp_path: Path) -> None:
    result = keys_new("ops-1", "--out", tmp_path / "new" / "keys")
    assert result.exit_code == 0
    private, public = tmp_path / "new/keys/ops-1.key", tmp_path / "new/keys/ops-1.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert is_signed(read_public_key(public), OperatorKey.read(private).sign(b"x"), b"x")


def test_the_printed_table_is_right_as_it_stands(tmp_path: Path) -> None:
    result = keys_new("ops-1", "--out", tmp_path, "--op", "vms.*", "--op", "config.push")
    assert tomllib.loads(result.stdout)["commands"]["operator"] == [
        {"name": "ops-1", "key": f"{tmp_path}/ops-1.pub", "ops": ["vms.*", "config.push"]}
    ]
    document = (HEAD + result.stdout).encode()
    assert problems_around(parse_config(document, tmp_path / "node.toml"), document) == []


def test_a_passphrase_from_the_environment_encrypts(tmp_path: Path) -> None:
    result = keys_new("ops-1", "--out", tmp_path, "--json", passphrase="correct horse")
    assert json.loads(result.stdout) == {
        "ok": True,
        "name": "ops-1",
        "private": f"{tmp_path}/ops-1.key",
        "public": f"{tmp_path}/ops-1.pub",
        "is_encrypted": True,
    }
    with pytest.raises(OperatorKeyError):
        OperatorKey.read(tmp_path / "ops-1.key")
    OperatorKey.read(tmp_path / "ops-1.key", b"correct horse")


def test_what_cannot_be_done_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    assert keys_new("ops-1", "--out", tmp_path, passphrase="short").exit_code == 2
    assert keys_new("ops-1", "--out", tmp_path, "--passphrase").exit_code == 2  # nobody to ask
    for name in ("Ops", "../ops", "", "a" * 64):
        assert keys_new(name, "--out", tmp_path).exit_code == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    result = keys_new("ops-1", "--out", tmp_path / "file")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("wayside: ")


def test_a_key_that_exists_is_not_replaced(tmp_path: Path) -> None:
    keys_new("ops-1", "--out", tmp_path)
    before = (tmp_path / "ops-1.key").read_bytes()
    result = keys_new("ops-1", "--out", tmp_path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    assert "exists, and is not replaced" in result.stderr
    assert (tmp_path / "ops-1.key").read_bytes() == before
