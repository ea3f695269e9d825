"""The one command: every verb loads, none before it is named, and with nothing but what the demo installs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.cli import COMMANDS, app

WAYSIDE = Path(sys.executable).with_name("wayside")
GLL = "$GPGLL,4916.45,N,12311.12,W,225444,A*31"


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


@pytest.mark.parametrize(
    ("redirection", "code", "talk"),
    [
        (">/dev/full", 1, "wayside: stdout: No space left on device\n"),
        (">&-", 1, "wayside: stdout: Bad file descriptor\n"),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
        ("| true", 0, ""),
    ],
)
@pytest.mark.parametrize("more", ["", "--json"])
def test_no_stream_that_is_missing_full_or_gone_brings_a_traceback(
    redirection: str, code: int, talk: str, more: str
) -> None:
    line = f"'{WAYSIDE}' decode nmea0183 '{GLL}' {more} {redirection}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (code, talk)


@pytest.mark.parametrize("verb", ["decode", "encode"])
def test_from_a_closed_stdin_comes_nothing(verb: str) -> None:
    line = f"'{WAYSIDE}' {verb} nmea0183 --jsonl <&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_name_that_is_no_text_is_said_as_json(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.toml"
    done = subprocess.run([WAYSIDE, "check", name, "--json"], capture_output=True, check=False, timeout=60)
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)
    assert json.loads(done.stdout)["problems"][0]["file"].endswith("\\udcff.toml")
