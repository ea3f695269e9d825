"""The chip's end of the link (NXP UM0701-02, 6.2.2 and 7.2.11) as a dialogue without I/O.

It acknowledges a command before anything else, hands it over, and sends the response when told. It is as strict as the
manual: a frame whose checks do not hold is met with silence, an unknown command or wrong parameters with an
acknowledgement and an error frame; an ACK from the host stops a running command, NACK brings the last response back, a
new command stops the one before. Half a frame whose rest does not come at once is forgotten: it may be a false header,
which would hide the commands behind it, and let them out when nobody waits for them any more.

While asleep (before SAMConfiguration, in LowVbat, and after PowerDown) it takes five rising edges on the line to wake
up, and the bytes that made them are lost: one byte 55, or five 00.

What each frame leads to stands in `ChipDialogue.TRANSITIONS`.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError, NeedData, RemoteProtocolError
from protocols.dialogue import FrameEnd
from protocols.pn532.chip_commands import PowerDown, SamConfiguration, SetSerialBaudRate
from protocols.pn532.command import Command, Response
from protocols.pn532.commands import decode_command, encode_response
from protocols.pn532.frame import ACK, ERROR, TFI_HOST, AckFrame, DataFrame, Frame, Framer, NackFrame

WAKE_EDGES = 5
"""Rising edges on the line that wake the chip up, UM0701-02 7.2.11."""


GAP_S = 0.05
"""Half a frame whose rest does not come for so long is forgotten. A host repeats an unheard command after 0.1 s."""


class Respond(msgspec.Struct, frozen=True):
    """The response to the command that runs."""

    response: Response


class Refuse(msgspec.Struct, frozen=True):
    """Answer the command that runs with an error frame."""


class CommandReceived(msgspec.Struct, frozen=True):
    """A command came and was acknowledged; `Respond` or `Refuse` is due."""

    command: Command


class CommandStopped(msgspec.Struct, frozen=True):
    """The host stopped the running command, or sent another: no response any more."""


class RateConfirmed(msgspec.Struct, frozen=True):
    """The host acknowledged a change of the baud rate: it applies now."""

    code: int


ChipCommand = Respond | Refuse
ChipEvent = CommandReceived | CommandStopped | RateConfirmed


class ChipState(Enum):
    """Where the chip stands."""

    ASLEEP = "asleep"
    IDLE = "idle"
    BUSY = "busy"


class ChipStimulus(Enum):
    """What may happen to it."""

    WOKEN = "five rising edges"
    COMMAND = "command"
    BAD_COMMAND = "unknown command or wrong parameters"
    BAD_COMMAND_SLEEP = "the same, in LowVbat"
    ACK = "ACK"
    NACK = "NACK"
    RESPOND = "Respond or Refuse"
    RESPOND_SLEEP = "Respond or Refuse, to PowerDown or in LowVbat"


class ChipDialogue(FrameEnd[ChipEvent]):
    """A chip's talk with its host. See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self._state = ChipState.ASLEEP
        self._framer = Framer()
        self._heard_at = 0.0
        self._edges = 0
        self._is_low_vbat = True
        self._command: Command | None = None
        self._last = b""
        self._new_rate: int | None = None

    @property
    def state(self) -> ChipState:
        """Where it stands."""
        return self._state

    @property
    def framer(self) -> Framer:
        """For its counters."""
        return self._framer

    def send(self, command: ChipCommand, now: float) -> None:
        """Answer the command that runs. Raises `LocalProtocolError` when none does."""
        if self._state is not ChipState.BUSY or self._command is None:
            raise LocalProtocolError("no command waits for a response")
        if isinstance(command, Refuse):
            self._last = ERROR
        else:
            self._last = encode_response(self._command, command.response)
            if isinstance(self._command, SamConfiguration):
                self._is_low_vbat = False
            elif isinstance(self._command, SetSerialBaudRate):
                self._new_rate = self._command.code
        goes_to_sleep = self._is_low_vbat or (isinstance(self._command, PowerDown) and isinstance(command, Respond))
        self._step(ChipStimulus.RESPOND_SLEEP if goes_to_sleep else ChipStimulus.RESPOND, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes as they came. Raises nothing: a chip is silent on what it does not understand."""
        for at, byte in enumerate(data):
            if self._state is not ChipState.ASLEEP:
                self._take(data[at:], now)
                return
            self._edges += _rising_edges(byte)
            if self._edges >= WAKE_EDGES:
                self._step(ChipStimulus.WOKEN, now)

    def next_deadline(self) -> float | None:
        """None: the chip does nothing of its own accord."""
        return None

    def tick(self, now: float) -> None:
        """It does nothing of its own accord."""

    def _take(self, data: bytes, now: float) -> None:
        if self._framer.waiting and now - self._heard_at >= GAP_S:
            self._framer.reset()
        self._heard_at = now
        self._framer.feed(data)
        while not isinstance(frame := self._framer.next_frame(), NeedData):
            stimulus = self._judge(frame)
            if (self._state, stimulus) in self.TRANSITIONS:
                self._step(stimulus, now)

    def _judge(self, frame: Frame) -> ChipStimulus | None:
        if isinstance(frame, AckFrame):
            return ChipStimulus.ACK
        if isinstance(frame, NackFrame):
            return ChipStimulus.NACK
        if not isinstance(frame, DataFrame) or frame.tfi != TFI_HOST:
            return None
        if self._state is ChipState.BUSY:
            self._events.append(CommandStopped())
        try:
            self._command = decode_command(frame)
        except RemoteProtocolError:
            return ChipStimulus.BAD_COMMAND_SLEEP if self._is_low_vbat else ChipStimulus.BAD_COMMAND
        return ChipStimulus.COMMAND

    def _step(self, stimulus: ChipStimulus | None, now: float) -> None:
        action, self._state = self.TRANSITIONS[self._state, stimulus]
        action(self, now)

    def _wake_up(self, _now: float) -> None:
        self._edges = 0
        self._framer.reset()

    def _acknowledge(self, _now: float) -> None:
        assert self._command is not None
        self._new_rate = None
        self._outgoing.append(ACK)
        self._events.append(CommandReceived(self._command))

    def _refuse(self, _now: float) -> None:
        self._command = None
        self._last = ERROR
        self._outgoing.extend((ACK, ERROR))

    def _respond(self, _now: float) -> None:
        self._command = None
        self._edges = 0
        self._outgoing.append(self._last)

    def _respond_again(self, _now: float) -> None:
        if self._last:
            self._outgoing.append(self._last)

    def _stop(self, _now: float) -> None:
        self._command = None
        self._events.append(CommandStopped())

    def _confirm(self, _now: float) -> None:
        """An ACK after a response says nothing, unless the response was to SetSerialBaudRate."""
        if self._new_rate is not None:
            self._events.append(RateConfirmed(self._new_rate))
            self._new_rate = None

    TRANSITIONS: ClassVar[
        Mapping[tuple[ChipState, ChipStimulus | None], tuple[Callable[["ChipDialogue", float], None], ChipState]]
    ] = {
        (ChipState.ASLEEP, ChipStimulus.WOKEN): (_wake_up, ChipState.IDLE),
        (ChipState.IDLE, ChipStimulus.COMMAND): (_acknowledge, ChipState.BUSY),
        (ChipState.IDLE, ChipStimulus.BAD_COMMAND): (_refuse, ChipState.IDLE),
        (ChipState.IDLE, ChipStimulus.BAD_COMMAND_SLEEP): (_refuse, ChipState.ASLEEP),
        (ChipState.IDLE, ChipStimulus.ACK): (_confirm, ChipState.IDLE),
        (ChipState.IDLE, ChipStimulus.NACK): (_respond_again, ChipState.IDLE),
        (ChipState.BUSY, ChipStimulus.COMMAND): (_acknowledge, ChipState.BUSY),
        (ChipState.BUSY, ChipStimulus.BAD_COMMAND): (_refuse, ChipState.IDLE),
        (ChipState.BUSY, ChipStimulus.BAD_COMMAND_SLEEP): (_refuse, ChipState.ASLEEP),
        (ChipState.BUSY, ChipStimulus.ACK): (_stop, ChipState.IDLE),
        (ChipState.BUSY, ChipStimulus.RESPOND): (_respond, ChipState.IDLE),
        (ChipState.BUSY, ChipStimulus.RESPOND_SLEEP): (_respond, ChipState.ASLEEP),
    }


def _rising_edges(byte: int) -> int:
    """Changes from low to high while a byte is sent 8N1: start bit, bits from the lowest up, stop bit."""
    levels = byte << 1 | 0x200
    return (~levels & levels >> 1 & 0x1FF).bit_count()
