"""The telemetry pack: the contract's example, both forms, hostile bytes, and the same code on MicroPython."""

import json
import math
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, LocalProtocolError, RemoteProtocolError, UnsupportedError
from protocols.wayside.pack import (
    COMMUNICATION_FAILED,
    DEVICE_FAULT,
    KEYS,
    MAX_PACK_BYTES,
    OUT_OF_RANGE,
    Pack,
    cbor_map,
    pack_map,
    pack_of,
)
from protocols.wayside.pack_codec import decode_pack, decode_payload, encode_pack

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).with_name("micropython")
SETTINGS = settings(derandomize=True, deadline=None, max_examples=150)

GOLDEN = b"""{"v": 1, "node": "rsu-7f3a", "epoch": "9c41d07be21f00aa", "boot": 41, "lane": "telemetry", "seq": 18224,
 "device": "flow-1", "time": 1793421234567, "time_quality": "ntp", "uptime": 86400123,
 "points": ["vehicles", "speed_mps"], "offsets": [0, 1000],
 "values": [[12, 43.5], [null, 41.0]], "bad": [[1, 0, 2]]}"""
HEADER: dict[str, Any] = {
    "node": "rsu-7f3a",
    "epoch": "9c41d07be21f00aa",
    "boot": 41,
    "lane": "telemetry",
    "seq": 18224,
    "device": "flow-1",
    "time": 1793421234567,
    "time_quality": "ntp",
    "uptime": 86400123,
}


def plain(pack: Pack) -> dict[str, Any]:
    return {name: getattr(pack, name) for name in Pack.__slots__}


def encode(**columns: Any) -> bytes:
    columns = HEADER | {"points": ["a"], "block": None, "offsets": [0], "values": [[1]], "bad": []} | columns
    return encode_pack(**columns)


def test_the_contract_s_example_decodes() -> None:
    pack = decode_pack(GOLDEN)
    assert plain(pack) == HEADER | {
        "points": ["vehicles", "speed_mps"],
        "block": None,
        "offsets": [0, 1000],
        "values": [[12, 43.5], [None, 41.0]],
        "bad": [[1, 0, 2]],
    }


def test_the_contract_s_example_is_what_we_encode() -> None:
    fields = msgspec.json.decode(GOLDEN)
    ours = encode(**{key: value for key, value in fields.items() if key != "v"})
    assert list(msgspec.json.decode(ours).items()) == list(fields.items()), "same keys in the same order"


def test_cbor_s_keys_are_the_integers_of_the_contract() -> None:
    wire = cbor2.loads(encode(compact=True, points=None, block="a91f03/flow-1", bad=[[0, 0, 1]]))
    assert wire == {
        0: 1, 1: "rsu-7f3a", 2: "9c41d07be21f00aa", 3: 41, 4: "telemetry", 5: 18224, 6: "flow-1", 7: 1793421234567,
        8: "ntp", 9: 86400123, 11: "a91f03/flow-1", 12: [0], 13: [[1]], 14: [[0, 0, 1]],
    }  # fmt: skip


values = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=8)


@st.composite
def columns(draw: st.DrawFn) -> dict[str, Any]:
    width = draw(st.integers(1, 6))
    count = draw(st.integers(0, 5))
    row = st.lists(values, min_size=width, max_size=width)
    cell = st.tuples(st.integers(0, max(0, count - 1)), st.integers(0, width - 1), st.integers(0, 255))
    level = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=12)
    return {
        "node": draw(level),
        "device": draw(level),
        "boot": draw(st.integers(0, (1 << 31) - 1)),
        "seq": draw(st.integers(1, (1 << 63) - 1)),
        "time": draw(st.integers(0, 253_402_300_799_999)),
        "uptime": draw(st.integers(0, 1 << 53)),
        "time_quality": draw(st.sampled_from(["gnss", "ntp", "rtc", "hold", "none"])),
        "points": draw(st.lists(st.text(min_size=1, max_size=9), min_size=width, max_size=width, unique=True)),
        "offsets": draw(st.lists(st.integers(0, 60_000) | st.floats(0, 1e6), min_size=count, max_size=count)),
        "values": draw(st.lists(row, min_size=count, max_size=count)),
        "bad": [list(entry) for entry in draw(st.lists(cell, max_size=3))] if count else [],
        "block": draw(st.none() | st.just("a91f03/b")),
    }


@SETTINGS
@given(columns())
def test_both_forms_decode_to_the_same_pack(pack: dict[str, Any]) -> None:
    as_json = decode_pack(encode(**pack))
    as_cbor = decode_pack(encode(**pack, compact=True))
    squeezed = decode_pack(encode(**pack, zlib_above=0))
    assert plain(as_json) == plain(as_cbor) == plain(squeezed)
    assert as_json.points == (None if pack["block"] else pack["points"])
    coded = {(sample, point) for sample, point, _ in as_json.bad}
    for sample, (want, got) in enumerate(zip(pack["values"], as_json.values, strict=True)):
        for point, (value, back) in enumerate(zip(want, got, strict=True)):
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                assert back is None
                assert (sample, point) in coded, "a null has its code"
            else:
                assert back == value


def test_nan_and_infinities_become_null_with_their_quality() -> None:
    rows = [[math.nan, 1.5, math.inf, -math.inf, None, None]]
    for compact in (False, True):
        pack = decode_pack(encode(points=list("abcdef"), values=rows, bad=[(0, 4, 1)], compact=compact))
        assert pack.values == [[None, 1.5, None, None, None, None]]
        want = [[0, 0, DEVICE_FAULT], [0, 2, OUT_OF_RANGE], [0, 3, OUT_OF_RANGE], [0, 4, 1]]
        assert pack.bad == [*want, [0, 5, COMMUNICATION_FAILED]]
    assert math.isnan(rows[0][0]), "the caller's rows are left alone"
    raw = cbor2.dumps({**cbor_map(msgspec.json.decode(encode())), 13: [[math.nan]]})
    assert decode_pack(raw).values == [[None]], "also where a sender let them through"


def test_two_polls_in_one_millisecond_are_two_samples() -> None:
    pack = decode_pack(encode(offsets=[0, 0.25], values=[[1], [1]]))
    assert pack.offsets == [0, 0.25]
    assert len(pack.values) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"values": [[1], [2]]},
        {"values": [[1, 2]]},
        {"points": None},
        {"values": [[1 << 64]]},
        {"values": [[-(1 << 63) - 1]]},
        {"values": [[object()]]},
        {"values": [["\ud800"]]},
        {"points": ["x" * MAX_PACK_BYTES]},
    ],
    ids=["rows", "columns", "no names", "too large", "too small", "no value", "no text", "too long"],
)
@pytest.mark.parametrize("compact", [False, True])
def test_what_the_wire_cannot_carry_is_our_own_fault(wrong: dict[str, Any], compact: bool) -> None:
    with pytest.raises(LocalProtocolError):
        encode(**wrong, compact=compact)


def test_readers_pass_over_keys_that_they_do_not_know() -> None:
    fields = msgspec.json.decode(GOLDEN) | {"later": {"deep": [1]}}
    assert decode_pack(msgspec.json.encode(fields)).seq == 18224
    assert decode_pack(cbor2.dumps({**cbor_map(pack_map(**HEADER, points=["a"], block=None, offsets=[], values=[],
                                                        bad=[])), 15: "later", 99: {1: 2}})).seq == 18224  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("v", 2), ("v", True), ("v", 1.0), ("v", None), ("node", "Upper"), ("node", ""), ("node", 7), ("node", "a\n"),
        ("epoch", "9C41D07BE21F00AA"), ("epoch", "9c41"), ("epoch", None), ("boot", -1), ("boot", 1 << 31),
        ("boot", 1.0), ("boot", True), ("lane", "fast"), ("lane", []), ("seq", 0), ("seq", 1 << 63), ("seq", "1"),
        ("device", "a/b"), ("time", -1), ("time", 253_402_300_800_000), ("time_quality", "good"), ("uptime", -1),
        ("points", []), ("points", [""]), ("points", ["a", "a"]), ("points", [1, 2]), ("points", None),
        ("points", "ab"), ("points", ["a"]), ("block", "a/b"), ("offsets", [0]), ("offsets", None),
        ("offsets", [0, True]), ("offsets", [0, 1e11]), ("offsets", [0, "1"]), ("values", None), ("values", [1, 2]),
        ("values", [[1, 2], [3]]), ("values", [[1, 2], [3, []]]), ("values", [[1, 2], [3, {}]]), ("bad", {}),
        ("bad", [[0, 0]]), ("bad", [[2, 0, 1]]), ("bad", [[0, 2, 1]]), ("bad", [[0, 0, 256]]), ("bad", [[0, 0, -1]]),
        ("bad", [0]),
    ],
)  # fmt: skip
def test_a_field_out_of_bounds_is_named(key: str, value: object) -> None:
    fields = msgspec.json.decode(GOLDEN) | {key: value}
    for wire in (msgspec.json.encode(fields), cbor2.dumps({KEYS.index(name): item for name, item in fields.items()})):
        with pytest.raises(FieldError if key != "v" else UnsupportedError) as caught:
            decode_pack(wire)
        assert caught.value.field


@pytest.mark.parametrize("block", ["a91f03", "a91f03/", "/x", "A/b", "a/b/c", 7])
def test_a_block_that_names_nothing_is_refused(block: object) -> None:
    fields = msgspec.json.decode(GOLDEN) | {"points": None, "block": block}
    with pytest.raises(FieldError):
        decode_pack(msgspec.json.encode(fields))


HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "array": b"[1]",
    "json cut off": GOLDEN[:-1],
    "json with a tail": GOLDEN + b"{}",
    "json too deep": b'{"v":' + b"[" * 60_000,
    "json not utf-8": GOLDEN.replace(b"rsu", b"\xff\xfe\xfd"),
    "json with nan": GOLDEN.replace(b"43.5", b"NaN"),
    "json beyond floats": GOLDEN.replace(b"43.5", b"1e999"),
    "json beyond 64 bits": GOLDEN.replace(b"43.5", b"1" * 400),
    "too long": b"{" + b" " * MAX_PACK_BYTES,
    "cbor cut off": bytes([0xB0, 0x00]),
    "cbor without end": bytes([0xBF, 0x00, 0x01]),
    "cbor with a tail": encode(compact=True) + b"\x00",
    "cbor too deep": bytes([0xA1, 0x00]) + b"\x81" * 60_000 + b"\x00",
    "cbor of a huge length": bytes([0xBB]) + b"\xff" * 8,
    "cbor array of a huge length": bytes([0xA1, 0x0D, 0x9B]) + b"\x7f" * 8,
    "cbor with a key twice": bytes([0xA2, 0x00, 0x01, 0x00, 0x01]),
    "cbor with a tagged key": bytes([0xA1, 0xC2, 0x41, 0x00, 0x00]),
    "cbor with a pattern": bytes([0xA1, 0x00, 0xD8, 0x23, 0x63]) + b"(a*",
    "cbor with a cycle": bytes.fromhex("a10dd81c81d81d00"),
    "cbor with undefined": bytes.fromhex("a100f7"),
    "zlib of nothing": zlib.compress(b""),
    "zlib of text": zlib.compress(b"hello"),
    "zlib in zlib": zlib.compress(zlib.compress(GOLDEN)),
    "zlib cut off": zlib.compress(GOLDEN)[:-5],
    "zlib with a tail": zlib.compress(GOLDEN) + b"x",
    "zlib damaged": b"\x78\x9c" + b"\xff" * 40,
    "zlib bomb": zlib.compress(b'{"v": 1' + b" " * (60 << 20), 9),
}


@pytest.mark.parametrize("wire", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_raise_the_permitted_error(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_pack(wire)
    assert len(caught.value.raw) <= 64


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.sampled_from([encode(), encode(compact=True), encode(zlib_above=0), GOLDEN]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.binary(max_size=40),
)
def test_damaged_packs_raise_only_the_permitted_error(wire: bytes, flips: list[tuple[int, int]], tail: bytes) -> None:
    damaged = bytearray(wire)
    for at, value in flips:
        damaged[at % len(damaged)] = value
    for candidate in (bytes(damaged), bytes(damaged) + tail, tail, wire[:1] + tail):
        try:
            pack = decode_pack(candidate)
        except RemoteProtocolError:
            continue
        assert plain(decode_pack(encode_pack(**plain(pack)))) == plain(pack)


@pytest.mark.long
@settings(derandomize=True, deadline=None, max_examples=20_000)
@given(st.sampled_from([b"{", b"\xa0", b"\xb0", b"\xbf", b"\x78\x9c", b"\xa1\x0d", b""]), st.binary(max_size=200))
def test_fuzz_any_bytes_raise_only_the_permitted_error(start: bytes, rest: bytes) -> None:
    try:
        fields = decode_payload(start + rest)
        assert isinstance(fields, dict)
        pack = decode_pack(start + rest)
    except RemoteProtocolError:
        return
    assert plain(decode_pack(encode_pack(**plain(pack)))) == plain(pack)


MICROPYTHON_PROGRAM = """
import json, sys
sys.path.insert(0, %r)
from protocols.core.errors import FieldError
from protocols.wayside.pack import cbor_map, pack_map, pack_of
fields = json.loads(sys.stdin.read())
pack = pack_of(fields)
pack.values[0][1] = float("nan")
again = pack_map(node=pack.node, epoch=pack.epoch, boot=pack.boot, lane=pack.lane, seq=pack.seq, device=pack.device,
                 time=pack.time, time_quality=pack.time_quality, uptime=pack.uptime, points=pack.points,
                 block=pack.block, offsets=pack.offsets, values=pack.values, bad=pack.bad)
assert pack_of(cbor_map(again)).values == again["values"]
try:
    pack_of({"v": 1})
except FieldError as error:
    assert error.field == "node"
print(json.dumps(again))
"""


def test_the_pack_runs_on_micropython() -> None:
    command = [MICROPYTHON, "-c", MICROPYTHON_PROGRAM % str(ROOT)]
    run = subprocess.run(command, input=GOLDEN, check=False, capture_output=True, timeout=30)
    assert run.stderr == b""
    pack = decode_pack(run.stdout.strip())
    assert pack.values == [[12, None], [None, 41.0]]
    assert pack.bad == [[0, 1, DEVICE_FAULT], [1, 0, 2]]
    assert pack.seq == 18224
    assert json.loads(run.stdout)["time"] == 1793421234567
    assert plain(pack_of(json.loads(run.stdout))) == plain(pack)
