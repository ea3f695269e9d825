"""What answers on a line that nobody has papers of: the scan behind `wayside probe`.

For each speed and parity it first only listens: a receiver that talks is heard, and where somebody else is speaking
nothing is sent at all, for two masters on one line spoil both. Then it asks, and reads only: a PN532 for its firmware,
a Modbus unit for one holding register and for its identity. Nothing is ever written to a device.

Every step has its deadline, and so has the whole.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import fastcrc
import msgspec

from drivers.errors import PortError
from drivers.exchange import Exchange
from drivers.ports.open_port import open_port
from drivers.ports.port import Port
from drivers.text import _
from protocols.core.errors import NEED_DATA, LocalProtocolError, NeedData
from protocols.dialogue import Dialogue
from protocols.modbus_devices.master import Call, Event, Failure, Reply, RtuMaster
from protocols.modbus_devices.pdu import (
    EXCEPTION_NAMES,
    GATEWAY_PATH,
    GATEWAY_TARGET,
    DeviceId,
    Pdu,
    ReadDeviceId,
    ReadRequest,
    Request,
)
from protocols.modbus_devices.tcp_master import TcpMaster
from protocols.modbus_devices.timing import LineTiming
from protocols.nmea0183.receiver import GnssListener
from protocols.pn532 import chip_commands
from protocols.pn532 import host as pn532

LISTEN_S = 1.2
"""A receiver speaks once a second."""
GLANCE_S = 0.25
"""Enough to notice a master that polls."""
NOISE_BYTES = 8
"""A line without termination makes up a byte now and then; more than this is somebody."""
PN532_BAUD = 115_200
PN532_ANSWER_S = 0.3
MODBUS_WAIT_S = 0.12
"""What a unit may take before its answer begins, beside the time on the line."""
TCP_WAIT_S = 0.6
TCP_UNIT = 255
"""What a device of its own behind Modbus TCP is called where it cares (MODBUS on TCP V1.0b, clause 4.4.2.3)."""
MAX_UNIT = 247
MAX_IDENTITY_CHARS = 200
_IDENTITY = ("vendor", "product", "revision")


class Setting(msgspec.Struct, frozen=True):
    """One way to open the port."""

    url: str
    baud: int | None
    """None over TCP."""
    parity: str = "N"


class Found(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that answered."""

    what: str
    """`modbus`, `nmea`, `pn532`, or `traffic`: somebody speaks whom we do not understand."""
    port: str
    """As a configuration names it."""
    unit_id: int | None = None
    framing: str | None = None
    answer: str = ""
    identity: dict[str, str] = {}
    talkers: list[str] = []


class Progress(msgspec.Struct):
    """How far the scan came."""

    tried: list[str] = []
    is_cut_short: bool = False
    """The time was over before all was tried."""


class _LoopClock:
    """The event loop's own clock."""

    def __init__(self) -> None:
        self.monotonic = asyncio.get_running_loop().time


class _Ear:
    """A dialogue that says nothing and counts what it hears."""

    def __init__(self, line: LineTiming | None) -> None:
        self.nmea = GnssListener(char_time=0.0 if line is None else line.char_ms / 1000)
        self.bytes = 0

    def receive(self, data: bytes, now: float) -> None:
        self.bytes += len(data)
        self.nmea.receive(data, now)

    def next_event(self) -> NeedData:
        while not isinstance(self.nmea.next_event(), NeedData):
            pass
        return NEED_DATA

    def send(self, command: object, now: float) -> None:  # noqa: ARG002  # the face of every dialogue
        raise LocalProtocolError("only listens")

    def bytes_to_send(self) -> bytes:
        return b""

    def next_deadline(self) -> float | None:
        return self.nmea.next_deadline()

    def tick(self, now: float) -> None:
        self.nmea.tick(now)


class Scan:
    """One scan of one port. `say` hears progress; `found` grows while it runs."""

    def __init__(self, say: Callable[[str], None], *, is_thorough: bool = False) -> None:
        self.found: list[Found] = []
        self.progress = Progress()
        self._say = say
        self._is_thorough = is_thorough

    async def run(self, settings: Sequence[Setting], units: Sequence[int], within_s: float) -> None:
        """Try the settings in order until something answers. Raises `PortError` when the port cannot be opened."""
        try:
            async with asyncio.timeout(within_s):
                for setting in settings:
                    before = len(self.found)
                    await self._try(setting, units)
                    self.progress.tried.append(setting.url)
                    if len(self.found) > before and not self._is_thorough:
                        return
        except TimeoutError:
            self.progress.is_cut_short = True

    async def _try(self, setting: Setting, units: Sequence[int]) -> None:
        self._say(_("{port}: listening").format(port=setting.url))
        if await self._listen(setting):
            return
        if setting.baud in (None, PN532_BAUD) and setting.parity == "N" and await self._ask_pn532(setting):
            return
        for framing in ("rtu",) if setting.baud is not None else ("tcp", "rtu"):
            self._say(_("{port}: asking Modbus units").format(port=setting.url))
            if await self._ask_units(setting, framing, units):
                return

    async def _listen(self, setting: Setting) -> bool:
        """Whether somebody speaks: then nothing more is tried here."""
        port = open_port(setting.url)
        ear = _Ear(_timing(port))
        seconds = LISTEN_S if setting.parity == "N" else GLANCE_S
        async with _Pumped(port, ear, lambda _event: None) as pumped:
            await pumped.wait(seconds)
        if ear.nmea.sentences:
            talkers = sorted({address[:2] for address in ear.nmea.heard})
            answer = ", ".join(sorted(ear.nmea.heard))
            self._found(Found(what="nmea", port=setting.url, talkers=talkers, answer=answer))
        elif ear.bytes > NOISE_BYTES:
            self._say(_("{port}: somebody speaks, so nothing is sent").format(port=setting.url))
            if setting.baud is None or self._is_thorough:
                text = _("{count} bytes that say nothing to us").format(count=ear.bytes)
                self._found(Found(what="traffic", port=setting.url, answer=text))
        return bool(ear.nmea.sentences) or ear.bytes > NOISE_BYTES

    async def _ask_pn532(self, setting: Setting) -> bool:
        self._say(_("{port}: asking for a card reader").format(port=setting.url))
        answers: list[pn532.HostEvent] = []
        async with _Pumped(open_port(setting.url), pn532.HostDialogue(), answers.append) as pumped:
            pumped.send(pn532.Request(chip_commands.GetFirmwareVersion(), PN532_ANSWER_S))
            await pumped.until(lambda: bool(answers), 3 * PN532_ANSWER_S + 1.0)
        for answer in answers:
            if isinstance(answer, pn532.Responded) and isinstance(answer.response, chip_commands.FirmwareVersion):
                firmware = answer.response
                text = f"IC {firmware.ic:02x}, {firmware.version}.{firmware.revision}"
                self._found(Found(what="pn532", port=setting.url, answer=text))
                return True
        return False

    async def _ask_units(self, setting: Setting, framing: str, units: Sequence[int]) -> bool:
        """Ask the likely units; once one has answered the line is known, and all others are asked too."""
        port = open_port(setting.url)
        line = _timing(port)
        master = TcpMaster() if framing == "tcp" else RtuMaster(line, crc16=fastcrc.crc16.modbus)
        events: list[Event] = []
        before = len(self.found)
        async with _Pumped(port, master, events.append, fine=line is not None) as pumped:
            asker = _Asker(pumped, events, line)
            others = [unit for unit in range(1, MAX_UNIT + 1) if unit not in units]
            likely = [*units, *([TCP_UNIT] if framing == "tcp" and TCP_UNIT not in units else [])]
            for unit_id in _while(likely, others, lambda: len(self.found) > before and line is not None):
                if pumped.is_lost:
                    break
                answer = await asker.ask(unit_id, ReadRequest(3, 0, 1))
                if answer is None:
                    continue
                identity = await asker.identity(unit_id)
                self._found(
                    Found(
                        what="modbus",
                        port=setting.url,
                        unit_id=unit_id,
                        framing=framing,
                        answer=answer if isinstance(answer, str) else _("holding register 0 can be read"),
                        identity=identity,
                    )
                )
        return len(self.found) > before

    def _found(self, found: Found) -> None:
        self.found.append(found)
        what = found.what if found.unit_id is None else f"{found.what} {found.unit_id}"
        self._say(_("{port}: found {what}: {answer}").format(port=found.port, what=what, answer=found.answer))


def _while(first: Iterable[int], then: Iterable[int], is_worth_it: Callable[[], bool]) -> Iterable[int]:
    """The first ones, and the others if by then it is worth it."""
    yield from first
    if is_worth_it():
        yield from then


class _Asker:
    """Asks one unit after the other."""

    def __init__(self, pumped: "_Pumped", events: list[Event], line: LineTiming | None) -> None:
        self._pumped = pumped
        self._events = events
        self._line = line

    async def ask(self, unit_id: int, request: Request) -> Pdu | str | None:
        """The answer, what stands for one, or None where nobody is there."""
        wait_s = TCP_WAIT_S
        if self._line is not None:
            answered = (request.response_bytes or 64) + 3
            wait_s = self._line.exchange_ms(len(request.encode()) + 3, answered) / 1000 + MODBUS_WAIT_S
        self._events.clear()
        self._pumped.send(Call(unit_id, request, wait_s))
        await self._pumped.until(lambda: bool(self._events), wait_s + 3.0)
        event = self._events[0] if self._events else None
        if event is None:
            return None
        if isinstance(event, Reply):
            return event.response
        if event.reason is Failure.EXCEPTION and event.exception_code not in (GATEWAY_PATH, GATEWAY_TARGET):
            return _("exception {code}").format(code=_exception(event.exception_code))
        return _("an answer that does not fit") if event.reason is Failure.MISMATCHED else None

    async def identity(self, unit_id: int) -> dict[str, str]:
        """What a unit says that it is (function 2B/0E); empty where it cannot."""
        answer = await self.ask(unit_id, ReadDeviceId(1))
        if not isinstance(answer, DeviceId):
            return {}
        return {
            _IDENTITY[number]: data.decode("ascii", "backslashreplace")[:MAX_IDENTITY_CHARS]
            for number, data in answer.objects
            if number < len(_IDENTITY)
        }


def _exception(code: int | None) -> str:
    return f"{code} ({EXCEPTION_NAMES[code]})" if code in EXCEPTION_NAMES else str(code)


class _Pumped:
    """One opening of the port with one dialogue on it."""

    def __init__(
        self, port: Port, dialogue: Dialogue[Any, Any], on_event: Callable[[Any], None], *, fine: bool = False
    ) -> None:
        self._on_event = on_event
        self._news = asyncio.Event()
        self._exchange: Exchange[Any, Any] = Exchange(
            port, dialogue, _LoopClock(), on_event=self._heard, on_lost=self._lost, fine=fine
        )
        self.is_lost = False

    async def __aenter__(self) -> Self:
        await self._exchange.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._exchange.aclose()

    def send(self, command: object) -> None:
        """Hand a command to the dialogue; nobody hears it where the port is lost."""
        if not self.is_lost:
            self._exchange.send(command)

    async def wait(self, seconds: float) -> None:
        """Let time pass, or end early when the port is lost."""
        await self.until(lambda: False, seconds)

    async def until(self, condition: Callable[[], bool], within_s: float) -> None:
        """Return when the condition holds, the port is lost or the time is over."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not condition() and not self.is_lost:
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                return

    def _heard(self, event: object) -> None:
        self._on_event(event)
        self._news.set()

    def _lost(self, _error: PortError) -> None:
        self.is_lost = True
        self._news.set()


def _timing(port: Port) -> LineTiming | None:
    line = port.line
    return None if line is None else LineTiming(baud=line.baud, bits_per_char=line.bits_per_char)
