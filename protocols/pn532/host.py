"""The host's end of the link to a PN532 (NXP UM0701-02, 6.2.2) as a dialogue without I/O.

One command is in flight. The chip acknowledges it, works, and responds. What goes wrong on the line is dealt with here:

* no acknowledgement: the command is sent again, twice at most, if sending it twice does no harm; a command that a card
  hears is never repeated, but its response still counts when only the acknowledgement got lost;
* a response whose check does not hold is asked for again with NACK, twice at most;
* no response in time: an ACK from the host stops the chip.

A new baud rate is confirmed with an ACK: it applies from then on, for whoever pumps this too.

After a failure nothing that comes before the next acknowledgement is believed: it may answer an older command. Where
even that may be an older one's (a command that was sent twice, or ended without one), the next one waits until the line
has been left alone for a while. Until the chip was configured (SAMConfiguration), and after PowerDown or silence, a
command is preceded by bytes that wake it.

What each frame leads to stands in `HostDialogue.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import StreamEnd
from protocols.pn532.chip_commands import PowerDown, SamConfiguration, SetSerialBaudRate
from protocols.pn532.command import Command, Response
from protocols.pn532.commands import decode_response, encode_command
from protocols.pn532.frame import ACK, NACK, TFI_CHIP, WAKE_UP, AckFrame, DataFrame, ErrorFrame, Frame, Framer

ACK_TIMEOUT_S = 0.1
"""The chip acknowledges within 15 ms; USB serial adapters add up to 16 ms each way, busy hosts more."""
MAX_RESENDS = 2
MAX_NACKS = 2


class Request(msgspec.Struct, frozen=True):
    """Carry out a command. timeout_s: for the response, from now on; None takes the command's own."""

    command: Command
    timeout_s: float | None = None


class Abort(msgspec.Struct, frozen=True):
    """Stop the command that is in flight."""


class Responded(msgspec.Struct, frozen=True):
    """The chip carried it out, as far as the status in its response says."""

    command: Command
    response: Response


class Refused(msgspec.Struct, frozen=True):
    """The chip does not know the command, or not with these parameters (error frame)."""

    command: Command


class Failed(msgspec.Struct, frozen=True):
    """Nobody answered, or not as this command is answered. is_acknowledged: whether the chip took the command."""

    command: Command
    reason: str
    is_acknowledged: bool


class Aborted(msgspec.Struct, frozen=True):
    """The command was stopped; whether it had an effect is not known."""

    command: Command


HostCommand = Request | Abort
HostEvent = Responded | Refused | Failed | Aborted


class HostState(Enum):
    """Where the host stands."""

    IDLE = "idle"
    ACK_DUE = "acknowledgement due"
    RESPONSE_DUE = "response due"


class HostStimulus(Enum):
    """What may happen to it."""

    REQUEST = "Request"
    ABORT = "Abort"
    ACK = "ACK"
    RESPONSE = "response"
    WRONG_RESPONSE = "response with bad contents"
    ERROR = "error frame"
    GARBLED = "response with a bad check"
    NO_ACK = "no ACK, may be repeated"
    NO_ACK_WAIT = "no ACK, may not be repeated"
    NO_ACK_SPENT = "no ACK, repeats spent"
    NO_RESPONSE = "no response"


class HostDialogue(StreamEnd[HostEvent]):
    """A host's talk with one chip. See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self._state = HostState.IDLE
        self._framer = Framer()
        self._deadline: float | None = None
        self._response_deadline = 0.0
        self._held = b""
        self._not_before = 0.0
        self._doubted: int | None = None
        """The code of the command that must not go out before that; None: no command may."""
        self._is_acknowledged = False
        self._command: Command | None = None
        self._response = Response()
        self._reason = ""
        self._resends = 0
        self._nacks = 0
        self._is_asleep = True
        self._may_be_stale = False
        self.stray_frames = 0
        """Frames that answered nothing that was asked."""

    @property
    def state(self) -> HostState:
        """Where it stands."""
        return self._state

    @property
    def framer(self) -> Framer:
        """For its counters."""
        return self._framer

    def send(self, command: HostCommand, now: float) -> None:
        """Start or stop a command. Raises `LocalProtocolError` while another runs, or for parameters out of bounds."""
        if isinstance(command, Abort):
            if self._state is not HostState.IDLE:
                self._step(HostStimulus.ABORT, now)
            return
        if self._state is not HostState.IDLE:
            raise LocalProtocolError("a command is in flight")
        encode_command(command.command)
        self._command = command.command
        timeout_s = command.command.TIMEOUT_S if command.timeout_s is None else command.timeout_s
        self._response_deadline = (self._not_before if self._must_wait(now) else now) + timeout_s
        self._resends = self._nacks = 0
        self._step(HostStimulus.REQUEST, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: what is broken or foreign is counted or recovered from."""
        self._framer.feed(data)
        while not isinstance(frame := self._framer.next_frame(), NeedData):
            stimulus = self._judge(frame)
            if (self._state, stimulus) in self.TRANSITIONS:
                self._step(stimulus, now)
            elif not isinstance(frame, AckFrame):
                self.stray_frames += 1
        broken, self._framer.broken_body = self._framer.broken_body, b""
        if (
            self._state is HostState.RESPONSE_DUE
            and self._command is not None
            and broken == bytes((TFI_CHIP, self._command.CODE + 1))
            and self._nacks < MAX_NACKS
        ):
            self._step(HostStimulus.GARBLED, now)

    def next_deadline(self) -> float | None:
        """When the acknowledgement or the response must have come."""
        return self._deadline

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._deadline is None or now < self._deadline:
            return
        if self._held:
            self._outgoing += self._held
            self._held = b""
            self._deadline = min(now + ACK_TIMEOUT_S, self._response_deadline)
        elif self._state is HostState.ACK_DUE:
            self._step(self._no_ack(now), now)
        else:
            self._reason = "no response"
            self._step(HostStimulus.NO_RESPONSE, now)

    def _judge(self, frame: Frame) -> HostStimulus | None:
        """What a frame means here; None for one that answers nothing."""
        if self._command is None or self._held:
            return None
        if isinstance(frame, AckFrame):
            return HostStimulus.ACK
        if self._state is HostState.ACK_DUE and self._may_be_stale:
            return None
        if isinstance(frame, DataFrame) and (frame.tfi, frame.command) == (TFI_CHIP, self._command.CODE + 1):
            return self._judge_response(self._command, frame)
        return HostStimulus.ERROR if isinstance(frame, ErrorFrame) else None

    def _judge_response(self, command: Command, frame: DataFrame) -> HostStimulus:
        try:
            self._response = decode_response(command, frame)
        except RemoteProtocolError as error:
            self._reason = str(error)
            return HostStimulus.WRONG_RESPONSE
        return HostStimulus.RESPONSE

    def _no_ack(self, now: float) -> HostStimulus:
        self._reason = "no acknowledgement"
        assert self._command is not None
        if self._command.IS_REPEATABLE and self._resends < MAX_RESENDS:
            return HostStimulus.NO_ACK
        if not self._command.IS_REPEATABLE and not self._may_be_stale and now < self._response_deadline:
            return HostStimulus.NO_ACK_WAIT
        return HostStimulus.NO_ACK_SPENT

    def _step(self, stimulus: HostStimulus | None, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _request(self, now: float) -> None:
        assert self._command is not None
        self._framer.broken_body = b""
        data = (WAKE_UP if self._is_asleep else b"") + encode_command(self._command)
        self._is_acknowledged = False
        if self._must_wait(now):
            self._held = data
            self._deadline = self._not_before
        else:
            self._outgoing += data
            self._deadline = now + ACK_TIMEOUT_S

    def _resend(self, now: float) -> None:
        """The chip may answer twice now: nothing is believed before an acknowledgement, nor right after the end."""
        self._resends += 1
        self._may_be_stale = True
        self._response_deadline = max(self._response_deadline, now + 2 * ACK_TIMEOUT_S)
        self._framer.reset()
        self._request(now)

    def _must_wait(self, now: float) -> bool:
        assert self._command is not None
        return now < self._not_before and self._doubted in (None, self._command.CODE)

    def _acknowledged(self, now: float) -> None:
        self._is_acknowledged = now >= self._not_before  # before that it may be the ACK of what was stopped
        self._may_be_stale = False
        self._deadline = self._response_deadline

    def _wait_for_response(self, _now: float) -> None:
        self._deadline = self._response_deadline

    def _ask_again(self, _now: float) -> None:
        self._nacks += 1
        self._outgoing += NACK

    def _responded(self, now: float) -> None:
        if isinstance(self._command, SamConfiguration):
            self._is_asleep = False
        elif isinstance(self._command, PowerDown):
            self._is_asleep = True
        elif isinstance(self._command, SetSerialBaudRate):
            self._outgoing += ACK  # the chip changes its rate when it hears this
        self._end(lambda command: Responded(command, self._response), now)

    def _refused(self, now: float) -> None:
        self._end(Refused, now)

    def _stop(self, now: float) -> None:
        self._outgoing += ACK
        self._doubt(now)
        self._end(Aborted, now)

    def _gave_up(self, now: float) -> None:
        """Without a word from the chip it may have slept, or been plugged in anew."""
        self._is_asleep = True
        self._doubt(now)
        self._fail(now, is_acknowledged=False)

    def _no_response(self, now: float) -> None:
        self._outgoing += ACK
        self._is_asleep = self._is_asleep or not self._is_acknowledged
        self._doubt(now)
        self._fail(now, is_acknowledged=self._is_acknowledged)

    def _wrong_response(self, now: float) -> None:
        self._fail(now, is_acknowledged=True)

    def _doubt(self, now: float) -> None:
        """The response may be on its way still; without an acknowledgement, that too."""
        assert self._command is not None
        self._may_be_stale = True
        if not self._is_acknowledged:
            is_alone = now >= self._not_before or self._doubted == self._command.CODE
            self._doubted = self._command.CODE if is_alone else None
            self._not_before = max(self._not_before, now + ACK_TIMEOUT_S)

    def _fail(self, now: float, *, is_acknowledged: bool) -> None:
        self._framer.reset()
        self._end(lambda command: Failed(command, self._reason, is_acknowledged), now)

    def _end(self, event: Callable[[Command], HostEvent], now: float) -> None:
        assert self._command is not None
        if self._resends:  # each copy may be answered as long after the first one's answer as it was sent after it
            self._not_before, self._doubted = now + (self._resends + 1) * ACK_TIMEOUT_S, None
        self._may_be_stale |= self._nacks > 0
        command, self._command = self._command, None
        self._deadline = None
        self._held = b""
        self._events.append(event(command))

    TRANSITIONS: ClassVar[
        Mapping[tuple[HostState, HostStimulus | None], tuple[Callable[["HostDialogue", float], None], HostState]]
    ] = {
        (HostState.IDLE, HostStimulus.REQUEST): (_request, HostState.ACK_DUE),
        (HostState.ACK_DUE, HostStimulus.ACK): (_acknowledged, HostState.RESPONSE_DUE),
        (HostState.ACK_DUE, HostStimulus.RESPONSE): (_responded, HostState.IDLE),
        (HostState.ACK_DUE, HostStimulus.WRONG_RESPONSE): (_wrong_response, HostState.IDLE),
        (HostState.ACK_DUE, HostStimulus.ERROR): (_refused, HostState.IDLE),
        (HostState.ACK_DUE, HostStimulus.NO_ACK): (_resend, HostState.ACK_DUE),
        (HostState.ACK_DUE, HostStimulus.NO_ACK_WAIT): (_wait_for_response, HostState.RESPONSE_DUE),
        (HostState.ACK_DUE, HostStimulus.NO_ACK_SPENT): (_gave_up, HostState.IDLE),
        (HostState.ACK_DUE, HostStimulus.ABORT): (_stop, HostState.IDLE),
        (HostState.RESPONSE_DUE, HostStimulus.RESPONSE): (_responded, HostState.IDLE),
        (HostState.RESPONSE_DUE, HostStimulus.WRONG_RESPONSE): (_wrong_response, HostState.IDLE),
        (HostState.RESPONSE_DUE, HostStimulus.ERROR): (_refused, HostState.IDLE),
        (HostState.RESPONSE_DUE, HostStimulus.ACK): (_acknowledged, HostState.RESPONSE_DUE),
        (HostState.RESPONSE_DUE, HostStimulus.GARBLED): (_ask_again, HostState.RESPONSE_DUE),
        (HostState.RESPONSE_DUE, HostStimulus.NO_RESPONSE): (_no_response, HostState.IDLE),
        (HostState.RESPONSE_DUE, HostStimulus.ABORT): (_stop, HostState.IDLE),
    }
