"""The home-made checks: each finds what it is for, and the tree passes all of them."""

from pathlib import Path

import pytest

from tools import checks


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    return tmp_path


def put(tree: Path, name: str, text: str | bytes = "") -> list[Path]:
    """A tree of one file."""
    file = tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [file]


def test_the_tree_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.main() == 0, capsys.readouterr().out


def test_lines_of_code_are_neither_blank_nor_comment_nor_docstring() -> None:
    prose = '"""Doc\nstring."""\n\n# comment\n'
    source = prose + 'x = [\n    1,  # one\n\n    2,\n]\n\n\ndef f():\n    """Doc."""\n    return """a\nb"""\n'
    assert checks.code_lines(source) == len(("x = [", "1,", "2,", "]", "def f():", 'return """a', 'b"""'))


def test_a_file_that_is_too_long_is_found(tree: Path) -> None:
    code = "x = 1\n"
    assert list(checks.file_lengths(put(tree, "edge/a.py", code * 400 + "# comment\n" * 500))) == []
    assert [where for where, _what in checks.file_lengths(put(tree, "edge/a.py", code * 401))] == ["edge/a.py"]
    assert list(checks.file_lengths(put(tree, "edge/tests/test_a.py", code * 600))) == []
    assert list(checks.file_lengths(put(tree, "edge/tests/test_a.py", code * 601)))
    assert list(checks.file_lengths(put(tree, "drivers/maps/a.toml", code * 601)))
    assert list(checks.file_lengths(put(tree, "LICENSE", code * 601))) == []


def test_a_name_that_another_distribution_owns_is_found(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checks.importlib.metadata, "packages_distributions", lambda: {"tools": ["wayside", "other-tools"]}
    )
    assert list(checks.collisions([])) == [
        ("tools", "the installed distribution other-tools owns this top-level name too")
    ]


def test_a_tool_that_hides_the_standard_library_is_found(tree: Path) -> None:
    assert list(checks.collisions(put(tree, "tools/sink/json.py")))
    assert list(checks.collisions(put(tree, "tools/json_lines.py"))) == []
    assert list(checks.collisions(put(tree, "edge/json.py"))) == []


def test_packages_are_as_they_must_be(tree: Path) -> None:
    assert list(checks.packages(put(tree, "edge/tests/__init__.py")))
    assert list(checks.packages(put(tree, "protocols/core/__init__.py", "x = 1")))
    assert list(checks.packages(put(tree, "protocols/core/__init__.py"))) == []


@pytest.mark.parametrize(
    ("page", "where"),
    [
        ("a\n```toml\n[node]\nid = \n```\n", "docs/a.md:3"),
        ("```toml\n[[device]]\nname = 'X'\ndriver = 'gnss'\nport = 'pty:/dev/x'\n```\n", "docs/a.md:2"),
        ("```toml\n[node]\nid = 'n'\n```\n", "docs/a.md:2"),
        ("```json\n{,}\n```\n", "docs/a.md:2"),
        ("```python runnable\nassert 1 == 2\n```\n", "docs/a.md:2"),
        ("```console\n$ ls\n$ wayside dekode pn532\n```\n", "docs/a.md:3"),
    ],
)
def test_an_example_that_does_not_work_is_found(tree: Path, page: str, where: str) -> None:
    assert {at for at, _what in checks.examples(put(tree, "docs/a.md", page))} == {where}


@pytest.mark.parametrize(
    "page",
    [
        "```toml\n[[device]]\nname = 'x'\ndriver = 'gnss'\nport = 'pty:/dev/x'\n```\n",
        "```toml\ntitle = 'a register map'\n[points]\n```\n",
        "```python\nclass Sketch: ...  # not runnable\n    x\n```\n",
        "```python runnable\nassert 1 == 1\n```\n",
        "```sh\nsudo apt install x\n.venv/bin/wayside decode pn532\n```\n",
        "```mermaid\nnonsense\n```\n",
    ],
)
def test_an_example_that_works_is_not(tree: Path, page: str) -> None:
    assert list(checks.examples(put(tree, "docs/a.md", page))) == []


def test_a_configuration_among_the_examples_is_checked(tree: Path) -> None:
    assert list(checks.examples(put(tree, "docs/examples/a.toml", "[node]\n")))


PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "{a} of %s"\nmsgstr "{text}"\n'


def test_a_translation_that_loses_a_value_is_found(tree: Path) -> None:
    found = dict(checks.catalogues(put(tree, "locale/zh/wayside.po", PO.replace("{text}", "{a}"))))
    assert found["locale/zh/wayside.po:4"].startswith("loses or adds a place for a value")


def test_a_translation_that_is_not_compiled_is_found(tree: Path) -> None:
    files = put(tree, "locale/zh/wayside.po", PO.replace("{text}", "%s / {a}"))
    assert [what for _where, what in checks.catalogues(files)] == ["the .mo beside it is not what this compiles to"]
    compiled = checks.io.BytesIO()
    with files[0].open("rb") as opened:
        checks.write_mo(compiled, checks.read_po(opened))
    files[0].with_suffix(".mo").write_bytes(compiled.getvalue())
    assert list(checks.catalogues(files)) == []


def test_a_catalogue_that_is_none_is_found(tree: Path) -> None:
    assert list(checks.catalogues(put(tree, "locale/zh/wayside.po", "msgid\n")))


@pytest.mark.parametrize("text", ["see /root/x", "in /work/a.txt", "cd /home/somebody/x", "db.corp", "# FIXME: later"])
def test_words_of_ones_own_desk_are_found(tree: Path, text: str) -> None:
    assert [where for where, _what in checks.words(put(tree, "docs/a.md", f"a\n{text}\n"))] == ["docs/a.md:2"]


def test_ordinary_words_and_bytes_are_not(tree: Path) -> None:
    assert (
        list(checks.words(put(tree, "docs/a.md", "/home/me/node.toml, homework/x, the root/leaf, /etc/wayside"))) == []
    )
    assert list(checks.words(put(tree, "docs/a.png", b"\xff/root/x"))) == []
