"""Which way to an image costs least: nothing, a delta from what lies here, the whole of it.

the image lies in a slot already      0 bytes
delta from the running image          first, since that slot is the one that is known to be whole
delta from the other slot's image
the whole image, by the metadata's preference (zstd, then as it is)
"""

from collections.abc import Sequence
from typing import NamedTuple

from ota.payload.delta_body import ReadOld
from ota.targets import Blob, Target


class Held(NamedTuple):
    """An image that lies on the device, in a slot; by preference."""

    sha256: str
    length: int
    read: ReadOld


class Way(NamedTuple):
    """One way to an image. `blob`: what to fetch, None where nothing; `base`: what it is applied to."""

    blob: Blob | None
    base: Held | None

    @property
    def is_delta(self) -> bool:
        """Another image is needed to make this one."""
        return self.blob is not None and self.base is not None

    @property
    def word(self) -> str:
        """For people and reports."""
        return "same" if self.blob is None else "delta" if self.is_delta else "full"


def ways_to(target: Target, held: Sequence[Held]) -> list[Way]:
    """Every way, the cheapest first."""
    same = next((each for each in held if (each.sha256, each.length) == (target.sha256, target.length)), None)
    if same is not None:
        return [Way(None, same)]
    deltas = {delta.from_sha256: delta for delta in target.info.deltas}
    by_delta = [Way(deltas[each.sha256], each) for each in held if each.sha256 in deltas]
    return by_delta + [Way(blob, None) for blob in target.info.full]
