"""A repository that is published into a folder, and online Directors of it, for tests of what they answer."""

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from ota.campaign.director import QUARTER_S, OnlineDirector
from ota.campaign.published import Published
from ota.campaign.store.plans import Made
from ota.repository.keys import SigningKey
from ota.repository.layout import PUBLIC
from ota.targets import EcuPlan, Plan
from ota.testing.repository_double import RepositoryDouble
from ota.trust.fetcher import Pieces
from ota.trust.web import StatusError

ONE, TWO = "rsu/gateway/1.tar", "rsu/gateway/2.tar"
NAME = "rsu-7"


class World:
    """A repository that is published into a folder, Directors of one database, and devices that trust them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.double = RepositoryDouble()
        self.double.add_image(ONE, b"one", counter=1)
        self.double.add_image(TWO, b"two", counter=2)
        self.publish()
        self.plans: dict[str, Made] = {}
        self.plan(1, ONE)
        self.start_of_quarter = int(self.now) // QUARTER_S * QUARTER_S

    @property
    def now(self) -> float:
        return self.double.now.timestamp()

    @now.setter
    def now(self, at: float) -> None:
        self.double.now = datetime.fromtimestamp(at, self.double.now.tzinfo)

    def publish(self) -> None:
        for name, data in self.double.files.items():
            file = self.folder / PUBLIC / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    def plan(self, number: int, target: str, device: str = NAME) -> None:
        plan = Plan(device=device, number=number, ecus={"gateway": EcuPlan(target=target)})
        self.plans[device] = Made(plan, 0, "")

    def director(self, key: SigningKey | None = None) -> OnlineDirector:
        """Another one, as after a restart or on another machine."""
        return OnlineDirector(key or self.double.keys["director"][0], Published(self.folder), self.plans.get)

    def pieces(self, *directors: OnlineDirector) -> Pieces:
        """What devices are served: each file by the next of the Directors in turn."""
        turn = 0

        def read(url: str) -> Iterator[bytes]:
            nonlocal turn
            _side, *rest = url.split("/")
            if url.startswith("director/"):
                data = directors[turn % len(directors)].file(rest[0], rest[1], self.now)
                turn += 1
            else:
                data = self.double.files.get(url)
            if data is None:
                raise StatusError(url, HTTPStatus.NOT_FOUND, "it is not there")
            yield data

        return read
