"""Notices are told and counted, and nobody fills the log with them."""

import json

import pytest

from edge.gateway.notices import LINE_PERIOD_S, Notices
from edge.gateway.said import MAX_REASONS, SaidOnce


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def notices(clock, caplog):
    caplog.set_level("INFO")
    return Notices(clock)


def notice(name: str = "fog-17") -> bytes:
    text = {"zh": "前方有雾", "en": "Fog ahead"}
    return json.dumps({"v": 1, "id": name, "issued": 1, "life_s": 600, "severity": "warning", "text": text}).encode()


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_notice_is_a_line_with_its_text(notices, caplog):
    notices.receive(notice())
    assert lines(caplog) == ["notice fog-17, warning: 前方有雾 / Fog ahead"]


def test_a_flood_of_notices_is_a_line_a_minute_and_a_count(notices, clock, caplog):
    for minute in range(3):
        clock.now = 1_000.0 + minute * LINE_PERIOD_S
        for number in range(1_000):
            notices.receive(notice(f"n-{minute}-{number}"))
    assert [line.partition(",")[0] for line in lines(caplog)] == ["notice n-0-0", "notice n-1-0", "notice n-2-0"]
    assert (notices.heard, notices.refused) == (3_000, 0)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff" * 40, b"[]", b'{"v":1}', b"[" * 10_000, notice("x" * 65)])
def test_what_is_no_notice_is_said_once_for_each_reason(notices, caplog, data):
    for _time in range(500):
        notices.receive(data)
    assert len(lines(caplog)) == 1
    assert (notices.heard, notices.refused) == (0, 500)


def test_reasons_without_end_are_said_within_a_bound():
    said = SaidOnce()
    assert sum(said.is_news(f"reason {number}") for number in range(10_000)) == MAX_REASONS
    assert not said.is_news("reason 3")
    assert said.times == 10_001
    said.forget()
    assert said.is_news("reason 3")
    assert said.times == 1
