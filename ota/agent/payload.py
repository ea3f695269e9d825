"""The bytes of an update for the driver: which way, from where, at what price."""

from collections.abc import Callable, Iterator, Sequence

from ota.errors import Cause, RefusedError, Rule, StorageError
from ota.payload.choice import Held, Way, ways_to
from ota.payload.fetch import FOLDER, Fetch, Progress
from ota.payload.image import image_pieces
from ota.payload.limits import ACCOUNT, DailyBudget, SpeedLimit
from ota.payload.source import Source
from ota.payload.space import NO_SPACE, Room, Space
from ota.slots.neighbours import Progress as Fetched
from ota.storage import Storage
from ota.targets import Conditions, Target


class FetchedPayload:
    """See `ota.slots.neighbours.Payload`. One for the life of the process.

    held: the images that lie here and a target may be made from, by preference; room: of the place that it goes to.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        budget: DailyBudget,
        speed: Callable[[int | None], SpeedLimit],
        sources: Sequence[Source],
        held: Callable[[Target], list[Held]],
        room: Callable[[Target], Room],
        is_cancelled: Callable[[], bool],
        progress: Callable[[Target, Way, int, int], None],
    ) -> None:
        self._storage = storage
        self._budget = budget
        self._speed = speed
        self._sources = sources
        self._held = held
        self._space = Space(storage, room)
        self._is_cancelled = is_cancelled
        self._progress = progress
        self._fetches: dict[str, Fetch] = {}
        self.conditions = Conditions()
        """Of the plan that is under way."""
        self.ways: dict[str, Way] = {}
        """By the target's hash: how it comes, or came."""

    def way_to(self, target: Target) -> Way:
        """The cheapest way that has not failed."""
        ways = ways_to(target, self._held(target))
        way = next((way for way in ways if way.blob is None or not self._is_wrong(way)), ways[-1])
        self.ways[target.sha256] = way
        return way

    def fetch_next(self, target: Target) -> Fetched:
        """See `Payload`: all that is missing, as far as it comes."""
        way = self.way_to(target)
        fetch = self._fetch(target, way)
        if way.blob is None or fetch is None:
            return Fetched(0, 0)
        sources = [each for each in self._sources if not each.is_metered or self.conditions.is_metered_allowed]
        if not sources and self._sources:
            raise RefusedError(Rule.CONDITION, target.path, "the link is metered, and the plan does not allow that")
        self._space.check(target, way, missing_bytes=fetch.missing_bytes)
        try:
            fetch.run(sources)
        except StorageError as error:
            if error.cause is Cause.FULL:
                self.was_full(target)
            raise
        return Fetched(way.blob.length, way.blob.length)

    def is_complete(self, target: Target) -> bool:
        """See `Payload`."""
        way = self.way_to(target)
        fetch = self._fetch(target, way)
        return fetch is None or fetch.is_complete

    def image(self, target: Target, base: Held | None) -> Iterator[bytes]:
        """See `Payload`."""
        del base  # the way was chosen with what lies here
        way = self.way_to(target)
        fetch = self._fetch(target, way)
        try:
            yield from image_pieces(self._storage, target, way, "" if fetch is None else fetch.part)
        except RefusedError:
            if fetch is not None and way.is_delta:
                self.mark_wrong(way)
            raise

    def blob(self, target: Target) -> tuple[Way, bytes]:
        """What was fetched for a target, whole; for the small ones, of secondaries."""
        way = self.way_to(target)
        data = b"" if way.blob is None else self._storage.read(self.part_of(target), 0, way.blob.length)
        return way, data

    def mark_wrong(self, way: Way) -> None:
        """A delta has made something else than it should: from now on the whole image is fetched instead."""
        self._storage.write(self._wrong(way), 0, b"-")
        self._storage.sync(self._wrong(way))
        self._storage.sync_folder(FOLDER)

    def part_of(self, target: Target) -> str:
        """The file of what was fetched for a target."""
        fetch = self._fetch(target, self.way_to(target))
        return "" if fetch is None else fetch.part

    def was_full(self, target: Target) -> None:
        """See `Payload`."""
        way = self.way_to(target)
        fetch = self._fetch(target, way)
        self._space.was_full(target, way, missing_bytes=0 if fetch is None else fetch.missing_bytes)

    def tidy(self) -> None:
        """See `Payload`."""
        self._fetches.clear()
        names = [f"{FOLDER}/{name}" for name in self._storage.list(FOLDER)]
        gone = [name for name in names if name not in (ACCOUNT, NO_SPACE)]
        for name in gone:
            self._storage.remove(name)
        if gone:
            self._storage.sync_folder(FOLDER)  # the update is over after this, and nobody tidies again

    def _fetch(self, target: Target, way: Way) -> Fetch | None:
        if way.blob is None:
            return None
        fetch = self._fetches.get(way.blob.sha256)
        if fetch is None:
            fetch = Fetch(
                self._storage,
                way.blob,
                budget=self._budget,
                speed=self._speed(self.conditions.max_bytes_per_s),
                is_cancelled=self._is_cancelled,
                progress=self._tell(target, way),
            )
            fetch.resume()
            self._fetches[way.blob.sha256] = fetch
        return fetch

    def _tell(self, target: Target, way: Way) -> Progress:
        return lambda done, all_: self._progress(target, way, done, all_)

    def _is_wrong(self, way: Way) -> bool:
        try:
            return way.is_delta and self._storage.size(self._wrong(way)) > 0
        except StorageError:
            return False

    def _wrong(self, way: Way) -> str:
        assert way.blob is not None, "what is not fetched is not wrong"
        return f"{FOLDER}/{way.blob.sha256}.wrong"
