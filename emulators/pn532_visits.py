"""When which card is in front of a reader: the schedule of an emulated field.

[[card]]                          a world file: one table for each card
name = "anna"
kind = "type_a"                   type_a, uid_only or type_b
uid = "04a1b2c3d4e5f6"            or "random"; of type B the PUPI
[[card.visit]]
at_s = 1.0                        since the start
for_s = 0.8
every_s = 5.0                     again and again; left out: once
lift_after_frames = 7             leaves at this frame already; lift_is_answered = false: before its answer
[[card.application]]
name = "a000000632010105"
[[card.application.file]]
id = 21                           with short_id = 21, and data = "hex", or text = "...", or records = ["hex", ...]
short_id = 21
text = "permit 4711"
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from emulators.card_files import Application, BinaryFile, CardFiles, File, RecordFile
from emulators.contactless_cards import Card, LiftPlan, TypeACard, TypeBCard
from emulators.contactless_field import Field
from protocols.iso14443.activation import ats
from protocols.iso14443.ber_tlv import tlv
from protocols.iso14443.type_b import Atqb

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Hex = Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{2})*$", max_length=131_072)]
Fwi = Annotated[int, msgspec.Meta(ge=0, le=14)]
FileId = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
ShortId = Annotated[int, msgspec.Meta(ge=1, le=30)]
MIN_CYCLE_S = 0.01


class Visit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card is in the field from `at_s` for `for_s` seconds, once or every `every_s`."""

    at_s: Seconds
    for_s: Seconds
    every_s: Annotated[float, msgspec.Meta(ge=MIN_CYCLE_S, le=1e6)] | None = None
    card: str = ""
    lift_after_frames: Annotated[int, msgspec.Meta(ge=1)] | None = None
    lift_is_answered: bool = True


class Visits:
    """Plays visits in a field. Time starts at the first `tick()`."""

    def __init__(self, cards: Sequence[Card], visits: Sequence[Visit], field: Field) -> None:
        self._cards = {card.name: card for card in cards}
        self._field = field
        self._start: float | None = None
        self._due: list[tuple[float, int, bool]] = []
        """(seconds since the start, index of the visit, whether the card comes), not sorted: there are few."""
        self._visits = list(visits)
        for index, visit in enumerate(visits):
            if visit.card not in self._cards:
                raise ValueError(f"a visit of a card that does not exist: {visit.card!r}")
            self._due.append((visit.at_s, index, True))

    def tick(self, now: float) -> None:
        """Place and lift what is due."""
        if self._start is None:
            self._start = now
        while self._due and min(self._due)[0] <= now - self._start:
            at, index, comes = min(self._due)
            self._due.remove((at, index, comes))
            visit = self._visits[index]
            card = self._cards[visit.card]
            if comes:
                card.lift = None
                if visit.lift_after_frames is not None:
                    card.lift = LiftPlan(visit.lift_after_frames, visit.lift_is_answered)
                self._field.place(card)
                self._due.append((at + visit.for_s, index, False))
            else:
                self._field.lift(card)
                if visit.every_s is not None:
                    self._due.append((at - visit.for_s + max(visit.every_s, visit.for_s + MIN_CYCLE_S), index, True))

    def next_deadline(self) -> float | None:
        """When something is due."""
        if not self._due or self._start is None:
            return self._start if self._due else None
        return self._start + min(self._due)[0]


class _WorldFile(msgspec.Struct, forbid_unknown_fields=True):
    id: FileId
    short_id: ShortId | None = None
    data: Hex | None = None
    text: str | None = None
    records: list[Hex] | None = None
    secret: bool = False


class _WorldApplication(msgspec.Struct, forbid_unknown_fields=True):
    name: Hex
    file: list[_WorldFile] = []
    label: str | None = None
    id: FileId | None = None


class _WorldCard(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    kind: Literal["type_a", "uid_only", "type_b"] = "type_a"
    uid: str = "random"
    fsc: Literal[16, 24, 32, 40, 48, 64, 96, 128, 256] = 256
    fwi: Fwi = 8
    think_s: Seconds = 0.0
    answers_with_61: bool = False
    application: list[_WorldApplication] = []
    visit: list[Visit] = []


class _World(msgspec.Struct, forbid_unknown_fields=True):
    card: list[_WorldCard] = []


def read_world(world: Mapping[str, object]) -> tuple[list[Card], list[Visit]]:
    """Cards and visits of a world file (parsed TOML). Raises `ValueError` with the path of what is wrong."""
    parsed = msgspec.convert(world, _World)
    cards = [_card_of(one) for one in parsed.card]
    if len({card.name for card in cards}) < len(cards):
        raise ValueError("two cards have one name")
    visits = [msgspec.structs.replace(visit, card=one.name) for one in parsed.card for visit in one.visit]
    return cards, visits


def _card_of(world: _WorldCard) -> Card:
    uid = None if world.uid == "random" else bytes.fromhex(world.uid)
    files = CardFiles([_application_of(one) for one in world.application], answers_with_61=world.answers_with_61)
    if world.kind == "type_b":
        if uid is not None and len(uid) != 4:
            raise ValueError(f"card {world.name}: a PUPI has 4 bytes")
        atqb = Atqb(b"", size_and_type=0x81, timing=world.fwi << 4 | 1)
        return TypeBCard(uid, name=world.name, atqb=atqb, files=files, think_s=world.think_s)
    if uid is not None and len(uid) not in {4, 7, 10}:
        raise ValueError(f"card {world.name}: a UID has 4, 7 or 10 bytes")
    if world.kind == "uid_only":
        return TypeACard(uid, name=world.name, sak=0x08)
    return TypeACard(uid, name=world.name, ats=ats(fsc=world.fsc, fwi=world.fwi), files=files, think_s=world.think_s)


def _application_of(world: _WorldApplication) -> Application:
    label = [tlv("50", world.label.encode())] if world.label else []
    return Application(bytes.fromhex(world.name), [_file_of(one) for one in world.file], label, world.id)


def _file_of(world: _WorldFile) -> File:
    if world.records is not None:
        return RecordFile(world.id, tuple(map(bytes.fromhex, world.records)), world.short_id, world.secret)
    data = world.text.encode() if world.text is not None else bytes.fromhex(world.data or "")
    return BinaryFile(world.id, data, world.short_id, world.secret)
