"""What a broker refuses is alarmed once, however it takes and refuses in turn."""

from edge.uplinks.tally import MAX_REFUSED, Tally


def make() -> tuple[Tally, list[tuple[str, str]]]:
    alarms: list[tuple[str, str]] = []
    return Tally(lambda kind, text: alarms.append((kind, text))), alarms


def test_a_broker_that_takes_and_refuses_in_turn_is_alarmed_once(caplog):
    tally, alarms = make()
    for _turn in range(500):
        tally.refuse("telemetry/flow-1", "not authorised")
        assert tally.refused_names == {"telemetry/flow-1"}
        tally.accept("telemetry/flow-1")
    assert alarms == [("publish-refused", "telemetry/flow-1: not authorised")]
    assert len(caplog.records) == 1
    assert (tally.refused, tally.acknowledged, tally.refused_names) == (500, 500, set())


def test_after_a_connection_that_stood_it_is_news_again():
    tally, alarms = make()
    for _connection in range(2):
        tally.refuse("state", "not authorised")
        tally.accept("state")
        tally.forget_alarms()
    assert len(alarms) == 2


def test_names_without_end_are_alarmed_within_a_bound():
    tally, alarms = make()
    for number in range(5_000):
        tally.refuse(f"result/{number}", "no")
        tally.accept(f"result/{number}")
    assert len(alarms) == MAX_REFUSED
