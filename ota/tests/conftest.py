"""What several tests of updates start from: a device, and a database of either kind."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ota.campaign.store.database import open_database
from ota.testing import postgres_bench
from ota.testing.postgres_bench import PostgresBench
from ota.testing.repository_double import RepositoryDouble
from ota.tests.agent_device import Device, release
from ota.tests.rollout_office import Office


@pytest.fixture
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sources")
    return {str(number): release(str(number), number, folder) for number in (1, 2, 3)}


@pytest.fixture
def device(tmp_path: Path, images: dict[str, bytes]) -> Iterator[Device]:
    repository = RepositoryDouble(now=datetime(2026, 6, 1, tzinfo=UTC))
    with repository.serving() as web:
        yield Device(tmp_path / "box", repository, web, images["1"])


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresBench]:
    """A server, for one of the processes that run tests."""
    if reason := postgres_bench.why_not():
        pytest.skip(reason)
    with PostgresBench.running() as bench:
        yield bench


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, of each kind in turn."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            yield stack.enter_context(request.getfixturevalue("postgres").database())
        else:
            yield f"sqlite:///{tmp_path / 'rollouts.db'}"


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    """Rollouts in an empty database of each kind."""
    database = open_database(database_url)
    yield Office(database)
    database.close()
