"""Purchases with an unknown end, by card: kept until the card is back, for a while and not without number."""

from protocols.epurse.purchase_events import Pending


class KeptPurchases:
    """See the module's docstring. One purchase a card."""

    def __init__(self, keep_s: float, max_kept: int) -> None:
        self._keep_s = keep_s
        self._max_kept = max_kept
        self._kept: dict[bytes, tuple[Pending, float]] = {}

    def all(self) -> tuple[Pending, ...]:
        """All of them, the oldest first."""
        return tuple(pending for pending, _until in self._kept.values())

    def of_card(self, card_number: bytes) -> Pending | None:
        """The one that this card has to settle."""
        return self._kept[card_number][0] if card_number in self._kept else None

    def keep(self, pending: Pending, now: float) -> Pending | None:
        """Keep one more; the one that had to give way for it."""
        gone = None
        if len(self._kept) >= self._max_kept:
            gone = self._kept.pop(next(iter(self._kept)))[0]
        self._kept[pending.card.card_number] = (pending, now + self._keep_s)
        return gone

    def forget(self, pending: Pending) -> None:
        """It is settled."""
        self._kept.pop(pending.card.card_number, None)

    def expired(self, now: float, busy: Pending | None) -> list[Pending]:
        """Those that were kept for long enough, out of the way; not the one that is being settled."""
        gone = [pending for pending, until in self._kept.values() if now >= until and pending != busy]
        for pending in gone:
            self.forget(pending)
        return gone

    def next_expiry(self, busy: Pending | None) -> float | None:
        """When the next one has been kept for long enough."""
        return min((until for pending, until in self._kept.values() if pending != busy), default=None)
