"""`docs/devices/*.md`: what each page tells people to write is a configuration that holds."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.cli import app

PAGES = sorted((Path(__file__).parents[2] / "docs/devices").glob("*.md"))
NODE = """
[node]
id = "rsu-7f3a"
data = "var"
[uplink.mqtt]
brokers = ["mqtt://127.0.0.1:1883"]
acknowledged_by = "ingest"
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tables_of_a_page_are_a_configuration_that_holds(page: Path, tmp_path: Path) -> None:
    tables = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert tables
    file = tmp_path / "node.toml"
    file.write_text(NODE + "\n".join(tables), "utf-8")
    result = CliRunner().invoke(app, ["check", "--document", str(file)])
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_how_far_its_device_is_proven(page: Path) -> None:
    text = page.read_text("utf-8")
    assert all(f"| {rank}: " in text for rank in ("bronze", "silver", "gold"))
    assert "| `wayside status`" in text
