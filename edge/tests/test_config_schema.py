"""The JSON Schema against the parser: what one takes the other takes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge.gateway.config import ConfigError, parse_config
from edge.gateway.config_schema import config_schema, device_types, key_texts, types_within
from edge.gateway.config_tables import NodeConfig
from edge.tests.config_documents import HEAD

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.toml"))
SCHEMA = config_schema()
KEYWORDS = {
    "$ref", "$schema", "$defs", "title", "description", "default", "type", "properties", "required", "propertyNames",
    "additionalProperties", "items", "minItems", "maxItems", "enum", "const", "anyOf", "oneOf", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "pattern", "minLength", "maxLength",
}  # fmt: skip
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def accepts(schema: Any, value: Any) -> bool:
    """A validator of the part of JSON Schema that we use; an unknown keyword fails the test."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KEYWORDS, set(schema) - KEYWORDS
    if "$ref" in schema:
        return accepts(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], value)
    kind = schema.get("type")
    return all(
        (
            kind is None or (isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))),
            value in schema.get("enum", [value]),
            value == schema.get("const", value),
            "anyOf" not in schema or any(accepts(choice, value) for choice in schema["anyOf"]),
            "oneOf" not in schema or sum(accepts(choice, value) for choice in schema["oneOf"]) == 1,
            not isinstance(value, dict) or accepts_table(schema, value),
            not isinstance(value, list) or accepts_list(schema, value),
            not isinstance(value, str) or accepts_text(schema, value),
            not isinstance(value, int | float) or accepts_number(schema, value),
        )
    )


def accepts_list(schema: Any, values: list[Any]) -> bool:
    is_long = schema.get("minItems", 0) <= len(values) <= schema.get("maxItems", len(values))
    return is_long and all(accepts(schema.get("items", True), value) for value in values)


def accepts_text(schema: Any, text: str) -> bool:
    is_long = schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
    return is_long and re.search(schema.get("pattern", ""), text) is not None


def accepts_table(schema: Any, table: dict[str, Any]) -> bool:
    properties, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    names = schema.get("propertyNames", True)
    return set(schema.get("required", [])) <= set(table) and all(
        accepts(names, key) and accepts(properties.get(key, other), value) for key, value in table.items()
    )


def accepts_number(schema: Any, value: float) -> bool:
    is_within = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return bool(
        is_within and schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1)
    )


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_the_schema_accepts_the_examples(file: Path) -> None:
    assert accepts(SCHEMA, tomllib.loads(file.read_text("utf-8")))


METER = '[[device]]\nname = "m1"\ndriver = "modbus"\nport = "tcp:10.0.0.7:502"\nmap = "eastron_sdm630"\n'


@pytest.mark.parametrize(
    "tail",
    [
        "[journal]\nquota_mb = 0\n",
        "[journal.lane.telemetri]\nquota_mb = 1\n",
        "[jurnal]\n",
        METER.replace("m1", "M 1"),
        METER.replace('driver = "modbus"\n', ""),
        METER.replace('"modbus"', '"modbuss"'),
        METER + "unit_id = 300\n",
        METER + "unit_id = 1.5\n",
        METER + "period_s = true\n",
        METER + "[[device.point]]\nname = 'x'\n",
        '[[device]]\nname = "g"\ndriver = "gnss"\nport = "pty:/dev/x"\nmax_hdop = 0\n',
        "[[role]]\nkind = 'x'\n",
        "[[commands.operator]]\nname = 'a'\nkey = 'b'\nops = ['A B']\n",
        "[commands]\nharmless = 'vms.*'\n",
        "[device]\n",
    ],
)
def test_the_schema_and_the_parser_refuse_the_same(tail: str) -> None:
    assert not accepts(SCHEMA, tomllib.loads(HEAD + tail))
    with pytest.raises(ConfigError):
        parse_config((HEAD + tail).encode(), Path("x"))


def test_the_schema_wants_what_is_needed() -> None:
    assert accepts(SCHEMA, tomllib.loads(HEAD))
    assert not accepts(SCHEMA, {})
    assert not accepts(SCHEMA, tomllib.loads(HEAD.replace('acknowledged_by = "broker"\n', "")))


def test_every_key_has_its_text_in_the_schema() -> None:
    for kind in types_within(NodeConfig, *device_types().values()):
        properties = SCHEMA["$defs"][kind.__name__]["properties"]
        assert {key: properties[key]["description"] for key in key_texts(kind)} == key_texts(kind)
