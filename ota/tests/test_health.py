"""The gate: what was well before must be well again, for long enough, in one piece."""

import socket
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.health import Gates, HealthGate
from ota.testing.drip import dripping
from ota.vitals import GatewayAwayError, Vitals, read_vitals, vitals_of

WELL = Vitals(
    version="2.0.0",
    boot=7,
    uptime_s=10_000,
    has_uplink=True,
    has_disk=True,
    time="set",
    buses=frozenset({"rs485", "plc"}),
    devices=frozenset({"flow-1", "gnss"}),
    lost=3,
)
GATES = Gates(steady_s=100, within_s=1_000, most_starts=3)


def but(**changes: Any) -> Vitals:
    return msgspec.structs.replace(WELL, **changes)


def gate(before: Vitals = WELL) -> HealthGate:
    return HealthGate(GATES, before, 0)


def test_well_for_long_enough_is_good_and_not_a_moment_before():
    trial = gate()
    assert trial.look(None, 5) == (False, False, ["no gateway answers"])
    assert trial.look(WELL, 10) == (False, True, [])
    assert trial.look(WELL, 109) == (False, True, [])
    assert trial.look(WELL, 110) == (True, True, [])


def test_one_moment_that_is_not_well_begins_the_time_anew():
    trial = gate()
    trial.look(WELL, 0)
    assert trial.look(but(has_uplink=False), 99).missing == ["the uplink is away (it was connected before)"]
    assert not trial.look(WELL, 100).is_over
    assert not trial.look(WELL, 199).is_over
    assert trial.look(WELL, 200) == (True, True, [])


def test_a_restart_between_two_looks_begins_the_time_anew():
    trial = gate()
    trial.look(but(uptime_s=50), 0)
    assert not trial.look(but(uptime_s=20, boot=8), 100).is_over
    assert trial.look(but(uptime_s=120, boot=8), 200).is_over


def test_one_that_restarts_for_ever_is_given_up_however_well_between():
    trial = gate()
    verdicts = [trial.look(but(boot=7 + n, uptime_s=30), 40 * n) for n in range(4)]
    assert [verdict.is_over for verdict in verdicts] == [False, False, False, True]
    assert verdicts[-1] == (True, False, ["it has started 4 times"])


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"has_uplink": False}, "the uplink is away (it was connected before)"),
        ({"has_disk": False}, "the disk takes no records (it did before)"),
        ({"time": "none"}, "the clock is not set (it was before)"),
        ({"buses": frozenset({"plc"})}, "bus rs485 does not run"),
        ({"devices": frozenset({"gnss"})}, "flow-1 does not answer"),
        ({"lost": 5}, "2 records were lost"),
    ],
)
def test_what_was_well_before_is_missed_and_said_when_the_time_is_over(changes: dict[str, Any], missing: str):
    trial = gate()
    assert trial.look(but(**changes), 999) == (False, False, [missing])
    assert trial.look(but(**changes), 1_000) == (True, False, [missing])


@pytest.mark.parametrize("changes", [{"has_uplink": False}, {"has_disk": False}, {"time": "none"},
                                     {"buses": frozenset()}, {"devices": frozenset({"gnss"})}])  # fmt: skip
def test_what_was_broken_before_is_not_the_releases_fault(changes: dict[str, Any]):
    trial = gate(but(**changes))
    trial.look(but(**changes), 0)
    assert trial.look(but(**changes), 100) == (True, True, [])


def test_a_clock_that_is_kept_and_no_longer_set_is_well_enough():
    trial = gate()
    assert trial.look(but(time="kept"), 0).is_well


@given(st.lists(st.tuples(st.floats(0, 200), st.sampled_from([None, WELL, but(has_uplink=False)])), max_size=40))
def test_it_is_only_ever_good_after_a_whole_time_of_being_well(steps: list[tuple[float, Vitals | None]]):
    trial = gate()
    now, well_since = 0.0, None
    for after, vitals in steps:
        now += after
        verdict = trial.look(vitals, now)
        well_since = None if vitals is not WELL else now if well_since is None else well_since
        if verdict.is_over and verdict.is_well:
            assert well_since is not None
            assert now - well_since >= GATES.steady_s
        assert verdict.is_over or now < GATES.within_s or verdict.is_well


DOCUMENT = {
    "version": "2.0.0", "boot": 7, "uptime_s": 12.5, "clock": {"quality": "ntp"}, "storage": {"state": "ok"},
    "uplink": {"state": "connected"}, "lanes": {"event": {"lost": 1}, "telemetry": {"lost": 2}},
    "buses": {"a": {"state": "running"}, "b": {"state": "waiting"}},
    "devices": {"x": {"state": "running", "lost_s": None}, "y": {"state": "running", "lost_s": 3.0}},
}  # fmt: skip


def test_a_status_document_is_read():
    assert vitals_of(DOCUMENT) == Vitals(
        version="2.0.0", boot=7, uptime_s=12.0, has_uplink=True, has_disk=True, time="set", buses=frozenset({"a"}),
        devices=frozenset({"x"}), lost=3,
    )  # fmt: skip


keys = st.sampled_from([*DOCUMENT, "state", "lost", "x"])
plain = st.none() | st.booleans() | st.floats(allow_nan=True) | st.integers() | st.text(max_size=5)
json_values = st.recursive(plain, lambda inner: st.dictionaries(keys, inner))


@given(st.dictionaries(st.sampled_from(list(DOCUMENT)), json_values))
def test_any_document_is_read_and_nothing_strange_is_well(document: dict[str, Any]):
    vitals = vitals_of(document)
    assert vitals.has_uplink <= (isinstance(document.get("uplink"), dict))
    assert vitals.lost >= 0


def serve(path: Path, answer: bytes) -> threading.Thread:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen()

    def run() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(100)
            connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_gateway_is_asked_over_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    thread = serve(Path("status.sock"), msgspec.json.encode(DOCUMENT) + b"\n")
    assert read_vitals(tmp_path / "status.sock").version == "2.0.0"
    thread.join()


def test_nobody_and_rubbish_are_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "status.sock", tmp_path / "none" / "status.sock"):
        with pytest.raises(GatewayAwayError, match=r"no gateway answers \(No such file"):
            read_vitals(path)


@pytest.mark.parametrize("answer", [b"[1]\n", b"", b'{"version": "\xff"}\n', b'{"a": ' + b"[" * 60_000 + b"\n"])
def test_what_is_no_answer_of_a_gateway_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
):
    monkeypatch.chdir(tmp_path)
    thread = serve(Path("status.sock"), answer)
    with pytest.raises(GatewayAwayError, match="what answers is no gateway"):
        read_vitals(tmp_path / "status.sock")
    thread.join()


def test_a_gateway_that_drips_its_answer_does_not_hold_up_who_judges_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each byte comes in time; the whole never does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ota.vitals.ANSWER_S", 0.3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind("status.sock")
        server.listen()
        with dripping(server, b" "), pytest.raises(GatewayAwayError, match="no gateway answers"):
            read_vitals(tmp_path / "status.sock")
