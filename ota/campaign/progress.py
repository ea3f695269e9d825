"""How far a stage is, as a person follows it."""

from collections.abc import Iterable

import msgspec

from ota.campaign.judge import Tally


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Devices; each count has those in it that have come further."""

    devices: int
    told: int
    reached: int
    confirmed: int
    """And have not been sent back since."""
    failed: int
    """Failed, silent, worse than before; also when they have been sent back since."""
    back: int
    """Sent back, whether they have come there yet or not."""


def progress_of(tallies: Iterable[Tally]) -> Progress:
    """Of the devices of all these."""
    devices = told = reached = confirmed = failed = back = 0
    for one in tallies:
        every = one.all
        now_told = every - one.of("waiting", "cancelled")
        devices += every
        told += now_told
        reached += now_told - one.of("told")
        confirmed += one.well
        failed += one.bad
        back += one.of("reverting", "reverted", "stranded")
    return Progress(devices=devices, told=told, reached=reached, confirmed=confirmed, failed=failed, back=back)
