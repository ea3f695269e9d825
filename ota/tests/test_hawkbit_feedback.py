"""What the server is told of an action: its way, its one result, the answer to a cancellation. Not twice, and not lost.

Feedback: POST {base}/deploymentBase/{actionId}/feedback and {base}/cancelAction/{actionId}/feedback, DdiActionFeedback,
DdiStatus, DdiResult, DdiProgress. What a server makes of each: DdiRootController.generateUpdateStatus and
generateActionCancelStatus.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ota.hawkbit.dialogue import CancelAnswer
from ota.hawkbit.events import Assigned, CancelAsked, Event, NotTold, Polled, Told, Trouble
from ota.hawkbit.feedback import Channel, Execution, Feedback, Finished, way
from ota.hawkbit.memory import FILE, MAX_STEPS
from ota.hawkbit.outbox import SecondResultError
from ota.testing.disk_double import DiskDouble
from ota.testing.hawkbit_double import HawkbitDouble
from ota.tests.hawkbit_exchanges import Bench, asks, cancellation, deployment, poll, told

ASSIGNED = (poll(deployment="7"), asks("deploymentBase", "7", deployment()))
CANCELLING = (poll(cancel="7"), asks("cancelAction", "7", cancellation()))
SUCCESS = way("7", Execution.CLOSED, finished=Finished.SUCCESS)
FAILURE = way("7", Execution.CLOSED, finished=Finished.FAILURE)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with HawkbitDouble().serving() as server:
        bench = Bench(tmp_path, server)
        bench.round(*ASSIGNED)
        yield bench


def kinds(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


# The way to a result --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("execution", [each for each in Execution if each is not Execution.CLOSED])
def test_each_point_of_the_way_is_told_as_the_reference_has_it(bench: Bench, execution: Execution) -> None:
    at_s = 1_780_000_000
    step = way("7", execution, progress=(2, 5), code=0, details=("two of five", " "), at_s=at_s)
    assert bench.client.report(step)
    assert kinds(bench.round(told())) == [Told]
    assert bench.server.asked[-1].json == {
        "id": "7",
        "time": "2026-05-28T20:26:40Z",
        "timestamp": at_s * 1_000,
        "status": {
            "execution": execution.value,
            "result": {"finished": "none", "progress": {"cnt": 2, "of": 5}},
            "code": 0,
            "details": ["two of five"],
        },
    }
    assert bench.server.asked[-1].headers["Content-Type"] == "application/json"
    assert bench.client.memory.action == "7", "it is open until it is closed"


@pytest.mark.parametrize("result", [SUCCESS, FAILURE])
def test_a_result_closes_the_action(bench: Bench, result: Feedback) -> None:
    assert bench.client.report(result)
    assert (bench.client.assignment, bench.client.memory.action) == (None, "")
    bench.round(told())
    status = {"execution": "closed", "result": {"finished": result.finished.value}}
    assert bench.server.asked[-1].json == {"id": "7", "status": status}
    bench.wait()
    assert bench.round(poll()) == [Polled(300.0, "")]


def test_there_is_one_result_and_nothing_after_it(bench: Bench) -> None:
    assert bench.client.report(SUCCESS)
    assert not bench.client.report(SUCCESS)
    assert not bench.client.report(way("7", Execution.PROCEEDING))
    with pytest.raises(SecondResultError, match=r"action 7: it has ended \(success\) and cannot end again \(failure\)"):
        bench.client.report(FAILURE)
    bench.round(told())
    assert not bench.client.report(SUCCESS)
    with pytest.raises(SecondResultError):
        bench.client.report(FAILURE)


def test_of_an_action_that_is_not_open_nothing_is_told(bench: Bench) -> None:
    assert not bench.client.report(way("8", Execution.PROCEEDING))
    assert not bench.client.report(way("8", Execution.CLOSED, finished=Finished.SUCCESS))


def test_only_the_newest_point_of_the_way_waits_and_the_same_is_told_once(bench: Bench) -> None:
    assert bench.client.report(way("7", Execution.DOWNLOAD))
    assert bench.client.report(way("7", Execution.DOWNLOADED))
    assert not bench.client.report(way("7", Execution.DOWNLOADED, at_s=1_780_000_000))
    bench.round(told())
    assert bench.server.asked[-1].json["status"]["execution"] == "downloaded"
    assert not bench.client.report(way("7", Execution.DOWNLOADED))
    assert bench.client.report(way("7", Execution.PROCEEDING))


def test_a_chatty_way_ends_before_the_server_has_enough_of_it_and_the_result_is_told(bench: Bench) -> None:
    """hawkBit issue 1249: by default an action takes 1000 entries."""
    told_of = [bench.client.report(way("7", Execution.PROCEEDING, progress=(n, 999))) for n in range(999)]
    assert sum(told_of) == MAX_STEPS
    assert bench.client.report(SUCCESS)


# What is not taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", [way("7", Execution.DOWNLOADED), SUCCESS])
@pytest.mark.parametrize("fault", ["is_lost", "is_cut"])
def test_a_network_that_drops_hears_it_again(bench: Bench, feedback: Feedback, fault: str) -> None:
    bench.client.report(feedback)
    body = b'{"accepted": true}'
    for _ in range(3):
        assert kinds(bench.round(told(body=body, **{fault: True}))) == [Trouble]
        bench.wait()
    assert bench.round(told()) == [Told(feedback)]
    bodies = [asked.body for asked in bench.server.asked[-4:]]
    assert len(set(bodies)) == 1
    assert bench.round() == []


def test_a_result_that_was_taken_and_whose_answer_was_lost_is_not_a_second_one(bench: Bench) -> None:
    """The server has closed the action with the first: 410, "Action is not active anymore"."""
    bench.client.report(SUCCESS)
    bench.round(told(is_lost=True))
    bench.begin()
    assert bench.round(told(status=410), poll())[0] == NotTold(SUCCESS, "the server says 410: it is over there")
    assert bench.client.memory.owed == ()


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("feedback", [way("7", Execution.DOWNLOADED), SUCCESS])
def test_a_server_in_trouble_hears_it_again_and_is_polled(bench: Bench, status: int, feedback: Feedback) -> None:
    bench.client.report(feedback)
    bench.round(told(status=status))
    bench.now += 300
    assert bench.round(poll(deployment="7", sleep="00:05:00"), told())[1] == Told(feedback)


@pytest.mark.parametrize("feedback", [way("7", Execution.DOWNLOADED), SUCCESS])
def test_a_token_that_was_not_right_loses_nothing(bench: Bench, feedback: Feedback) -> None:
    bench.client.report(feedback)
    assert bench.round(told(status=401)) == [
        Trouble("feedback: the server says 401: the token is not right, or not for this", 300.0)
    ]
    bench.wait()
    assert bench.round(told(), poll())[0] == Told(feedback)


def test_polls_while_a_result_is_owed_write_nothing(bench: Bench) -> None:
    bench.client.report(SUCCESS)
    bench.round(told(status=503))
    written = (bench.folder / "data" / FILE).stat().st_mtime_ns
    for _ in range(2):
        bench.wait()
        bench.round(poll(deployment="7"), told(status=503))
    assert (bench.folder / "data" / FILE).stat().st_mtime_ns == written


def test_a_result_that_is_refused_is_told_with_each_poll_and_holds_up_nothing(bench: Bench) -> None:
    """403: "data volume restriction applies"; what the server would take, nobody knows."""
    bench.client.report(SUCCESS)
    bench.round(told(status=403))
    bench.wait()
    bench.round(poll(deployment="9"), told(status=403))
    bench.wait()
    bench.round(asks("deploymentBase", "9", deployment("9")))
    assert bench.client.assignment is not None
    for _ in range(3):
        bench.wait()
        assert bench.round(poll(deployment="9"), told(status=403))[0] == Polled(300.0, "9")
    assert bench.client.memory.owed == (SUCCESS,)


def test_a_point_of_the_way_that_is_refused_is_given_up(bench: Bench) -> None:
    step = way("7", Execution.DOWNLOADED)
    bench.client.report(step)
    assert bench.round(told(status=400))[0] == NotTold(step, "the server says 400")
    assert bench.client.memory.owed == ()
    bench.now += 5
    bench.client.report(SUCCESS)
    assert bench.round(told()) == [Told(SUCCESS)]


def test_a_result_of_an_action_that_is_unknown_waits_for_a_poll_to_say_so_too(bench: Bench) -> None:
    """404 is what a server says of it, and what a proxy says of everything."""
    bench.client.report(SUCCESS)
    assert bench.round(told(status=404)) == []
    bench.wait()
    assert bench.round(poll(deployment="7"), told(status=404)) == [Polled(300.0, "7")]
    bench.wait()
    assert bench.round(poll())[1] == NotTold(SUCCESS, "the server has nothing open that it belongs to")
    assert bench.client.memory.owed == ()


def test_where_one_action_may_say_no_more_its_way_is_given_up_and_its_result_is_not(bench: Bench) -> None:
    """hawkBit pull request 2834: a quota that is used up is 429, too."""
    step = way("7", Execution.DOWNLOADED)
    bench.client.report(step)
    for _ in range(2):
        assert kinds(bench.round(told(status=429))) == [Trouble]
        bench.wait()
    assert bench.round(told(status=429))[0] == NotTold(step, "the server says 429")
    bench.client.report(SUCCESS)
    for _ in range(3):
        bench.wait()
        bench.round(told(status=429))
    bench.now += 300
    assert bench.round(poll(deployment="7"), told())[1] == Told(SUCCESS)


def test_an_action_that_is_offered_again_after_its_result_hears_the_result_again(bench: Bench) -> None:
    """As from a server that was restored from its backup. Nothing is done twice."""
    bench.client.report(FAILURE)
    bench.round(told())
    bench.begin()
    assert bench.round(poll(deployment="7"), told()) == [Polled(300.0, "7"), Told(FAILURE)]
    assert bench.client.assignment is None


# Restarts -------------------------------------------------------------------------------------------------------


def test_after_a_restart_the_action_is_known_and_what_was_owed_goes_out_first(bench: Bench) -> None:
    bench.client.report(way("7", Execution.DOWNLOADED))
    bench.begin()
    assert bench.client.memory.action == "7"
    events = bench.round(told(), *ASSIGNED)
    assert kinds(events) == [Told, Polled, Assigned]
    assert bench.client.report(way("7", Execution.RESUMED))
    bench.round(told())
    assert bench.server.asked[-1].json["status"]["execution"] == "resumed"


def test_a_memory_that_does_not_hold_is_forgotten_and_said(bench: Bench) -> None:
    file = bench.folder / "data" / FILE
    bench.client.report(SUCCESS)
    data = file.read_bytes()
    for damaged in (b"", data[:-3], b"\xff" + data[1:], data.replace(b"success", b"failure"), b"[" * 9_999, b"{}\nzz"):
        file.write_bytes(damaged)
        assert bench.begin().was_damaged
        assert bench.client.memory.owed == ()
    file.write_bytes(data)
    assert not bench.begin().was_damaged
    assert bench.client.memory.owed == (SUCCESS,)


def test_a_power_cut_at_any_step_tells_the_server_one_result_once_or_the_same_again(tmp_path: Path) -> None:
    """Every disk that a cut may leave, between the poll and the end: begun again, it comes to the same result."""
    seen = set()
    results = {"before": 0, "owed": 0, "told": 0}
    with HawkbitDouble().serving() as server:
        bench = Bench(tmp_path, server)
        disk = DiskDouble()
        bench.storage = disk  # type: ignore[assignment]  # another `Storage`
        bench.begin()
        bench.round(*ASSIGNED)
        found: list[tuple[DiskDouble, bool]] = []
        is_reported = False

        def look(_step: str, _name: str) -> None:
            for one in disk.after_cut():
                if one.state() not in seen:
                    seen.add(one.state())
                    found.append((one, is_reported))

        disk.begun = look
        bench.client.report(way("7", Execution.PROCEEDING))
        bench.round(told())
        bench.client.report(SUCCESS)
        is_reported = True
        bench.round(told())
        look("end", "")
        assert len(found) > 20
        for one, must_be_known in found:
            bench.storage = one  # type: ignore[assignment]
            client = bench.begin()
            assert not client.was_damaged
            result = client.memory.result_of(Channel.DEPLOYMENT, "7")
            assert result == SUCCESS or not must_be_known
            if result is None:
                results["before"] += 1
                assert client.memory.action == "7"
                assert client.report(SUCCESS), "the agent comes to the same end again"
            else:
                results["told" if result in client.memory.results else "owed"] += 1
                assert not client.report(SUCCESS)
            server.expect(*[told(status=410) for each in client.memory.owed], poll())
            bench.client.round()
            assert bench.client.memory.owed == ()
    assert all(results.values()), results


# Cancellation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "execution", "finished", "is_over"),
    [
        (CancelAnswer.CANCELLED, "closed", "success", True),
        (CancelAnswer.FAILED, "closed", "failure", True),
        (CancelAnswer.REJECTED, "rejected", "none", False),
    ],
)
def test_a_cancellation_is_answered_as_the_reference_has_it(
    bench: Bench, answer: CancelAnswer, execution: str, finished: str, is_over: bool
) -> None:
    bench.wait()
    assert bench.round(*CANCELLING)[-1] == CancelAsked("7", is_open=True)
    assert bench.client.answer_cancel("7", answer, "so it is")
    assert not bench.client.answer_cancel("7", answer)
    assert kinds(bench.round(told(channel="cancelAction"))) == [Told]
    body = bench.server.asked[-1].json
    assert body["status"] == {"execution": execution, "result": {"finished": finished}, "details": ["so it is"]}
    assert (bench.client.memory.action == "") is is_over
    if is_over:
        assert not bench.client.report(SUCCESS)
    else:
        bench.wait()
        assert kinds(bench.round(*ASSIGNED)) == [Polled, Assigned]
        assert bench.client.report(SUCCESS)


def test_a_cancellation_while_downloading_ends_what_was_to_be_said_of_the_download(bench: Bench) -> None:
    bench.client.report(way("7", Execution.DOWNLOAD, progress=(1, 9)))
    bench.round(told())
    bench.client.report(way("7", Execution.DOWNLOAD, progress=(2, 9)))
    bench.round(told(is_lost=True))
    bench.now += 300
    bench.round(told(), *CANCELLING)
    bench.client.report(way("7", Execution.DOWNLOAD, progress=(3, 9)))
    assert bench.client.answer_cancel("7", CancelAnswer.CANCELLED)
    bench.round(told(channel="cancelAction"))
    assert bench.client.memory.owed == ()


def test_an_answer_to_a_cancellation_survives_a_restart_and_a_lost_answer(bench: Bench) -> None:
    bench.wait()
    bench.round(*CANCELLING)
    bench.client.answer_cancel("7", CancelAnswer.CANCELLED)
    bench.begin()
    bench.round(told(channel="cancelAction", is_lost=True))
    bench.wait()
    bench.round(told(channel="cancelAction"), poll())
    bench.begin()
    bench.round(poll())
    assert bench.client.memory.owed == ()


def test_a_question_that_nobody_has_answered_is_put_again_after_a_restart_only(bench: Bench) -> None:
    bench.wait()
    bench.round(*CANCELLING)
    bench.wait()
    assert bench.round(poll(cancel="7")) == [Polled(300.0, "7")]
    bench.begin()
    assert bench.round(*CANCELLING)[-1] == CancelAsked("7", is_open=True)


def test_an_action_that_was_never_begun_here_may_be_cancelled_too(tmp_path: Path) -> None:
    with HawkbitDouble().serving() as server:
        bench = Bench(tmp_path, server)
        assert bench.round(*CANCELLING)[-1] == CancelAsked("7", is_open=False)
        assert bench.client.answer_cancel("7", CancelAnswer.CANCELLED, "nothing was begun")
        bench.round(told(channel="cancelAction"))


def test_a_cancellation_of_another_action_leaves_the_open_one(bench: Bench) -> None:
    """Where a target may have several actions, the one of most weight is shown."""
    bench.wait()
    events = bench.round(poll(cancel="9"), asks("cancelAction", "9", cancellation("9")))
    assert events == [Polled(300.0, "9"), CancelAsked("9", is_open=False)]
    assert bench.client.memory.action == "7"
    bench.client.answer_cancel("9", CancelAnswer.CANCELLED)
    bench.round(told("9", "cancelAction"))
    bench.wait()
    assert kinds(bench.round(*ASSIGNED)) == [Polled, Assigned]


@pytest.mark.parametrize(("result", "execution"), [(SUCCESS, "rejected"), (FAILURE, "closed")])
def test_a_cancellation_that_comes_too_late_is_answered_by_what_has_happened(
    bench: Bench, result: Feedback, execution: str
) -> None:
    bench.client.report(result)
    bench.round(told(status=503))
    bench.wait()
    events = bench.round(poll(cancel="7"), told(status=503))
    bench.wait()
    events += bench.round(asks("cancelAction", "7", cancellation()))
    assert CancelAsked not in kinds(events)
    bench.now += 300
    bench.round(poll(cancel="7"), told(), told(channel="cancelAction"))
    assert bench.server.asked[-1].json["status"]["execution"] == execution


def test_a_cancellation_that_is_gone_when_it_is_asked_for_cancels_nothing(bench: Bench) -> None:
    bench.wait()
    bench.round(poll(cancel="7"), asks("cancelAction", "7", b"")._replace(status=404))
    assert bench.client.memory.action == "7"
