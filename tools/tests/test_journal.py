"""`wayside journal`: sound, damaged and half-written journals, made by the gateway's own store and left untouched."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from edge.store.opening import open_store
from edge.store.segment import header, segment_name
from edge.store.store import Quotas, Store
from protocols.wayside.events import encode_event
from protocols.wayside.pack_codec import encode_pack
from tools.cli import app
from tools.journal_reader import checksum


def wayside(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def encode_loss(*, event_epoch: str, seq: int, **facts: Any) -> bytes:
    facts["from"], facts["to"] = facts.pop("first"), facts.pop("last")
    return encode_event(
        node="n-1", device=None, kind="loss", data=facts, epoch=event_epoch, seq=seq, boot=1, time_ms=1,
        uptime_ms=1, time_quality="ntp",
    )  # fmt: skip


def pack(store: Store, *, is_compact: bool = False, value: float = 43.5) -> bytes:
    lane = store.lanes["telemetry"]
    return encode_pack(
        node="n-1", epoch=lane.epoch, boot=1, seq=lane.next_seq, device="flow-1", time=1793421234567,
        time_quality="ntp", uptime=1, offsets=[0], values=[[value]], bad=[],
        **({"points": None, "block": "a91f03/flow-1", "compact": True} if is_compact else {"points": ["speed_mps"]}),
    )  # fmt: skip


def fill(folder: Path, count: int = 20, *, quota_mb: float = 10, acked: int = 0, text: str = "") -> None:
    """A journal with `count` records in the telemetry lane, one a commit, and an event."""

    async def write() -> None:
        store = open_store(
            folder / "journal",
            quotas=Quotas(quota_mb),
            encode_loss=encode_loss,
            monotonic=asyncio.get_running_loop().time,
        )
        for _ in range(count):
            payload = pack(store)
            store.lanes["telemetry"].append("telemetry/flow-1", payload + b" " * len(text))
            await store.commit()
        store.lanes["event"].append("event/tap", b'{"specversion": "1.0"}')
        if acked:
            store.lanes["telemetry"].acknowledge("mqtt", 1, acked)
        store.commit_now()
        store.close()

    asyncio.run(write())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    folder.mkdir()
    return folder


def stamps(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def segments(folder: Path, lane: str = "telemetry") -> list[Path]:
    return sorted((folder / "journal" / lane).glob("[0-9a-f]*.seg"))


def test_show_says_what_is_there_and_changes_nothing(data: Path) -> None:
    fill(data, 20, acked=5)
    before = stamps(data)
    result = wayside("journal", "show", data)
    assert (result.exit_code, result.stderr) == (0, "")
    row = next(line for line in result.stdout.splitlines() if "telemetry" in line)
    assert [cell.strip() for cell in row.split("│")[3:-1]][1:3] == ["1", "20"]
    lanes = json.loads(wayside("journal", "show", data, "--json").stdout)["lanes"]
    telemetry = lanes["telemetry"]
    assert (telemetry["made"], telemetry["acked"], telemetry["queued"], telemetry["lost"]) == (20, {"mqtt": 5}, 15, 0)
    assert (telemetry["first"], telemetry["last"], telemetry["problems"]) == (1, 20, [])
    assert lanes["event"]["made"] == 1
    wayside("journal", "verify", data)
    wayside("journal", "export", data)
    assert stamps(data) == before


def test_it_looks_beside_a_gateway_that_runs(data: Path) -> None:
    async def beside() -> None:
        store = open_store(
            data / "journal", quotas=Quotas(10), encode_loss=encode_loss, monotonic=asyncio.get_running_loop().time
        )
        store.lanes["telemetry"].append("telemetry/flow-1", pack(store))
        await store.commit()
        assert wayside("journal", "verify", data).exit_code == 0
        store.lanes["telemetry"].append("telemetry/flow-1", pack(store))
        await store.commit()
        assert json.loads(wayside("journal", "show", data, "--json").stdout)["lanes"]["telemetry"]["made"] == 2
        store.close()

    asyncio.run(beside())


def test_export_gives_each_record_once_in_order(data: Path) -> None:
    fill(data, 20)
    lines = [json.loads(line) for line in wayside("journal", "export", data).stdout.splitlines()]
    assert [line["seq"] for line in lines if line["lane"] == "telemetry"] == list(range(1, 21))
    assert lines[0]["route"] == "event/tap"
    assert lines[-1]["message"]["values"] == [[43.5]]
    some = wayside("journal", "export", data, "--lane", "telemetry", "--from", "5", "--to", "7", "--json").stdout
    assert [json.loads(line)["seq"] for line in some.splitlines()] == [5, 6, 7]


def test_export_names_the_keys_of_compact_packs_and_keeps_what_it_cannot_read(data: Path) -> None:
    async def write() -> None:
        store = open_store(
            data / "journal", quotas=Quotas(10), encode_loss=encode_loss, monotonic=asyncio.get_running_loop().time
        )
        lane = store.lanes["telemetry"]
        lane.append("telemetry/flow-1", pack(store, is_compact=True))
        lane.append("telemetry/flow-1", b"\xff\x00")
        lane.append("", b"")
        await store.commit()
        store.close()

    asyncio.run(write())
    first, second, third = map(json.loads, wayside("journal", "export", data).stdout.splitlines())
    assert (first["message"]["device"], first["message"]["block"]) == ("flow-1", "a91f03/flow-1")
    assert (second["hex"], "message" in second) == ("ff00", False)
    assert third["error"]


def test_a_torn_tail_is_no_damage(data: Path) -> None:
    fill(data, 20)
    with segments(data)[-1].open("ab") as file:
        file.write(b"\xa9\x00\x40\x00\x00\x00half a record")
    result = wayside("journal", "verify", data)
    assert (result.exit_code, "unfinished commit" in result.stdout) == (0, True)


@pytest.mark.parametrize("at", [0, 10, 30, 60, 200])
def test_a_flipped_bit_is_found_wherever_it_is(data: Path, at: int) -> None:
    fill(data, 20)
    path = segments(data)[0]
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 0x10
    path.write_bytes(damaged)
    result = wayside("journal", "verify", data, "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["ok"]) == (1, False)
    assert path.name in answer["lanes"]["telemetry"]["problems"][0]
    assert answer["lanes"]["event"]["problems"] == []
    assert "telemetry: damaged" in wayside("journal", "verify", data).stdout


def test_records_that_the_position_knows_and_no_file_holds_are_damage(data: Path) -> None:
    fill(data, 20)
    fill(data, 0)  # a start writes down how far it is
    path = segments(data)[-1]
    os.truncate(path, path.stat().st_size // 2)
    result = wayside("journal", "verify", data, "--lane", "telemetry")
    assert (result.exit_code, "to 20 are owed" in result.stdout) == (1, True)


def test_a_segment_that_is_gone_is_damage_unless_it_was_acknowledged_or_declared(data: Path) -> None:
    fill(data, 400, quota_mb=0.3, text="x" * 2000)
    result = wayside("journal", "verify", data, "--json")
    assert (result.exit_code, len(segments(data)) > 2) == (0, True), result.stdout  # evicted ones are declared
    shown = wayside("journal", "show", data)
    assert "are lost (quota)" in shown.stderr
    segments(data)[1].unlink()
    result = wayside("journal", "verify", data)
    assert result.exit_code == 1
    assert "owed and lie nowhere" in result.stdout
    assert "are not there" in wayside("journal", "export", data, "--lane", "telemetry").stderr


def test_intents_are_no_lane(data: Path) -> None:
    fill(data, 3)
    path = segments(data)[0]
    (data / "journal/intent" / path.name).write_bytes(path.read_bytes())
    assert "intent" not in json.loads(wayside("journal", "show", data, "--json").stdout)["lanes"]
    assert wayside("journal", "verify", data).exit_code == 0


def test_a_position_that_cannot_be_read_is_named(data: Path) -> None:
    fill(data, 3)
    (data / "journal/telemetry/position.json").write_bytes(b"\xff{")
    result = wayside("journal", "verify", data)
    assert (result.exit_code, "position.json" in result.stdout) == (1, True)
    assert wayside("journal", "show", data).exit_code == 0


def test_files_of_a_newer_program_are_not_judged(data: Path) -> None:
    fill(data, 3)
    path = segments(data)[0]
    old = path.read_bytes()
    epoch, first = path.name[:16], 1
    head = bytearray(header(epoch, first, checksum))
    head[3] = 9
    head[20:24] = checksum(bytes(head[:20])).to_bytes(4, "little")
    path.write_bytes(bytes(head) + old[24:])
    result = wayside("journal", "verify", data)
    assert (result.exit_code, "newer format" in result.stdout) == (1, True)


def test_arbitrary_files_are_no_reason_to_fall_over(data: Path) -> None:
    fill(data, 2)
    lane = data / "journal/telemetry"
    (lane / "0123456789abcdef-0000000000000001.seg").write_bytes(os.urandom(3000))
    (lane / "aside-x.seg").write_bytes(b"")
    (lane / f"{segments(data)[0].name[:16]}-00000000000000ff.seg").write_bytes(b"")
    for verb in ("show", "verify", "export"):
        assert wayside("journal", verb, data).exit_code in (0, 1)


@pytest.mark.parametrize("verb", ["show", "verify", "export"])
def test_a_folder_without_a_journal_ends_with_2(tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file"):
        result = wayside("journal", verb, folder, "--json")
        assert (result.exit_code, json.loads(result.stdout)["ok"]) == (2, False)


def test_an_unknown_lane_ends_with_2(data: Path) -> None:
    fill(data, 1)
    result = wayside("journal", "show", data, "--lane", "money")
    assert (result.exit_code, "telemetry" in result.stderr) == (2, True)


EPOCH = "0123456789abcdef"
pairs = st.lists(st.lists(st.integers(-5, 1 << 62), max_size=3), max_size=4)


@given(
    made=st.integers(-5, 1 << 62),
    acked=pairs,
    lost=st.lists(st.tuples(st.integers(-5, 1 << 62), st.integers(-5, 1 << 62)), max_size=3),
    segment=st.binary(max_size=200),
    has_header=st.booleans(),
)
@settings(
    derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_lies_there_is_reported_and_nothing_else_happens(
    tmp_path: Path, made: int, acked: list[list[int]], lost: list[tuple[int, int]], segment: bytes, has_header: bool
) -> None:
    lane = tmp_path / "journal/telemetry"
    lane.mkdir(parents=True, exist_ok=True)
    losses = [{"first": first, "last": last, "why": "quota"} for first, last in lost]
    position = {"epoch": EPOCH, "made": made, "acked": {"mqtt": acked}, "lost": losses}
    text = json.dumps(position).encode()
    (lane / "position.json").write_bytes(text + b"\ncrc32c %08x\n" % checksum(text))
    head = header(EPOCH, 1, checksum) if has_header else b""
    (lane / segment_name(EPOCH, 1)).write_bytes(head + segment)
    for verb in ("show", "verify", "export"):
        assert wayside("journal", verb, tmp_path).exit_code in (0, 1)
