"""What a node says of its updates: the account in `reported`, the report in an event."""

from typing import Any

import pytest

from protocols.core.errors import FieldError
from protocols.wayside.events import CloudEvent, UpdateReport, decode_event, encode_event, update_report_of
from protocols.wayside.state import (
    Reported,
    ReportedConfig,
    UpdateSlot,
    decode,
    encode,
    update_account_of,
)

CONFIG = ReportedConfig(version=1, digest="sha256:5f1c", state="running")


def reported(slots: dict[str, Any]) -> Reported:
    """As it arrives."""
    return decode(encode(Reported(config=CONFIG, slots=slots)), Reported)


def event(data: dict[str, Any]) -> CloudEvent:
    return decode_event(
        encode_event(
            node="rsu-1", device=None, kind="update", data=data, epoch="9c41d07be21f00aa", seq=1, boot=1, time_ms=0,
            time_quality="none", uptime_ms=0,
        )
    )  # fmt: skip


def test_an_account_is_read_and_what_a_newer_node_adds_is_passed_over() -> None:
    told = {
        "device": "rsu-1", "state": "trial", "attempt": "13", "plan": 13, "has_taken": 14, "moon": {"phase": 1},
        "slots": [{"slot": "a", "version": "1.8.2", "counter": 82, "is_confirmed": True, "x": None}, {"slot": "b"}],
        "floors": {"rsu-a rsu/gateway": 82}, "quarantine": {"77aa": 12},
    }  # fmt: skip
    account = update_account_of(reported(told))
    assert account is not None
    assert (account.attempt, account.plan, account.has_taken, account.outcome) == ("13", 13, 14, "")
    assert account.slots == [
        UpdateSlot(slot="a", version="1.8.2", counter=82, is_confirmed=True),
        UpdateSlot(slot="b"),
    ]
    assert (account.floors, account.quarantine) == ({"rsu-a rsu/gateway": 82}, {"77aa": 12})


def test_a_node_that_takes_no_updates_has_no_account() -> None:
    assert update_account_of(reported({})) is None


@pytest.mark.parametrize(
    "slots",
    [
        {"a": "confirmed"},
        {"device": "rsu-1"},
        {"device": "rsu-1", "state": "idle", "plan": -1},
        {"device": "rsu-1", "state": "idle", "plan": True},
        {"device": "rsu-1", "state": "idle", "slots": {"a": {}}},
        {"device": "rsu-1", "state": "idle", "reason": "x" * 1_025},
    ],
)
def test_slots_that_are_no_account_are_refused(slots: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match=r"^slots: "):
        update_account_of(reported(slots))


def test_a_report_travels_as_the_text_that_was_signed() -> None:
    line = '{"report":{"attempt":"12"},"keyid":"5f1c","sig":"00"}\n'
    assert update_report_of(event({"report": line, "log": "\ufffd\0\n"})) == UpdateReport(report=line, log="\ufffd\0\n")
    assert update_report_of(event({"report": line})).log == ""


@pytest.mark.parametrize("data", [{}, {"report": ""}, {"report": {}}, {"log": "x"}, {"report": "x", "log": None}])
def test_an_event_that_brings_no_report_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match=r"^data: "):
        update_report_of(event(data))
