"""A poll and what it points to: what is to be done, when, how urgently. Real HTTP against scripted exchanges."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ota.agent.config import ConfigError
from ota.hawkbit.assignment import Handling, Window
from ota.hawkbit.config import read_hawkbit_config
from ota.hawkbit.events import Assigned, AttributesTold, ConfirmationAsked, Polled, Told, Trouble, Withdrawn
from ota.hawkbit.feedback import Execution, way
from ota.testing.hawkbit_double import Exchange, HawkbitDouble
from ota.tests.hawkbit_exchanges import BASE, TOKEN, Bench, asks, confirmation, deployment, poll, told
from ota.tests.test_trust_web import certificate

DEPLOYED = Exchange("GET", f"{BASE}/deploymentBase/7?c=-204", body=deployment())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with HawkbitDouble().serving() as server:
        yield Bench(tmp_path, server)


def test_nothing_assigned_is_a_poll_and_the_time_until_the_next(bench: Bench) -> None:
    assert bench.round(poll(sleep="00:05:00")) == [Polled(300.0, "")]
    assert bench.client.wait_s == 300.0
    assert bench.round() == []
    bench.wait()
    assert bench.round(poll(sleep="1:00:00:00")) == [Polled(86_400.0, "")]  # hawkBit pull request 2533


@pytest.mark.parametrize(
    ("sleep", "seconds"), [("00:00:01", 10.0), ("99:00:00:00", 7 * 86_400.0), ("soon", 300.0), ("00:05", 300.0)]
)
def test_the_time_between_polls_has_bounds_whatever_the_server_suggests(
    bench: Bench, sleep: str, seconds: float
) -> None:
    assert bench.round(poll(sleep=sleep)) == [Polled(seconds, "")]


def test_polls_of_a_fleet_are_spread_and_never_later_than_said(bench: Bench) -> None:
    asked: list[tuple[float, float]] = []
    bench.spread = lambda low, high: asked.append((low, high)) or low  # type: ignore[func-returns-value]
    assert bench.round(poll(sleep="00:10:00")) == [Polled(480.0, "")]
    assert asked == [(0.8, 1.0)]


def test_an_assignment_says_what_when_and_how_urgently(bench: Bench) -> None:
    events = bench.round(poll(deployment="7?c=-204"), DEPLOYED)
    assigned = events[-1]
    assert isinstance(assigned, Assigned)
    found = assigned.assignment
    assert (found.action, found.download, found.update, found.window) == (
        "7",
        Handling.SOFT,
        Handling.SOFT,
        Window.NONE,
    )
    assert (found.chunks[0].part, found.chunks[0].name, found.chunks[0].version) == ("bApp", "gateway", "1.4.2")
    artifact = found.chunks[0].artifacts[0]
    assert (artifact.name, artifact.size, artifact.sha256) == ("1.4.2.tar", 20_480, "5d" * 32)
    assert (artifact.sha1, artifact.md5) == ("a1" * 20, "c3" * 16)
    assert sorted(artifact.links) == ["download", "md5sum-http"]
    assert bench.client.memory.action == "7"


@pytest.mark.parametrize(
    ("said", "download", "update"),
    [
        ({"download": "forced", "update": "forced"}, True, True),
        ({"download": "attempt", "update": "attempt"}, True, True),
        ({"download": "forced", "update": "skip"}, True, False),  # download only
        ({"download": "skip", "update": "skip"}, False, False),
        ({"download": "attempt", "update": "skip", "window": "unavailable"}, True, False),
        ({"download": "attempt", "update": "attempt", "window": "unavailable"}, True, False),
        ({"download": "attempt", "update": "attempt", "window": "available"}, True, True),
    ],
)
def test_what_may_be_done_follows_the_handling_and_the_window(
    bench: Bench, said: dict[str, str], download: bool, update: bool
) -> None:
    bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment(**said)))
    assert bench.client.assignment is not None
    assert (bench.client.assignment.may_download, bench.client.assignment.may_update) == (download, update)


def test_an_action_is_asked_about_again_only_when_its_hash_changes(bench: Bench) -> None:
    """Parameter `c`: "a hashcode of the resource which indicates if the action has been changed"."""
    bench.round(poll(deployment="7?c=-204"), DEPLOYED)
    bench.wait()
    assert bench.round(poll(deployment="7?c=-204")) == [Polled(300.0, "7")]
    bench.wait()
    forced = deployment(download="forced", update="forced", window="available")
    events = bench.round(poll(deployment="7?c=31"), asks("deploymentBase", "7?c=31", forced))
    assert isinstance(events[-1], Assigned)
    assert events[-1].assignment.update is Handling.FORCED


def test_a_link_leads_to_no_other_host_and_its_rest_is_not_sent_on(bench: Bench) -> None:
    """The double is the only server there is; the links name another one, and a parameter of somebody's own."""
    bench.round(poll(deployment="7?c=12&next=http://evil.example/"), asks("deploymentBase", "7?c=12", deployment()))
    bench.wait()
    bench.round(poll(deployment="7?c=1%20HTTP/1.1"), asks("deploymentBase", "7", deployment()))
    assert {asked.headers["Host"] for asked in bench.server.asked} == {bench.server.url.removeprefix("http://")}


def test_an_action_that_is_not_shown_any_more_is_withdrawn(bench: Bench) -> None:
    bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment()))
    bench.wait()
    assert bench.round(poll())[-1] == Withdrawn("7", "it is not open there")
    assert (bench.client.assignment, bench.client.memory.action) == (None, "")
    assert not bench.client.report(way("7", Execution.PROCEEDING))


def test_an_action_of_more_weight_takes_the_place_of_another(bench: Bench) -> None:
    bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment()))
    bench.wait()
    events = bench.round(poll(deployment="9"), asks("deploymentBase", "9", deployment("9")))
    assert events[1] == Withdrawn("7", "action 9 is open there instead")
    assert isinstance(events[2], Assigned)
    assert bench.client.memory.action == "9"


@pytest.mark.parametrize("status", [404, 410])
def test_an_action_that_is_gone_when_it_is_asked_for_waits_for_the_next_poll(bench: Bench, status: int) -> None:
    """DdiRootController.getControllerDeploymentBaseAction: 404 while it is being cancelled or to be confirmed."""
    bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment()))
    bench.wait()
    gone = Exchange("GET", f"{BASE}/deploymentBase/7?c=5", status)
    assert bench.round(poll(deployment="7?c=5"), gone)[-1] == Withdrawn("7", f"the server says {status}")
    assert bench.client.wait_s == 300.0


def test_another_action_than_the_one_that_was_asked_for_is_trouble(bench: Bench) -> None:
    trouble = bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment("8")))[-1]
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "format: deploymentBase: action 7 was asked for, and 8 came"
    assert bench.client.assignment is None


# Confirmation ---------------------------------------------------------------------------------------------------


def test_an_action_that_must_be_agreed_to_is_asked_about_once_and_then_released(bench: Bench) -> None:
    """confirmationBase/{actionId}, its feedback (DdiConfirmationFeedback), and deploymentBase once it is confirmed."""
    question = bench.round(poll(confirmation="7?c=4"), asks("confirmationBase", "7?c=4", confirmation()))[-1]
    assert isinstance(question, ConfirmationAsked)
    assert not question.assignment.may_download
    bench.wait()
    assert bench.round(poll(confirmation="7?c=4")) == [Polled(300.0, "7")]
    bench.client.confirm("7", is_confirmed=True, details=("the driver agrees",))
    assert isinstance(bench.round(told(channel="confirmationBase"))[0], Told)
    assert bench.server.asked[-1].json == {"confirmation": "confirmed", "details": ["the driver agrees"]}
    bench.wait()
    bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment()))
    assert bench.client.assignment is not None
    assert bench.client.assignment.may_download


def test_a_denial_stands_until_somebody_thinks_better_of_it(bench: Bench) -> None:
    bench.round(poll(confirmation="7"), asks("confirmationBase", "7", confirmation()))
    bench.client.confirm("7", is_confirmed=False)
    bench.round(told(channel="confirmationBase"))
    assert bench.server.asked[-1].json == {"confirmation": "denied"}
    bench.begin()
    assert bench.round(poll(confirmation="7")) == [Polled(300.0, "7")]
    bench.client.confirm("7", is_confirmed=True)
    bench.round(told(channel="confirmationBase"))
    assert bench.server.asked[-1].json == {"confirmation": "confirmed"}


# Attributes -----------------------------------------------------------------------------------------------------


def test_attributes_are_told_at_first_when_asked_for_and_when_they_change(bench: Bench) -> None:
    """PUT {base}/configData: "Feedback channel for the config data action", DdiConfigData."""
    put = Exchange("PUT", f"{BASE}/configData")
    bench.read(attributes='hardware = "rsu-a"')
    bench.begin()
    assert bench.round(put, poll()) == [AttributesTold(), Polled(300.0, "")]
    assert bench.server.asked[0].json == {"mode": "merge", "data": {"hardware": "rsu-a"}}
    bench.begin()
    assert bench.round(poll(wants=True), put) == [Polled(300.0, ""), AttributesTold()]
    bench.read(attributes='hardware = "rsu-b"', head='attributes_mode = "replace"')
    bench.begin()
    bench.round(put, poll())
    assert bench.server.asked[-2].json == {"mode": "replace", "data": {"hardware": "rsu-b"}}


def test_attributes_that_are_refused_hold_up_nothing(bench: Bench) -> None:
    bench.read(attributes='hardware = "rsu-a"')
    bench.begin()
    bench.round(Exchange("PUT", f"{BASE}/configData", 400))
    bench.wait()
    bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment()))
    assert bench.client.assignment is not None


def test_a_device_without_attributes_tells_none(bench: Bench) -> None:
    assert bench.round(poll(wants=True)) == [Polled(300.0, "")]


# The token ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("owner", "scheme"), [("target", "TargetToken"), ("gateway", "GatewayToken")])
def test_the_token_is_sent_as_the_reference_has_it(bench: Bench, owner: str, scheme: str) -> None:
    """https://eclipse.dev/hawkbit/concepts/authentication: "Target Security Token" and "Gateway Security Token"."""
    bench.read(head=f'owner = "{owner}"')
    bench.begin()
    bench.round(poll())
    assert bench.server.asked[0].headers["Authorization"] == f"{scheme} {TOKEN}"
    assert bench.server.asked[0].headers["Accept"].startswith("application/hal+json")


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_is_told_and_tried_no_sooner_than_a_poll(bench: Bench, status: int) -> None:
    bench.round(poll(sleep="00:10:00"))
    bench.wait()
    trouble = bench.round(Exchange("GET", BASE, status))[-1]
    reason = f"poll: the server says {status}: the token is not right, or not for this"
    assert trouble == Trouble(reason, 600.0)
    assert bench.client.wait_s == 600.0


def test_a_token_that_was_changed_is_read_with_the_next_round(bench: Bench) -> None:
    bench.round(Exchange("GET", BASE, 401))
    (bench.folder / "token").write_text("another")
    bench.wait()
    bench.round(poll())
    assert bench.server.asked[-1].headers["Authorization"] == "TargetToken another"


def test_the_token_is_in_no_event_and_no_error(bench: Bench) -> None:
    events = bench.round(Exchange("GET", BASE, 401))
    bench.wait()
    events += bench.round(Exchange("GET", BASE, is_lost=True))
    assert len(events) == 2
    assert TOKEN not in repr(events)
    assert TOKEN.encode() not in b"".join(file.read_bytes() for file in (bench.folder / "data").rglob("*.json"))


def test_a_token_file_that_cannot_be_used_is_refused(bench: Bench) -> None:
    token = bench.folder / "token"
    token.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read it"):
        bench.begin()
    token.chmod(0o600)
    for wrong in ("", "two words", "a\r\nX-Other: b", "ü", "x" * 600):
        token.write_text(wrong)
        with pytest.raises(ConfigError, match="a token is one word"):
            bench.begin()
    token.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        bench.begin()


def test_a_token_does_not_go_unencrypted_by_itself(bench: Bench) -> None:
    file = bench.folder / "hawkbit.toml"
    text = file.read_text().replace("token_goes_unencrypted = true\n", "")
    file.write_text(text)
    with pytest.raises(ConfigError, match="https:// is wanted"):
        read_hawkbit_config(file)


def test_over_tls_the_server_must_be_the_one_that_is_believed(tmp_path: Path) -> None:
    context = certificate(tmp_path, begins=-timedelta(days=1), ends=timedelta(days=1))
    with HawkbitDouble().serving(context) as server:
        bench = Bench(tmp_path, server)
        trouble = bench.round()[-1]
        assert isinstance(trouble, Trouble)
        assert "the server's certificate is refused" in trouble.reason
        bench.read(head=f'ca_file = "{tmp_path}/server.pem"')
        bench.begin()
        bench.round(poll(deployment="7"), asks("deploymentBase", "7", deployment()))
        assert bench.client.assignment is not None


# Trouble --------------------------------------------------------------------------------------------------------


def test_what_fails_is_tried_ever_more_slowly_up_to_the_time_between_polls(bench: Bench) -> None:
    bench.round(poll(sleep="00:01:00"))
    waits = []
    for _ in range(6):
        bench.wait()
        waits += [event.wait_s for event in bench.round(Exchange("GET", BASE, 503)) if isinstance(event, Trouble)]
    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    bench.wait()
    bench.round(poll(sleep="00:01:00"))
    bench.wait()
    assert bench.round(Exchange("GET", BASE, is_cut=True, body=b"{}" * 50))[-1].wait_s == 5.0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("17", 17.0),
        ("0", 1.0),
        ("999999999999", 86_400.0),
        ("Thu, 28 May 2026 20:27:40 GMT", 60.0),
        (None, 5.0),
        ("x", 5.0),
    ],
)
def test_too_many_requests_are_waited_out_for_as_long_as_the_server_says(
    bench: Bench, said: str | None, wait_s: float
) -> None:
    """429 of every resource; hawkBit gives no time with it, what stands before it may (RFC 9110, 10.2.3)."""
    bench.spread = lambda low, high: low if (low, high) == (1.0, 1.1) else high
    bench.wall = 1_780_000_000.0  # 2026-05-28 20:26:40
    headers = {} if said is None else {"Retry-After": said}
    assert bench.round(Exchange("GET", BASE, 429, headers=headers)) == [
        Trouble("poll: the server says 429", pytest.approx(wait_s))
    ]
    assert bench.client.wait_s == pytest.approx(wait_s)


def test_a_question_that_is_never_answered_does_not_stop_the_polls(bench: Bench) -> None:
    bad = asks("deploymentBase", "7", b"{")
    for _ in range(3):
        bench.round(poll(sleep="00:00:10", deployment="7"), bad)
        bench.wait()
    bench.round(poll(sleep="00:00:10", deployment="7"), bad._replace(status=500))
    bench.wait()  # 5 s
    bench.round(bad._replace(status=500))
    bench.wait()  # 10 s: meanwhile a poll is due
    bench.round(poll(sleep="00:00:10"))


def test_a_redirect_takes_the_token_nowhere(bench: Bench) -> None:
    away = Exchange("GET", BASE, 302, headers={"Location": f"{bench.server.url}/elsewhere"})
    assert bench.round(away)[-1] == Trouble("poll: the server says 302", 5.0)
