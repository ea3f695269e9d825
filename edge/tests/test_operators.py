"""An operator whose key cannot be used is not obeyed; the others are."""

import pytest

from edge.gateway.config_tables import CommandsConfig, OperatorConfig
from edge.gateway.operators import Operators
from edge.identity.operator_keys import OperatorKey


def config(folder, *names: str) -> CommandsConfig:
    operators = tuple(OperatorConfig(name=name, key=f"{folder}/{name}.pub", ops=("*",)) for name in names)
    return CommandsConfig(operator=operators)


def make(folder, name: str) -> bytes:
    key = OperatorKey.new()
    key.write(folder / f"{name}.key", folder / f"{name}.pub")
    return key.public_bytes


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "ops-1.pub: No such file or directory"), (b"short", "ops-1.pub: is not an Ed25519 public key")],
)
def test_a_key_that_is_gone_or_damaged_takes_one_voice_and_is_said_once(tmp_path, content, reason, caplog):
    other = make(tmp_path, "ops-2")
    if content is not None:
        (tmp_path / "ops-1.pub").write_bytes(content)
    operators = Operators()
    for _time in range(3):
        assert [one.public_key for one in operators.read(config(tmp_path, "ops-1", "ops-2"))] == [other]
    assert list(operators.not_obeyed) == ["ops-1"]
    assert reason in operators.not_obeyed["ops-1"]
    assert len(caplog.records) == 1
    assert "Errno" not in caplog.text


def test_a_name_that_no_file_can_have_is_no_reason_to_stay_down(tmp_path):
    operators = Operators()
    assert operators.read(config(tmp_path, "ops\0")) == []
    assert list(operators.not_obeyed) == ["ops\0"]


def test_each_reading_takes_the_keys_as_they_are_then(tmp_path, caplog):
    caplog.set_level("INFO")
    operators, named = Operators(), config(tmp_path, "ops-1")
    assert operators.read(named) == []
    first = make(tmp_path, "ops-1")
    assert [one.public_key for one in operators.read(named)] == [first]
    assert operators.not_obeyed == {}
    assert caplog.records[-1].getMessage() == "commands: ops-1 is obeyed again"
    (tmp_path / "ops-1.pub").unlink()
    (tmp_path / "ops-1.key").unlink()
    second = make(tmp_path, "ops-1")
    assert [one.public_key for one in operators.read(named)] == [second]
