"""A lane that must begin again under another epoch, because the ingest knows numbers that this box has not made.

A disk that refuses meanwhile, a full one, is said once and asked again until it takes it: the ingest would otherwise
take new records for repetitions of old ones.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from drivers.text import _
from edge.store.errors import StoreError

log = logging.getLogger(__name__)

AGAIN_S = 5.0


class EpochRenewal:
    """`renew`: the store's; returns how many records are lost by it. `on_renewed`: for whoever numbers records."""

    def __init__(self, renew: Callable[[str], Awaitable[int]], on_renewed: Callable[[str], None]) -> None:
        self._renew = renew
        self._on_renewed = on_renewed
        self._under_way: set[str] = set()

    async def run(self, lane: str) -> None:
        """Have a lane begin again. Asked for twice, it is done once."""
        if lane in self._under_way:
            return
        self._under_way.add(lane)
        try:
            lost = await self._insist(lane)
        finally:
            self._under_way.discard(lane)
        text = _("%s: the ingest knows records that this box has not made (a restored backup?): a new epoch, %d lost")
        log.error(text, lane, lost)
        self._on_renewed(lane)

    async def _insist(self, lane: str) -> int:
        has_said = False
        while True:
            try:
                return await self._renew(lane)
            except StoreError as error:
                if not has_said:
                    text = _("%s: it needs a new epoch, and the disk does not take it: %s; it is tried again by itself")
                    log.error(text, lane, error)
                has_said = True
            await asyncio.sleep(AGAIN_S)
