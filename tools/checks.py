"""What `make check` holds the tree to and no other tool looks at. `python -m tools.checks`: a line each, exit 0 or 1.

File lengths, names that would collide, examples in the documentation, translations, words that do not belong here.
"""

import ast
import importlib.metadata
import io
import json
import re
import string
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from edge.gateway.config import NEEDED, TABLES, ConfigError, parse_config
from ota.agent.config import ConfigError as UpdateConfigError
from ota.agent.config import parse_config as parse_update_config
from tools.cli import COMMANDS

ROOT = Path(__file__).parents[1]
OURS = ("protocols", "drivers", "edge", "ota", "emulators", "tools", "hil_tests")
DISTRIBUTION = "wayside"

MAX_CODE_LINES = 400
MAX_TABLE_LINES = 600
"""For tests, register maps and files that are mostly a standard's tables."""

MICROPYTHON_CLEAN = (
    "protocols",
    "protocols/aton",
    "protocols/core",
    "protocols/modbus_devices",
    "protocols/nmea0183",
    "protocols/sl651",
)
"""Packages above MicroPython modules: their `__init__.py` stays empty."""

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VERB = re.compile(r"(?:^|[$&|;(] *|\.venv/bin/)wayside +([a-z][a-z-]*)", re.MULTILINE)
_CONFIG_HEAD = (
    '[node]\nid = "n"\ndata = "d"\n[uplink.mqtt]\nbrokers = ["mqtt://localhost"]\nacknowledged_by = "broker"\n'
)
_PRIVATE = re.compile(
    r"(?<![\w./])/(?:home/(?!me/)|root/|work/|Users/)\w|\.(?:corp|intranet)\b|\bco-authored-by:|\b(?:fix|to)me:|\bpypi\.(?!org)\w",
    re.IGNORECASE,
)
"""Folders of one person's machine, names of inner networks, remarks that were not meant to stay."""

Finding = tuple[str, str]
"""(file, or file:line; what is wrong)"""


def tracked_files() -> list[Path]:
    """Every file of the tree, from the version control, else from the folders."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607  # found on PATH
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        names = listed.stdout.decode().split("\0")
        return [ROOT / name for name in sorted(filter(None, names)) if (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        return sorted(file for name in OURS for file in (ROOT / name).rglob("*") if file.is_file())


def is_test(file: Path) -> bool:
    """Whether a file holds tests or what they share."""
    return "tests" in file.parts or "hil_tests" in file.parts


def code_lines(source: str) -> int:
    """Lines that hold code: neither blank, nor comment, nor docstring."""
    lines: set[int] = set()
    for part in tokenize.generate_tokens(io.StringIO(source).readline):
        if part.type not in _NOT_CODE:
            lines.update(range(part.start[0], part.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


_NOT_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


def file_lengths(files: list[Path]) -> Iterator[Finding]:
    """No file is longer than one can read in a sitting."""
    for file in files:
        if file.suffix == ".py":
            count = code_lines(file.read_text("utf-8"))
            most = MAX_TABLE_LINES if is_test(file) else MAX_CODE_LINES
        elif file.match("drivers/maps/*.toml"):
            count, most = len(file.read_text("utf-8").splitlines()), MAX_TABLE_LINES
        else:
            continue
        if count > most:
            yield str(file.relative_to(ROOT)), f"{count} lines of code, at most {most}: split it by what it is about"


def collisions(files: list[Path]) -> Iterator[Finding]:
    """Nothing else that is installed owns one of our names, and no tool hides a module of the standard library."""
    owners = importlib.metadata.packages_distributions()
    for name in OURS:
        for owner in sorted(set(owners.get(name, [])) - {DISTRIBUTION}):
            yield name, f"the installed distribution {owner} owns this top-level name too"
    for file in files:
        if file.suffix == ".py" and file.is_relative_to(ROOT / "tools") and file.stem in sys.stdlib_module_names:
            yield str(file.relative_to(ROOT)), "bears the name of a module of the standard library"


def packages(files: list[Path]) -> Iterator[Finding]:
    """Test folders are no packages; packages above MicroPython modules are empty."""
    for file in files:
        if file.name == "__init__.py":
            folder = file.parent.relative_to(ROOT)
            if folder.name == "tests":
                yield str(folder), "a folder of tests has no __init__.py: pytest imports by path"
            if str(folder) in MICROPYTHON_CLEAN and file.stat().st_size:
                yield str(file.relative_to(ROOT)), "stays empty: MicroPython would load it"


def examples(files: list[Path]) -> Iterator[Finding]:
    """Examples in the documentation work: configurations are right, JSON and TOML parse, verbs exist.

    A block of Python is held to be runnable when its fence says so: three back ticks, `python runnable`. One of TOML is
    a node's, or with `toml update` the update agent's.
    """
    for file in files:
        if file.suffix == ".md":
            text = file.read_text("utf-8")
            for block in _FENCE.finditer(text):
                line = text.count("\n", 0, block.start()) + 2
                for at, what in _example(*block.groups()):
                    yield f"{file.relative_to(ROOT)}:{line + at}", what
        elif file.match("docs/examples/*.toml"):
            yield from ((str(file.relative_to(ROOT)), what) for what in _configuration(file.read_text("utf-8"), file))


def _example(language: str, marks: str, body: str) -> Iterator[tuple[int, str]]:
    match language:
        case "toml" if "update" in marks.split():
            yield from _update_configuration(body)
        case "json" | "toml":
            try:
                parsed = json.loads(body) if language == "json" else tomllib.loads(body)
            except ValueError as error:
                yield 0, f"is not {language.upper()}: {error}"
                return
            known = set(parsed) & {*TABLES, "bus", "device"} if language == "toml" else set()
            if known:
                head = "" if set(NEEDED) & known else _CONFIG_HEAD
                yield from ((0, what) for what in _configuration(head + body, Path("example")))
        case "python" if "runnable" in marks.split():
            try:
                exec(compile(body, "example", "exec"), {"__name__": "example"})  # noqa: S102  # it says that it runs
            except Exception as error:  # noqa: BLE001  # whatever it raises is what is wrong with it
                yield 0, f"does not run: {error!r}"
        case "sh" | "console":
            for verb in _VERB.finditer(body):
                if verb[1] not in COMMANDS:
                    yield body.count("\n", 0, verb.start(1)), f"there is no command wayside {verb[1]}"
        case _:
            pass


def _update_configuration(document: str) -> Iterator[tuple[int, str]]:
    try:
        parse_update_config(document.encode(), Path("example"))
    except UpdateConfigError as error:
        yield 0, str(error)


def _configuration(document: str, file: Path) -> Iterator[str]:
    try:
        parse_config(document.encode(), file)
    except ConfigError as error:
        yield from (f"{problem.path}: {problem.text}" for problem in error.problems)


def catalogues(files: list[Path]) -> Iterator[Finding]:
    """Every translation compiles, is compiled as it stands, and keeps the places where values go."""
    for file in files:
        if file.suffix != ".po":
            continue
        name = str(file.relative_to(ROOT))
        try:
            with file.open("rb") as opened:
                catalogue = read_po(opened, abort_invalid=True)
        except (PoFileError, ValueError) as error:
            yield name, f"does not compile: {error}"
            continue
        for message in catalogue:
            originals = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
            texts = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
            wrong = [text for text in texts if text and _places(text) != _places(originals[-1])]
            if message.id and wrong:
                yield f"{name}:{message.lineno}", f"loses or adds a place for a value: {wrong[0]!r}"
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        if not file.with_suffix(".mo").exists() or file.with_suffix(".mo").read_bytes() != compiled.getvalue():
            yield name, "the .mo beside it is not what this compiles to"


def _places(text: str) -> list[str]:
    """`{name}` and `%s` in a text, sorted: a translation may turn them round."""
    try:
        named = [field for _literal, field, _spec, _conversion in string.Formatter().parse(text) if field is not None]
    except ValueError:
        named = []
    return sorted(named) + sorted(re.findall(r"%(?:\(\w+\))?[-+ #0]*[\d.]*[diouxXeEfgGcrs]", text))


def words(files: list[Path]) -> Iterator[Finding]:
    """Nothing speaks of the machine or the network that it was written on."""
    for file in files:
        if file == Path(__file__) or file.name == "test_checks.py":
            continue
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for found in _PRIVATE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{file.relative_to(ROOT)}:{line}", f"does not belong into the tree: {found[0]}"


CHECKS: tuple[Callable[[list[Path]], Iterator[Finding]], ...] = (
    file_lengths,
    collisions,
    packages,
    examples,
    catalogues,
    words,
)


def main() -> int:
    """Run every check and print what each finds."""
    files = tracked_files()
    findings = [finding for check in CHECKS for finding in check(files)]
    for where, what in findings:
        print(f"{where}: {what}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
