"""A blob onto the disk, block by block, over dropped lines, power cuts, mirrors and days.

    fetch/{sha256}.blocks   the block list, once it is verified
    fetch/{sha256}.part     the blob, with holes
    fetch/{sha256}.map      which blocks of it the disk has

A block is verified, then written, then synced, then its bit is set and synced. What the map says is checked again by
hash after every start, so a bit that is set too early or a sector that has rotted costs one block and no more.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise

from ota.errors import RefusedError, Rule, StorageError
from ota.payload.blocks import HASH_BYTES, BlockList, RangeMap
from ota.payload.limits import DailyBudget, Patience, SpeedLimit
from ota.payload.source import InterruptedFetchError, Pieces, Source
from ota.storage import Storage, make_durable, replace
from ota.targets import BLOCK_BYTES, Blob
from ota.trust.web import CHUNK_BYTES

FOLDER = "fetch"
MAX_BLOCK_LIST_BYTES = (1 << 30) // BLOCK_BYTES * HASH_BYTES
Progress = Callable[[int, int], None]
"""Bytes on the disk, bytes in all."""


class Fetch:
    """One blob. Made anew after a start, it goes on where the disk is."""

    def __init__(
        self,
        storage: Storage,
        blob: Blob,
        *,
        budget: DailyBudget,
        speed: SpeedLimit,
        is_cancelled: Callable[[], bool] = lambda: False,
        progress: Progress = lambda _done, _all: None,
    ) -> None:
        self._storage = storage
        self._blob = blob
        self._budget = budget
        self._speed = speed
        self._is_cancelled = is_cancelled
        self._progress = progress
        self._stem = f"{FOLDER}/{blob.sha256}"
        self._blocks: BlockList | None = None
        self._map = RangeMap(blob.block_count)

    @property
    def part(self) -> str:
        """The file that holds the blob when it is complete."""
        return f"{self._stem}.part"

    def resume(self) -> None:
        """Find what the disk has. Blocks whose hash does not hold are fetched again. Raises `StorageError`."""
        make_durable(self._storage, FOLDER)
        try:
            self._blocks = BlockList(self._blob, self._storage.read(f"{self._stem}.blocks", 0, MAX_BLOCK_LIST_BYTES))
            self._map = RangeMap(self._blob.block_count, self._storage.read(f"{self._stem}.map"))
        except (RefusedError, StorageError):
            self._map = RangeMap(self._blob.block_count)
            return
        for number in set(range(self._blob.block_count)).difference(self._map.missing()):
            if not self._blocks.is_right(number, self._read_block(number)):
                self._map.discard(number)

    @property
    def is_complete(self) -> bool:
        """Every block is on the disk."""
        return self._blocks is not None and not self._map.missing()

    @property
    def missing_bytes(self) -> int:
        """What is still to come, the block list apart."""
        missing = self._map.missing()
        short = self._blob.block_count * BLOCK_BYTES - self._blob.length
        return len(missing) * BLOCK_BYTES - (short if missing and missing[-1] == self._blob.block_count - 1 else 0)

    def run(self, sources: Sequence[Source]) -> None:
        """Fetch what is missing, from the first source that gives it.

        Raises `RefusedError` where it must end (cancelled, budget, refused by every source), `InterruptedFetchError`
        where it may go on later, `StorageError` where the disk does not take it. What has come stays.
        """
        try:
            self._run(sources)
        finally:
            self._budget.settle()

    def _run(self, sources: Sequence[Source]) -> None:
        last: InterruptedFetchError | RefusedError | None = None
        for source in sources:
            try:
                self._take_blocks_list(source)
                self._take_blocks(source)
            except InterruptedFetchError as error:
                last = error
            except RefusedError as error:
                if error.rule is not Rule.NETWORK:
                    raise
                last = last or error
            else:
                return
        raise last or RefusedError(Rule.NETWORK, self._name, "there is nowhere to fetch it from")

    def clean(self) -> None:
        """Nothing of it is needed any more. Raises `StorageError`."""
        for ending in ("map", "part", "blocks"):  # the map first: what it speaks of must be there
            self._storage.remove(f"{self._stem}.{ending}")
        self._storage.sync_folder(FOLDER)

    @property
    def _name(self) -> str:
        return f"blobs/{self._blob.sha256}"

    def _take_blocks_list(self, source: Source) -> None:
        if self._blocks is not None:
            return
        size = self._blob.block_count * HASH_BYTES
        self._begin()
        with closing(self._read(source, f"{self._name}.blocks", 0, size)) as pieces:
            data = b"".join(pieces) if size else b""
        try:
            blocks = BlockList(self._blob, data)
        except RefusedError as error:
            raise InterruptedFetchError(f"{error} (from {source.name})") from error
        replace(self._storage, f"{self._stem}.blocks", data)
        self._blocks = blocks

    def _take_blocks(self, source: Source) -> None:
        assert self._blocks is not None, "the list has come before"
        if self._storage.size(self.part) < 0:
            self._storage.truncate(self.part, self._blob.length)
            self._storage.sync(self.part)
        if self._storage.size(f"{self._stem}.map") < 0:
            replace(self._storage, f"{self._stem}.map", bytes(self._map))
        for first, last in _runs(self._map.missing()):
            start, end = self._blocks.span(first)[0], sum(self._blocks.span(last))
            self._begin()
            with closing(self._read(source, self._name, start, end - start)) as pieces:
                number = self._take_run(pieces, first, last, source)
            if number <= last:
                raise InterruptedFetchError(f"network: {source.name}/{self._name}: the line broke at block {number}")

    def _take_run(self, pieces: Pieces, first: int, last: int, source: Source) -> int:
        """Keep the blocks that come; return the first that has not."""
        assert self._blocks is not None, "the list has come before"
        waiting = bytearray()
        number = first
        for piece in pieces:
            waiting += piece
            while number <= last and len(waiting) >= (size := self._blocks.span(number)[1]):
                self._keep(number, bytes(waiting[:size]), source)
                del waiting[:size]
                number += 1
        return number

    def _keep(self, number: int, data: bytes, source: Source) -> None:
        assert self._blocks is not None, "the list has come before"
        if not self._blocks.is_right(number, data):
            reason = f"block {number} is not what the metadata names"
            raise InterruptedFetchError(f"{Rule.HASH.value}: {source.name}/{self._name}: {reason}")
        self._storage.write(self.part, self._blocks.span(number)[0], data)
        self._storage.sync(self.part)
        self._map.add(number)
        self._storage.write(f"{self._stem}.map", *self._map.byte_of(number))
        self._storage.sync(f"{self._stem}.map")
        self._progress(self._blob.length - self.missing_bytes, self._blob.length)
        self._stop_if_cancelled()

    def _begin(self) -> None:
        self._stop_if_cancelled()
        self._budget.begin_attempt(self._name)

    def _read(self, source: Source, path: str, offset: int, size: int) -> Pieces:
        """What a source gives from `offset` on; every byte that comes is paid for, wanted or not."""
        self._budget.spend(CHUNK_BYTES, self._name)  # always before it comes: a day never costs more than it may
        start, pieces = source.read(path, offset, size)
        skip = offset - start
        patience = Patience(self._speed.monotonic, f"{source.name}/{path}")
        with closing(pieces):
            for piece in pieces:
                self._budget.give_back(CHUNK_BYTES - len(piece))
                self._speed.took(len(piece))
                patience.took(len(piece))
                wanted = piece[skip:]
                skip -= len(piece) - len(wanted)
                if wanted:
                    yield wanted
                self._budget.spend(CHUNK_BYTES, self._name)
        self._budget.give_back(CHUNK_BYTES)

    def _stop_if_cancelled(self) -> None:
        if self._is_cancelled():
            raise RefusedError(Rule.CANCELLED, self._name, "the plan is cancelled")

    def _read_block(self, number: int) -> bytes:
        try:
            return self._storage.read(self.part, number * BLOCK_BYTES, BLOCK_BYTES)
        except StorageError:  # a sector that cannot be read is a block to fetch again
            return b""


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbours as (first, last)."""
    breaks = [index for index, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    for start, end in pairwise([0, *breaks, len(numbers)]):
        if start < end:
            yield numbers[start], numbers[end - 1]
