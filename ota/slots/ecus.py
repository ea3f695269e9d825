"""The ECU table of a record: what each ECU is to run in this attempt, and how far it is."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ota.errors import RefusedError, Rule
from ota.slots.neighbours import Offer
from ota.slots.record import Record

Progress = Literal["runs", "wanted", "staged", "kept", "failed", "unanswered"]
"""`runs`: it had the image before; `kept`: committed; `unanswered`: it did not say that it has kept it."""


class Ecu(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row."""

    target: str
    sha256: str
    length: int
    version: str
    counter: int
    floor_name: str
    """`{hardware} {family}`"""
    floor: int = 0
    """What the floor becomes once this image is confirmed; 0: it stays."""
    group: int = 0
    progress: Progress = "wanted"
    reason: str = ""


def table_of(record: Record) -> dict[str, Ecu]:
    """The rows of a record, in the order in which they are armed.

    Empty where a newer release has written what this one cannot read: such an attempt is ended, not gone on with.
    """
    try:
        rows = msgspec.convert(record.ecus, dict[str, Ecu])
    except msgspec.ValidationError:
        return {}
    return dict(sorted(rows.items(), key=lambda row: (row[1].group, row[0])))


def recorded(rows: Mapping[str, Ecu]) -> dict[str, dict[str, Any]]:
    """The rows as they stand in a record."""
    plain: dict[str, dict[str, Any]] = msgspec.to_builtins(dict(rows))
    return plain


def rows_of(offer: Offer, running: Mapping[str, str], record: Record) -> dict[str, Ecu]:
    """The rows of an offered plan. Raises `RefusedError` where the record forbids an image.

    running: ECU -> SHA-256 of the image that it runs.
    """
    rows = {}
    for ecu, wanted in offer.plan.ecus.items():
        target, hardware = offer.targets[wanted.target], offer.hardware[ecu]
        info = target.info
        name = f"{hardware} {info.family}"
        does_run = running[ecu] == target.sha256
        if hardware not in info.hardware:
            raise RefusedError(Rule.HARDWARE, ecu, f"{target.path} is for {', '.join(info.hardware)}, not {hardware}")
        if info.counter < record.floors.get(name, 0) and not does_run:
            reason = f"{target.path} has release counter {info.counter}, the floor is {record.floors[name]}"
            raise RefusedError(Rule.FLOOR, ecu, reason)
        if record.quarantine.get(target.sha256, 0) >= offer.plan.number and not does_run:
            raise RefusedError(Rule.QUARANTINE, ecu, f"{target.path} has failed here with this plan")
        rows[ecu] = Ecu(
            target=target.path,
            sha256=target.sha256,
            length=target.length,
            version=info.version,
            counter=info.counter,
            floor_name=name,
            floor=info.min_counter,
            group=wanted.group,
            progress="runs" if does_run else "wanted",
        )
    return rows
