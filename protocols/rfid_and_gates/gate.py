"""A gate's controller: what its inputs and tickets lead to, as a machine without I/O.

One accepted ticket is one open pulse. Somebody passes, or after eight seconds nobody has and the ticket is given back.
An emergency opens the gate mechanically, with no word of this; it is only noted here, and nobody is let through by
ticket while it lasts, nor during a fault. Without its gateway a gate goes on in its local mode: nothing here needs one.
Every decision is told as `Decision`, for the log.

What each stimulus leads to stands in `Gate.TRANSITIONS`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData

PASSAGE_S = 8.0
OPEN_PULSE_MS = 300
MIN_PULSE_MS, MAX_PULSE_MS = 200, 500


class GateInput(Enum):
    """What the gate's contacts say."""

    PASSED = "passage complete"
    INTRUSION = "intrusion"
    REVERSE = "reverse passage"
    EMERGENCY = "emergency release"
    EMERGENCY_OVER = "emergency over"
    FAULT = "fault"
    FAULT_OVER = "fault over"


class Lamp(Enum):
    """What shines."""

    GREEN = "green"
    RED = "red"


class Output(msgspec.Struct, frozen=True):
    """What is to be switched. pulse_ms: of the volt-free contact that opens; 0 for none."""

    lamp: Lamp
    pulse_ms: int = 0
    has_buzzer: bool = False


class Outcome(Enum):
    """What became of a ticket, or what was noticed."""

    ACCEPTED = "accepted"
    PASSED = "passed"
    RETURNED = "returned"
    INTERRUPTED = "interrupted"
    INTRUSION = "intrusion"
    REVERSE = "reverse passage"
    EMERGENCY = "emergency"
    FAULT = "fault"
    READY = "ready"


class Decision(msgspec.Struct, frozen=True):
    """For the log. now: monotonic seconds, as they were handed in. A ticket returned or interrupted is good again."""

    gate_id: str
    ticket_id: str | None
    outcome: Outcome
    now: float


class GateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One gate."""

    gate_id: str
    passage_s: float = PASSAGE_S
    pulse_ms: int = OPEN_PULSE_MS


class GateState(Enum):
    """Where it stands."""

    READY = "ready"
    OPEN = "open"
    EMERGENCY = "emergency"
    FAULT = "fault"


class GateStimulus(Enum):
    """What may happen to it."""

    TICKET = "accepted ticket"
    PASSED = "passage complete"
    TIMEOUT = "nobody passed"
    ALARM = "intrusion or reverse passage"
    EMERGENCY = "emergency release"
    FAULT = "fault"
    OVER = "it is over"
    FAULT_REMAINS = "it is over, a fault remains"


_INPUTS: dict[GateInput, GateStimulus] = {
    GateInput.PASSED: GateStimulus.PASSED,
    GateInput.INTRUSION: GateStimulus.ALARM,
    GateInput.REVERSE: GateStimulus.ALARM,
    GateInput.EMERGENCY: GateStimulus.EMERGENCY,
    GateInput.FAULT: GateStimulus.FAULT,
}


class Gate:
    """One gate. See the module's docstring."""

    def __init__(self, settings: GateSettings) -> None:
        """Raises `LocalProtocolError` for a pulse that is too short or too long."""
        if not MIN_PULSE_MS <= settings.pulse_ms <= MAX_PULSE_MS:
            raise LocalProtocolError(f"{MIN_PULSE_MS} to {MAX_PULSE_MS} ms", field="pulse_ms")
        self.settings = settings
        self._state = GateState.READY
        self._ticket_id: str | None = None
        self._deadline: float | None = None
        self._alarm = Outcome.INTRUSION
        self._is_faulty = False
        self._decisions: deque[Decision] = deque()
        self._outputs: deque[Output] = deque()

    @property
    def state(self) -> GateState:
        """Where it stands."""
        return self._state

    def accept(self, ticket_id: str, now: float) -> None:
        """A ticket was found good: open. Raises `LocalProtocolError` while somebody is on the way, or nobody may be."""
        if self._state is not GateState.READY:
            raise LocalProtocolError(f"not while {self._state.value}")
        self._ticket_id = ticket_id
        self._step(GateStimulus.TICKET, now)

    def take(self, signal: GateInput, now: float) -> None:
        """A contact has changed. Raises nothing: what means nothing now leads to nothing."""
        if signal in (GateInput.FAULT, GateInput.FAULT_OVER):
            self._is_faulty = signal is GateInput.FAULT
        self._alarm = Outcome.REVERSE if signal is GateInput.REVERSE else Outcome.INTRUSION
        stimulus = _INPUTS.get(signal) or self._over(signal)
        if stimulus is not None and (self._state, stimulus) in self.TRANSITIONS:
            self._step(stimulus, now)

    def _over(self, signal: GateInput) -> GateStimulus | None:
        """What it means that something is over: nothing while it is the other that keeps the gate from its work."""
        is_emergency = self._state is GateState.EMERGENCY
        if is_emergency != (signal is GateInput.EMERGENCY_OVER):
            return None
        return GateStimulus.FAULT_REMAINS if is_emergency and self._is_faulty else GateStimulus.OVER

    def next_decision(self) -> Decision | NeedData:
        """The next thing for the log, or `NEED_DATA`."""
        return self._decisions.popleft() if self._decisions else NEED_DATA

    def next_output(self) -> Output | NeedData:
        """The next thing to be switched, or `NEED_DATA`."""
        return self._outputs.popleft() if self._outputs else NEED_DATA

    def next_deadline(self) -> float | None:
        """When a ticket is given back."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is not None and now >= self._deadline:
            self._step(GateStimulus.TIMEOUT, now)

    # Actions of the table

    def _step(self, stimulus: GateStimulus, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _decide(self, outcome: Outcome, now: float) -> None:
        self._decisions.append(Decision(self.settings.gate_id, self._ticket_id, outcome, now))

    def _end(self, outcome: Outcome, now: float) -> None:
        self._decide(outcome, now)
        self._ticket_id = None
        self._deadline = None

    def _open(self, now: float) -> None:
        self._decide(Outcome.ACCEPTED, now)
        self._deadline = now + self.settings.passage_s
        self._outputs.append(Output(Lamp.GREEN, self.settings.pulse_ms))

    def _passed(self, now: float) -> None:
        self._end(Outcome.PASSED, now)
        self._outputs.append(Output(Lamp.RED))

    def _give_back(self, now: float) -> None:
        self._end(Outcome.RETURNED, now)
        self._outputs.append(Output(Lamp.RED))

    def _warn(self, now: float) -> None:
        self._decide(self._alarm, now)
        lamp = Lamp.GREEN if self._state is GateState.OPEN else Lamp.RED
        self._outputs.append(Output(lamp, has_buzzer=True))

    def _emergency(self, now: float) -> None:
        self._interrupt(Outcome.EMERGENCY, Lamp.GREEN, now)

    def _fault(self, now: float) -> None:
        self._interrupt(Outcome.FAULT, Lamp.RED, now)

    def _interrupt(self, outcome: Outcome, lamp: Lamp, now: float) -> None:
        if self._ticket_id is not None:
            self._end(Outcome.INTERRUPTED, now)
        self._decide(outcome, now)
        self._outputs.append(Output(lamp))

    def _ready(self, now: float) -> None:
        self._decide(Outcome.READY, now)
        self._outputs.append(Output(Lamp.RED))

    TRANSITIONS: ClassVar[
        Mapping[tuple[GateState, GateStimulus], tuple[Callable[["Gate", float], None], GateState]]
    ] = {
        (GateState.READY, GateStimulus.TICKET): (_open, GateState.OPEN),
        (GateState.READY, GateStimulus.ALARM): (_warn, GateState.READY),
        (GateState.READY, GateStimulus.EMERGENCY): (_emergency, GateState.EMERGENCY),
        (GateState.READY, GateStimulus.FAULT): (_fault, GateState.FAULT),
        (GateState.OPEN, GateStimulus.PASSED): (_passed, GateState.READY),
        (GateState.OPEN, GateStimulus.TIMEOUT): (_give_back, GateState.READY),
        (GateState.OPEN, GateStimulus.ALARM): (_warn, GateState.OPEN),
        (GateState.OPEN, GateStimulus.EMERGENCY): (_emergency, GateState.EMERGENCY),
        (GateState.OPEN, GateStimulus.FAULT): (_fault, GateState.FAULT),
        (GateState.EMERGENCY, GateStimulus.OVER): (_ready, GateState.READY),
        (GateState.EMERGENCY, GateStimulus.FAULT_REMAINS): (_fault, GateState.FAULT),
        (GateState.FAULT, GateStimulus.OVER): (_ready, GateState.READY),
        (GateState.FAULT, GateStimulus.EMERGENCY): (_emergency, GateState.EMERGENCY),
    }
