"""What was said already: each reason once, however often a broken or hostile peer gives cause for it."""

MAX_REASONS = 32


class SaidOnce:
    """Remembers what was said, within a bound, and counts the rest.

    When the memory is full nothing more is said: one that forgot its oldest entry would let a peer with many reasons
    fill the log.
    """

    def __init__(self, most: int = MAX_REASONS) -> None:
        self._most = most
        self._said: set[str] = set()
        self.times = 0
        """How often there was a cause, said or not."""

    def is_news(self, reason: str) -> bool:
        """Count one more cause. True when it is to be said."""
        self.times += 1
        if reason in self._said or len(self._said) >= self._most:
            return False
        self._said.add(reason)
        return True

    def forget(self) -> None:
        """It is over: what comes from here on is news again."""
        self._said.clear()
        self.times = 0
