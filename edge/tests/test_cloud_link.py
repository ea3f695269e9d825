"""The retained copy of the catalogue bears a record's number, so it may leave only where that record may."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

from edge.gateway.cloud_link import CloudLink
from edge.tests.config_documents import HEAD, parse
from edge.tests.disk_double import Disk, Power
from edge.tests.test_store import disks, store_on
from protocols.wayside.state import decode_catalogue


class Uplink(SimpleNamespace):
    """Connected; keeps the catalogues that it is given."""

    def __init__(self) -> None:
        super().__init__(is_connected=True, catalogues=[])

    def publish(self, route: str, payload: bytes, *, retain: bool = False) -> None:
        if route.startswith("catalogue/") and retain:
            self.catalogues.append(decode_catalogue(payload))

    def wake(self) -> None:
        pass


class Bench:
    def __init__(self, folder: Path, media: dict[str, Disk] | None = None) -> None:
        self.media = media or disks()
        self.store = store_on(self.media)
        head = HEAD.replace('"broker"', '"ingest"').replace('data = "var"', f'data = "{folder}"')
        self.link = CloudLink(
            config=parse(head=head, file=folder / "node.toml"),
            store=self.store,
            clock=SimpleNamespace(monotonic=lambda: 0.0, wall_ms=lambda: 0),
            history=lambda: None,
            digest=lambda: "0",
            on_connected=lambda: None,
            on_ahead=lambda _lane: None,
            heard=MagicMock(),
        )
        self.link.uplink = self.uplink = Uplink()
        self.link.outbox.connected(0, 1)

    def record_catalogue(self, digest: str = "c0ffee") -> int:
        """As the application does when devices are built; the number of its record, 0 where none is needed."""
        catalogue = self.link.next_catalogue(digest, {}, {})
        if catalogue is None:
            return 0
        seq = self.store.lanes["telemetry"].append(*catalogue)
        self.committed()
        return seq

    def committed(self) -> None:
        self.store.commit_now()
        self.link.committed()

    @property
    def sent(self) -> list[tuple[str, int]]:
        return [(catalogue.epoch, catalogue.seq) for catalogue in self.uplink.catalogues]


def with_damaged_end(folder: Path) -> Bench:
    """It made ten records of which the disk has lost the last, and everything that knew of them."""
    bench = Bench(folder)
    for _ in range(10):
        bench.store.lanes["telemetry"].append("telemetry/a", b"x" * 100)
    bench.store.commit_now()
    bench.store.close()
    contents = {name: data for name, data in bench.media["telemetry"].contents().items() if name.endswith(".seg")}
    newest = max(contents)
    contents[newest] = contents[newest][:-30]
    power = Power()
    return Bench(folder, bench.media | {"telemetry": Disk.holding(contents, power)})


def test_a_copy_leaves_once_its_record_is_on_the_disk(tmp_path: Path):
    bench = Bench(tmp_path)
    epoch = bench.store.lanes["telemetry"].epoch
    assert bench.record_catalogue() == 1
    assert bench.sent == [(epoch, 1)]
    assert bench.record_catalogue() == 0, "it stands already"


def test_a_copy_waits_while_its_number_may_be_an_old_records(tmp_path: Path):
    bench = with_damaged_end(tmp_path)
    lane = bench.store.lanes["telemetry"]
    seq = bench.record_catalogue()
    assert bench.sent == []
    bench.link.outbox.acknowledged("telemetry", lane.epoch, seq - 1, [], 0.1, answers=1)
    bench.committed()
    assert bench.sent == [(lane.epoch, seq)], "the ingest has no more than we"


def test_a_copy_of_an_epoch_that_has_ended_never_leaves(tmp_path: Path):
    """Its number is one that the ingest knows another record by: that is why the epoch has ended."""
    bench = with_damaged_end(tmp_path)
    lane = bench.store.lanes["telemetry"]
    ended = lane.epoch
    seq = bench.record_catalogue()
    bench.link.outbox.acknowledged("telemetry", ended, seq + 3, [], 0.1, answers=1)
    asyncio.run(bench.store.renew_epoch("telemetry"))
    assert lane.epoch != ended
    bench.link.outbox.take(0.2, 1 << 20)
    bench.committed()  # of anybody's records, before the application has heard of the new epoch
    assert bench.sent == []
    bench.link.outbox.epoch_renewed("telemetry")
    assert bench.record_catalogue() == 1
    bench.committed()
    assert bench.sent == [(lane.epoch, 1)]
