"""Messages that are no records, and what records may cost."""

from edge.uplinks.budget import DAY_S, HOUR_S, Budget
from edge.uplinks.side_queue import Note, SideQueue


def note(route: str, payload: bytes = b"x", *, retain: bool = False, dies_at: float | None = None) -> Note:
    return Note(route, payload, 1, retain, dies_at)


def routes(queue: SideQueue, now: float = 0.0) -> list[str]:
    out = []
    while queue.first(now) is not None:
        out.append(queue.pop().route)
    return out


def test_first_in_first_out_and_what_comes_back_goes_first() -> None:
    queue = SideQueue()
    for route in ("result/a", "result/b", "result/c"):
        assert queue.put(note(route))
    first = queue.pop()
    queue.put_back(first)
    assert routes(queue) == ["result/a", "result/b", "result/c"]


def test_a_newer_statement_takes_the_place_of_an_older_one() -> None:
    queue = SideQueue(max_messages=2)
    assert queue.put(note("reported", b"old", retain=True))
    assert queue.put(note("result/a"))
    assert queue.put(note("reported", b"newer", retain=True))
    queue.put_back(note("reported", b"oldest", retain=True))
    assert len(queue) == 2
    assert queue.pop().payload == b"newer"


def test_a_request_that_waits_over_several_connections_is_asked_once() -> None:
    queue = SideQueue()
    for have in (b"77", b"78"):
        assert queue.put(note("request/desired", have))
    asked = queue.pop()
    assert (asked.payload, asked.retain) == (b"78", False)
    queue.put_back(asked)
    assert queue.put(note("request/desired", b"79"))
    assert queue.put(note("request/time"))
    assert routes(queue) == ["request/desired", "request/time"]


def test_no_room_is_said_and_counted() -> None:
    queue = SideQueue(max_messages=3, max_bytes=10)
    assert queue.put(note("a", b"12345"))
    assert queue.put(note("b", b"12345"))
    assert not queue.put(note("c", b"1"))
    queue.pop()
    assert queue.put(note("d"))
    assert queue.put(note("e"))
    assert not queue.put(note("f", b""))
    assert (len(queue), queue.dropped) == (3, 2)


def test_what_nobody_wants_any_more_is_not_sent() -> None:
    queue = SideQueue()
    queue.put(note("health", dies_at=60.0))
    queue.put(note("result/a"))
    assert routes(queue, 60.0) == ["result/a"]
    assert queue.dropped == 1


def test_a_budget_starts_with_an_hour_and_fills_evenly() -> None:
    budget = Budget(24_000.0, now=0.0)
    budget.spend(999)
    assert budget.has_some(0.0)
    budget.spend(1001)
    assert not budget.has_some(0.0)
    at = budget.ready_at(0.0)
    assert at is not None
    assert HOUR_S <= at < HOUR_S + 5
    assert not budget.has_some(at - 5)
    assert budget.has_some(at)
    assert budget.ready_at(at) is None


def test_a_budget_saves_one_day_and_no_more() -> None:
    budget = Budget(24_000.0, now=0.0)
    assert budget.left_bytes(10 * DAY_S) == 24_000


def test_no_budget_no_limit() -> None:
    budget = Budget(None, now=0.0)
    budget.spend(10**12)
    assert budget.has_some(0.0)
    assert budget.ready_at(0.0) is None
    assert budget.left_bytes(0.0) is None
