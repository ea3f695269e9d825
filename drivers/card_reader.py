"""A contactless card reader (PN532): a tap becomes an event, and nobody learns from it who tapped.

What a card's UID or number is never leaves here but through the `pseudonym` function; personal fields of its files
neither. A card that stays on the reader is one tap: after it was read it is only asked whether it is still there, and
if it comes back within `debounce_s` it is the same tap. A card with a random UID (first byte 08) is known by the number
in its files; one that has none is taken for the same if another of its make comes within that time.

Two cards at once are not read: the event `one-card-only` says so once. A card that is lifted while it is read is told
as such with what was read until then, and may be tapped again at once.

Models, wiring and limits: docs/devices/pn532_reader.md. The chip itself: `drivers/pn532_reader.py`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from drivers import contactless_card
from drivers.clock import Clock
from drivers.contactless_card import CardApplicationConfig, CardFileConfig, CardReading, Finding, read_card
from drivers.device_config import DeviceConfig
from drivers.errors import DeviceRefusedError, DriverError
from drivers.pn532_reader import CardFacts, CardLiftedError, FoundCard, Pn532Reader, facts_of
from drivers.ports.port import Port
from drivers.readings import DeviceEvent, Point, Readings
from drivers.text import _
from protocols.iso14443.type_a import is_random_uid
from protocols.pn532.target_data import TypeATarget, TypeBTarget

MAX_APPLICATIONS = 32


class CardReaderConfig(DeviceConfig, tag="card_reader", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[device]]` with `driver = "card_reader"`."""

    poll_s: Annotated[float, msgspec.Meta(ge=0.02, le=5)] = 0.1
    """The pause between two looks for a card; the field is off meanwhile."""
    debounce_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.5
    """A card that comes back within this time is the same tap."""
    answer_s: Annotated[float, msgspec.Meta(ge=0.05, le=5)] = 0.7
    """How long a card may take for one answer; the longest that a lifted card holds up the reader."""
    application: Annotated[tuple[CardApplicationConfig, ...], msgspec.Meta(max_length=MAX_APPLICATIONS)] = ()
    """The applications to look for on processor cards; none: a tap is the UID alone."""


def findings(config: CardReaderConfig) -> Iterable[Finding]:
    """What is wrong with a table although its types are right."""
    return contactless_card.findings(config.application)


class _Tap(msgspec.Struct):
    """A card that was there: what it is known by, whether its tap was told in full, and when it was last seen."""

    key: str | None
    make: CardFacts
    is_lifted: bool
    seen_at: float


class CardReaderDriver:
    """One reader on one port. See `drivers.driver.Driver` for the face. pseudonym: the keyed hash of an identity."""

    def __init__(
        self,
        config: CardReaderConfig,
        port: Port,
        readings: Readings,
        clock: Clock,
        pseudonym: Callable[[bytes], str],
    ) -> None:
        self._config = config
        self._port = port
        self._readings = readings
        self._clock = clock
        self._pseudonym = pseudonym
        self._state = "closed"
        self._reader: Pn532Reader | None = None
        self._recent: list[_Tap] = []
        self._last: _Tap | None = None
        """The card of the last look; None once a look has found none."""
        self._is_crowded = False
        self._error: str | None = None
        self._counts = {"ok": 0, "lifted": 0, "refused": 0, "one_card_only": 0}

    @property
    def name(self) -> str:
        """The device's name in the configuration."""
        return self._config.name

    @property
    def points(self) -> Sequence[Point]:
        """None: a reader makes events only."""
        return ()

    async def run(self) -> None:
        """Look for cards until cancelled. Raises a `DriverError` when the reader is gone."""
        reader = Pn532Reader(self._port, self._clock, self.name, answer_s=self._config.answer_s)
        self._reader = reader
        try:
            self._state = "opening"
            await reader.open()
            self._error = None
            self._readings.device_back(self.name)
            while True:
                self._state = "waiting"
                await self._look(reader)
                await asyncio.sleep(self._config.poll_s)
        except DriverError as e:
            self._error = str(e)
            raise
        finally:
            self._state = "closed"
            await reader.aclose()

    async def command(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002  # the face
        """Refuse: raises `DeviceRefusedError`."""
        raise DeviceRefusedError(_("%s: a card reader takes no commands") % self.name)

    def status(self) -> dict[str, Any]:
        """State, firmware, counters, last error."""
        reader = self._reader
        firmware = None if reader is None or reader.firmware is None else reader.firmware
        dialogue = None if reader is None else reader.dialogue
        return {
            "state": self._state,
            "firmware": None if firmware is None else f"{firmware.version}.{firmware.revision}",
            "taps": dict(self._counts),
            "stray_frames": 0 if dialogue is None else dialogue.stray_frames,
            "bad_checks": 0 if dialogue is None else dialogue.framer.bad_checks,
            "discarded_bytes": 0 if dialogue is None else dialogue.framer.discarded_bytes,
            "error": self._error,
        }

    # One look

    async def _look(self, reader: Pn532Reader) -> None:
        await reader.field_on()
        card, count = await reader.find_one()
        self._tell_crowd(count)
        if card is None:
            self._last = None
        else:
            self._state = "reading"
            await self._serve(reader, card)
        await reader.field_off()

    def _tell_crowd(self, count: int) -> None:
        """Say once that there are several cards, until there are not."""
        was_crowded, self._is_crowded = self._is_crowded, count > 1
        if self._is_crowded and not was_crowded:
            self._counts["one_card_only"] += 1
            self._emit("one-card-only", {"cards": count})

    async def _serve(self, reader: Pn532Reader, card: FoundCard) -> None:
        """Read a card unless its tap was told already, then wait until it is gone."""
        key = self._key_of_uid(card)
        tap = None if key is None else self._recent_tap(key, card, is_lifted=False)
        if tap is None:
            tap = await self._read(reader, card, key)
        if tap.is_lifted:
            return
        self._last = tap
        while await reader.is_present(card):
            self._state = "card stays"
            tap.seen_at = self._clock.monotonic()
            await asyncio.sleep(self._config.poll_s)
        if isinstance(card, TypeBTarget) or card.is_iso14443_4:
            self._last = None  # it was asked and is gone; another one may only have missed a request

    async def _read(self, reader: Pn532Reader, card: FoundCard, key: str | None) -> _Tap:
        """Read a card and tell its tap, unless it turns out to be one that was told a moment ago."""
        began = self._clock.monotonic()
        reading = CardReading(fields={})
        is_lifted = False
        try:
            await self._read_files(reader, card, reading)
        except CardLiftedError:
            is_lifted = True
        number = reading.identity()
        if key is None and number is not None:
            key = self._pseudonym(number)
        told = self._recent_tap(key, card, is_lifted=False)
        if told is not None:
            told.seen_at = self._clock.monotonic()
            return _Tap(told.key, told.make, is_lifted, told.seen_at) if is_lifted else told
        lifted = self._recent_tap(key, card, is_lifted=True)
        if lifted is not None:
            self._recent.remove(lifted)
        now = self._clock.monotonic()
        tap = _Tap(key, facts_of(card), is_lifted, now)
        self._recent.append(tap)
        if lifted is None or not is_lifted:  # a card that flutters at the edge of the field is lifted once
            self._tell(card, reading, is_lifted=is_lifted, duration_ms=round(1000 * (now - began)))
        return tap

    async def _read_files(self, reader: Pn532Reader, card: FoundCard, reading: CardReading) -> None:
        if not self._config.application:
            return
        if isinstance(card, TypeBTarget) or card.is_iso14443_4:
            await read_card(lambda apdu: reader.transceive(card, apdu), self._config.application, reading)
        else:
            reading.refusal = _("the card has no applications")

    # Which card

    def _key_of_uid(self, card: FoundCard) -> str | None:
        """What a card is known by before it is read; None where that may be made up: a random UID, and every PUPI."""
        if isinstance(card, TypeATarget) and not is_random_uid(card.nfcid1):
            return self._pseudonym(card.nfcid1)
        return None

    def _recent_tap(self, key: str | None, card: FoundCard, *, is_lifted: bool) -> _Tap | None:
        """The tap that this card made a moment ago. One without a key is taken for any of its make.

        A moment is longer where nobody has looked meanwhile: a busy machine makes no second tap of a card that lies.
        """
        since = self._clock.monotonic() - self._config.debounce_s
        last = self._last if self._last is not None and self._last.key is not None else None
        self._recent = [tap for tap in self._recent if tap.seen_at > since or tap is last]
        for tap in self._recent:
            is_same = tap.make == facts_of(card) if key is None else tap.key == key
            if is_same and tap.is_lifted is is_lifted:
                return tap
        return None

    # What is told

    def _tell(self, card: FoundCard, reading: CardReading, *, is_lifted: bool, duration_ms: int) -> None:
        result = "lifted" if is_lifted else "ok" if reading.refusal is None else "refused"
        self._counts[result] += 1
        facts = facts_of(card)
        identity, source = self._identity_of(card, reading)
        data: dict[str, Any] = {
            "identity": identity,
            "identity_from": source,
            "card": facts.kind,
            "sak": facts.sak,
            "ats": facts.ats,
            "protocol": facts.protocol,
            "application": None if reading.application is None else reading.application.name,
            "fields": self._fields_of(reading),
            "result": result,
            "reason": reading.refusal,
            "duration_ms": duration_ms,
        }
        self._emit("tap", {name: value for name, value in data.items() if value is not None})

    def _identity_of(self, card: FoundCard, reading: CardReading) -> tuple[str | None, str | None]:
        """Who tapped, hashed, and what was hashed: the number in a file, a UID that is not made up, or a PUPI."""
        number = reading.identity()
        if number is not None:
            return self._pseudonym(number), "number"
        if isinstance(card, TypeBTarget):
            return self._pseudonym(card.pupi), "pupi"
        key = self._key_of_uid(card)
        return key, None if key is None else "uid"

    def _fields_of(self, reading: CardReading) -> dict[str, str]:
        files = () if reading.application is None else reading.application.file
        return {
            file.name: self._field(file, reading.fields[file.name]) for file in files if file.name in reading.fields
        }

    def _field(self, file: CardFileConfig, data: bytes) -> str:
        if file.personal or file.identity:
            return self._pseudonym(data)
        if file.encoding == "ascii":
            text = data.rstrip(b"\x00\xff ").decode("ascii", "replace")
            return "".join(character if character.isprintable() else "\ufffd" for character in text)
        return data.hex()

    def _emit(self, kind: str, data: dict[str, Any]) -> None:
        self._readings.event(DeviceEvent(device=self.name, kind=kind, at=self._clock.monotonic(), data=data))
