"""From the command line to a running gateway: which document to start with, and what the exit code says."""

import asyncio
import logging
from pathlib import Path

from drivers.errors import DriverError
from drivers.text import _
from edge.gateway.app import EXIT_STOPPED, Gateway
from edge.gateway.config import ConfigError, NodeConfigFile, load_config, parse_config, problems_around, read_document
from edge.gateway.config_history import ConfigHistory, HistoryError
from edge.gateway.data_folder import named_data_folder
from edge.gateway.logs import start_logging
from edge.store.errors import StoreError

log = logging.getLogger(__name__)

EXIT_FAILED, EXIT_CONFIG = 1, 2


def run_gateway(file: Path) -> int:
    """Run a gateway from its configuration file; return the exit code."""
    start_logging(None)
    try:
        document, config, history = _start_configuration(file.absolute())
    except ConfigError as error:
        _tell(error)
        return EXIT_CONFIG
    except HistoryError as error:
        log.error("%s", error)
        return EXIT_CONFIG
    start_logging(Path(config.node.data) / "log")
    for problem in problems_around(config, document):
        # Not a reason to stay down: what is missing may concern one link, and the rest polls and journals.
        log.warning("%s", problem)
    try:
        return asyncio.run(_live(file.absolute(), document, config, history))
    except OSError as error:
        log.error("%s", f"{error.filename}: {error.strerror}" if error.filename else error)
        return EXIT_FAILED
    except (StoreError, DriverError) as error:
        log.error("%s", error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_STOPPED


async def _live(file: Path, document: bytes, config: NodeConfigFile, history: ConfigHistory) -> int:
    return await Gateway(file, document, config, history).run()


def _start_configuration(file: Path) -> tuple[bytes, NodeConfigFile, ConfigHistory]:
    """The later of file and push. A file that an edit has broken is passed over for the last good configuration."""
    try:
        given = load_config(file)
    except ConfigError as error:
        return _last_good(file, error)
    history = ConfigHistory(Path(given.node.data) / "config", file)
    document = history.open()
    try:
        config = parse_config(document, file)
    except ConfigError as error:  # a newer release has taken it up, and this one has its place again
        document, config = history.newest_good() or (read_document(file), given)
        reason = "; ".join(": ".join(filter(None, (each.path, each.text))) for each in error.problems)
        history.pass_over(reason)
        log.error(_("configuration: this release cannot use what was pushed, so %s runs: %s"), config.digest, reason)
    if config.digest != given.digest:
        text = _("configuration: a pushed or an earlier one holds, %s; edit %s to change that")
        log.warning(text, config.digest, file)
    return document, config, history


def _last_good(file: Path, error: ConfigError) -> tuple[bytes, NodeConfigFile, ConfigHistory]:
    """What ran well before, for a box that nobody is at. Raises `error` when nothing is kept, or nobody knows where."""
    try:
        data = named_data_folder(file)
        if data is None:
            raise error
        history = ConfigHistory(data / "config", file)
        history.open()
    except (OSError, HistoryError):
        raise error from None
    good = history.newest_good()
    if good is None:
        raise error
    document, config = good
    _tell(error)
    log.error(_("configuration: %s is wrong, so the last good one runs: %s"), file, config.digest)
    return document, config, history


def _tell(error: ConfigError) -> None:
    for problem in error.problems:
        log.error("%s", problem)
