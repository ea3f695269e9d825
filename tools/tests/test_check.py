"""`wayside check`: exit 0 or 2, each mistake on a line of its own, nothing opened."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge.tests.config_documents import HEAD
from tools.cli import app

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.toml"))


def check(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_a_right_configuration_exits_0_and_leaves_stdout_empty(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD)
    result = check(file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{file}: no mistake found\n"
    assert json.loads(check(file, "--json").stdout) == {"ok": True, "problems": []}
    assert list(tmp_path.iterdir()) == [file]


def test_a_wrong_one_exits_2_and_names_each_mistake_on_a_line(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD + "[journal]\nquota_mb = 0\nquota = 1\n")
    result = check(file)
    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        f"{file}:9: journal.quota_mb: is 0, must be a number from 1 to 1000000",
        (
            f"{file}:10: journal.quota: is not a known key; "
            'the nearest known one is "quota_mb" (known here: quota_mb, lane)'
        ),
    ]
    assert result.stderr == "2 problems\n"
    answer = json.loads(check(file, "--json").stdout)
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "file": str(file),
        "line": 9,
        "path": "journal.quota_mb",
        "text": "is 0, must be a number from 1 to 1000000",
    }


def test_files_that_it_names_are_looked_for_unless_it_is_for_another_box(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD + '[privacy]\nhash_key = "none.key"\n')
    result = check(file)
    assert result.exit_code == 2
    assert result.stdout.startswith(f"{file}:9: privacy.hash_key: {tmp_path}/none.key cannot be read")
    assert check(file, "--document").exit_code == 0


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_the_examples_of_the_documentation_are_right(file: Path) -> None:
    assert check(file, "--document").exit_code == 0


def test_what_is_no_configuration_exits_2(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "none.toml", "/dev/null"):
        result = check(file)
        assert result.exit_code == 2
        assert result.stdout.startswith(f"{file}:1: ")
    assert check().exit_code == 2


def test_a_hostile_key_cannot_command_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(HEAD + '"\\u001b[2J" = "\\u001b[2J"\n')
    assert "\x1b" not in check(file).output


def test_the_schema_is_json() -> None:
    result = check("--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
