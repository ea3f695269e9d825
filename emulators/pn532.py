"""A PN532 in software, with contactless cards in its field: what a host sees at the other end of a serial line.

It speaks the chip's end of the link (`protocols.pn532.chip`), carries out the commands of NXP UM0701-02 on the cards of
its `Field`, and is real enough for libnfc and nfcpy to open it over a pseudo-terminal and read a card, both through
InDataExchange (ISO-DEP by the chip) and through InCommunicateThru (ISO-DEP by the host). As strict as the manual: it
sleeps until it is woken up, is silent on a bad checksum, answers unknown commands with an error frame, and forgets its
cards when the field goes.

    host --bytes--> receive() -> [ACK, response, ...]     tick(now) -> [late response, ...]

Not emulated: FeliCa, Jewel, peer-to-peer and the chip as a card; it says then that nobody is there, or that the command
is not acceptable now. The line's baud rate is noted and has no effect.

`forced` makes the next commands go wrong: one entry each, a `ChipFault` or an error code for the status byte.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

from emulators.contactless_cards import Card
from emulators.contactless_field import Field
from emulators.pn532_radio import BIT_FRAMING, FIFO_DATA, Operation, Radio, Target, Wait
from emulators.pn532_settings import MAX_TIMEOUT_S, Settings
from emulators.pn532_visits import Visit, Visits
from protocols.core.errors import LocalProtocolError, NeedData
from protocols.iso14443.air import AirFrame
from protocols.iso14443.type_a import REQA
from protocols.pn532 import chip_commands as chip
from protocols.pn532 import initiator_commands as initiator
from protocols.pn532 import target_commands
from protocols.pn532.chip import (
    ChipDialogue,
    ChipEvent,
    CommandReceived,
    CommandStopped,
    RateConfirmed,
    Refuse,
    Respond,
)
from protocols.pn532.command import Command, Response, StatusAndData, StatusResponse
from protocols.pn532.errors import ErrorCode, Status
from protocols.pn532.frame import ACK, MAX_PAYLOAD_BYTES
from protocols.pn532.target_data import TypeATarget, TypeBTarget, encode_type_a_targets, encode_type_b_targets

RETRY_GAP_S = 0.005
"""Between two attempts to find a card."""
POLL_UNIT_S = 0.15
MAX_CHAIN_BYTES = 66_000
"""Of a command that comes in pieces with MI."""
_POLL_A = {0x00, 0x10, 0x20}
_POLL_B = {0x03, 0x23}
_POLL_ISO14443_4 = {0x20, 0x23}
_POLL_MIFARE = 0x10


class ChipFault(Enum):
    """What may go wrong with one command."""

    DROP_ACK = "drop the acknowledgement"
    BAD_DCS = "break the response's check"
    SILENT = "never respond"
    ERROR_FRAME = "refuse it"


class Pn532Emulator:
    """An emulated chip. cards: what the visits bring, by name. on_truth: hears (now, "placed" or "lifted", name)."""

    def __init__(
        self,
        cards: Sequence[Card] = (),
        visits: Sequence[Visit] = (),
        *,
        on_truth: Callable[[float, str, str], None] | None = None,
        on_command: Callable[[float, Command], None] | None = None,
    ) -> None:
        self.settings = Settings()
        self.field = Field(self._changed)
        self.baud_rate = 115_200
        self.targets: dict[int, Target] = {}
        self.forced: deque[ChipFault | int] = deque()
        self.commands: deque[Command] = deque(maxlen=1000)
        """The last commands that came."""
        self._on_truth = on_truth
        self._on_command = on_command
        self._chip = ChipDialogue()
        self._radio = Radio(self.field, self.settings.registers)
        self._visits = Visits(cards, visits, self.field)
        self._operation: Operation[Response] | None = None
        self._wait: Wait | None = None
        self._fault: ChipFault | int | None = None

    @property
    def dialogue(self) -> ChipDialogue:
        """The link's state and counters."""
        return self._chip

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take bytes from the host; what goes back at once, acknowledgement and response apart."""
        written = self.tick(now)
        self._chip.receive(data, now)
        events: list[ChipEvent] = []
        while not isinstance(event := self._chip.next_event(), NeedData):
            events.append(event)
        for number, event in enumerate(events, 1):
            match event:
                case CommandReceived():
                    # One that the same bytes stop or replace is never begun: nobody waits for its response.
                    if not any(isinstance(later, CommandReceived | CommandStopped) for later in events[number:]):
                        self._start(event.command)
                case CommandStopped():
                    self._drop()
                case RateConfirmed():
                    self.baud_rate = chip.BAUD_RATES[event.code]
        return written + self._written()

    def tick(self, now: float) -> list[bytes]:
        """Time has passed: visits begin and end, cards answer late, waits are over."""
        self._radio.now = now
        self._visits.tick(now)
        late = self.field.tick(now)
        if late is not None and self._wait is not None:
            self._go_on(late)
        while self._wait is not None and now >= self._wait.deadline:
            self._go_on(None)
        return self._written()

    def next_deadline(self) -> float | None:
        """When `tick()` is due."""
        waits = (None if self._wait is None else self._wait.deadline, self.field.next_deadline())
        return min((at for at in (*waits, self._visits.next_deadline()) if at is not None), default=None)

    def place(self, card: Card) -> None:
        """Put a card into the field now."""
        self.field.place(card)

    def lift(self, card: Card) -> None:
        """Take a card away now."""
        self.field.lift(card)

    def _changed(self, what: str, name: str) -> None:
        if self._on_truth is not None:
            self._on_truth(self._radio.now, what, name)

    def _written(self) -> list[bytes]:
        written = []
        while frame := self._chip.bytes_to_send():
            if frame == ACK and self._fault is ChipFault.DROP_ACK:
                self._fault = None
            elif frame != ACK and self._fault is ChipFault.BAD_DCS:
                self._fault = None
                written.append(frame[:-2] + bytes((frame[-2] ^ 0xFF, frame[-1])))
            else:
                written.append(frame)
        return written

    # Running a command

    def _start(self, command: Command) -> None:
        self.commands.append(command)
        if self._on_command is not None:
            self._on_command(self._radio.now, command)
        self._fault = self.forced.popleft() if self.forced else None
        if self._fault is ChipFault.SILENT:
            return
        if self._fault is ChipFault.ERROR_FRAME:
            self._chip.send(Refuse(), self._radio.now)
        elif isinstance(self._fault, int) and command.RESPONSE in {StatusResponse, StatusAndData}:
            self._respond(command.RESPONSE.from_payload(bytes((self._fault,))))
        else:
            self._operation = self._carry_out(command)
            self._go_on(None, is_first=True)

    def _go_on(self, heard: AirFrame | None, *, is_first: bool = False) -> None:
        """Run the operation up to where it waits for something that has not happened yet."""
        operation = self._operation
        assert operation is not None
        while True:
            self._wait = None
            try:
                wait = next(operation) if is_first else operation.send(heard)
            except StopIteration as end:
                self._operation = None
                self._respond(end.value)
                return
            except LocalProtocolError:
                self._operation = None
                self._chip.send(Refuse(), self._radio.now)
                return
            is_first = False
            self._wait = wait
            heard = None
            if wait.frame is not None:
                heard = self.field.transmit(wait.frame, wait.modulation, self._radio.now)
            if heard is None:
                return

    def _respond(self, response: Response) -> None:
        self._chip.send(Respond(response), self._radio.now)

    def _drop(self) -> None:
        if self._operation is not None:
            self._operation.close()
        self._operation = self._wait = None

    def _carry_out(self, command: Command) -> Operation[Response]:
        operation = self._OPERATIONS.get(type(command))
        if operation is not None:
            return (yield from operation(self, command))
        if isinstance(command, chip.PowerDown) or (
            isinstance(command, chip.RfConfiguration) and command.item == chip.RF_FIELD
        ):
            is_on = isinstance(command, chip.RfConfiguration) and bool(command.data[0] & 1)
            self.field.switch(is_on=is_on)
            if not is_on:
                self.targets.clear()
        if isinstance(command, chip.GetGeneralStatus):
            return chip.GeneralStatus(0, 0, tuple(chip.TargetState(tg) for tg in sorted(self.targets)), 0)
        return self.settings.answer(command)

    # The chip as a reader

    def _list(self, command: initiator.InListPassiveTarget) -> Operation[Response]:
        self.targets.clear()
        yield from self._radio.switch_on()
        attempt = 0
        while True:
            found = yield from self._find(command.modulation, command.max_targets, command.initiator_data)
            if found:
                return self._listed(found)
            if attempt >= self.settings.passive_retries != initiator.ENDLESS:
                return initiator.ListedTargets()
            attempt += 1
            yield Wait(None, "", self._radio.now + RETRY_GAP_S)

    def _listed(self, found: list[Target]) -> Response:
        self.targets = {target.data.tg: target for target in found}
        data = encode_type_a_targets([one.data for one in found if isinstance(one.data, TypeATarget)])
        data += encode_type_b_targets([one.data for one in found if isinstance(one.data, TypeBTarget)])
        return initiator.ListedTargets(len(found), data)

    def _find(self, modulation: int, max_targets: int, data: bytes) -> Operation[list[Target]]:
        """Up to two cards of one kind. A first one that speaks no ISO-DEP must be halted to let a second speak."""
        found: list[Target] = []
        if modulation not in {initiator.TYPE_A_106, initiator.TYPE_B_106}:
            yield Wait(None, "", self._radio.now + RETRY_GAP_S)
            return found
        is_type_a = modulation == initiator.TYPE_A_106
        for tg in range(1, max_targets + 1):
            if is_type_a:
                auto_rats = bool(self.settings.parameters & chip.PARAMETER_AUTO_RATS)
                target = yield from self._radio.find_a(tg, data, auto_rats=auto_rats)
            else:
                target = yield from self._radio.find_b(tg, data[0] if data else 0)
            if target is None:
                break
            found.append(target)
            if target.pcd is None and tg < max_targets:
                yield from self._radio.halt(target)
        if is_type_a:
            self.settings.registers[FIFO_DATA] = 0 if found else REQA.data[0]
        if len(found) == 1:
            yield from self._radio.wake(found[0])
        self.settings.registers[BIT_FRAMING] = 0
        return found

    def _poll(self, command: initiator.InAutoPoll) -> Operation[Response]:
        self.targets.clear()
        yield from self._radio.switch_on()
        polls = 0
        while command.polls == initiator.ENDLESS or polls < command.polls:
            polls += 1
            for kind in command.types:
                target = yield from self._poll_one(kind)
                if target is not None:
                    self.targets = {1: target}
                    data = self._listed([target]).payload()[1:]
                    return initiator.PolledTargets((initiator.PolledTarget(kind, data),))
                yield Wait(None, "", self._radio.now + command.period_150ms * POLL_UNIT_S)
        return initiator.PolledTargets()

    def _poll_one(self, kind: int) -> Operation[Target | None]:
        if kind not in _POLL_A | _POLL_B:
            return None
        modulation = initiator.TYPE_A_106 if kind in _POLL_A else initiator.TYPE_B_106
        found = yield from self._find(modulation, 1, b"")
        if not found:
            return None
        speaks_iso_dep = isinstance(found[0].data, TypeBTarget) or found[0].data.is_iso14443_4
        is_wanted = kind not in _POLL_ISO14443_4 | {_POLL_MIFARE} or speaks_iso_dep == (kind in _POLL_ISO14443_4)
        return found[0] if is_wanted else None

    def _exchange(self, command: initiator.InDataExchange) -> Operation[Response]:
        target = self.targets.get(command.tg)
        if target is None:
            return StatusAndData(Status(ErrorCode.CONTEXT))
        if not command.more and not command.data and target.incoming:
            return self._piece(target)
        target.incoming = b""
        target.outgoing += command.data
        code: int = ErrorCode.OK
        if len(target.outgoing) > MAX_CHAIN_BYTES:
            code = ErrorCode.BUFFER_OVERFLOW
        elif not command.more:
            code, target.incoming = yield from self._radio.exchange(target, bytes(target.outgoing))
        if code or not command.more:
            target.outgoing.clear()
        return self._piece(target) if code == ErrorCode.OK else StatusAndData(Status(code))

    @staticmethod
    def _piece(target: Target) -> Response:
        """As much of an answer as fits one response; with MI when more is left."""
        piece, target.incoming = (
            target.incoming[: initiator.MAX_EXCHANGE_BYTES],
            target.incoming[initiator.MAX_EXCHANGE_BYTES :],
        )
        return StatusAndData(Status(more_information=bool(target.incoming)), piece)

    def _change(self, command: initiator.InDeselect | initiator.InRelease | initiator.InSelect) -> Operation[Response]:
        if command.tg and command.tg not in self.targets:
            return StatusResponse(Status(ErrorCode.CONTEXT))
        chosen = [target for tg, target in sorted(self.targets.items()) if command.tg in {0, tg}]
        for target in chosen:
            if isinstance(command, initiator.InSelect):
                is_there = yield from self._radio.wake(target)
                if not is_there:
                    return StatusResponse(Status(ErrorCode.TIMEOUT))
            else:
                yield from self._radio.halt(target)
            if isinstance(command, initiator.InRelease):
                del self.targets[target.data.tg]
        return StatusResponse()

    def _diagnose(self, command: chip.Diagnose) -> Operation[Response]:
        if command.test != chip.DIAGNOSE_ATTENTION:
            return self.settings.answer(command)
        if not self.targets:
            return chip.DiagnoseResponse(bytes((ErrorCode.CONTEXT,)))
        is_there = yield from self._radio.is_present(self.targets[min(self.targets)])
        return chip.DiagnoseResponse(bytes((ErrorCode.OK if is_there else ErrorCode.TIMEOUT,)))

    def _through(self, command: initiator.InCommunicateThru) -> Operation[Response]:
        code, data = yield from self._radio.through(command.data, self.settings.timeout_s)
        return StatusAndData(Status(code), data[: MAX_PAYLOAD_BYTES - 1])

    def _wait_for_initiator(self, _command: target_commands.TgInitAsTarget) -> Operation[Response]:
        """No initiator ever comes; the host stops it."""
        while True:
            yield Wait(None, "", self._radio.now + MAX_TIMEOUT_S)

    _OPERATIONS: ClassVar[Mapping[type[Command], Callable[["Pn532Emulator", Any], Operation[Response]]]] = {
        initiator.InListPassiveTarget: _list,
        initiator.InAutoPoll: _poll,
        initiator.InDataExchange: _exchange,
        initiator.InCommunicateThru: _through,
        initiator.InDeselect: _change,
        initiator.InRelease: _change,
        initiator.InSelect: _change,
        chip.Diagnose: _diagnose,
        target_commands.TgInitAsTarget: _wait_for_initiator,
    }
