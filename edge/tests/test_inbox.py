"""Commands: signed, fresh, for this node, never twice, one at a time on a device; every answer is kept and replayed."""

import asyncio
import json

import pytest

from drivers.errors import DeviceConfigError, DeviceRefusedError, DeviceTimeoutError
from edge.gateway.audit import AuditLog, verify_audit
from edge.gateway.inbox import UNSIGNED_BURST, Inbox
from edge.gateway.operators import Operator
from edge.gateway.results import Results
from edge.identity.operator_keys import OperatorKey
from protocols.wayside.envelope import Command, build_envelope

NOW = 1_795_415_333_000
KEY, OTHER = OperatorKey.new(), OperatorKey.new()


class Clock:
    def __init__(self) -> None:
        self.now, self.trust = NOW, "ntp"

    def wall_ms(self, at=None) -> int:
        return self.now

    def quality(self) -> str:
        return self.trust

    def uptime_ms(self, at=None) -> int:
        return self.now - NOW + 1_000_000


class Bench:
    """An inbox, what it published, and a device that counts what it was told to do."""

    def __init__(self, directory) -> None:
        self.directory = directory
        self.clock = Clock()
        self.published: list[dict] = []
        self.done: list[tuple] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0
        self.open()

    def open(self) -> None:
        self.audit = AuditLog(self.directory / "audit")
        self.audit.open()
        self.inbox = Inbox(
            node="rsu-1",
            clock=self.clock,
            results=Results(self.directory / "results.jsonl"),
            audit=self.audit,
            carry_out=self.carry_out,
            publish=lambda route, payload: self.published.append({"route": route} | json.loads(payload)),
        )
        self.inbox.set_operators([Operator("ops-1", KEY.public_bytes, ("modbus.write", "vms.*"))], ["vms.read"])
        self.inbox.open()

    async def carry_out(self, device, op, args):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            self.done.append((device, op, dict(args)))
            return {"read_back": args.get("value")}
        finally:
            self.at_once -= 1

    async def send(self, *, key=KEY, key_id="ops-1", **changes) -> dict:
        self.inbox.receive(envelope(key=key, key_id=key_id, **changes))
        await self.inbox.aclose()
        return self.published[-1] if self.published else {}


def envelope(*, key=KEY, key_id="ops-1", **changes) -> bytes:
    fields = {"v": 1, "node": "rsu-1", "id": "01JD", "op": "modbus.write", "device": "lamp", "args": {"value": 1}}
    command = Command(**(fields | {"issued": NOW - 1_000, "life_s": 30} | changes))
    return build_envelope("command", command, key_id=key_id if key else None, sign=key.sign if key else None)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


async def test_a_signed_command_is_accepted_run_and_answered(bench):
    result = await bench.send()
    assert bench.done == [("lamp", "modbus.write", {"value": 1})]
    assert [r["state"] for r in bench.published] == ["accepted", "running", "done"]
    assert result["out"] == {"read_back": 1}
    assert result["route"] == "result/01jd"
    assert verify_audit(bench.directory / "audit")[0] == 2


async def test_sent_twice_it_is_carried_out_once_and_answered_the_same_twice(bench):
    """Row 27 of docs/field_failures.md."""
    first = await bench.send()
    second = await bench.send()
    assert first == second
    assert len(bench.done) == 1


async def test_sent_again_after_a_restart_it_is_answered_from_what_was_kept(bench):
    first = await bench.send()
    bench.open()
    assert await bench.send() == first
    assert len(bench.done) == 1


async def test_a_command_that_comes_after_its_life_leaves_the_actuator_untouched(bench):
    """Row 27 of docs/field_failures.md."""
    bench.clock.now = NOW + 60_000
    result = await bench.send()
    assert result["state"] == "expired"
    assert bench.done == []


async def test_a_command_whose_life_ends_while_it_waits_for_its_device_is_not_carried_out(bench):
    bench.gate.clear()
    bench.inbox.receive(envelope(id="first"))
    bench.inbox.receive(envelope(id="second"))
    await asyncio.sleep(0)
    bench.clock.now = NOW + 60_000
    bench.gate.set()
    await bench.inbox.aclose()
    assert {r["id"]: r["state"] for r in bench.published} == {"first": "done", "second": "expired"}
    assert len(bench.done) == 1


async def test_one_device_does_one_thing_at_a_time(bench):
    for n in range(5):
        bench.inbox.receive(envelope(id=f"c{n}"))
    await bench.inbox.aclose()
    assert len(bench.done) == 5
    assert bench.most_at_once == 1


async def test_two_devices_work_side_by_side(bench):
    bench.gate.clear()
    bench.inbox.receive(envelope(id="a", device="lamp"))
    bench.inbox.receive(envelope(id="b", device="fan"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.at_once == 2
    bench.gate.set()
    await bench.inbox.aclose()


async def test_devices_that_do_not_exist_leave_nothing_behind(bench):
    bench.error = DeviceConfigError("no device is called that")
    for n in range(100):
        assert (await bench.send(id=f"c{n}", device=f"invented-{n}"))["state"] == "rejected"
    assert bench.inbox._turns == {}


async def test_a_device_is_locked_for_as_long_as_a_command_waits_for_it(bench):
    """Also while commands for it end and others come."""
    bench.gate.clear()
    bench.inbox.receive(envelope(id="first"))
    await asyncio.sleep(0)
    bench.inbox.receive(envelope(id="second"))
    await asyncio.sleep(0)
    assert list(bench.inbox._turns) == ["lamp"]
    bench.gate.set()
    for n in range(20):
        bench.inbox.receive(envelope(id=f"later-{n}"))
        await asyncio.sleep(0)
    await bench.inbox.aclose()
    assert (len(bench.done), bench.most_at_once) == (22, 1)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"node": "rsu-2"}, "rejected"),
        ({"op": "gate.open"}, "rejected"),
        ({"issued": NOW + 60_000}, "rejected"),
        ({"issued": NOW - 31_000}, "expired"),
    ],
)
async def test_what_may_not_run_has_its_own_result(bench, changes, state):
    result = await bench.send(**changes)
    assert result["state"] == state
    assert result["reason"]
    assert bench.done == []
    assert await bench.send(**changes) == result


@pytest.mark.parametrize(
    "data",
    [
        envelope(key=OTHER),
        envelope(key_id="ops-2"),
        envelope(key=None),
        envelope()[:-20],
        envelope().replace(b'"payload":"e', b'"payload":"f'),
        b"",
        b"{}",
        b"\xff" * 100,
        b'{"payload": "e30", "key_id": "ops-1", "sig": ""}',
    ],
)
async def test_what_nobody_signed_is_counted_and_gets_no_answer(bench, data):
    bench.inbox.receive(data)
    await bench.inbox.aclose()
    assert bench.published == []
    assert bench.inbox.unbelieved == 1
    assert verify_audit(bench.directory / "audit")[0] == 0


async def test_a_harmless_operation_runs_unsigned_but_not_without_end(bench):
    for n in range(3 * UNSIGNED_BURST):
        bench.inbox.receive(envelope(key=None, op="vms.read", id=f"u{n}"))
    await bench.inbox.aclose()
    assert len(bench.done) == UNSIGNED_BURST
    bench.clock.now += 1_000
    bench.inbox.receive(envelope(key=None, op="vms.read", id="later"))
    await bench.inbox.aclose()
    assert len(bench.done) == UNSIGNED_BURST + 1


async def test_what_anybody_may_send_stands_in_the_audit_and_not_in_the_log(bench, caplog):
    caplog.set_level("INFO")
    await bench.send(id="signed")
    await bench.send(key=None, op="vms.read", id="unsigned")
    assert [record.args[0] for record in caplog.records] == ["signed"]
    assert verify_audit(bench.directory / "audit")[0] == 4


async def test_without_a_clock_a_command_whose_age_matters_is_rejected(bench):
    bench.clock.trust = "none"
    assert (await bench.send())["state"] == "rejected"
    assert bench.done == []


async def test_another_command_with_a_used_id_is_a_duplicate(bench):
    await bench.send()
    assert (await bench.send(args={"value": 2}))["state"] == "duplicate"
    assert len(bench.done) == 1


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DeviceTimeoutError("silent"), "failed"),
        (DeviceRefusedError("illegal value", 3), "failed"),
        (DeviceConfigError("no such point"), "rejected"),
        (ZeroDivisionError("defect"), "failed"),
    ],
)
async def test_what_a_device_could_not_do_is_answered_for(bench, error, state):
    bench.error = error
    result = await bench.send()
    assert result["state"] == state
    assert result["reason"]


async def test_power_lost_in_mid_command_is_an_answer_of_its_own_and_nothing_is_repeated(bench):
    bench.gate.clear()
    bench.inbox.receive(envelope())
    await asyncio.sleep(0)
    for task in bench.inbox._tasks:
        task.cancel()
    await bench.inbox.aclose()
    bench.gate.set()
    bench.open()
    assert bench.published[-1]["state"] == "failed"
    assert "not known" in bench.published[-1]["reason"]
    await bench.send()
    assert bench.done == []


async def test_a_disk_that_takes_nothing_lets_nothing_run(bench, monkeypatch):
    def refuse(path, line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge.gateway.results.append_line", refuse)
    assert (await bench.send())["state"] == "rejected"
    assert bench.done == []
