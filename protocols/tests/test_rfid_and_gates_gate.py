"""A gate: one pulse a ticket, a ticket given back, alarms, emergencies and faults."""

from typing import Any

import pytest

from protocols.core.errors import LocalProtocolError, NeedData
from protocols.rfid_and_gates.gate import (
    OPEN_PULSE_MS,
    PASSAGE_S,
    Decision,
    Gate,
    GateInput,
    GateSettings,
    GateState,
    Lamp,
    Outcome,
    Output,
)


def gate() -> Gate:
    return Gate(GateSettings(gate_id="G1"))


def all_of(ask: Any) -> list[Any]:
    found = []
    while not isinstance(one := ask(), NeedData):
        found.append(one)
    return found


def outcomes(machine: Gate) -> list[tuple[str | None, Outcome]]:
    return [(one.ticket_id, one.outcome) for one in all_of(machine.next_decision)]


def test_one_pulse_a_ticket() -> None:
    machine = gate()
    machine.accept("T1", 1.0)
    assert all_of(machine.next_output) == [Output(Lamp.GREEN, OPEN_PULSE_MS)]
    assert all_of(machine.next_decision) == [Decision("G1", "T1", Outcome.ACCEPTED, 1.0)]
    with pytest.raises(LocalProtocolError):
        machine.accept("T2", 2.0)
    machine.take(GateInput.PASSED, 3.0)
    machine.take(GateInput.PASSED, 3.0)
    assert all_of(machine.next_output) == [Output(Lamp.RED)]
    assert all_of(machine.next_decision) == [Decision("G1", "T1", Outcome.PASSED, 3.0)]
    assert machine.next_deadline() is None


def test_a_ticket_that_nobody_uses_is_given_back() -> None:
    machine = gate()
    machine.accept("T1", 1.0)
    assert machine.next_deadline() == 1.0 + PASSAGE_S
    machine.tick(1.0 + PASSAGE_S - 0.1)
    assert machine.state is GateState.OPEN
    machine.tick(1.0 + PASSAGE_S)
    assert outcomes(machine) == [("T1", Outcome.ACCEPTED), ("T1", Outcome.RETURNED)]
    machine.tick(99.0)
    assert outcomes(machine) == []


@pytest.mark.parametrize(
    ("signal", "outcome"), [(GateInput.INTRUSION, Outcome.INTRUSION), (GateInput.REVERSE, Outcome.REVERSE)]
)
def test_an_alarm_buzzes_and_takes_no_ticket(signal: GateInput, outcome: Outcome) -> None:
    machine = gate()
    machine.take(signal, 0.0)
    assert all_of(machine.next_output) == [Output(Lamp.RED, has_buzzer=True)]
    assert outcomes(machine) == [(None, outcome)]
    machine.accept("T1", 1.0)
    machine.take(signal, 2.0)
    assert all_of(machine.next_output)[-1] == Output(Lamp.GREEN, has_buzzer=True)
    assert outcomes(machine)[-1] == ("T1", outcome)
    assert machine.next_deadline() == 1.0 + PASSAGE_S


@pytest.mark.parametrize(
    ("signal", "over", "wrong", "outcome"),
    [
        (GateInput.EMERGENCY, GateInput.EMERGENCY_OVER, GateInput.FAULT_OVER, Outcome.EMERGENCY),
        (GateInput.FAULT, GateInput.FAULT_OVER, GateInput.EMERGENCY_OVER, Outcome.FAULT),
    ],
)
def test_nobody_is_let_through_by_ticket_meanwhile(
    signal: GateInput, over: GateInput, wrong: GateInput, outcome: Outcome
) -> None:
    machine = gate()
    machine.take(over, 0.0)
    machine.accept("T1", 0.0)
    machine.take(signal, 1.0)
    assert outcomes(machine) == [("T1", Outcome.ACCEPTED), ("T1", Outcome.INTERRUPTED), (None, outcome)]
    assert machine.next_deadline() is None
    machine.take(wrong, 2.0)
    with pytest.raises(LocalProtocolError):
        machine.accept("T2", 2.0)
    machine.take(over, 3.0)
    assert outcomes(machine) == [(None, Outcome.READY)]
    machine.accept("T2", 4.0)


def test_an_emergency_goes_before_a_fault() -> None:
    machine = gate()
    machine.take(GateInput.FAULT, 0.0)
    machine.take(GateInput.EMERGENCY, 1.0)
    assert machine.state is GateState.EMERGENCY
    assert all_of(machine.next_output)[-1] == Output(Lamp.GREEN)


FAULT, FAULT_OVER = GateInput.FAULT, GateInput.FAULT_OVER
EMERGENCY, EMERGENCY_OVER = GateInput.EMERGENCY, GateInput.EMERGENCY_OVER


@pytest.mark.parametrize(
    ("signals", "state"),
    [
        ((FAULT, EMERGENCY, EMERGENCY_OVER), GateState.FAULT),
        ((EMERGENCY, FAULT, EMERGENCY_OVER), GateState.FAULT),
        ((FAULT, EMERGENCY, FAULT_OVER, EMERGENCY_OVER), GateState.READY),
        ((EMERGENCY, FAULT, FAULT_OVER, EMERGENCY_OVER), GateState.READY),
        ((EMERGENCY, FAULT, EMERGENCY_OVER, FAULT_OVER), GateState.READY),
    ],
)
def test_a_fault_outlasts_an_emergency(signals: tuple[GateInput, ...], state: GateState) -> None:
    machine = gate()
    for at, signal in enumerate(signals):
        machine.take(signal, float(at))
    assert machine.state is state
    assert outcomes(machine)[-1] == (None, Outcome.READY if state is GateState.READY else Outcome.FAULT)
    assert all_of(machine.next_output)[-1] == Output(Lamp.RED)


@pytest.mark.parametrize("pulse_ms", [199, 501])
def test_a_pulse_has_bounds(pulse_ms: int) -> None:
    with pytest.raises(LocalProtocolError):
        Gate(GateSettings(gate_id="G1", pulse_ms=pulse_ms))
