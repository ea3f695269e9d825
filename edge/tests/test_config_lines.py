"""The line scanner against `tomllib`: whatever that reads has a line here, and the right one."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.gateway.config_lines import Path, line_of, scan_lines, written

DOCUMENT = r"""
# a comment with [a.header] and key = 1
top = 3

[node] # after a header
id = "rsu"      # [not.a.header]
"quoted key" = 7
'literal.key' = 8
text = '''
[fake]
x = 1
'''
after = 13
long = QUOTESa \" "" b
[fake]
""QUOTES
later = 17

[uplink.mqtt]
brokers = [
  21, # one
  22, 22,
  { port = 23, "deep.er" = [23, 23] },
]
tls = { ca = 25, nested.key = 25 }
a.b.c = 26
a.b."d e" = 27

[[device]]
name = 30
[[device.point]]
name = 32
[[device.point]]
name = 34
[device.point.extra]
x = 36

[[device]]
name = 39
point = [
  { name = 41 },
  { name = 42 } ]
[device.sub]
y = 44

[uplink]
empty = ""
x = 48
"""


def leaves(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every scalar of a parsed document with where it stands."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for number, inner in enumerate(value) for leaf in leaves(inner, (*path, number))]
    return [(path, value)]


def everything(value: Any, path: Path = ()) -> list[Path]:
    """The place of every table, array and scalar."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in children for place in everything(inner, (*path, key)))]


def test_every_way_to_write_a_key_has_its_line() -> None:
    text = DOCUMENT.replace("QUOTES", '"""')
    lines = scan_lines(text)
    parsed = tomllib.loads(text)
    assert all(place in lines for place in everything(parsed) if place)
    assert [(path, line) for path, line in leaves(parsed) if isinstance(line, int) and lines[path] != line] == []


def test_headers_have_their_lines() -> None:
    lines = scan_lines("[a.b]\n\n[[c]]\n[[c]]\n[a]\n[c.d]\n")
    assert lines == {("a",): 5, ("a", "b"): 1, ("c",): 3, ("c", 0): 3, ("c", 1): 4, ("c", 1, "d"): 6}


def test_windows_line_ends_count_once() -> None:
    assert scan_lines("a = 1\r\n[b]\r\nc = 2\r\n")[("b", "c")] == 3


def test_a_key_with_escapes_is_read() -> None:
    assert scan_lines(r'"a\u00e9\n\U0001F600\"" = 1') == {('aé\n\U0001f600"',): 1}


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = scan_lines("\n[node]\nid = 1\n")
    assert line_of(lines, ("node", "data")) == 2
    assert line_of(lines, ("uplink", "mqtt")) == 1
    assert line_of({}, ()) == 1


def test_paths_as_people_read_them() -> None:
    assert written(("uplink", "mqtt", "brokers", 0)) == "uplink.mqtt.brokers[0]"
    assert written(('a"\\', "")) == '"a\\"\\\\".""'
    assert written(()) == ""


@pytest.mark.parametrize(
    "text", ["[" * 5000, "a = " + "[" * 5000, "a = " + "{a=" * 5000, "a.b = ", "]", "= 1", '"', "a = '''"]
)
def test_text_that_is_not_toml_ends_nevertheless(text: str) -> None:
    assert set(scan_lines(text).values()) <= {1}, "the only line there is"


@given(st.text(alphabet="ab.[]{}=\"'\\#,\n\r 1", max_size=60))
@settings(derandomize=True, deadline=None, max_examples=400)
def test_any_text_ends_and_valid_text_has_every_line(text: str) -> None:
    lines = scan_lines(text)
    try:
        parsed = tomllib.loads(text)
    except ValueError:
        return
    assert [place for place in everything(parsed) if place and place not in lines] == []


# A leaf's value is the number of the line on which it stands: "@" is replaced once the document is whole.
_key = st.sampled_from(["a", "b-1", '"q k"', "'l.k'", '"\\u00e9"', "x.y", 'x . "z"', "device", "1"])
_noise = st.sampled_from(
    [
        '"""\n[a]\nb = 1\n\\"""" ""',
        "'''\n[[a]]\n'''",
        '"# = [ { \\" "',
        "'] } ,'",
        "1979-05-27 07:32:00",
        "-inf",
        "true",
    ]
).map(lambda text: text.replace('" ""', '"""') if text.endswith('" ""') else text)
_value = st.recursive(
    st.one_of(st.just("@"), _noise),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: "[" + ", # ] }\n ".join([*values, ""]) + "]"),
        st.lists(inner, max_size=3).map(lambda values: "[" + ",".join(values) + "]"),
        st.lists(st.tuples(_key, inner), max_size=3).map(
            lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"
        ),
    ),
    max_leaves=6,
)
_line = st.one_of(
    st.just(""),
    st.just(" # [comment] a = 1"),
    st.tuples(_key, _value).map(lambda pair: f"{pair[0]} = {pair[1]} # = ["),
    _key.map(lambda key: f"[{key}]"),
    _key.map(lambda key: f"[[ {key} ]] # ["),
    st.tuples(_key, _key).map(lambda pair: f"[{pair[0]}.{pair[1]}]"),
    st.tuples(_key, _key).map(lambda pair: f"[[{pair[0]}.{pair[1]}]]"),
)


def keep_valid(lines: list[str]) -> str:
    """As many of the lines as make a valid document, each "@" replaced by its line."""
    text = ""
    for line in lines:
        number = text.count("\n") + 1
        filled = ""
        for character in line + "\n":
            filled += str(number) if character == "@" else character
            number += character == "\n"
        try:
            tomllib.loads(text + filled)
        except ValueError:
            continue
        text += filled
    return text


@given(st.lists(_line, max_size=14).map(keep_valid))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_every_leaf_stands_on_the_line_that_it_says(text: str) -> None:
    lines = scan_lines(text)
    parsed = tomllib.loads(text)
    assert [place for place in everything(parsed) if place and place not in lines] == []
    assert [(p, v, lines[p]) for p, v in leaves(parsed) if type(v) is int and lines[p] != v] == []
