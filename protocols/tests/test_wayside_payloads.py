"""Topics, events, state, catalogue: the contract's examples, bounds, and hostile bytes."""

import doctest
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, LocalProtocolError, RemoteProtocolError
from protocols.wayside import events, topics
from protocols.wayside.events import (
    clock_set_of,
    decode_event,
    encode_event,
    encode_transaction,
    iso_of,
    loss_of,
    ms_of,
)
from protocols.wayside.pack import MAX_PACK_BYTES, MAX_TIME_MS
from protocols.wayside.state import (
    Ack,
    Catalogue,
    CatalogueDevice,
    CataloguePoint,
    Health,
    Ingest,
    Notice,
    Reported,
    Request,
    Result,
    State,
    catalogue_digest,
    decode,
    decode_catalogue,
    encode,
    encode_catalogue,
)
from protocols.wayside.topics import parse_topic, up_topic

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).with_name("micropython")

EVENT = b"""{"specversion": "1.0", "type": "wayside.transaction.fare", "source": "wayside:bus-0192/reader-1",
 "id": "11b2ee0c9aa04417-transaction-0000000000004711", "time": "2026-11-23T06:28:53.120Z",
 "datacontenttype": "application/json",
 "dataschema": "wayside:schema/fare/1", "waysideepoch": "11b2ee0c9aa04417", "waysideseq": "4711", "waysideboot": 41,
 "waysideuptime": "5123001", "waysidetimequality": "gnss",
 "data": {"card": "k1:9f3c", "terminal_counter": 9921, "card_counter": 311, "amount_fen": 150, "state": "ok"}}"""
RECORD: dict[str, Any] = {
    "node": "bus-0192",
    "device": "reader-1",
    "kind": "fare",
    "epoch": "11b2ee0c9aa04417",
    "seq": 4711,
    "boot": 41,
    "time_ms": 1795415333120,
    "time_quality": "gnss",
    "uptime_ms": 5123001,
}
EPOCH = "9c41d07be21f00aa"

TOPICS = {
    "wayside/1/up/rsu-7f3a/telemetry/flow-1": ("up", "rsu-7f3a", "telemetry", "flow-1", "telemetry"),
    "wayside/1/up/rsu-7f3a/backfill/flow-1": ("up", "rsu-7f3a", "backfill", "flow-1", "telemetry"),
    "wayside/1/up/rsu-7f3a/event/alarm": ("up", "rsu-7f3a", "event", "alarm", "event"),
    "wayside/1/up/rsu-7f3a/transaction/fare": ("up", "rsu-7f3a", "transaction", "fare", "transaction"),
    "wayside/1/up/rsu-7f3a/state": ("up", "rsu-7f3a", "state", "", None),
    "wayside/1/up/rsu-7f3a/catalogue/a91f03": ("up", "rsu-7f3a", "catalogue", "a91f03", "telemetry"),
    "wayside/1/up/rsu-7f3a/reported": ("up", "rsu-7f3a", "reported", "", None),
    "wayside/1/up/rsu-7f3a/health": ("up", "rsu-7f3a", "health", "", None),
    "wayside/1/up/rsu-7f3a/result/01jd": ("up", "rsu-7f3a", "result", "01jd", None),
    "wayside/1/up/rsu-7f3a/request/desired": ("up", "rsu-7f3a", "request", "desired", None),
    "wayside/1/down/rsu-7f3a/command": ("down", "rsu-7f3a", "command", "", None),
    "wayside/1/down/rsu-7f3a/desired": ("down", "rsu-7f3a", "desired", "", None),
    "wayside/1/down/rsu-7f3a/ack": ("down", "rsu-7f3a", "ack", "", None),
    "wayside/1/group/north/notice": ("group", "", "notice", "north", None),
    "wayside/1/ingest": ("ingest", "", "ingest", "", None),
}


@pytest.mark.parametrize(("text", "parts"), TOPICS.items(), ids=TOPICS)
def test_every_topic_of_the_tree_is_parsed(text: str, parts: tuple[str, ...]) -> None:
    topic = parse_topic(text)
    assert (topic.direction, topic.node, topic.kind, topic.name, topic.lane) == parts


def test_every_topic_of_the_tree_is_built() -> None:
    node = "rsu-7f3a"
    routes = [
        topics.telemetry_route("flow-1"),
        topics.backfill_route(topics.telemetry_route("flow-1")),
        topics.event_route("alarm"),
        topics.transaction_route("fare"),
        "state",
        topics.catalogue_route("a91f03"),
        "reported",
        "health",
        topics.result_route("01JD"),
        topics.request_route("desired"),
    ]
    built = [up_topic(node, route) for route in routes]
    built += [topics.down_topic(node, kind) for kind in ("command", "desired", "ack")]
    assert [*built, topics.notice_topic("north"), topics.INGEST_TOPIC] == list(TOPICS)
    assert topics.backfill_route("event/alarm") == "event/alarm"
    assert topics.node_filters(node, ["north"]) == [
        "wayside/1/down/rsu-7f3a/#",
        "wayside/1/ingest",
        "wayside/1/group/north/notice",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "/", "wayside", "wayside/1", "wayside/2/ingest", "wayside/1/ingest/x", "wayside/1/up/a", "wayside/1/up/a/x/y",
     "wayside/1/up/a/telemetry", "wayside/1/up/a/state/x", "wayside/1/up/A/state", "wayside/1/up//state",
     "wayside/1/up/+/state", "wayside/1/up/a/#", "wayside/1/down/a/x", "wayside/1/group/a/x", "$SYS/broker",
     "wayside/1/up/a/telemetry/é", "wayside/1/up/" + "a" * 65 + "/state", "wayside/1/up/a/state\n"],
)  # fmt: skip
def test_what_is_not_of_the_tree_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        parse_topic(text)


@pytest.mark.parametrize("level", ["", "A", "a b", "a/b", "+", "#", "é", "a\n", "a" * 65])
def test_no_level_leaves_the_charset(level: str) -> None:
    for build in (topics.telemetry_route, topics.event_route, topics.notice_topic, topics.request_route):
        with pytest.raises(LocalProtocolError):
            build(level)
    with pytest.raises(LocalProtocolError):
        up_topic(level, "state")
    with pytest.raises(LocalProtocolError):
        topics.down_topic("a", level)


def test_topics_run_on_micropython() -> None:
    program = (
        "import sys; sys.path.insert(0, %r)\nfrom protocols.wayside.topics import *\n"
        "t = parse_topic(up_topic('a', telemetry_route('b')))\nprint(t, t.lane, backfill_route('telemetry/b'))"
    )
    command = [MICROPYTHON, "-c", program % str(ROOT)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (run.stdout.strip(), run.stderr) == ("Topic('up', 'a', 'telemetry', 'b') telemetry backfill/b", "")


def test_examples_in_docstrings_hold() -> None:
    for module in (topics, events):
        assert doctest.testmod(module).failed == 0


def test_the_contract_s_transaction_decodes_and_is_what_we_encode() -> None:
    event = decode_event(EVENT)
    assert (event.node, event.device, event.lane, event.kind) == ("bus-0192", "reader-1", "transaction", "fare")
    assert (event.seq, event.uptime_ms, event.time_ms) == (4711, 5123001, 1795415333120)
    ours = encode_transaction(**RECORD, data=event.data)
    assert list(json.loads(ours).items()) == list(json.loads(EVENT).items())


def test_an_event_of_the_node_itself_has_no_device() -> None:
    event = decode_event(encode_event(**RECORD | {"device": None, "kind": "loss"}, data={}))
    assert (event.device, event.source, event.lane, event.dataschema) == (None, "wayside:bus-0192", "event", None)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.integers(1, (1 << 63) - 1),
    st.integers(0, MAX_TIME_MS),
    st.integers(0, 1 << 53),
    st.dictionaries(
        st.text(max_size=5), st.none() | st.integers(-(1 << 53), 1 << 53) | st.text(max_size=9), max_size=4
    ),
)
def test_an_event_comes_back_as_it_went(seq: int, time_ms: int, uptime_ms: int, data: dict[str, Any]) -> None:
    given_ = RECORD | {"seq": seq, "time_ms": time_ms, "uptime_ms": uptime_ms}
    event = decode_event(encode_event(**given_, data=data))
    assert (event.seq, event.time_ms, event.uptime_ms, event.data) == (seq, time_ms, uptime_ms, data)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(0, MAX_TIME_MS))
def test_times_go_there_and_back(time_ms: int) -> None:
    assert ms_of(iso_of(time_ms)) == time_ms


@pytest.mark.parametrize(
    "wrong",
    [{"node": "A"}, {"device": "a/b"}, {"kind": ""}, {"time_quality": "good"}, {"time_ms": -1},
     {"time_ms": MAX_TIME_MS + 1}, {"data": {"x": object()}}, {"data": {"x": "\ud800"}},
     {"data": {"x": "y" * MAX_PACK_BYTES}}],
)  # fmt: skip
def test_an_event_that_the_wire_cannot_carry_is_our_own_fault(wrong: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_event(**RECORD | {"data": {}} | wrong)


@pytest.mark.parametrize(
    ("key", "value"),
    [("specversion", "0.3"), ("type", "other.event.x"), ("type", "wayside.event.fare"), ("source", "wayside:A"),
     ("source", "wayside:a/b/c"), ("source", "wayside:a\n"), ("id", "x"), ("waysideseq", "4712"), ("waysideseq", 4711),
     ("id", "11b2ee0c9aa04417-transaction-4711"), ("waysideseq", "4711\n"), ("waysideseq", "9" * 19),
     ("time", "yesterday"), ("time", "2026-11-23T06:28:53.120"), ("time", "1969-12-31T23:59:59Z"),
     ("waysideepoch", "11B2ee0c9aa04417"), ("waysideboot", -1), ("waysideboot", "41"), ("waysideuptime", "-1"),
     ("waysideuptime", "9" * 16), ("waysidetimequality", "good"), ("data", []), ("data", None)],
)  # fmt: skip
def test_an_event_that_does_not_keep_to_the_contract_is_refused(key: str, value: object) -> None:
    with pytest.raises(FieldError):
        decode_event(json.dumps(json.loads(EVENT) | {key: value}).encode())


def test_losses_and_clock_settings_are_read() -> None:
    def event_with(data: dict[str, Any]) -> events.CloudEvent:
        return decode_event(encode_event(**RECORD, data=data))

    loss = {"lane": "telemetry", "epoch": EPOCH, "from": 7, "to": 9, "count": 3, "why": "quota"}
    read = loss_of(event_with(loss))
    assert (read.lane, read.first, read.last, read.count, read.why) == ("telemetry", 7, 9, 3, "quota")
    assert msgspec.json.decode(msgspec.json.encode(read)) == loss
    for wrong in (
        {"from": 10},
        {"count": 4},
        {"count": 0},
        {"why": "bored"},
        {"lane": "x"},
        {"from": 0},
        {"epoch": ""},
    ):
        with pytest.raises(FieldError):
            loss_of(event_with(loss | wrong))
    setting = {"boot": 41, "uptime": 5, "time": 1795415333120, "offset_ms": -3, "source": "ntp"}
    assert msgspec.to_builtins(clock_set_of(event_with(setting))) == setting
    for wrong in ({"boot": -1}, {"time": -1}, {"source": ""}, {"uptime": None}):
        with pytest.raises(FieldError):
            clock_set_of(event_with(setting | wrong))


GOLDEN: dict[type[Any], bytes] = {
    State: b"""{"v": 1, "node": "rsu-7f3a", "online": true, "boot": 41, "session": 302,
        "epochs": {"telemetry": "9c41d07be21f00aa", "event": "11b2ee0c9aa04417", "transaction": "00b2ee0c9aa04417"},
        "firmware": "1.8.2", "config": {"version": 77, "digest": "sha256:ab"}, "catalogue": "a91f03", "uplink": "4g",
        "time_quality": "ntp", "acknowledged_by": "ingest",
        "lanes": {"transaction": [4711, 4690], "telemetry": [18224, 18100]}, "why": "power-on"}""",
    Reported: b"""{"v": 1, "config": {"version": 77, "digest": "sha256:ab", "state": "rolled-back", "reason": "why"},
        "firmware": {"running": "1.8.2"}, "slots": {"a": "confirmed"}}""",
    Health: b"""{"v": 1, "time": 1793421234567, "uptime": 86400123,
        "lanes": {"telemetry": {"made": 1, "acked": 1, "queued": 0, "lost": 0, "oldest_s": 0}},
        "devices": {"flow-1": {"state": "running"}}, "disk_free_mb": 120, "rss_mb": 31.5}""",
    Ack: b"""{"lane": "transaction", "epoch": "11b2ee0c9aa04417", "upto": 4690, "also": [[4693, 4711]]}""",
    Ingest: b"""{"online": true, "time": 1793421234567, "id": "ingest-1"}""",
    Notice: b"""{"v": 1, "id": "n-1", "issued": 1793421234567, "life_s": 600, "severity": "warning",
        "text": {"zh": "\\u6d4b\\u8bd5", "en": "test"}}""",
    Result: b"""{"v": 1, "id": "01JD", "state": "done", "code": 0, "time": 1793421234567, "out": {}, "reason": null}""",
    Request: b"""{"v": 1, "what": "desired", "have": {"version": 77}}""",
}


@pytest.mark.parametrize("kind", GOLDEN, ids=lambda kind: kind.__name__)
def test_the_contract_s_payloads_decode_and_are_what_we_encode(kind: type[Any]) -> None:
    fields = json.loads(GOLDEN[kind])
    message = decode(GOLDEN[kind], kind)
    assert json.loads(encode(message)) == fields
    assert decode(json.dumps(fields | {"later": {"unknown": 1}}).encode(), kind) == message
    if "v" in fields:
        assert encode(message).startswith(b'{"v":1,')
        with pytest.raises(FieldError):
            decode(json.dumps(fields | {"v": 2}).encode(), kind)
    for key in fields:
        for value in (None, -1, "\n", [0], {"a": 0}, 1 << 80):
            wire = json.dumps(fields | {key: value}).encode()
            try:
                decode(wire, kind)
            except RemoteProtocolError:
                continue


@pytest.mark.parametrize(
    "wire", [b"", b"[]", b"{", b"{}", b"null", b"\xff", b'{"a":' + b"[" * 50_000, b"{" + b" " * MAX_PACK_BYTES]
)
@pytest.mark.parametrize("kind", GOLDEN, ids=lambda kind: kind.__name__)
def test_hostile_payloads_raise_the_permitted_error(kind: type[Any], wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(wire, kind)
    with pytest.raises(RemoteProtocolError):
        decode_event(wire)
    with pytest.raises(RemoteProtocolError):
        decode_catalogue(wire)


def test_a_will_is_short_and_names_its_session() -> None:
    will = encode(State(node="rsu-7f3a", online=False, boot=41, session=302, why="will"))
    assert json.loads(will) == {
        "v": 1, "node": "rsu-7f3a", "online": False, "boot": 41, "session": 302, "why": "will",
    }  # fmt: skip


def test_an_acknowledgement_s_ranges_run_forwards() -> None:
    with pytest.raises(FieldError):
        decode(b'{"lane": "event", "epoch": "11b2ee0c9aa04417", "upto": 3, "also": [[9, 7]]}', Ack)


def test_what_does_not_fit_a_message_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        encode(Result(id="1", state="done", time=0, out={"x": "y" * MAX_PACK_BYTES}))
    with pytest.raises(LocalProtocolError):
        encode(Result(id="1", state="done", time=0, out={"x": object()}))


def catalogue(points: int) -> Catalogue:
    point = CataloguePoint(type="uint16", min=0, max=500, period_s=1.0, title={"en": "Vehicles", "zh": "车辆"})
    names = [f"raw{number}" for number in range(points)]
    devices = {"flow-1": CatalogueDevice(driver="modbus", points=dict.fromkeys(names, point))}
    blocks = {"flow-1": names}
    return Catalogue(
        node="rsu-7f3a", epoch=EPOCH, seq=1, digest=catalogue_digest(devices, blocks), devices=devices, blocks=blocks
    )


def test_a_catalogue_is_a_record_and_is_compressed_when_it_is_long() -> None:
    short, long = catalogue(2), catalogue(5000)
    assert json.loads(encode_catalogue(short))["lane"] == "telemetry"
    assert encode_catalogue(long)[:1] == b"\x78"
    for each in (short, long):
        assert decode_catalogue(encode_catalogue(each)) == each
    example = b"""{"v": 1, "node": "rsu-7f3a", "lane": "telemetry", "epoch": "9c41d07be21f00aa", "seq": 1,
        "digest": "a91f03", "devices": {"flow-1": {"driver": "modbus", "map": "eastron", "asset": "ifc:3kd9",
        "points": {"vehicles": {"type": "uint16", "unit": "1", "min": 0, "max": 500, "period_s": 1.0,
        "title": {"en": "Vehicles"}}}}}, "blocks": {"flow-1": ["vehicles", "speed_mps"]}}"""
    assert decode_catalogue(example).blocks == {"flow-1": ["vehicles", "speed_mps"]}


def test_a_catalogue_s_digest_names_its_content_whatever_the_order() -> None:
    one, two = CatalogueDevice(driver="a"), CatalogueDevice(driver="b")
    assert catalogue_digest({"x": one, "y": two}, {}) == catalogue_digest({"y": two, "x": one}, {})
    assert catalogue_digest({"x": one}, {}) != catalogue_digest({"x": two}, {})
    assert catalogue_digest({"x": one}, {"b": ["p", "q"]}) != catalogue_digest({"x": one}, {"b": ["q", "p"]})
    assert topics.is_level(catalogue_digest({}, {}))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 255))
def test_damaged_payloads_raise_only_the_permitted_error(noise: bytes, at: int, value: int) -> None:
    for kind, golden in GOLDEN.items():
        damaged = bytearray(golden)
        damaged[at % len(golden)] = value
        for wire in (noise, bytes(damaged), golden[: at % len(golden)] + noise):
            try:
                message = decode(wire, kind)
            except RemoteProtocolError:
                continue
            assert decode(encode(message), kind) == message
    damaged = bytearray(EVENT)
    damaged[at] = value
    for reader in (decode_event, decode_catalogue):
        for wire in (noise, bytes(damaged)):
            try:
                message = reader(wire)
            except RemoteProtocolError:
                continue
            assert reader(encode(message)) == message
