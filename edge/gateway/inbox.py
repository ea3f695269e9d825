"""Commands in: verified, in their life, never twice, one at a time on a device, each with an answer and an audit line.

The broker is not trusted: a command runs because an operator whose key the configuration names has signed it for this
node and for an operation that this operator may ask for. `[commands] harmless` lists what runs unsigned.

What is refused before a signature has been verified gets no answer and no audit line, only a counter: whoever reaches
the broker could otherwise fill the disk.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, Protocol

import msgspec

from drivers.errors import DeviceConfigError, DriverError
from drivers.text import _
from edge.gateway.audit import AuditError, AuditLog
from edge.gateway.operators import Operator
from edge.gateway.results import Kept, Results, ResultsError
from edge.identity.operator_keys import is_signed
from protocols.core.errors import ProtocolError
from protocols.wayside import state
from protocols.wayside.envelope import Command, Envelope, Form, command_of, parse_envelope, signed_bytes
from protocols.wayside.topics import result_route

log = logging.getLogger(__name__)

MAX_WAITING = 32
"""Commands that may wait for devices at the same time; one more is refused."""
CLOCK_TOLERANCE_MS = 5_000
"""How far ahead of ours the clock of the control side may be."""
UNSIGNED_BURST = 10
UNSIGNED_PERIOD_MS = 1_000
"""Unsigned commands are taken one a second after the first few: nobody may wear the disk with what anybody may send."""

ResultState = Literal["accepted", "running", "done", "failed", "expired", "rejected", "duplicate"]


class InboxClock(Protocol):
    """What the inbox asks of the gateway's clock."""

    def wall_ms(self, at: float | None = None) -> int:
        """UTC in ms as believed now."""

    def quality(self) -> str:
        """`none` when the box does not know what time it is."""

    def uptime_ms(self, at: float | None = None) -> int:
        """Monotonic ms since the boot of this process."""


Carry = Callable[[str | None, str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""(device, operation, arguments) -> result; raises `DriverError`."""


class Inbox:
    """Takes what arrives on `down/{node}/command`."""

    def __init__(
        self,
        *,
        node: str,
        clock: InboxClock,
        results: Results,
        audit: AuditLog,
        carry_out: Carry,
        publish: Callable[[str, bytes], None],
    ) -> None:
        self._node = node
        self._clock = clock
        self._results = results
        self._audit = audit
        self._carry_out = carry_out
        self._publish = publish
        self._operators: dict[str, Operator] = {}
        self._harmless: tuple[str, ...] = ()
        self._turns: dict[str | None, tuple[asyncio.Lock, int]] = {}
        """By device, and only while there are commands for it: its lock, and how many have or await it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsigned_left = float(UNSIGNED_BURST)
        self._unsigned_at_ms = 0
        self.unbelieved = 0
        """Envelopes that no known key had signed: a counter, never a log line each."""

    def set_operators(self, operators: Sequence[Operator], harmless: Sequence[str]) -> None:
        """Take the operators of another configuration."""
        self._operators = {operator.name: operator for operator in operators}
        self._harmless = tuple(harmless)

    def open(self) -> None:
        """Answer for commands that a power cut interrupted: their outcome is unknown, and they are not repeated."""
        try:
            unfinished = self._results.open()
        except ResultsError as error:
            log.error(_("commands: refused from now on: %s"), error)
            return
        for kept in unfinished:
            self._end(kept.id, "failed", reason=_("power was lost while it ran; what came of it is not known"))

    async def aclose(self) -> None:
        """Wait for what runs: an actuator is not abandoned in mid-movement by us."""
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def verify(self, form: Form, key_id: str, signed: bytes, signature: bytes) -> bool:
        """Whether a known operator signed this. `mac` is for nodes without Ed25519; this one has it."""
        operator = self._operators.get(key_id)
        return operator is not None and form == "sig" and is_signed(operator.public_key, signature, signed)

    def operator_may(self, key_id: str | None, operation: str) -> bool:
        """Whether an operator's list has the operation."""
        operator = self._operators.get(key_id or "")
        return operator is not None and is_listed(operation, operator.ops)

    def receive(self, data: bytes) -> None:
        """Take one envelope as it came. Never raises for what a peer sent."""
        try:
            envelope = parse_envelope(data)
            is_believed = envelope.is_signed("command", self.verify)
            if not is_believed and envelope.form is not None:
                self._not_believed(_("no known key signed it"))
                return
            command = command_of(envelope)
        except ProtocolError as error:
            self._not_believed(str(error))
            return
        if not is_believed and not is_listed(command.op, self._harmless):
            self._not_believed(_("it is not signed"))
            return
        if not is_believed and not self._is_unsigned_due():
            self._not_believed(_("too many unsigned ones"))
            return
        self._take(command, envelope)

    def _is_unsigned_due(self) -> bool:
        now = self._clock.uptime_ms()
        gained = (now - self._unsigned_at_ms) / UNSIGNED_PERIOD_MS
        self._unsigned_left = min(float(UNSIGNED_BURST), self._unsigned_left + gained) - 1
        self._unsigned_at_ms = now
        if self._unsigned_left < 0:
            self._unsigned_left += 1
            return False
        return True

    def _not_believed(self, reason: str) -> None:
        self.unbelieved += 1
        if self.unbelieved == 1:
            log.warning(_("commands: an envelope was refused: %s; further ones are only counted"), reason)

    def _take(self, command: Command, envelope: Envelope) -> None:
        digest = hashlib.sha256(signed_bytes("command", envelope.payload)).hexdigest()
        kept = self._results.find(command.id)
        if kept is not None:
            self._repeat(kept, digest)
            return
        refusal = self._refusal(command, envelope)
        if refusal is not None:
            self._refuse(command, envelope, *refusal)
            return
        try:
            self._results.begin(command.id, digest, self._clock.wall_ms())
        except ResultsError as error:
            self._refuse(command, envelope, "rejected", str(error))
            return
        self._write_audit(command, envelope, "accepted", None)
        self._answer(command.id, "accepted")
        task = asyncio.get_running_loop().create_task(self._run(command, envelope), name=f"command {command.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _repeat(self, kept: Kept, digest: str) -> None:
        if kept.payload_sha256 != digest:
            self._answer(kept.id, "duplicate", reason=_("another command has had this id"))
        elif kept.result is None:
            self._answer(kept.id, "running")
        else:
            self._publish(result_route(kept.id), msgspec.json.encode(kept.result))

    def _refusal(self, command: Command, envelope: Envelope) -> tuple[ResultState, str] | None:
        if command.node != self._node:
            return "rejected", _("it is for another node")
        if envelope.form is not None and not self.operator_may(envelope.key_id, command.op):
            return "rejected", _("this operator may not ask for this operation")
        if len(self._tasks) >= MAX_WAITING:
            return "rejected", _("too many commands are waiting")
        return self._age_refusal(command)

    def _age_refusal(self, command: Command) -> tuple[ResultState, str] | None:
        if self._clock.quality() == "none":
            return "rejected", _(
                "the box does not know what time it is, so it cannot tell a fresh command from an old one"
            )
        now = self._clock.wall_ms()
        if now > command.issued + 1000 * command.life_s:
            return "expired", _("its life was over when it arrived")
        if command.issued > now + CLOCK_TOLERANCE_MS:
            return "rejected", _("it was issued in the future")
        return None

    @asynccontextmanager
    async def _turn(self, device: str | None) -> AsyncIterator[None]:
        """One command at a time on a device."""
        lock, count = self._turns.get(device, (asyncio.Lock(), 0))
        self._turns[device] = lock, count + 1
        try:
            async with lock:
                yield
        finally:
            lock, count = self._turns.pop(device)
            if count > 1:
                self._turns[device] = lock, count - 1

    async def _run(self, command: Command, envelope: Envelope) -> None:
        async with self._turn(command.device):
            late = self._age_refusal(command)
            if late is not None:  # it waited too long for the device: untouched
                self._finish(command, envelope, late[0], reason=late[1])
                return
            self._answer(command.id, "running")
            try:
                out = await self._carry_out(command.device, command.op, command.args)
            except DeviceConfigError as error:
                self._finish(command, envelope, "rejected", reason=str(error))
            except DriverError as error:
                self._finish(command, envelope, "failed", reason=str(error), code=getattr(error, "code", None) or 1)
            except Exception as error:  # a defect of ours must still be answered for, and is logged whole
                log.exception(_("command %s: a defect"), command.id)
                self._finish(command, envelope, "failed", reason=f"{type(error).__name__}", code=2)
            else:
                self._finish(command, envelope, "done", out=out)

    def _refuse(self, command: Command, envelope: Envelope, result: ResultState, reason: str) -> None:
        """Refused before anything was begun; kept all the same, so that a repeat gets the same answer."""
        digest = hashlib.sha256(signed_bytes("command", envelope.payload)).hexdigest()
        try:
            self._results.begin(command.id, digest, self._clock.wall_ms())
        except ResultsError as error:
            log.error(_("command %s: %s"), command.id, error)
            self._answer(command.id, result, reason=reason)
            return
        self._finish(command, envelope, result, reason=reason)

    def _finish(
        self,
        command: Command,
        envelope: Envelope,
        result: ResultState,
        *,
        reason: str | None = None,
        code: int = 0,
        out: dict[str, Any] | None = None,
    ) -> None:
        self._write_audit(command, envelope, result, reason)
        level = (
            logging.DEBUG if envelope.form is None else logging.INFO
        )  # unsigned ones are anybody's; the audit has them
        log.log(level, _("command %s: %s from %s: %s"), command.id, command.op, envelope.key_id, result)
        self._end(command.id, result, reason=reason, code=code, out=out)

    def _end(
        self,
        command_id: str,
        result: ResultState,
        *,
        reason: str | None = None,
        code: int = 0,
        out: dict[str, Any] | None = None,
    ) -> None:
        document = self._document(command_id, result, reason=reason, code=code, out=out)
        try:
            self._results.end(command_id, msgspec.to_builtins(document))
        except ResultsError as error:
            log.error(_("command %s: its result could not be kept: %s"), command_id, error)
        self._publish(result_route(command_id), state.encode(document))

    def _answer(self, command_id: str, result: ResultState, *, reason: str | None = None) -> None:
        self._publish(result_route(command_id), state.encode(self._document(command_id, result, reason=reason)))

    def _document(
        self,
        command_id: str,
        result: ResultState,
        *,
        reason: str | None = None,
        code: int = 0,
        out: dict[str, Any] | None = None,
    ) -> state.Result:
        return state.Result(
            id=command_id, state=result, code=code, time=self._clock.wall_ms(), out=out or {}, reason=reason
        )

    def _write_audit(self, command: Command, envelope: Envelope, result: ResultState, reason: str | None) -> None:
        try:
            self._audit.write(
                "command",
                time_ms=self._clock.wall_ms(),
                time_quality=self._clock.quality(),
                uptime_ms=self._clock.uptime_ms(),
                id=command.id,
                key_id=envelope.key_id,
                op=command.op,
                device=command.device,
                result=result,
                reason=reason,
            )
        except AuditError as error:
            log.error(_("audit: %s"), error)


def is_listed(operation: str, patterns: Sequence[str]) -> bool:
    """Whether an operation is one of `modbus.write`, `vms.*` or `*`.

    >>> is_listed("vms.show", ["vms.*"]), is_listed("vms", ["vms.*"]), is_listed("gate.open", ["vms.*", "gate.close"])
    (True, False, False)
    """
    return any(
        pattern in ("*", operation) or (pattern.endswith(".*") and operation.startswith(pattern[:-1]))
        for pattern in patterns
    )
