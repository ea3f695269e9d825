"""Several engines on one PostgreSQL at the same time, one of which may die: what comes of it is what one would do."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any, Literal

import msgspec
import pytest

from ota.campaign import course as courses_of
from ota.campaign.engine import steps
from ota.campaign.engine.engine import Engine
from ota.campaign.engine.heard import Account, Answer, Heard, Look
from ota.campaign.rules import CampaignError
from ota.campaign.store import devices, plans
from ota.campaign.store.database import Database, open_database
from ota.campaign.store.plans import CLAIM_S, Command
from ota.testing.postgres_bench import PostgresBench
from ota.tests.rollout_office import (
    BEGIN,
    CAMPAIGN,
    NAME,
    ROUND_S,
    Field,
    Office,
    campaign_of,
    device,
    is_over,
    repeated,
)

ENGINES = 3


@pytest.fixture
def offices(postgres: PostgresBench) -> Iterator[list[Office]]:
    """Processes of their own, as far as the database can tell: each with its own connections."""
    with postgres.database() as url:
        databases = [open_database(url) for _engine in range(ENGINES)]
        yield [Office(each) for each in databases]
        for each in databases:
            each.close()


class Yard(Field):
    """A field that hears several engines at once, and tells all of them what it says."""

    def __init__(self, bad: set[str]) -> None:
        super().__init__(bad)
        self.claims: list[tuple[str, int]] = []
        self._lock = Lock()

    def round_of(self, engine: Engine, heard: list[Heard], now: int) -> None:
        """One round of one engine."""
        assert engine.take(heard) == []
        engine.work_all(now)
        while commands := engine.claim(now, 3):
            with self._lock:
                self.claims += [(one.id, now) for one in commands]
                for one in commands:
                    self.send(one)
            engine.sent([one.id for one in commands], now)
        engine.work_all(now)


@pytest.mark.parametrize("bad", [set(), {"bus"}], ids=["finishes", "is sent back"])
def test_engines_side_by_side_do_what_one_does(
    offices: list[Office], bad: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "BATCH", 3)
    offices[0].fill({"bus": 14, "lane": 18})
    offices[0].begin()
    dying = offices[0].engine("dies")
    dying.work_all(BEGIN)
    lost = dying.claim(BEGIN, 4)
    assert len(lost) == 4
    yard = Yard(bad)
    engines = [office.engine(f"{number}") for number, office in enumerate(offices)]
    heard: list[Heard] = []
    with ThreadPoolExecutor(ENGINES) as threads:
        for number in range(60):
            now = BEGIN + number * ROUND_S
            for done in [threads.submit(yard.round_of, engine, heard, now) for engine in engines]:
                done.result()
            if is_over(offices[0]):
                break
            heard = yard.hears(now)
    office = offices[0]
    assert office.kept().state == ("halted" if bad else "finished")
    assert office.first_break() is None
    assert not repeated(office.told()), "a plan was made twice"
    assert not repeated(yard.claims)
    times = {each: [at for one, at in yard.claims if one == each] for each, _at in yard.claims}
    assert all(len(at) == 1 for at in times.values()), "a command was claimed while its claim held"
    assert {one.id for one in lost} & set(times), "what the dead one had claimed was sent by another"
    assert all(times[one.id] >= [BEGIN + CLAIM_S] for one in lost if one.id in times)
    numbers = {name: [plan for each, plan in office.told() if each == name] for name, _plan in office.told()}
    assert all(each in ([1], [1, 2]) for each in numbers.values())
    states = office.states()
    if bad:
        assert {states[name] for name in states if name.startswith("bus")} <= {"reverted", "cancelled"}
        lanes = {states[name] for name in states if name.startswith("lane")}
        assert lanes <= {"good", "confirmed", "cancelled", "reverted"}, "who was on the way goes back too"
    else:
        assert set(states.values()) == {"good"}
        assert set(map(len, numbers.values())) == {1}


def test_two_that_claim_at_once_share_and_one_that_dies_in_it_has_claimed_nothing(offices: list[Office]) -> None:
    one, two, _three = offices
    one.fill({"bus": 20})
    one.begin(campaign_of(CAMPAIGN.replace("percent = 30", "percent = 99")))
    one.engine().work_all(BEGIN)
    with one.database.transaction() as first, two.database.transaction() as second:
        held = {each.id for each in plans.claim(first, "one", BEGIN, 7)}
        others = {each.id for each in plans.claim(second, "two", BEGIN, 100)}
        assert len(held) == 7
        assert held.isdisjoint(others)
        assert len(held | others) >= 19
    program = (
        "import sys\n"
        "from ota.campaign.store import plans\n"
        "from ota.campaign.store.database import open_database\n"
        "with open_database(sys.argv[1]).transaction() as connection:\n"
        "    print(len(plans.claim(connection, 'dies', int(sys.argv[2]), 100)), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    later = BEGIN + CLAIM_S
    url = one.database.engine.url.render_as_string().replace("+psycopg", "")
    words = [sys.executable, "-c", program, url, str(later)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == len(held | others)
        assert two.engine("two").claim(later, 100) == []
        process.kill()
    assert {each.id for each in _until_some(lambda: two.engine("two").claim(later, 100))} == held | others


def _until_some(claim: Callable[[], list[Command]]) -> list[Command]:
    """The server notices that a client is gone when it reads from it."""
    for _turn in range(10_000):
        if found := claim():
            return found
    raise AssertionError("the dead process still holds them")


def test_a_report_that_comes_while_another_engine_looks_is_not_undone(
    offices: list[Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, _three = offices
    one.fill({"bus": 1})
    one.begin(campaign_of(CAMPAIGN, "[retry]"))
    engine = _reached(one)
    late = BEGIN + 30 * 86_400
    passed = courses_of.passed

    def slowly(*arguments: Any) -> courses_of.Course:
        account = Account(device="bus-000", account={"plan": 1, "outcome": "confirmed"}, at=late, is_fresh=False)
        reports.append(threads.submit(two.engine("two").take, [account]))
        with pytest.raises(TimeoutError):
            reports[0].result(0.3)  # it waits for us
        return passed(*arguments)

    reports: list[Any] = []
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(courses_of, "passed", slowly)
        engine._step(NAME, engine._look, late)
        monkeypatch.setattr(courses_of, "passed", passed)
        assert reports[0].result(10) == []
    assert one.states() == {"bus-000": "confirmed"}


def test_a_report_that_comes_while_another_engine_sends_back_is_not_undone(
    offices: list[Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, _three = offices
    one.fill({"bus": 1})
    campaign = one.begin()
    engine = _reached(one)
    one.clerk.halt(NAME, one.signed("halt-and-revert", "li", campaign), is_sent_back=True)
    locked = devices.get

    def slowly(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(devices, "get", locked)
        account = Account(device="bus-000", account={"plan": 1, "outcome": "confirmed"}, at=BEGIN + 60)
        reports.append(threads.submit(two.engine("two").take, [account]))
        with pytest.raises(TimeoutError):
            reports[0].result(0.3)
        return locked(*arguments, **more)

    reports: list[Any] = []
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(devices, "get", slowly)
        engine._step(NAME, engine._send_back, BEGIN + 60)
        assert reports[0].result(10) == []
    course = one.course("bus-000")
    assert (course.state, course.plan) == ("reverting", 2)
    with one.database.reading() as connection:
        (known,) = devices.every(connection)
    assert (known.plan, known.device.targets["main"]) == (2, course.before)


def _reached(office: Office) -> Engine:
    engine = office.engine()
    engine.work_all(BEGIN)
    (command,) = engine.claim(BEGIN, 10)
    engine.sent([command.id], BEGIN)
    engine.take([Answer(device="bus-000", command=command.id, at=BEGIN + 1)])
    assert office.states() == {"bus-000": "reached"}
    return engine


def test_a_device_that_two_campaigns_mean_joins_one(offices: list[Office]) -> None:
    """It came when both of them ran already: no check at their beginning could have seen it."""
    one, two, _three = offices
    one.add([device("bus-1", "bus"), device("lane-1", "lane", labels={"region": "south"})])
    for name, where in (("by-model", "model=bus"), ("by-region", "region=south")):
        text = CAMPAIGN.replace(NAME, name).replace("[[stage]]", f'where = ["{where}"]\n[[stage]]', 1)
        one.begin(campaign_of(text))
    for number in range(12):
        one.add([device(f"bus-9{number:02}", "bus", labels={"region": "south"})], at=BEGIN + number)
        with ThreadPoolExecutor(2) as threads:
            works = [threads.submit(each.engine(each.kept("by-model").author).work, BEGIN) for each in (one, two)]
            assert all(each.result(20) >= 0 for each in works)
    joined = [set(one.states(name)) for name in ("by-model", "by-region")]
    assert len(joined[0] | joined[1]) == 14
    assert joined[0].isdisjoint(joined[1])


def test_of_two_that_are_made_at_once_one_is_refused_in_plain_words(offices: list[Office]) -> None:
    offices[0].fill({"bus": 30})
    campaign = campaign_of()

    def make(office: Office, who: Literal["li", "wang"], name: str) -> str:
        wanted = msgspec.structs.replace(campaign, name=name)
        try:
            office.clerk.new(wanted, office.signed("new", who, wanted))
        except CampaignError as error:
            return str(error)
        return ""

    for number in range(5):
        for names in ((f"same-{number}", f"same-{number}"), (f"one-{number}", f"two-{number}")):
            with ThreadPoolExecutor(2) as threads:
                jobs = [threads.submit(make, *each) for each in zip(offices, ("li", "wang"), names, strict=False)]
                said = sorted(each.result(20) for each in jobs)
            assert said[0] == ""
            assert said[1].startswith(("name: ", "overlap: ")), said
            for each in names:
                with suppress(AssertionError):  # the one that was not made
                    wanted = msgspec.structs.replace(campaign, name=offices[0].kept(each).campaign.name)
                    author = offices[0].kept(each).author
                    offices[0].clerk.halt(each, offices[0].signed("halt", author, wanted), is_sent_back=False)
                    break


def test_nobody_waits_in_a_circle(offices: list[Office], monkeypatch: pytest.MonkeyPatch) -> None:
    """Births and answers in any order, commands that are sent, claims, imports and steps, all at once."""
    monkeypatch.setattr(steps, "BATCH", 5)
    rows = offices[0].fill({"bus": 30})
    offices[0].begin(campaign_of(CAMPAIGN.replace("percent = 30", "percent = 99")))
    names = [row.id for row in rows]
    turns = 25

    def hears(office: Office, order: int) -> None:
        for turn in range(turns):
            at = BEGIN + 10 + turn
            office.engine(f"hears {order}").take([Look(device=name, starts=turn, at=at) for name in names[::order]])

    def works(database: Database) -> None:
        engine = Office(database).engine("works")
        for turn in range(turns):
            engine.work(BEGIN + turn)
            commands = engine.claim(BEGIN + turn, 10)
            ids = [one.id for one in reversed(commands)]
            if turn % 3:
                engine.sent(ids, BEGIN + turn)
            else:
                engine.give_back(ids)

    def imports(office: Office) -> None:
        for turn in range(turns):
            office.add(reversed([device(name, "bus", version=f"1.{turn}") for name in names]), at=turn)

    with ThreadPoolExecutor(5) as threads:
        jobs = [threads.submit(hears, offices[0], 1), threads.submit(hears, offices[1], -1)]
        jobs += [threads.submit(works, offices[number].database) for number in (1, 2)]
        jobs.append(threads.submit(imports, offices[2]))
        for each in jobs:
            each.result(60)
    assert offices[0].first_break() is None
    assert not repeated(offices[0].told())
