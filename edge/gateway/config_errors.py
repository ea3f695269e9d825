"""What is wrong with a configuration, where, and what would be right.

A problem is found in two steps: the document is converted as a whole, which is fast and says yes or no; only after a
no, `problems_in` walks tables and keys one by one, so that every mistake of every table is named at once and not the
first alone. Each names the path of its key; the line comes from `config_lines`.
"""

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from drivers.text import _
from edge.gateway.config_lines import Path, line_of, scan_lines, written
from edge.gateway.config_words import described, shown, unknown_key
from edge.gateway.plain_text import as_text

MAX_PROBLEMS = 100
"""More than anybody mends before looking again; the bound is for a document that is no configuration at all."""


class Problem(NamedTuple):
    """One mistake, before its line is known."""

    path: Path
    text: str
    """What is wrong and what would be right: one line for a person."""
    other: Path | None = None
    """Where the other half of it stands, whose line is said too."""


class ConfigProblem(msgspec.Struct, frozen=True):
    """One mistake and where it stands."""

    file: str
    line: int
    path: str
    """`device[1].unit_id`; empty for the document as a whole."""
    text: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.path}: {self.text}"
            if self.path
            else f"{self.file}:{self.line}: {self.text}"
        )


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` in the order of their lines. Its text is one line a problem."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def located(problems: Iterable[Problem], text: str, file: str) -> list[ConfigProblem]:
    """Give problems their lines in the document that they are about, and sort them by line."""
    lines = scan_lines(text)
    found = [
        ConfigProblem(
            file=as_text(file),
            line=line_of(lines, problem.path),
            path=written(problem.path),
            text=as_text(problem.text + _other_half(problem, lines)),
        )
        for problem in problems
    ]
    found.sort(key=lambda problem: problem.line)
    if len(found) > MAX_PROBLEMS:
        more = _("and {count} more problems").format(count=len(found) - MAX_PROBLEMS)
        found[MAX_PROBLEMS:] = [ConfigProblem(file=as_text(file), line=found[MAX_PROBLEMS].line, path="", text=more)]
    return found


def _other_half(problem: Problem, lines: dict[Path, int]) -> str:
    if problem.other is None:
        return ""
    text = _("; {other} stands in line {line}")
    return text.format(other=written(problem.other), line=line_of(lines, problem.other))


def problems_in(value: object, wanted: Any, path: Path) -> Iterator[Problem]:
    """Every mistake in a value that should be of the type `wanted`; nothing when it is."""
    kinds = _members(wanted)
    structs = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    found = False
    if isinstance(value, dict) and structs:
        inner = _problems_in_table(value, structs[0], path)
    elif isinstance(value, dict):
        inner = _problems_in_mapping(value, kinds, path)
    elif isinstance(value, list):
        inner = _problems_in_list(value, kinds, path)
    else:
        inner = iter(())
    for problem in inner:
        found = True
        yield problem
    if found:
        return
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ValueError | TypeError):
            yield _own_rule(str(error.__cause__), structs, path)
        else:
            yield Problem(
                path, _("is {value}, must be {expected}").format(value=shown(value), expected=described(wanted))
            )


def _own_rule(text: str, structs: list[type[msgspec.Struct]], path: Path) -> Problem:
    """What a table's own `__post_init__` refused; a text that begins with `key: ` is about that key."""
    key, colon, rest = text.partition(": ")
    is_about_key = bool(colon) and any(key in struct.__struct_encode_fields__ for struct in structs)
    return Problem((*path, key), rest) if is_about_key else Problem(path, text)


def _problems_in_table(table: Mapping[str, Any], struct: type[msgspec.Struct], path: Path) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    tag = struct.__struct_config__.tag_field
    known = [*filter(None, [tag]), *fields]
    yield from (Problem((*path, key), unknown_key(key, known)) for key in table if key not in known)
    for key, field in fields.items():
        if key in table:
            yield from problems_in(table[key], field.type, (*path, key))
        elif field.required:
            yield Problem(
                path, _('"{key}" is missing, must be {expected}').format(key=key, expected=described(field.type))
            )


def _problems_in_mapping(table: Mapping[str, Any], kinds: list[Any], path: Path) -> Iterator[Problem]:
    for kind in kinds:
        if get_origin(kind) is dict:
            key_type, value_type = get_args(kind)
            for key, value in table.items():
                if any(problems_in(key, key_type, ())):
                    text = _("is not a name that can stand here, must be {expected}")
                    yield Problem((*path, key), text.format(expected=described(key_type)))
                else:
                    yield from problems_in(value, value_type, (*path, key))


def _problems_in_list(values: list[Any], kinds: list[Any], path: Path) -> Iterator[Problem]:
    for kind in kinds:
        if get_origin(kind) in (list, tuple):
            for number, value in enumerate(values):
                yield from problems_in(value, get_args(kind)[0], (*path, number))


def _members(wanted: Any) -> list[Any]:
    """The types that a value may have, without their bounds and without None."""
    while get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    if get_origin(wanted) in (Union, types.UnionType):
        return [kind for member in get_args(wanted) for kind in _members(member)]
    return [] if wanted is types.NoneType else [wanted]
