"""Local conditions: judged by what is heard now, and by nothing that was not."""

import json
import socket
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.local_conditions import Condition, listener, unmet

CLOSED = Condition(device="lane-1", point="closed", equals=1)
CHARGED = Condition(device="ups", point="charge", min=50)
KNOWN = {"lane-closed": CLOSED, "battery-above-50": CHARGED}


def sample(device: str, **values: object) -> dict[str, object]:
    return {"device": device, "points": list(values), "values": list(values.values()), "bad": []}


def judged(names: list[str], *samples: dict[str, object]) -> str:
    return unmet(names, KNOWN, lambda _seconds: iter(samples))


def test_what_is_so_holds():
    heard = sample("ups", voltage=12.0, charge=80), sample("lane-1", closed=1)
    assert judged(["lane-closed", "battery-above-50"], *heard) == ""
    assert judged(["lane-closed"], sample("lane-1", closed=True)) == ""


def test_what_is_not_so_is_said_with_its_value():
    assert judged(["lane-closed"], sample("lane-1", closed=0)) == "lane-closed (lane-1/closed is 0)"
    assert judged(["battery-above-50"], sample("ups", charge=49.5)) == "battery-above-50 (ups/charge is 49.5)"


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ([], "lane-1/closed was not heard"),
        ([sample("lane-2", closed=1)], "lane-1/closed was not heard"),
        ([sample("lane-1", open=0)], "lane-1/closed was not heard"),
        ([sample("lane-1", closed=None)], "lane-1/closed has no good value"),
        ([{**sample("lane-1", closed=1), "bad": [[0, 4]]}], "lane-1/closed has no good value"),
        ([{**sample("lane-1", closed=1), "values": []}], "lane-1/closed has no good value"),
    ],
)
def test_what_is_not_known_for_certain_does_not_hold(heard: list[dict[str, object]], reason: str):
    assert judged(["lane-closed"], *heard) == f"lane-closed ({reason})"


def test_a_condition_that_nobody_has_written_down_does_not_hold():
    assert judged(["tide-high"], sample("lane-1", closed=1)) == "tide-high (not known here)"


def test_the_first_word_counts_and_no_more_is_listened_to():
    heard = iter([sample("lane-1", closed=1), sample("lane-1", closed=0)])
    assert unmet(["lane-closed"], KNOWN, lambda _seconds: heard) == ""
    assert next(heard)["values"] == [0]


def test_a_text_is_no_number():
    assert judged(["battery-above-50"], sample("ups", charge="80")) == "battery-above-50 (ups/charge is 80)"


@pytest.mark.parametrize("table", [{}, {"min": 2, "max": 1}, {"equals": []}, {"within_s": 0, "min": 1}])
def test_a_condition_that_says_nothing_is_refused(table: dict[str, object]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"device": "a", "point": "b", **table}, Condition)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from(["device", "points", "values", "bad"]) | st.text(), json_values))
def test_any_sample_is_judged(document: dict[str, object]):
    assert judged(["lane-closed"], {"device": "lane-1", "points": ["closed"], **document}) in (
        "",
        f"lane-closed ({CLOSED.device}/closed was not heard)",
        "lane-closed (lane-1/closed has no good value)",
    ) or "lane-1/closed is " in judged(["lane-closed"], {"device": "lane-1", "points": ["closed"], **document})


@pytest.mark.parametrize("ending", [b"", b"not json\n", b"[1]\n", b'{"device": "lane-1"'])
def test_a_gateway_is_listened_to_as_long_as_it_speaks_sense(tmp_path: Path, ending: bytes):
    line = json.dumps(sample("lane-1", closed=1)).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b'{"tail": true}\n' + line + ending)

        thread = threading.Thread(target=serve)
        thread.start()
        heard = list(listener(tmp_path / "s")(5.0))
        thread.join()
    assert heard == [{"tail": True}, json.loads(line)]


def test_a_gateway_that_is_silent_is_not_waited_for_for_ever(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        began = time.monotonic()
        assert list(listener(tmp_path / "s")(0.2)) == []
        assert time.monotonic() - began < 5
    assert list(listener(tmp_path / "nobody")(5.0)) == []
