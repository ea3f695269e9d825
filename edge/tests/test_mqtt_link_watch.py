"""The watch over a connection, on a clock of the test's own."""

from edge.uplinks.link_watch import LinkWatch, Sign


def test_a_watch_pings_after_one_keepalive_and_gives_up_after_one_and_a_half() -> None:
    watch = LinkWatch(keepalive_s=30, now=0.0)
    assert (watch.look(29.9), watch.next_deadline()) == (Sign.FINE, 30)
    assert watch.look(30.0) is Sign.PING_DUE
    watch.pinged(30.0)
    assert (watch.look(44.9), watch.next_deadline()) == (Sign.FINE, 45)
    assert watch.look(45.0) is Sign.SILENT
    watch.heard(40.0)
    assert (watch.look(59.9), watch.look(60.0)) == (Sign.FINE, Sign.PING_DUE)


def test_a_watch_pings_although_records_go_when_nothing_comes() -> None:
    watch = LinkWatch(keepalive_s=30, now=0.0)
    for second in range(1, 30):
        watch.sent(float(second))
    assert watch.look(30.0) is Sign.PING_DUE


def test_a_watch_gives_the_oldest_message_twenty_seconds_from_when_it_became_the_oldest() -> None:
    watch = LinkWatch(keepalive_s=300, now=0.0)
    watch.head_changed(5.0)
    assert (watch.look(24.9), watch.next_deadline(), watch.look(25.0)) == (Sign.FINE, 25, Sign.UNACKNOWLEDGED)
    watch.head_changed(24.0)  # a slow line, but it moves
    assert watch.look(43.9) is Sign.FINE
    watch.head_changed(None)
    assert watch.look(299.0) is Sign.FINE
