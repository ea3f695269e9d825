"""`docs/ota_rauc.md` keeps to what the code does."""

import configparser
import re
from pathlib import Path

from ota.agent.config import parse_config
from ota.errors import Rule
from ota.installers import rauc_command

PAGE = (Path(__file__).parents[2] / "docs/ota_rauc.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_file_of_the_box_can_be_read() -> None:
    (text,) = blocks("toml update")
    config = parse_config(text.encode(), Path("update.toml"))
    assert config.rauc is not None
    assert config.rauc.names == {"a": "rootfs.0", "b": "rootfs.1"}


def test_the_system_has_what_the_agent_needs() -> None:
    system, unit = (configparser.ConfigParser(strict=True) for _ in range(2))
    first, second = blocks("ini")
    system.read_string(first)
    unit.read_string(second)
    assert system["system"]["activate-installed"] == "false"
    assert [system[f"slot.rootfs.{number}"]["bootname"] for number in (0, 1)] == ["A", "B"]
    assert unit["Service"]["SuccessExitStatus"] == "10 11"


def test_what_rauc_says_is_in_the_table_with_its_rule() -> None:
    rows = re.findall(r"^\| (`.+`) \| `(\w+)` \|$", PAGE, re.MULTILINE)
    table = {words: rule for cell, rule in rows for words in re.findall(r"`(.+?)`", cell)}
    full = {rauc_command._FULL: Rule.SPACE.value}
    assert table == {words: rule.value for words, rule in rauc_command._RULES} | full
