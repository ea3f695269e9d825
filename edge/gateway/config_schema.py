"""The JSON Schema (draft 2020-12) of a configuration, drawn from the types that read it.

An editor that knows it completes keys and marks mistakes while one types. The text that stands below a key in its type
becomes the key's description. What no schema can say (a bus that exists, a name that stands once) is left to
`wayside check`. The daemon never loads this.
"""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import msgspec

from drivers.catalogue import DRIVERS
from drivers.modbus.config import BusConfig
from edge.gateway.config import NEEDED, TABLES
from edge.gateway.config_words import plain

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """The schema of the whole file."""
    devices = device_types()
    roots: list[type[msgspec.Struct]] = [*TABLES.values(), BusConfig, *devices.values()]
    references, definitions = msgspec.json.schema_components(roots, ref_template="#/$defs/{name}")
    for kind in types_within(*roots):
        _describe(definitions[kind.__name__], kind)
    of = dict(zip(roots, references, strict=True))
    properties = {key: of[kind] for key, kind in TABLES.items()}
    properties["bus"] = {"type": "array", "items": of[BusConfig]}
    properties["device"] = {"type": "array", "items": {"oneOf": [of[kind] for kind in devices.values()]}}
    properties["role"] = {"type": "array", "maxItems": 0}
    _write_plainly(definitions)
    return {
        "$schema": SCHEMA,
        "title": "Configuration of a Wayside node",
        "type": "object",
        "properties": properties,
        "required": list(NEEDED),
        "additionalProperties": False,
        "$defs": definitions,
    }


def _write_plainly(schema: object) -> None:
    """Bounds as whole numbers where they are: Python may have kept either of two equal types."""
    if isinstance(schema, list):
        for item in schema:
            _write_plainly(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
                schema[key] = plain(value)
            else:
                _write_plainly(value)


def device_types() -> dict[str, type[msgspec.Struct]]:
    """The type of each driver's table."""
    return {name: entry.config_type() for name, entry in DRIVERS.items()}


def types_within(*roots: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The types of all tables in and below some types, each once."""
    found: list[type[msgspec.Struct]] = []
    for root in roots:
        for kind in (root, *_types_below(msgspec.inspect.type_info(root))):
            if kind not in found:
                found.append(kind)
    return found


def key_texts(kind: type[msgspec.Struct]) -> dict[str, str]:
    """What stands below each key in its type, inherited keys too, on one line each."""
    texts: dict[str, str] = {}
    for ancestor in reversed(kind.__mro__):
        if issubclass(ancestor, msgspec.Struct) and ancestor is not msgspec.Struct:
            texts |= dict(_texts_of(ancestor))
    return texts


def _texts_of(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    tree = ast.parse(inspect.getsource(kind)).body[0]
    if not isinstance(tree, ast.ClassDef):
        return
    for key, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(key, ast.AnnAssign) or not isinstance(key.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield key.target.id, " ".join(below.value.value.split())


def _types_below(info: Any) -> Iterator[type[msgspec.Struct]]:
    match info:
        case msgspec.inspect.StructType():
            yield info.cls
            for field in info.fields:
                yield from _types_below(field.type)
        case msgspec.inspect.Metadata():
            yield from _types_below(info.type)
        case msgspec.inspect.UnionType():
            for member in info.types:
                yield from _types_below(member)
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            yield from _types_below(info.item_type)
        case msgspec.inspect.DictType():
            yield from _types_below(info.value_type)
        case _:
            pass


def _describe(definition: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    texts = key_texts(kind)
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]  # a struct's info has fields
        if isinstance(field.type, msgspec.inspect.DictType) and isinstance(
            field.type.key_type, msgspec.inspect.LiteralType
        ):
            names = {"enum": list(field.type.key_type.values)}
            definition["properties"][field.encode_name]["propertyNames"] = names
    for key, schema in definition.get("properties", {}).items():
        choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
        if len(choices) == 1:  # a key that may be left out: TOML has no null to write in its place
            del schema["anyOf"]
            schema.update(choices[0])
        if schema.get("default", ...) is None:
            del schema["default"]
        if key in texts:
            schema["description"] = texts[key]
