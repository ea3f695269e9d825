"""Another configuration, from whichever hand: equal changes nothing, good stays, bad is taken back, and in order."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from edge.gateway import config_history, desired
from edge.gateway.audit import AuditLog
from edge.gateway.config import NodeConfigFile, parse_config
from edge.gateway.config_history import ConfigHistory, sha256_of
from edge.gateway.desired import ApplyError, DesiredConfig
from edge.gateway.inbox import Inbox
from edge.gateway.operators import Operator
from edge.gateway.results import Results
from edge.gateway.trial import SETTLE_S, TRIAL_S
from edge.identity.operator_keys import OperatorKey
from protocols.wayside.envelope import Desired, build_envelope

KEY, OTHER, VIEWER = OperatorKey.new(), OperatorKey.new(), OperatorKey.new()


def document(broker: str = "localhost", *, comment: str = "", extra: str = "") -> str:
    return f"""{comment}
[node]
id = "rsu-1"
data = "data"
[uplink.mqtt]
brokers = ["mqtt://{broker}"]
acknowledged_by = "broker"
insecure_plain_mqtt = true
{extra}
"""


def broker_of(config: NodeConfigFile) -> str:
    return config.uplink.mqtt.brokers[0].removeprefix("mqtt://")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


class Box:
    """A box whose uplink works with the brokers `reachable`; `restart` is a power cut."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "node.toml"
        self.file.write_text(document())
        self.folder = folder
        self.clock: Any = Clock()
        self.reachable = {"localhost"}
        self.applied: list[str] = []
        self.refusing: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.reported = self.looked_again = 0
        self.audited: list[dict[str, Any]] = []
        self.start()

    def start(self) -> None:
        self.history = ConfigHistory(self.folder / "config", self.file)
        text = self.history.open()
        self.config = parse_config(text, self.file)
        audit = AuditLog(self.folder / "audit")
        audit.open()
        inbox = Inbox(
            node="rsu-1",
            clock=self.clock,
            results=Results(self.folder / "results.jsonl"),
            audit=audit,
            carry_out=self._never,
            publish=lambda _route, _payload: None,
        )
        inbox.set_operators(
            [Operator("ops-1", KEY.public_bytes, ("*",)), Operator("viewer", VIEWER.public_bytes, ("node.*",))], []
        )
        self.desired = DesiredConfig(
            node="rsu-1",
            file=self.file,
            history=self.history,
            running=(text, self.config),
            applier=self,
            inbox=inbox,
            clock=self.clock,
            on_outcome=self._report,
            audit=lambda what, **facts: self.audited.append({"what": what} | facts),
        )
        self.task = asyncio.get_running_loop().create_task(self.desired.run())
        if self.is_connected:
            self.desired.connected()

    async def restart(self) -> None:
        await self.stop()
        self.start()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _never(self, *_arguments: object) -> dict[str, Any]:
        raise AssertionError("no command is sent here")

    def _report(self) -> None:
        self.reported += 1

    # What DesiredConfig asks of an applier

    async def apply(self, config: NodeConfigFile) -> None:
        await self.gate.wait()
        if broker_of(config) in self.refusing:
            raise ApplyError("that needs a restart")
        self.config = config
        self.applied.append(broker_of(config))

    async def look_again(self) -> None:
        self.looked_again += 1

    @property
    def is_connected(self) -> bool:
        return broker_of(self.config) in self.reachable

    # What happens to it

    def push(self, text: str, version: int, *, key: OperatorKey = KEY, key_id: str = "ops-1", node: str = "rsu-1"):
        message = Desired(v=1, node=node, version=version, issued=1_795_415_333_000, document=text)
        self.desired.receive(build_envelope("desired", message, key_id=key_id, sign=key.sign))

    async def settle(self) -> None:
        await self.desired.aclose()
        await self.look()

    async def look(self) -> None:
        """Have the watch go round once."""
        self.desired._look_now.set()
        for _step in range(5):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        for _second in range(int(seconds) + 1):
            self.clock.now += 1.0
            await self.look()

    async def edit(self, text: str) -> None:
        """Another file in its place, as an editor leaves it."""
        fresh = self.file.with_suffix(".tmp")
        fresh.write_text(text)
        fresh.replace(self.file)
        self.clock.now += desired.FILE_PERIOD_S
        await self.look()

    @property
    def state(self) -> config_history.HistoryState:
        return self.history.state


@pytest.fixture
async def box(tmp_path: Path):
    standing = Box(tmp_path)
    await standing.look()
    yield standing
    await standing.stop()
    error = None if standing.task.cancelled() else standing.task.exception()
    assert error is None


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(config_history, "replace_file", refuse)


# Equal


async def test_an_equal_one_changes_nothing_but_the_version(box):
    """Rows 1 and 2 of docs/field_failures.md."""
    digest = box.desired.digest
    for version in range(1, 51):
        box.push(document(comment=f"# edition {version}"), version)
        await box.settle()
    assert box.applied == []
    assert (box.state.version, box.state.outcome, box.desired.digest) == (50, "running", digest)
    assert not box.desired.is_on_trial
    assert box.reported == 50
    assert len(box.audited) == 50


async def test_an_edited_comment_restarts_nothing(box):
    await box.edit(document(comment="# another hand"))
    assert box.applied == []
    assert not box.desired.is_on_trial


async def test_sighup_has_the_keys_read_again_also_where_the_file_says_the_same_or_nothing(box):
    for text in (document(), "[node\n"):
        box.file.write_text(text)
        box.desired.reload()
        await box.look()
    assert (box.looked_again, box.applied) == (2, [])
    await box.edit(document(comment="# edited"))
    assert box.looked_again == 2


# Which is the newest


@pytest.mark.parametrize("version", [1, 4, 5])
async def test_an_older_version_is_passed_over(box, version):
    box.push(document(), 5)
    await box.settle()
    box.push(document("other"), version)
    await box.settle()
    assert (box.applied, box.state.version) == ([], 5)


async def test_an_older_one_that_comes_while_a_newer_one_is_put_to_work_is_passed_over(box):
    box.reachable.add("second")
    box.gate.clear()
    box.push(document("second"), 2)
    box.push(document("first"), 1)
    box.gate.set()
    await box.settle()
    assert (box.applied, box.state.version) == (["second"], 2)


async def test_what_else_is_reported_waits_for_the_end_of_a_change(box):
    """The version is taken before the configuration runs: said in between, it would be believed to run already."""
    box.reachable.add("second")
    box.desired.report_too()
    assert box.reported == 1
    box.gate.clear()
    box.push(document("second"), 2)
    await box.look()
    assert (box.state.version, box.desired.digest) == (2, parse_config(document().encode(), box.file).digest)
    box.desired.report_too()
    assert box.reported == 1
    box.gate.set()
    await box.settle()
    assert box.reported == 2


# Whom to believe


@pytest.mark.parametrize(
    "forged", [{"key": OTHER}, {"key_id": "nobody"}, {"key": VIEWER, "key_id": "viewer"}, {"node": "rsu-2"}]
)
async def test_what_no_operator_may_push_here_is_refused_and_neither_kept_nor_audited(box, forged, caplog):
    before = box.state
    box.push(document("other"), 9, **forged)
    await box.settle()
    assert (box.applied, box.state, box.audited) == ([], before, [])
    assert "was refused" in caplog.text


@pytest.mark.parametrize("data", [b"", b"{", b"\xff" * 40, b'{"payload":"AAAA"}', b"[]", b"null"])
async def test_rubbish_is_refused_and_nothing_stops(box, data):
    box.desired.receive(data)
    await box.settle()
    assert box.applied == []
    assert not box.task.done()


async def test_rubbish_without_end_is_said_once_for_each_reason_and_counted(box, caplog):
    for _time in range(300):
        box.desired.receive(b"{")
        box.push(document("other"), 9, key=OTHER)
        box.push(document("other"), 9, node="rsu-2")
        box.push(document("other"), 9, key=VIEWER, key_id="viewer")
    await box.settle()
    assert len(caplog.records) == 4
    assert box.desired.refused_pushes == 1_200


async def test_a_push_that_is_sent_again_while_it_waits_waits_once(box):
    box.reachable |= {"first", "second"}
    box.gate.clear()
    box.push(document("first"), 1)
    for _time in range(300):
        box.push(document("second"), 2)
    assert len(box.desired._tasks) == 2
    box.gate.set()
    await box.settle()
    assert (box.applied, len(box.audited)) == (["first", "second"], 2)


# Wrong ones


async def test_a_wrong_one_is_refused_with_its_line_and_what_ran_goes_on(box):
    box.push(document(extra="[nonsense]\n"), 3)
    await box.settle()
    assert box.applied == []
    assert (box.state.outcome, box.state.version) == ("refused", 3)
    assert "node.toml:9" in box.state.reason
    assert "nonsense" in box.state.reason
    assert box.reported == 1
    await box.restart()
    assert broker_of(box.config) == "localhost"


async def test_what_needs_a_restart_is_refused_and_what_ran_is_still_the_good_one(box):
    box.refusing = {"other"}
    box.push(document("other"), 3)
    await box.settle()
    assert (box.state.outcome, box.state.reason, box.state.version) == ("refused", "that needs a restart", 3)
    assert not box.desired.is_on_trial
    await box.restart()
    assert broker_of(box.config) == "localhost"


async def test_a_file_that_is_gone_or_broken_stops_nothing(box):
    box.file.unlink()
    box.clock.now += desired.FILE_PERIOD_S
    await box.look()
    await box.edit("this is = not [ TOML")
    assert box.state.outcome == "refused"
    assert box.applied == []
    await box.edit(document("second"))
    assert box.applied == ["second"]


# What is wrong with the file


def mistakes(box: Box) -> list[str]:
    return [str(problem).removeprefix(f"{box.file}:") for problem in box.desired.mistakes]


async def test_what_is_wrong_with_the_file_is_known_until_the_file_is_right(box):
    assert mistakes(box) == []
    await box.edit(document(extra="[nonsense]\n[privacy]\nhash_key = 1\n"))
    assert [line.partition(" ")[0] for line in mistakes(box)] == ["9:", "11:"]
    box.push(document(comment="# pushed"), 1)
    await box.settle()
    assert len(mistakes(box)) == 2, "a push does not mend the file"
    box.file.unlink()
    box.clock.now += desired.FILE_PERIOD_S
    await box.look()
    assert mistakes(box) == ["1: cannot be read: No such file or directory"]
    await box.edit(document())
    assert mistakes(box) == []


async def test_files_that_the_file_names_and_that_are_not_there_are_mistakes_too(box):
    await box.edit(document(extra='[privacy]\nhash_key = "none.key"\n'))
    assert len(mistakes(box)) == 1
    assert "none.key cannot be read" in mistakes(box)[0]


async def test_a_start_with_a_broken_file_knows_what_is_wrong_with_it(box):
    box.file.write_text("[node\n")
    box.history.state = config_history.HistoryState(is_pushed=True, file_sha256=sha256_of(b"[node\n"))
    box.history._save()
    await box.restart()
    assert broker_of(box.config) == "localhost"
    assert len(mistakes(box)) == 1
    assert mistakes(box)[0].startswith("1: is not TOML")


# On trial


async def test_a_good_one_is_kept_once_the_uplink_has_lasted(box):
    box.reachable.add("second")
    box.push(document("second"), 1)
    await box.settle()
    assert box.desired.is_on_trial
    await box.pass_time(SETTLE_S + 1)
    assert not box.desired.is_on_trial
    assert (box.applied, box.state.outcome) == (["second"], "running")
    await box.restart()
    assert broker_of(box.config) == "second"


@pytest.mark.parametrize("hand", ["push", "file", "SIGHUP"])
async def test_one_that_loses_the_uplink_is_taken_back_by_itself_within_two_minutes(box, hand):
    """Row 3 of docs/field_failures.md."""
    if hand == "push":
        box.push(document("nowhere"), 1)
        await box.settle()
    elif hand == "file":
        await box.edit(document("nowhere"))
    else:
        box.file.write_text(document("nowhere"))
        box.desired.reload()
        await box.look()
    assert box.applied == ["nowhere"]
    began = box.clock.now
    await box.pass_time(TRIAL_S + 2)
    assert box.clock.now - began < 120
    assert box.applied == ["nowhere", "localhost"]
    assert box.state.outcome == "rolled-back"
    assert box.is_connected
    await box.pass_time(TRIAL_S)
    assert box.applied == ["nowhere", "localhost"], "an edited file is not taken up again and again"
    await box.restart()
    assert broker_of(box.config) == "localhost"


async def test_a_power_cut_in_mid_trial_goes_back_to_what_reached_the_uplink(box):
    """Row 3 of docs/field_failures.md."""
    box.push(document("nowhere"), 1)
    await box.settle()
    await box.restart()
    assert broker_of(box.config) == "localhost"
    assert (box.state.outcome, box.state.version) == ("rolled-back", 1)


async def test_an_edit_while_the_uplink_is_away_stays_and_proves_itself_later(box):
    box.reachable = set()
    await box.edit(document("second"))
    await box.pass_time(3 * TRIAL_S)
    assert box.applied == ["second"]
    await box.restart()
    assert broker_of(box.config) == "second"
    box.reachable = {"second"}
    box.desired.connected()
    assert b"second" in box.history.good()


async def test_an_edit_that_is_undone_while_the_uplink_is_away_is_undone(box):
    box.reachable.add("pushed")
    box.push(document("pushed"), 1)
    await box.settle()
    await box.pass_time(SETTLE_S + 1)
    box.reachable = set()
    await box.edit(document("second"))
    await box.edit(document())
    assert box.applied == ["pushed", "second", "localhost"]
    await box.restart()
    assert broker_of(box.config) == "localhost"


async def test_a_push_that_arrives_as_the_uplink_breaks_must_prove_itself_too(box):
    box.gate.clear()
    box.push(document("nowhere"), 1)
    box.reachable = set()
    box.gate.set()
    await box.settle()
    await box.pass_time(TRIAL_S + 2)
    assert box.applied == ["nowhere", "localhost"]


# One change in another


async def test_a_change_in_mid_trial_without_the_uplink_must_reach_it_as_well(box):
    """Row 3 of docs/field_failures.md: the second bad one is taken back like the first."""
    box.push(document("nowhere"), 1)
    await box.settle()
    await box.pass_time(10)
    await box.edit(document("nowhere-either"))
    await box.pass_time(TRIAL_S + 2)
    assert box.applied == ["nowhere", "nowhere-either", "localhost"]
    assert box.state.outcome == "rolled-back"


async def test_a_change_refused_in_mid_trial_does_not_make_the_one_on_trial_a_good_one(box):
    """Row 3 of docs/field_failures.md: the way back must not lead to what lost the uplink."""
    box.refusing = {"other"}
    box.push(document("nowhere"), 1)
    await box.settle()
    await box.edit(document("other"))
    assert box.state.outcome == "refused"
    assert box.desired.is_on_trial
    await box.pass_time(TRIAL_S + 2)
    assert box.applied == ["nowhere", "localhost"]
    assert box.is_connected


async def test_a_power_cut_after_a_change_refused_in_mid_trial_goes_back_all_the_same(box):
    box.refusing = {"other"}
    box.push(document("nowhere"), 1)
    await box.settle()
    await box.edit(document("other"))
    box.file.write_text(document())
    await box.restart()
    assert broker_of(box.config) == "localhost"


async def test_a_reconnect_in_mid_change_does_not_end_its_trial(box):
    box.reachable.add("second")
    box.gate.clear()
    box.push(document("second"), 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    box.desired.connected()
    assert box.state.trial_sha256 == sha256_of(document("second").encode())
    box.gate.set()
    await box.settle()
    assert box.desired.is_on_trial


# A disk that refuses


async def test_with_a_full_disk_no_change_is_begun_and_an_equal_one_still_answers(box, monkeypatch):
    full_disk(monkeypatch)
    box.push(document("second"), 1)
    await box.settle()
    assert box.applied == []
    box.push(document(), 2)
    await box.settle()
    assert box.reported == 2
    assert not box.task.done()


async def test_a_disk_that_fills_in_mid_trial_does_not_keep_a_box_from_going_back(box, monkeypatch):
    """Row 3 of docs/field_failures.md."""
    box.push(document("nowhere"), 1)
    await box.settle()
    full_disk(monkeypatch)
    await box.pass_time(TRIAL_S + 2)
    assert box.applied == ["nowhere", "localhost"]
    await box.restart()
    assert broker_of(box.config) == "localhost"


async def test_a_way_back_that_is_barred_is_tried_again(box):
    box.push(document("nowhere"), 1)
    await box.settle()
    box.refusing = {"localhost"}
    await box.pass_time(TRIAL_S + 2)
    assert box.applied == ["nowhere"]
    box.refusing = set()
    await box.pass_time(TRIAL_S + 2)
    assert box.applied == ["nowhere", "localhost"]
