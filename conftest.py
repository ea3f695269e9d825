"""Options and guards that hold for every test."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long` and `--rig`."""
    parser.addoption("--long", action="store_true", help="run tests in their long form")
    parser.addoption(
        "--rig", metavar="FILE", help="run the end-to-end suite on the bench that this TOML file describes"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long form of a test to `make hil`, `make soak` and `make fuzz`: deselected, not skipped."""
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
