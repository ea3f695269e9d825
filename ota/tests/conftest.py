"""What several tests of the update agent start from."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ota.testing.repository_double import RepositoryDouble
from ota.tests.agent_device import Device, release


@pytest.fixture
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sources")
    return {str(number): release(str(number), number, folder) for number in (1, 2, 3)}


@pytest.fixture
def device(tmp_path: Path, images: dict[str, bytes]) -> Iterator[Device]:
    repository = RepositoryDouble(now=datetime(2026, 6, 1, tzinfo=UTC))
    with repository.serving() as web:
        yield Device(tmp_path / "box", repository, web, images["1"])
