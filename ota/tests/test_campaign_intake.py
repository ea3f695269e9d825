"""What devices say into what is known of them: late, twice, false, hostile."""

from collections.abc import Callable
from itertools import product
from typing import Any

import msgspec
import pytest

from ota.campaign.engine.engine import Engine
from ota.campaign.engine.heard import Account, Answer, Heard, Look, Reported, Sign
from ota.campaign.engine.intake import MAX_ACCOUNT_BYTES
from ota.campaign.store import devices, plans, reports
from ota.reports import Report
from ota.tests.rollout_office import BEGIN, CAMPAIGN, NEW, OLD, Office, campaign_of, key_of

ONE = CAMPAIGN.partition("[[stage]]")[0] + "[[stage]]\npercent = 100\nsoak_s = 600\n[when]\njitter_s = 0\n"
NOW = BEGIN + 100


@pytest.fixture
def engine(office: Office) -> Engine:
    """Five buses were told."""
    office.fill({"bus": 5})
    office.begin(campaign_of(ONE))
    engine = office.engine()
    engine.work_all(BEGIN)
    assert set(office.states().values()) == {"told"}
    return engine


def signed(device: str, *, by: str = "", line: Callable[[bytes], bytes] = bytes, **more: Any) -> str:
    """A report as a device signs it; line: what is changed in what it signs."""
    facts: dict[str, Any] = {"attempt": "1-1", "device": device, "plan": 1, "outcome": "confirmed", **more}
    body = line(msgspec.json.encode(Report(**facts)))
    signature = key_of(by or device).sign(body).hex()
    return '{"report":' + body.decode("utf-8", "surrogatepass") + f',"keyid":"x","sig":"{signature}"}}'


def command_of(office: Office, device: str) -> str:
    with office.database.reading() as connection:
        return plans.command_id(plans.latest(connection, [device])[device].plan)


def test_a_device_answers_confirms_and_is_well(office: Office, engine: Engine) -> None:
    name = "bus-000"
    engine.take([Answer(device=name, command=command_of(office, name), at=NOW)])
    assert office.states()[name] == "reached"
    slots = [{"is_confirmed": True, "version": "1.4.2", "sha256": "a" * 64}]
    account = {"plan": 1, "outcome": "confirmed", "slots": slots}
    assert engine.take([Account(device=name, account=account, at=NOW + 1)]) == []
    assert office.states()[name] == "confirmed"
    engine.take([Sign(device=name, at=NOW + 601)])
    assert office.states()[name] == "good"
    with office.database.reading() as connection:
        known = devices.get(connection, [name])[name]
    assert known.device.targets == {"main": NEW}
    assert (known.device.version, known.device.sha256, known.heard_at) == ("1.4.2", "a" * 64, NOW + 601)


def test_a_signed_report_counts_once_and_is_kept(office: Office, engine: Engine) -> None:
    line = signed("bus-000", outcome="rolled-back", rule="health", reason="the uplink is away")
    heard = Reported(device="bus-000", line=line, log="the end\n", at=NOW)
    assert engine.take([heard]) == []
    before = office.everything()
    assert engine.take([msgspec.structs.replace(heard, is_fresh=False, at=NOW + 50)]) == []
    assert office.everything() == before, "said again, it changes nothing"
    course = office.course("bus-000")
    assert (course.state, course.rule, course.reason) == ("failed", "health", "the uplink is away")
    with office.database.reading() as connection:
        (kept,) = reports.of_device(connection, "bus-000")
    assert (kept.line, kept.log, kept.outcome, kept.at) == (line, "the end\n", "rolled-back", NOW)


def test_what_the_broker_kept_is_no_sign_of_life(office: Office, engine: Engine) -> None:
    engine.take([Sign(device="bus-000", at=NOW, is_fresh=False), Look(device="bus-001", at=NOW, is_fresh=False)])
    with office.database.reading() as connection:
        assert {one.heard_at for one in devices.every(connection)} == {0}


def test_a_birth_brings_the_command_once_more(office: Office, engine: Engine) -> None:
    (*_rest, first) = commands = engine.claim(BEGIN, 10)
    engine.sent([one.id for one in commands], BEGIN)
    assert engine.claim(BEGIN + 1, 10) == []
    engine.take([Look(device=first.device, starts=1, at=NOW), Look(device="bus-000", records=1, at=NOW)])
    assert engine.claim(NOW, 10) == [first], "the same one, and nobody else's"
    engine.sent([first.id], NOW)
    engine.take([Answer(device=first.device, command=first.id, at=NOW + 1)])
    engine.take([Look(device=first.device, starts=2, at=NOW + 2)])
    assert engine.claim(NOW + 3, 10) == [], "it has it"


def _hostile_reports() -> dict[str, Callable[[], str]]:
    deep = "[" * 50_000
    return {
        "of another key": lambda: signed("bus-000", by="bus-001"),
        "of another device": lambda: signed("bus-001", by="bus-000"),
        "changed after it was signed": lambda: signed("bus-000").replace("confirmed", "failed"),
        "a huge plan": lambda: signed("bus-000", plan=1 << 70),
        "a plan below zero": lambda: signed("bus-000", plan=-1),
        "a plan that is a text": lambda: signed("bus-000", line=lambda body: body.replace(b'"plan":1', b'"plan":"1"')),
        "an attempt of two lines": lambda: signed("bus-000", attempt="1\n"),
        "an outcome of its own": lambda: signed("bus-000", outcome="perfect"),
        "a surrogate": lambda: signed("bus-000", line=lambda body: body[:-1] + b',"x":"\xed\xa0\x80"}'),
        "no JSON": lambda: "{",
        "a NUL": lambda: "\0",
        "nothing": lambda: "",
        "a list": lambda: "[]",
        "deep": lambda: deep,
        "deep in what it signs": lambda: '{"report":' + deep,
        "another device, with a terminal's own words": lambda: signed("\x1b[2J\nx", by="bus-000"),
    }


def test_a_report_that_is_not_believed_changes_nothing(office: Office, engine: Engine) -> None:
    before = office.everything()
    for what, line in _hostile_reports().items():
        (refused,) = engine.take([Reported(device="bus-000", line=line(), is_fresh=False, at=NOW)])
        assert refused.device == "bus-000", what
        assert refused.reason.isprintable(), what
        assert len(refused.reason) <= 500, what
        assert office.everything() == before, what


DEEP: dict[str, Any] = {}
for _level in range(2_000):
    DEEP = {"x": DEEP}
NONSENSE: list[Any] = [None, True, 1 << 70, -1, 1.5, 10**5_000, "", "\0", "\ud800", "x" * 5_000, [], [[]], {}, {"a": 1}]
KEYS = ["plan", "has_taken", "outcome", "rule", "reason", "refusal", "refusal_rule", "slots", "state", "\0", "\ud800"]


def test_an_account_of_any_types_is_taken_or_refused(office: Office, engine: Engine) -> None:
    engine.take([Answer(device="bus-000", command=command_of(office, "bus-000"), at=NOW)])
    good = {"plan": 1, "outcome": "failed", "rule": "network", "reason": "x"}
    values = [*NONSENSE, DEEP, {"is_confirmed": True, "sha256": "z" * 64, "version": "\0"}]
    for number, (key, value) in enumerate(product(KEYS, values)):
        for account in ({key: value}, {**good, key: value}, {"refusal": f"{number}", "refusal_rule": "x", key: value}):
            at = NOW + number % 50
            engine.take([Account(device="bus-000", account=each, at=at) for each in (account, {"slots": [account]})])
    engine.work_all(NOW + 50)
    assert engine.take([Sign(device="bus-000", at=NOW + 60)]) == [], "nobody else is held up by it"
    with office.database.reading() as connection:
        assert devices.get(connection, ["bus-000"])["bus-000"].heard_at == NOW + 60
    assert {office.states()[f"bus-00{number}"] for number in range(1, 5)} == {"told"}


def test_a_rule_that_is_no_word_is_unknown(office: Office, engine: Engine) -> None:
    for number, rule in enumerate(["\0", "x" * 33, "Two words", "\x1b[2J", "\n"]):
        name = f"bus-00{number}"
        if number % 2:
            heard: Heard = Account(device=name, account={"plan": 1, "outcome": "failed", "rule": rule}, at=NOW)
        else:
            line = signed(name, outcome="failed", rule=rule, reason=f"{rule}\n\0")
            heard = Reported(device=name, line=line, log="\0\ud800", at=NOW)
        assert engine.take([heard]) == []
        course = office.course(name)
        assert (course.state, course.rule) == ("failed", "unknown")
        assert course.reason.isprintable()
    (refused,) = engine.take([Account(device="bus-000", account={"plan": 1, "rule": "\ud800"}, at=NOW)])
    assert refused.reason == "an account that cannot be written down"


def test_a_reason_stays_in_its_line_and_its_length(office: Office, engine: Engine) -> None:
    account = {"plan": 1, "outcome": "rolled back", "reason": "\x1b[31m\n" * 1000}
    assert engine.take([Account(device="bus-000", account=account, at=NOW)]) == []
    reason = office.course("bus-000").reason
    assert reason.isprintable()
    assert len(reason) == 500
    (refused,) = engine.take([Account(device="bus-001", account={"x": "y" * MAX_ACCOUNT_BYTES}, at=NOW)])
    assert refused.reason == f"an account of {MAX_ACCOUNT_BYTES + 8} bytes"


def test_counters_that_are_none_are_refused(office: Office, engine: Engine) -> None:
    nonsense: list[Any] = [-1, 1 << 70, True, 1.5, "1", []]
    looks = [Look(device="bus-000", starts=value, at=NOW) for value in nonsense]
    looks += [Look(device="bus-000", records=value, at=NOW) for value in nonsense]
    refused = engine.take(looks)
    assert [one.reason for one in refused] == ["its counters are no numbers of starts and records"] * len(looks)
    with office.database.reading() as connection:
        assert devices.get(connection, ["bus-000"])["bus-000"].looks == devices.Looks()


def test_whoever_is_not_of_the_fleet_is_refused_and_nobody_else(office: Office, engine: Engine) -> None:
    names = ["nobody", "", "\0", "\ud800", "x" * 100_000, "Bus", "a\n", "'; DROP TABLE device"]
    strangers: list[Heard] = [Account(device=name, account={}, at=NOW) for name in names]
    refused = engine.take([*strangers, Reported(device="bus-001", line=signed("bus-001"), at=NOW)])
    assert [one.reason for one in refused] == ["no device of this fleet"] * len(names)
    assert all(one.device.isprintable() and len(one.device) <= 64 for one in refused)
    assert office.states()["bus-001"] == "confirmed"


def test_a_report_key_that_is_not_known_believes_nobody(office: Office, engine: Engine) -> None:
    with office.database.transaction() as connection:
        devices.put(connection, [known.device for known in devices.every(connection)], {"bus-000": ""}, 5)
    (refused,) = engine.take([Reported(device="bus-000", line=signed("bus-000"), at=NOW)])
    assert refused.reason == "signature: its report key is not known here"
    assert office.states()["bus-000"] == "told"


def test_a_refusal_counts_when_it_is_new_and_the_plan_is_known(office: Office, engine: Engine) -> None:
    refusal = {"refusal": "the image is for other hardware", "refusal_rule": "hardware"}
    engine.take([Account(device="bus-000", account=refusal, at=NOW)])
    assert office.states()["bus-000"] == "told", "it may speak of the plan before"
    engine.take([Answer(device="bus-000", command=command_of(office, "bus-000"), at=NOW + 1)])
    engine.take([Account(device="bus-000", account={**refusal, "state": "idle"}, at=NOW + 2)])
    assert office.states()["bus-000"] == "reached", "it is the same refusal"
    engine.take([Account(device="bus-000", account={**refusal, "refusal": "again"}, at=NOW + 3)])
    assert (office.course("bus-000").state, office.course("bus-000").rule) == ("failed", "hardware")
    with office.database.reading() as connection:
        assert devices.get(connection, ["bus-000"])["bus-000"].device.targets == {"main": OLD}
