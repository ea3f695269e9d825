"""What one commit writes, in which order, and what became of it.

First, lane by lane, the position file and then the removal of segments: what is gone is known to be settled. Then the
new records, the event lane's before the others'; so a loss is in its lane's position before its event is told. A lane
that has begun a new epoch is the exception: its position goes last, after the events that tell what the old one leaves
behind, and nothing of the new one counts as made before. Intents go before all records: the end of one names the
number that its result is about to have.
"""

from edge.store.errors import StorageError
from edge.store.folder import Ballast
from edge.store.intents import Intents
from edge.store.journal import Batch
from edge.store.lane import Lane
from edge.store.segment import Segment


class LaneWork:
    """What one commit has to do for one lane, and what became of it."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.position: bytes | None = None
        self.segments: list[Segment] = []
        self.batch: Batch | None = None
        self.is_epoch_new = lane.is_epoch_new
        self.is_position_saved = False
        self.is_copy_saved = False
        self.is_written = False
        self.error: StorageError | None = None
        self.upkeep_error: StorageError | None = None
        """Of the position or of a removal: nothing is lost by it, it is tried again."""

    def keep_up(self) -> None:
        """Save the position, then remove what nobody owes any more."""
        try:
            if self.position is not None:
                with_copy = bool(self.segments) or self.is_epoch_new
                self.lane.save_position(self.position, with_copy=with_copy)
                self.is_position_saved, self.is_copy_saved = True, with_copy
            while self.segments:
                self.lane.journal.discard(self.segments[0])
                del self.segments[0]
        except StorageError as error:
            self.upkeep_error = error

    def write(self) -> None:
        """Write the batch."""
        if self.batch is None:
            return
        try:
            self.lane.journal.write_commit(self.batch)
            self.is_written = True
        except StorageError as error:
            self.error = error


class Plan:
    """What one commit has to do."""

    def __init__(self, intents: Intents, ballast: Ballast) -> None:
        self._intents = intents
        self._ballast = ballast
        self.lanes: list[LaneWork] = []
        self.intent_batch: Batch | None = None
        self.intent_segments: list[Segment] = []
        self.behind_intents: set[str] = set()
        """Lanes whose batch must not be written unless the intents' is."""
        self.are_intents_written = False
        self.intent_error: StorageError | None = None

    @property
    def has_work(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.intent_batch or self.intent_segments) or any(
            each.batch or each.segments or each.position is not None for each in self.lanes
        )

    @property
    def error(self) -> StorageError | None:
        """Why something is not durable that should be."""
        return next((work.error for work in self.lanes if work.error is not None), self.intent_error)

    def write(self) -> None:
        """Do it; may run in another thread. One lane's trouble is not another's."""
        lanes = sorted(self.lanes, key=lambda work: work.lane.name != "event")
        events = lanes[0]
        for work in lanes:
            if not work.is_epoch_new:
                work.keep_up()
        if self._ballast.is_out:
            self._ballast.lay()
        self._write_intents()
        for work in lanes:
            if work.is_epoch_new and events.error is not None:
                work.error = work.error or events.error  # what the old epoch leaves behind has not been told yet
                continue
            if self.intent_error is not None and work.lane.name in self.behind_intents:
                work.error = self.intent_error
                continue
            work.write()
            if work.is_epoch_new and work.error is None:
                work.keep_up()
                if not work.is_position_saved:
                    work.error = work.upkeep_error
                    work.is_written = False

    def _write_intents(self) -> None:
        try:
            if self.intent_batch is not None:
                self._intents.journal.write_commit(self.intent_batch)
                self.are_intents_written = True
            while self.intent_segments:
                self._intents.discard(self.intent_segments[0])
                del self.intent_segments[0]
        except StorageError as error:
            self.intent_error = error
