"""The one command: every verb loads, none before it is named, and with nothing but what the demo installs."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tools.cli import COMMANDS, app


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_its_help(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "--help" in result.stdout
    assert "--install-completion" not in result.stdout


def test_no_verb_is_loaded_before_it_is_named() -> None:
    modules = {module for module, _text in COMMANDS.values()}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, tools.cli; print({modules} & set(sys.modules))"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "set()\n"


def test_no_verb_needs_what_only_the_tests_install() -> None:
    modules = [module for module, _text in COMMANDS.values()]
    program = (
        "import importlib, sys; sys.modules['click'] = sys.modules['babel'] = sys.modules['pytest'] = None\n"
        f"for module in {modules}: importlib.import_module(module)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
