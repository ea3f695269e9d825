"""A device's trust side over a disk in memory and a `RepositoryDouble`: each `refresh` is a start of its own.

device = TrustingDevice(double)
device.refresh().targets["gateway"]
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from ota.repository.layout import DIRECTOR, METADATA
from ota.storage import Storage
from ota.testing.disk_double import DiskDouble
from ota.testing.repository_double import RepositoryDouble
from ota.trust.agreement import Device, EcuKind
from ota.trust.client import Repository, TrustClient, VerifiedPlan
from ota.trust.clock_floor import ClockFloor
from ota.trust.fetcher import Pieces
from ota.trust.web import StatusError

GATEWAY = EcuKind("rsu-arm64", "rsu/gateway")


class TrustingDevice:
    """Its clock is the double's own, unless `clock_s` is set."""

    def __init__(
        self,
        double: RepositoryDouble,
        *,
        name: str = "rsu-7",
        ecus: Mapping[str, EcuKind] | None = None,
        disk: Storage | None = None,
    ) -> None:
        self.double = double
        self.name = name
        self.device = Device(name, {"gateway": GATEWAY} if ecus is None else ecus)
        self.disk = DiskDouble() if disk is None else disk
        self.build_time = 0
        self.clock_s: float | None = None
        self.is_synchronised = True
        self.trusted = {"director_root": double.first_director_root, "image_root": double.first_root}

    def client(self, disk: Storage | None = None) -> TrustClient:
        """Start: what is not on the disk is forgotten."""
        clock = ClockFloor(
            build_time=self.build_time,
            clock=lambda: self.double.now.timestamp() if self.clock_s is None else self.clock_s,
            is_synchronised=lambda: self.is_synchronised,
        )
        client = TrustClient(disk or self.disk, self.device, clock=clock, **self.trusted)
        client.open()
        return client

    def refresh(
        self,
        *,
        disk: Storage | None = None,
        pieces: Pieces | None = None,
        base_url: str = "",
        **more: Any,  # of TrustClient.refresh
    ) -> VerifiedPlan:
        """Start, and refresh from `pieces`; else from the double's own files."""
        read = pieces or file_pieces(self.double.files)
        director = Repository(read, f"{base_url}{DIRECTOR}/{self.name}")
        return self.client(disk).refresh(director, Repository(read, f"{base_url}{METADATA}"), **more)


def file_pieces(files: Mapping[str, bytes]) -> Pieces:
    """`Pieces` over files in memory."""

    def pieces(url: str) -> Iterator[bytes]:
        if url not in files:
            raise StatusError(url, HTTPStatus.NOT_FOUND, "it is not there")
        yield files[url]

    return pieces
