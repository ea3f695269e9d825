"""Fixtures of the gateway's tests."""

import logging

import pytest


@pytest.fixture
def own_logging():
    """The root logger, put back afterwards as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield root
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:], logging.raiseExceptions = before, True
    root.setLevel(level)
