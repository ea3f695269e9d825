"""The bench and the rig that end-to-end tests stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulators.broker import find_mosquitto
from hil_tests.bench import Bench
from hil_tests.rig import Rig, load_rig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real processes on a busy machine take their time: these tests may last longer before they count as hung."""
    for item in items:
        if "hil_tests" in item.path.parts and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest) -> Rig | None:
    """The real bench; None when the tests stand on emulators."""
    file = request.config.getoption("--rig")
    return load_rig(Path(file)) if file else None


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Broker with mutual TLS and ACL; ingest and gateway not started yet."""
    if find_mosquitto() is None:
        pytest.skip("Mosquitto is not installed (apt-get install mosquitto)")
    async with Bench(tmp_path) as standing:
        yield standing
