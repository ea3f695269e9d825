"""When a JT/T 808 terminal reports: intervals, tracking, emergencies."""

from protocols.jt808.reporting import ReportClock, ReportIntervals


def reports(clock, start, stop):
    return [at for at in range(start, stop) if clock.is_due(float(at))]


def test_it_reports_at_once_and_then_at_its_interval():
    clock = ReportClock(ReportIntervals(), now=100.0)
    assert reports(clock, 100, 200) == [100, 130, 160, 190]
    assert clock.next_deadline(200.0) == 220.0


def test_asleep_it_reports_less_often():
    clock = ReportClock(ReportIntervals(), now=0.0)
    clock.is_asleep = True
    assert reports(clock, 0, 700) == [0, 300, 600]
    clock.is_asleep = False
    assert reports(clock, 700, 760) == [700, 730]


def test_tracking_may_be_slower_than_the_interval_and_ends():
    clock = ReportClock(ReportIntervals(), now=0.0)
    assert reports(clock, 0, 10) == [0]
    clock.track(40, 80, 10.0)
    assert reports(clock, 10, 200) == [40, 80, 110, 140, 170]
    clock.track(2, 100, 200.0)
    assert reports(clock, 200, 206) == [200, 202, 204]
    clock.track(0, 0, 206.0)
    assert reports(clock, 206, 260) == [234]


def test_an_emergency_is_reported_at_once_and_until_it_is_confirmed():
    clock = ReportClock(ReportIntervals(), now=0.0)
    assert reports(clock, 0, 3) == [0]
    clock.raise_emergency(3.0)
    clock.track(20, 100, 3.0)  # does not make it slower
    assert clock.is_emergency
    assert reports(clock, 3, 20) == [3, 8, 13, 18]
    clock.raise_emergency(19.0)  # pressed again: nothing new
    assert reports(clock, 19, 23) == []
    clock.end_emergency()
    assert reports(clock, 23, 60) == [38, 58]


def test_what_was_missed_is_not_made_up_for():
    clock = ReportClock(ReportIntervals(), now=0.0)
    assert clock.is_due(0.0)
    assert clock.is_due(1000.0)
    assert not clock.is_due(1000.0)
    assert clock.next_deadline(1000.0) == 1030.0
