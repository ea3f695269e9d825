"""What the tests of tools share: one signed repository, which takes seconds to make."""

from pathlib import Path

import pytest

from tools.tests.ota_repositories import hurry
from tools.tests.rollout_desk import Signed, sign_repository


@pytest.fixture(scope="session")
def signed_repository(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Two releases of a gateway, published. Nobody writes to it."""
    folder: Path = tmp_path_factory.mktemp("signed")
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        return sign_repository(folder)
