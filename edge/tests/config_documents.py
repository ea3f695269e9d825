"""Documents that the configuration's tests take apart."""

import textwrap
from pathlib import Path

import pytest

from edge.gateway.config import ConfigError, NodeConfigFile, parse_config

HEAD = """\
[node]
id = "rsu-7f3a"
data = "var"

[uplink.mqtt]
brokers = ["mqtt://localhost"]
acknowledged_by = "broker"
"""
"""Seven lines that are right: a test's own begin on line 8."""
FIRST_LINE = HEAD.count("\n") + 1


def parse(tail: str = "", *, head: str = HEAD, file: Path = Path("/etc/wayside/node.toml")) -> NodeConfigFile:
    """The configuration of a right head and a tail."""
    return parse_config((head + textwrap.dedent(tail)).encode(), file)


def mistakes(tail: str = "", *, head: str = HEAD) -> list[tuple[int, str, str]]:
    """(line, path, text) of all that is wrong; lines of the tail count from 1."""
    with pytest.raises(ConfigError) as caught:
        parse(tail, head=head)
    before = head.count("\n")
    return [(problem.line - before, problem.path, problem.text) for problem in caught.value.problems]
