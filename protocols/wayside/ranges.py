"""Sets of sequence numbers, kept as ranges: what has been received, acknowledged, or is missing.

MicroPython-clean: no `bisect`, no `typing`. A million numbers in a row are one range, live data ahead of a backlog two.
Looking up costs O(log n) in the number of ranges. Whoever adds numbers that a peer chose bounds `range_count` himself.
"""


class RangeSet:
    """A set of integers as sorted, disjoint ranges that never touch: [1, 2] and [3, 5] are [1, 5].

    All bounds are inclusive. A range whose first stands above its last is empty: adding or discarding it does nothing.
    """

    __slots__ = ("_count", "_firsts", "_lasts")

    def __init__(self, pairs: list[list[int]] | None = None) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._count = 0
        for first, last in pairs or ():
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> int:
        """Put `first` to `last` (or `first` alone) into the set. Return how many numbers were not yet in it."""
        if last is None:
            last = first
        if last < first:
            return 0
        firsts, lasts = self._firsts, self._lasts
        if not lasts or first > lasts[-1] + 1:  # the way numbers come: in order, at the end
            firsts.append(first)
            lasts.append(last)
            self._count += last - first + 1
            return last - first + 1
        if first == lasts[-1] + 1:
            lasts[-1] = last
            self._count += last - first + 1
            return last - first + 1
        low = self._index(first - 1)  # the first range that touches what is added
        high = low
        known = 0
        while high < len(firsts) and firsts[high] <= last + 1:
            known += lasts[high] - firsts[high] + 1
            high += 1
        if low < high:
            first = min(first, firsts[low])
            last = max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]
        new = last - first + 1 - known
        self._count += new
        return new

    def discard(self, first: int, last: int) -> int:
        """Take `first` to `last` out of the set. Return how many numbers went."""
        if last < first:
            return 0
        firsts, lasts = self._firsts, self._lasts
        low = self._index(first)
        high = low
        gone = 0
        left_firsts = []
        left_lasts = []
        while high < len(firsts) and firsts[high] <= last:
            gone += min(last, lasts[high]) - max(first, firsts[high]) + 1
            if firsts[high] < first:
                left_firsts.append(firsts[high])
                left_lasts.append(first - 1)
            if lasts[high] > last:
                left_firsts.append(last + 1)
                left_lasts.append(lasts[high])
            high += 1
        firsts[low:high] = left_firsts
        lasts[low:high] = left_lasts
        self._count -= gone
        return gone

    def discard_below(self, first: int) -> int:
        """Take out every number below `first`. Return how many went."""
        if not self._firsts or self._firsts[0] >= first:
            return 0
        return self.discard(self._firsts[0], first - 1)

    def __contains__(self, number: int) -> bool:
        at = self._index(number)
        return at < len(self._firsts) and self._firsts[at] <= number

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return self._count > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "RangeSet(" + repr(self.pairs()) + ")"

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        return self._count

    @property
    def range_count(self) -> int:
        """How many ranges the set takes to hold."""
        return len(self._firsts)

    @property
    def first(self) -> int | None:
        """The lowest number, or None when the set is empty."""
        return self._firsts[0] if self._firsts else None

    @property
    def last(self) -> int | None:
        """The highest number, or None when the set is empty."""
        return self._lasts[-1] if self._lasts else None

    @property
    def upto(self) -> int:
        """The end of the run that starts at 1; 0 where 1 is missing. The `upto` of an acknowledgement."""
        return self.end_of_run(1)

    @property
    def also(self) -> list[list[int]]:
        """The ranges above `upto`: the `also` of an acknowledgement."""
        return self.pairs(self.upto + 1)

    def end_of_run(self, first: int) -> int:
        """The last number of the unbroken run from `first`; `first - 1` where `first` is missing."""
        at = self._index(first)
        if at < len(self._firsts) and self._firsts[at] <= first:
            return self._lasts[at]
        return first - 1

    def range_of(self, number: int) -> list[int] | None:
        """The whole range that holds `number`, as [first, last]; None where it is missing."""
        at = self._index(number)
        if at < len(self._firsts) and self._firsts[at] <= number:
            return [self._firsts[at], self._lasts[at]]
        return None

    def pairs(self, first: int | None = None, limit: int | None = None) -> list[list[int]]:
        """The ranges as [first, last], rising, from number `first` on; at most `limit` of them."""
        start = 0 if first is None else self._index(first)
        stop = len(self._firsts) if limit is None else min(len(self._firsts), start + limit)
        pairs = [[self._firsts[at], self._lasts[at]] for at in range(start, stop)]
        if first is not None and pairs and pairs[0][0] < first:
            pairs[0][0] = first
        return pairs

    def gaps(self, first: int, last: int) -> list[tuple[int, int]]:
        """What of `first` to `last` is missing, as (first, last), rising."""
        missing = []
        at = self._index(first)
        while first <= last and at < len(self._firsts) and self._firsts[at] <= last:
            if self._firsts[at] > first:
                missing.append((first, self._firsts[at] - 1))
            first = self._lasts[at] + 1
            at += 1
        if first <= last:
            missing.append((first, last))
        return missing

    def within(self, first: int, last: int) -> list[tuple[int, int]]:
        """What of `first` to `last` is there, as (first, last), rising."""
        found = []
        at = self._index(first)
        while at < len(self._firsts) and self._firsts[at] <= last:
            found.append((max(first, self._firsts[at]), min(last, self._lasts[at])))
            at += 1
        return found

    def _index(self, number: int) -> int:
        """The first range that ends at or above `number`."""
        lasts = self._lasts
        low = 0
        high = len(lasts)
        while low < high:
            middle = (low + high) // 2
            if lasts[middle] < number:
                low = middle + 1
            else:
                high = middle
        return low
