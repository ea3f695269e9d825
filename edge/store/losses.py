"""Loss is never silent: each range that will never arrive is told by a `loss` event, until the disk has that event.

What is told: (lane, epoch, first, last); telling it twice does no harm. A loss whose event is itself lost, because the
event lane was at its quota too, is told once more.
"""

from collections.abc import Mapping
from typing import Protocol

from edge.store.lane import Lane
from edge.store.position import Loss
from protocols.wayside.ranges import RangeSet

LOSS_ROUTE = "event/loss"
MAX_LOSS_BACKLOG_BYTES = 1 << 20


class EncodeLoss(Protocol):
    """Makes the payload of a `loss` event with the sequence number `seq` of the event lane."""

    def __call__(
        self, *, lane: str, epoch: str, first: int, last: int, count: int, why: str, event_epoch: str, seq: int
    ) -> bytes:
        """Encode it."""


class Declarations:
    """Tells the losses of all lanes in the event lane, and keeps in mind which of these events the disk has not yet."""

    def __init__(self, lanes: Mapping[str, Lane], encode_loss: EncodeLoss) -> None:
        self._lanes = lanes
        self._events = lanes["event"]
        self._encode_loss = encode_loss
        self._waiting: dict[str, list[tuple[int, Loss]]] = {name: [] for name in lanes}
        self._events_lost = -1

    def declare(self) -> None:
        """Put the events of losses that nobody has told into the event lane. `settle` follows when they are made."""
        if self._events.lost != self._events_lost:
            self._events_lost = self._events.lost
            for lane in self._lanes.values():
                lane.declare_again(self._events.lost_ranges)
        for lane in self._lanes.values():
            told = [loss for _seq, loss in self._waiting[lane.name]]
            for loss in lane.undeclared():
                if loss in told:
                    continue
                if self._events.journal.pending_bytes > MAX_LOSS_BACKLOG_BYTES:
                    return  # the disk takes nothing: the position file remembers, and it is said later
                self._waiting[lane.name].append((self._tell(lane.name, lane.epoch, loss), loss))

    def settle(self) -> None:
        """Note which events the disk has by now."""
        made = self._events.made
        for name, waiting in self._waiting.items():
            for seq, loss in tuple(waiting):
                if seq <= made:
                    self._lanes[name].declared(loss, seq)
                    waiting.remove((seq, loss))

    def end_epoch(self, lane: Lane) -> tuple[str, list[Loss]]:
        """All of a lane that is still owed or not told: what its epoch leaves behind when it ends.

        Also what must have been made, for the ingest has later numbers of it. Nothing of the lane may wait for a
        commit. `tell_end` follows when another epoch has begun.
        """
        owed = [Loss(first, last, "damaged") for first, last in lane.settled.gaps(1, lane.made)]
        beyond = lane.known_beyond.gaps(lane.made + 1, lane.known_beyond.last or 0)
        owed += [Loss(first, last, "damaged") for first, last in beyond]
        if lane is self._events:
            gone = RangeSet(lane.lost_ranges.pairs())
            for loss in owed:
                gone.add(loss.first, loss.last)
            for each in self._lanes.values():
                each.declare_again(gone)
                each.forget_events()
            self._events_lost = -1
        told = [loss for _seq, loss in self._waiting[lane.name]]
        untold = [loss for loss in lane.undeclared() if loss not in told]
        self._waiting[lane.name] = []
        return lane.epoch, owed + untold

    def tell_end(self, lane: Lane, epoch: str, losses: list[Loss]) -> int:
        """Tell what an ended epoch has left behind; return how many records that are."""
        for loss in losses:
            self._tell(lane.name, epoch, loss)
        return sum(loss.last - loss.first + 1 for loss in losses)

    def _tell(self, lane: str, epoch: str, loss: Loss) -> int:
        payload = self._encode_loss(
            lane=lane,
            epoch=epoch,
            first=loss.first,
            last=loss.last,
            count=loss.last - loss.first + 1,
            why=loss.why,
            event_epoch=self._events.epoch,
            seq=self._events.next_seq,
        )
        return self._events.append(LOSS_ROUTE, payload)
