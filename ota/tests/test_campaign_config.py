"""`rollouts.toml`: the page's own example, paths beside the file, and each mistake in a line that names its place."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.campaign.config import ConfigError, read_config

PAGE = Path(__file__).parents[2] / "docs/campaigns.md"
LEAST = 'database = "sqlite:///r.db"\nrepository = "repo"\n'


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "rollouts.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_the_example_of_the_page_is_one(tmp_path: Path):
    (text,) = re.findall(r"```toml rollouts\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    config = read_config(written(tmp_path, text))
    assert sorted(config.person) == ["li", "wang"]
    assert config.broker is not None
    assert config.broker.key_id == "rollout"
    assert config.director is not None
    assert config.director.listen == "127.0.0.1:8447"


@pytest.mark.parametrize(
    ("database", "url"),
    [
        ("sqlite:///r.db", "sqlite:///{folder}/r.db"),
        ("sqlite:////var/lib/r.db", "sqlite:////var/lib/r.db"),
        ("postgresql://rollouts@db.example/rollouts", "postgresql://rollouts@db.example/rollouts"),
    ],
)
def test_the_file_of_a_database_lies_beside_it(tmp_path: Path, database: str, url: str):
    config = read_config(written(tmp_path, f'database = "{database}"\nrepository = "repo"\n'))
    assert config.database_url == url.format(folder=tmp_path)
    assert config.path("repo") == tmp_path / "repo"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "database"),
        (LEAST + "colour = 1\n", "colour"),
        (LEAST + '[person."Li Wei"]\nkey = "li.pub"\n', "person"),
        (LEAST + '[director]\nkey = "a"\n', "passphrase_file"),
        (LEAST + '[director]\nkey = "a"\npassphrase_file = "b"\nlisten = "everywhere"\n', "director.listen"),
        (LEAST + '[broker]\nurl = "mqtts://b"\n', "signing_key"),
        ('database = "postgresql://me:secret@db/r"\nrepository = "r"\n', "~/.pgpass"),
        (b"\xff", "rollouts.toml"),
        ("a = " * 3, "rollouts.toml"),
        ("x" * 70_000, "65536 bytes"),
    ],
)
def test_a_mistake_is_a_line_that_names_its_place(tmp_path: Path, text: str | bytes, reason: str):
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        read_config(file)
    said = str(refused.value)
    assert said.startswith(f"{file}: ")
    assert reason in said
    assert "\n" not in said
    assert "secret" not in said


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "nowhere.toml")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    file = written(tmp_path_factory.getbasetemp(), data)
    with pytest.raises(ConfigError):
        read_config(file)
