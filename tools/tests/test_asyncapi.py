"""The published contract: every example of its page decodes, every generated file is up to date and hangs together."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.wayside.envelope import Command, Desired, command_of, parse_envelope
from protocols.wayside.events import clock_set_of, decode_event, loss_of, update_report_of
from protocols.wayside.fields import decode_json
from protocols.wayside.pack import KEYS
from protocols.wayside.pack_codec import decode_pack
from protocols.wayside.schema import TYPES, json_schemas
from protocols.wayside.state import Reported, decode, decode_catalogue, update_account_of
from protocols.wayside.topics import parse_topic
from tools import asyncapi

EXAMPLES = list(asyncapi.examples())


def read(name: str, payload: bytes) -> Any:
    if name == "telemetry":
        return decode_pack(payload)
    if name in ("event", "transaction"):
        event = decode_event(payload)
        assert event.lane == name
        if event.kind == "loss":
            loss_of(event)
        if event.kind == "clock-set":
            clock_set_of(event)
        if event.kind == "update":
            assert json.loads(update_report_of(event).report)["report"]["attempt"]
        return event
    if name == "catalogue":
        return decode_catalogue(payload)
    if name == "envelope":
        return command_of(parse_envelope(payload))
    if name in ("command", "desired"):
        return decode_json(payload, Command if name == "command" else Desired, 65_536)
    message = decode(payload, TYPES[name])
    if isinstance(message, Reported):
        assert update_account_of(message)
    return message


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_example_of_the_page_decodes(name: str, text: str) -> None:
    payload = text.encode()
    assert read(name, payload)
    generic = TYPES[name]
    msgspec.json.decode(payload, type=generic)  # and by the type that its schema is drawn from


def test_every_payload_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(TYPES) - {"loss", "clock-set", "update"}  # within events


def test_what_is_committed_is_what_the_types_say() -> None:
    assert asyncapi.differences() == []
    assert asyncapi.main(["--check"]) == 0


def test_an_old_missing_or_strange_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    monkeypatch.setattr(asyncapi, "DOCS", docs)
    asyncapi.main(["--write"])
    assert asyncapi.main(["--check"]) == 0
    (docs / "schema" / "ack.json").unlink()
    (docs / "schema" / "state.json").write_text("{}")
    (docs / "schema" / "other.json").write_text("{}")
    assert asyncapi.main(["--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "docs/schema/state.json: is old",
        "docs/schema/ack.json: is missing",
        "docs/schema/other.json: is generated no longer",
    ]


def test_the_document_hangs_together() -> None:
    document = asyncapi.document()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        target = document
        for part in reference.split("/"):
            target = target[part]
    assert document["asyncapi"] == "3.0.0"
    assert {row["action"] for row in document["operations"].values()} == {"send", "receive"}


def test_every_channel_is_a_topic_of_the_tree_and_every_topic_a_channel() -> None:
    page = asyncapi.PAGE.read_text()
    listed = set(re.findall(r"^(wayside/1/\S+) ", page, re.MULTILINE))
    assert listed == {channel.address for channel in asyncapi.CHANNELS}
    for channel in asyncapi.CHANNELS:
        topic = parse_topic(re.sub(r"{(\w+)}", "x", channel.address))
        assert (topic.direction == "up") == (channel.action == "send")
        line = next(line for line in page.splitlines() if line.startswith(channel.address + " "))
        assert line.endswith("retained") == channel.is_retained


def test_the_pack_s_schema_knows_its_integer_keys() -> None:
    _, components = json_schemas("#/{name}")
    properties = components["TelemetryPack"]["properties"]
    assert [(name, properties[name]["x-cbor-key"]) for name in properties] == [(key, n) for n, key in enumerate(KEYS)]
    table = re.findall(r"^\| `(\w+)` \| (\d+) \|", asyncapi.PAGE.read_text(), re.MULTILINE)
    assert table == [(key, str(number)) for number, key in enumerate(KEYS)]
