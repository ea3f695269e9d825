"""What an update asks of the secondaries: stage all, start them in order, and only then keep all or revert all.

Each call does one thing and says as a `Step` what the driver is to record. An error that is no refusal means "not now":
it is left to the driver, which waits.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ota.errors import OtaError, RefusedError, Rule, StorageError
from ota.slots.changes import with_row
from ota.slots.ecus import Ecu, table_of
from ota.slots.machine import Event
from ota.slots.neighbours import LATER, Secondaries
from ota.slots.record import Record
from ota.targets import Target


class Step(NamedTuple):
    """What follows: the record as it is to be, and the event by which it moves on, where it does."""

    record: Record
    event: Event | None = None
    rule: Rule | None = None
    reason: str = ""


class Barrier:
    """The secondaries, for one process's hold on the update."""

    def __init__(self, secondaries: Secondaries, own_ecu: str, is_here: Callable[[Target], bool]) -> None:
        """`is_here`: whether all that makes a target was fetched."""
        self._secondaries = secondaries
        self._is_here = is_here
        self._own_ecu = own_ecu
        self._armed: set[str] = set()

    def stage(self, record: Record, targets: Mapping[str, Target]) -> Step | None:
        """Bring a bit more of a set that is wanted; None where all are staged."""
        for ecu, row in self._rows(record, "wanted"):
            try:
                is_staged = self._secondaries.stage(ecu, targets[row.target])
            except RefusedError as error:
                if error.rule in LATER:
                    raise
                if not self._is_here(targets[row.target]):  # a delta was wrong: there is another way to the set
                    return Step(record, Event.BLOBS_WRONG)
                return _over(record, ecu, error, Event.REFUSED)
            return Step(with_row(record, ecu, progress="staged"), Event.ECU_STAGED) if is_staged else Step(record)
        for ecu, row in self._rows(record, "staged"):
            if not self._secondaries.is_staged(ecu, row.sha256):
                return Step(with_row(record, ecu, progress="wanted"), Event.ECU_STAGED)
        return None

    def arm(self, record: Record) -> Step | None:
        """Start the next staged set on trial; None where all are started."""
        for ecu, row in self._rows(record, "staged"):
            if ecu in self._armed:
                continue
            try:
                self._secondaries.arm(ecu, row.sha256)
            except RefusedError as error:
                return _over(record, ecu, error, Event.ILL)
            self._armed.add(ecu)
            return Step(record)
        return None

    def hold(self, record: Record) -> Step | None:
        """Before anything is confirmed: each must answer and be on trial still; None where all are."""
        for ecu, row in self._rows(record, "staged"):
            if not self._secondaries.runs(ecu, row.sha256):
                error = RefusedError(Rule.HEALTH, ecu, "it has fallen back to the set before")
                return _over(record, ecu, error, Event.ILL)
        return None

    def keep(self, record: Record, *, is_awaited: bool) -> Step | None:
        """Commit what is staged. Who does not answer is asked again, unless another plan is awaiting its turn."""
        return self._tell(record, self._secondaries.commit, "kept", is_awaited=is_awaited)

    def go_back(self, record: Record, *, is_awaited: bool) -> Step | None:
        """Revert what is staged, as `keep` commits it."""
        return self._tell(record, self._secondaries.revert, "failed", is_awaited=is_awaited)

    def _tell(self, record: Record, tell: Callable[[str, str], None], done: str, *, is_awaited: bool) -> Step | None:
        for ecu, row in self._rows(record, "staged"):
            try:
                tell(ecu, row.sha256)
            except StorageError:
                raise
            except OtaError as error:
                is_final = isinstance(error, RefusedError) and error.rule is Rule.ECU  # it will never say otherwise
                if not is_final and not is_awaited:
                    raise
                progress = "failed" if is_final else "unanswered"
                return Step(with_row(record, ecu, progress=progress, reason=str(error)))
            return Step(with_row(record, ecu, progress=done))
        return None

    def _rows(self, record: Record, progress: str) -> list[tuple[str, Ecu]]:
        rows = table_of(record).items()
        return [(ecu, row) for ecu, row in rows if ecu != self._own_ecu and row.progress == progress]


def _over(record: Record, ecu: str, error: RefusedError, event: Event) -> Step:
    """An atomic plan is over with any of its ECUs, another one for this ECU alone."""
    if record.policy == "atomic":
        return Step(record, event, error.rule, str(error))
    return Step(with_row(record, ecu, progress="failed", reason=str(error)))
