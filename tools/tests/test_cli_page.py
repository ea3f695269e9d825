"""`docs/cli.md` says of every verb what it is, and shows only what the commands take."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from tools.cli import COMMANDS, app
from tools.emulated_kinds import ModbusWorld, ProxyWorld

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
EXAMPLES = [
    line.removeprefix("sudo ")
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_its_paragraph_and_an_example(verb: str) -> None:
    assert f"### wayside {verb}\n" in PAGE
    assert any(example.startswith(f"wayside {verb} ") for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_parsed(example: str) -> None:
    """Each word is taken by the command's own parser; nothing is run."""
    words = shlex.split(example)[1:]
    group: Any = typer.main.get_command(app)
    context = group.make_context("wayside", [words[0]], resilient_parsing=True)
    command: Any = group.get_command(context, words.pop(0))
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    with command.make_context(command.name, words) as parsed:
        assert not parsed.args


def test_every_world_on_the_page_can_be_played() -> None:
    units, proxy = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(msgspec.convert(tomllib.loads(units), ModbusWorld).unit) == 2
    assert msgspec.convert(tomllib.loads(proxy), ProxyWorld).step[0].faults.latency_s == 0.6
