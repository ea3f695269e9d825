"""Loss is never silent: each range that will never arrive is told by a `loss` event, until the disk has that event.

What is told: (lane, epoch, first, last); telling it twice does no harm. A loss whose event is itself lost, because the
event lane was at its quota too, is told once more.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from edge.store.lane import Lane
from edge.store.position import Loss, merged
from protocols.wayside.ranges import RangeSet

LOSS_ROUTE = "event/loss"
MAX_LOSS_BACKLOG_BYTES = 1 << 20
MAX_LEFT = 4_000
"""Losses of ended epochs that are kept in mind; older ones have been told once, as all have."""


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
                _declare_again(lane, self._events.lost_ranges)
        for lane in self._lanes.values():
            told = [loss for _seq, loss in self._waiting[lane.name]]
            for loss in [loss for loss in lane.losses if not loss.is_declared and loss not in told]:
                if self._events.journal.pending_bytes > MAX_LOSS_BACKLOG_BYTES:
                    return  # the disk takes nothing: the position file remembers, and it is said later
                self._waiting[lane.name].append((self._tell(lane.name, loss.epoch or lane.epoch, loss), loss))

    def settle(self) -> None:
        """Note which events the disk has by now."""
        made = self._events.made
        for name, waiting in self._waiting.items():
            for seq, loss in tuple(waiting):
                if seq <= made:
                    _declared(self._lanes[name], loss, seq)
                    waiting.remove((seq, loss))
        for lane in self._lanes.values():
            _forget_told(lane, self._events.released)

    def end_epoch(self, lane: Lane) -> list[Loss]:
        """What the epoch of a lane leaves behind when it ends: all that is owed, and losses that nobody has heard of.

        Also what must have been made, for the ingest has later numbers of it. Nothing of the lane may wait for a
        commit. The new epoch's position keeps these losses: each is told, and told again should its event be lost.
        """
        owed = [Loss(first, last, "damaged") for first, last in lane.settled.gaps(1, lane.made)]
        beyond = lane.known_beyond.gaps(lane.made + 1, lane.known_beyond.last or 0)
        owed += [Loss(first, last, "damaged") for first, last in beyond]
        if lane is self._events:
            gone = RangeSet(lane.lost_ranges.pairs())
            for loss in owed:
                gone.add(loss.first, loss.last)
            for each in self._lanes.values():
                _declare_again(each, gone)
                _forget_numbers(each)
            self._events_lost = -1
        heard = RangeSet(self._events.released.pairs())
        heard.add(0)  # of event epochs that have ended
        unheard = [loss for loss in lane.losses if not loss.is_declared or loss.event not in heard]
        left = [_ended(loss, lane.epoch) for loss in unheard + owed][-MAX_LEFT:]
        waiting = [(seq, _ended(loss, lane.epoch)) for seq, loss in self._waiting[lane.name]]
        self._waiting[lane.name] = [each for each in waiting if each[1] in left]
        return left

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


def _ended(loss: Loss, epoch: str) -> Loss:
    return loss if loss.epoch else msgspec.structs.replace(loss, epoch=epoch)


def _declared(lane: Lane, loss: Loss, event: int) -> None:
    """The disk has the event of a loss."""
    lane.losses[lane.losses.index(loss)] = msgspec.structs.replace(loss, is_declared=True, event=event)
    lane.losses = merged(lane.losses)
    lane.is_position_dirty = True


def _declare_again(lane: Lane, lost_events: RangeSet) -> None:
    """Losses whose event has itself been lost are to be told once more."""
    for number, loss in enumerate(lane.losses):
        if loss.is_declared and loss.event in lost_events:
            lane.losses[number] = msgspec.structs.replace(loss, is_declared=False, event=0)
            lane.is_position_dirty = True


def _forget_numbers(lane: Lane) -> None:
    """The event lane begins again: the numbers of its old events mean nothing any more."""
    lane.losses = [msgspec.structs.replace(loss, event=0) for loss in lane.losses]
    _forget_told(lane, RangeSet([[0, 0]]))
    lane.is_position_dirty = True


def _forget_told(lane: Lane, events: RangeSet) -> None:
    """Somebody has these events: the losses of ended epochs that they tell are done with."""
    kept = [loss for loss in lane.losses if not (loss.epoch and loss.is_declared and loss.event in events)]
    if len(kept) < len(lane.losses):
        lane.losses, lane.is_position_dirty = kept, True
