"""Updates within the whole gateway: what it says of them, and what it does when it is asked to look."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.errors import DeviceConfigError
from edge.gateway import app, update_desk, updates
from edge.tests.scripted_broker import ScriptedBroker
from edge.tests.test_gateway import Life
from protocols.wayside.state import Reported, decode

UPDATE = '[update]\nfile = "update.toml"\n'
ACCOUNT = {"device": "n-1", "state": "idle", "slots": [{"slot": "a", "version": "1.0.0", "is_confirmed": True}]}
REPORT = '{"report":{"attempt":"7"},"keyid":"5f1c","sig":"00"}\n'


class Box:
    """A gateway, the agent's folder beside it, and a broker that remembers."""

    def __init__(self, folder: Path, broker: ScriptedBroker) -> None:
        self.folder = folder
        self.update = folder / "update"
        (self.update / "reports").mkdir(parents=True)
        (folder / "update.toml").write_text('data = "update"\n')
        self.broker = broker
        self.lives: list[Life] = []

    def start(self, tail: str = UPDATE) -> Life:
        self.life = Life(self.folder, tail, broker=self.broker.url)
        self.lives.append(self.life)
        return self.life

    def account(self, document: object) -> None:
        """As the agent does."""
        fresh = self.update / "fresh"
        fresh.write_text(document if isinstance(document, str) else json.dumps(document))
        fresh.replace(self.update / "account.json")

    def slots(self) -> list[dict]:
        """Of everything that was said of them, in order."""
        return [decode(payload, Reported).slots for payload in self.broker.payloads("/reported")]

    async def until_said(self, slots: dict) -> None:
        await self.life.until(lambda: self.slots()[-1:] == [slots])


@pytest.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    monkeypatch.setattr(app, "DRAIN_S", 0.0)  # nobody here acknowledges
    monkeypatch.setattr(update_desk, "WATCH_S", 0.05)
    async with ScriptedBroker() as broker:
        standing = Box(tmp_path, broker)
        yield standing
        for life in standing.lives:
            if not life.task.done():
                await life.end()


async def test_the_account_is_said_at_each_connect_and_when_it_changes(box: Box):
    box.account(ACCOUNT)
    life = box.start()
    await box.until_said(ACCOUNT)
    box.account(ACCOUNT | {"state": "fetching", "newer": [1]})
    await box.until_said(ACCOUNT | {"state": "fetching", "newer": [1]})
    assert box.slots() == [ACCOUNT, ACCOUNT | {"state": "fetching", "newer": [1]}]
    box.broker.reset_all()
    await life.until(lambda: len(box.slots()) == 3)
    assert box.slots()[1] == box.slots()[2]


async def test_a_node_without_updates_says_nothing_of_them(box: Box):
    box.account(ACCOUNT)
    box.start("")
    await box.until_said({})


async def test_an_account_that_is_damaged_is_left_out_and_said_once(box: Box, caplog: pytest.LogCaptureFixture):
    box.account(ACCOUNT)
    box.start()
    await box.until_said(ACCOUNT)
    box.account('{"device": ')
    await box.until_said({})
    box.account('{"device":  ')
    box.account(ACCOUNT)
    await box.until_said(ACCOUNT)
    assert len([record for record in caplog.records if "account.json" in record.getMessage()]) == 1


async def test_a_file_of_the_agent_that_cannot_be_read_is_said_once_and_stops_nothing(
    box: Box, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(updates, "FIRST_S", 0.0)
    (box.folder / "update.toml").unlink()
    life = box.start()
    await life.until(lambda: "the agent ended with code 2" in caplog.text)
    said = [record.getMessage() for record in caplog.records if record.name == "edge.gateway.update_desk"]
    assert said == [f"update: {box.folder}/update.toml: No such file or directory"]
    assert await life.end() == app.EXIT_STOPPED


async def test_what_the_last_run_has_left_goes_into_the_journal_at_the_start(box: Box):
    (box.update / "reports" / "7.json").write_text(REPORT)
    life = box.start()
    await life.until(lambda: not list((box.update / "reports").iterdir()))
    event = life.gateway._store.lanes["event"].read(1)[-1]
    assert (event.route, json.loads(event.payload)["data"]) == ("event/update", {"report": REPORT, "log": ""})


@pytest.mark.parametrize("arguments", [{}, {"plan": 7}, {"plan": None, "newer": 1}])
async def test_a_look_starts_the_agent_at_once(box: Box, caplog: pytest.LogCaptureFixture, arguments: dict):
    life = box.start()  # its agent finds a file that is none of its own, and ends
    await life.until(lambda: box.slots())
    assert "the agent" not in caplog.text
    out = await life.gateway._carry_out(None, "update.look", arguments)
    assert out == ({"plan": 7} if arguments.get("plan") else {})
    await life.until(lambda: "the agent ended with code 2" in caplog.text)


@pytest.mark.parametrize("plan", ["7", 7.0, True, -1, 1 << 53, [7]])
async def test_a_look_for_what_is_no_plan_is_rejected(box: Box, plan: object):
    life = box.start()
    with pytest.raises(DeviceConfigError, match="plan is not the number of a plan"):
        await life.gateway._carry_out(None, "update.look", {"plan": plan})


async def test_a_look_is_rejected_where_there_are_no_updates(box: Box):
    life = box.start("")
    with pytest.raises(DeviceConfigError) as caught:
        await life.gateway._carry_out(None, "update.look", {"plan": 7})
    assert str(caught.value) == "this node takes no updates: its configuration names no file in [update]"
