"""Draws `docs/asyncapi.json` and `docs/schema/*.json` from the types of our wire and the examples of its page.

`python -m tools.asyncapi --check` compares with what is committed (exit 1 where they differ), `--write` writes. The
document is AsyncAPI 3.0, told from a node's side: it sends what is below `up` and receives the rest.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from protocols.wayside.schema import PARTS, TYPES, json_schemas

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "wire.md"
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXAMPLE = re.compile(r"^```json ([a-z-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Channel(NamedTuple):
    """One row of the tree of topics."""

    name: str
    action: str
    address: str
    message: str
    title: str
    qos: int = 1
    is_retained: bool = False


CHANNELS = (
    Channel("telemetry", "send", "wayside/1/up/{node}/telemetry/{stream}", "telemetry", "Readings, live"),
    Channel("backfill", "send", "wayside/1/up/{node}/backfill/{stream}", "telemetry", "Readings sent late"),
    Channel("event", "send", "wayside/1/up/{node}/event/{kind}", "event", "Events and alarms"),
    Channel("transaction", "send", "wayside/1/up/{node}/transaction/{kind}", "transaction", "Money and evidence"),
    Channel("state", "send", "wayside/1/up/{node}/state", "state", "Birth, orderly close, will", is_retained=True),
    Channel(
        "catalogue", "send", "wayside/1/up/{node}/catalogue/{digest}", "catalogue", "What the points are",
        is_retained=True,
    ),
    Channel("reported", "send", "wayside/1/up/{node}/reported", "reported", "What runs", is_retained=True),
    Channel("health", "send", "wayside/1/up/{node}/health", "health", "Counters", qos=0),
    Channel("result", "send", "wayside/1/up/{node}/result/{command_id}", "result", "What came of a command"),
    Channel("request", "send", "wayside/1/up/{node}/request/{what}", "request", "The node asks"),
    Channel("command", "receive", "wayside/1/down/{node}/command", "envelope", "Commands, signed"),
    Channel(
        "desired", "receive", "wayside/1/down/{node}/desired", "envelope", "Desired configuration, signed",
        is_retained=True,
    ),
    Channel("ack", "receive", "wayside/1/down/{node}/ack", "ack", "Acknowledgements of the ingest"),
    Channel("notice", "receive", "wayside/1/group/{group}/notice", "notice", "Notices to a group"),
    Channel("ingest", "receive", "wayside/1/ingest", "ingest", "State of the ingest", is_retained=True),
)  # fmt: skip

PARAMETERS = {
    "node": "The node's id: 1 to 64 of a-z 0-9 _ -, as every level.",
    "stream": "The device that the readings come from.",
    "kind": "Kind of the event or transaction, the last part of its type.",
    "digest": "Name of the catalogue.",
    "command_id": "Id of the command, in lower case.",
    "what": "desired, time or catalogue-known.",
    "group": "A group of nodes.",
}


def examples() -> Iterator[tuple[str, str]]:
    """(name of the payload, JSON) of every example on the contract's page."""
    for match in _EXAMPLE.finditer(PAGE.read_text(encoding="utf-8")):
        yield match.group(1), match.group(2)


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    schemas, components = json_schemas("#/components/schemas/{name}")
    messages: dict[str, Any] = {}
    for name, kind in TYPES.items():
        if name in PARTS:
            continue
        messages[name] = {
            "name": name,
            "title": kind.__name__,
            "contentType": "application/cloudevents+json" if kind.__name__ == "CloudEvent" else "application/json",
            "payload": schemas[name],
            "examples": [{"payload": json.loads(text)} for of, text in examples() if of == name],
        }
    messages["telemetry"]["description"] = (
        "JSON, or CBOR (RFC 8949) with the integer keys x-cbor-key, or zlib (RFC 1950) around either: the first byte "
        "decides."
    )
    messages["envelope"]["description"] = (
        "The payload is base64url of the message `command` or `desired`; it is verified before it is parsed."
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Wayside over MQTT",
            "version": version("wayside"),
            "description": "What travels between a Wayside node and its broker, from the node's side. See wire.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {channel.name: _operation(channel) for channel in CHANNELS},
        "components": {"messages": messages, "schemas": components},
    }


def rendered() -> dict[Path, str]:
    """Every generated file and what belongs into it."""
    files = {DOCS / "asyncapi.json": _text(document())}
    schemas, components = json_schemas("#/$defs/{name}")
    for name, schema in schemas.items():
        needed = _needed(schema, components)
        definitions = {each: components[each] for each in components if each in needed}
        content = {"$schema": SCHEMA_DIALECT, "$id": f"wayside:schema/{name}/1", **schema, "$defs": definitions}
        files[DOCS / "schema" / f"{name}.json"] = _text(content)
    return files


def differences() -> list[str]:
    """The generated files that are not what they should be, each with what is wrong."""
    files = rendered()
    wrong = [
        f"{path.relative_to(DOCS.parent)}: {'is old' if path.exists() else 'is missing'}"
        for path, text in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    strangers = set((DOCS / "schema").glob("*.json")) - set(files)
    return wrong + [f"{path.relative_to(DOCS.parent)}: is generated no longer" for path in sorted(strangers)]


def write() -> None:
    """Write every generated file."""
    (DOCS / "schema").mkdir(exist_ok=True)
    for path, text in rendered().items():
        path.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.asyncapi", description=__doc__)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--check", action="store_true", help="compare with what is committed")
    group.add_argument("--write", action="store_true", help="write the files")
    if parser.parse_args(arguments).write:
        write()
        return 0
    wrong = differences()
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def _channel(channel: Channel) -> dict[str, Any]:
    parameters = re.findall(r"{(\w+)}", channel.address)
    content: dict[str, Any] = {
        "address": channel.address,
        "title": channel.title,
        "messages": {channel.message: {"$ref": f"#/components/messages/{channel.message}"}},
    }
    if parameters:
        content["parameters"] = {name: {"description": PARAMETERS[name]} for name in parameters}
    return content


def _operation(channel: Channel) -> dict[str, Any]:
    return {
        "action": channel.action,
        "title": channel.title,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{channel.message}"}],
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.is_retained, "bindingVersion": "0.2.0"}},
    }


def _needed(schema: Any, components: dict[str, Any]) -> set[str]:
    """The components that a schema refers to, directly or through others."""
    needed: set[str] = set()
    waiting = [schema]
    while waiting:
        for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(waiting.pop())):
            if name not in needed:
                needed.add(name)
                waiting.append(components[name])
    return needed


def _text(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
