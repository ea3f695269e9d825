"""From the command line to a running gateway: which document to start with, and what the exit code says."""

import asyncio
import logging
from pathlib import Path

from drivers.errors import DriverError
from drivers.text import _
from edge.gateway.app import EXIT_STOPPED, Gateway
from edge.gateway.config import ConfigError, NodeConfigFile, load_config, parse_config
from edge.gateway.config_history import ConfigHistory, HistoryError
from edge.gateway.logs import start_logging
from edge.identity.operator_keys import OperatorKeyError
from edge.identity.pseudonym import PseudonymKeyError
from edge.store.errors import StoreError

log = logging.getLogger(__name__)

EXIT_FAILED, EXIT_CONFIG = 1, 2


def run_gateway(file: Path) -> int:
    """Run a gateway from its configuration file; return the exit code."""
    start_logging(None)
    try:
        document, config, history = _start_configuration(file.absolute())
    except (ConfigError, HistoryError) as error:
        log.error("%s", error)
        return EXIT_CONFIG
    start_logging(Path(config.node.data) / "log")
    try:
        return asyncio.run(_live(file.absolute(), document, config, history))
    except (OSError, StoreError, PseudonymKeyError, OperatorKeyError, DriverError) as error:
        log.error("%s", error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_STOPPED


async def _live(file: Path, document: bytes, config: NodeConfigFile, history: ConfigHistory) -> int:
    return await Gateway(file, document, config, history).run()


def _start_configuration(file: Path) -> tuple[bytes, NodeConfigFile, ConfigHistory]:
    """The later of file and push. A file that was broken by an edit is passed over for the last good configuration."""
    given = load_config(file)
    history = ConfigHistory(Path(given.node.data) / "config", file)
    document = history.open()
    config = parse_config(document, file)
    if config.digest != given.digest:
        log.warning(
            _("configuration: a pushed or an earlier one holds, %s; edit %s to change that"), config.digest, file
        )
    return document, config, history
