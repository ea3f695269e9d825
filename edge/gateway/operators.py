"""Whose signatures the box obeys, by the key files that the configuration names.

An operator whose file cannot be used is not obeyed, and nobody else is held up by it: the box polls, journals and obeys
the others. See docs/adr/0010-missing-keys-stop-only-their-users.md.
"""

import logging
from pathlib import Path

import msgspec

from drivers.text import _
from edge.gateway.config_tables import CommandsConfig
from edge.identity.operator_keys import OperatorKeyError, read_public_key

log = logging.getLogger(__name__)


class Operator(msgspec.Struct, frozen=True):
    """Someone whose signature the box obeys."""

    name: str
    public_key: bytes
    ops: tuple[str, ...]


class Operators:
    """Reads them, and remembers who is not obeyed."""

    def __init__(self) -> None:
        self.not_obeyed: dict[str, str] = {}
        """By name: file and reason."""

    def read(self, config: CommandsConfig) -> list[Operator]:
        """Read every key file anew, so that one that is replaced or taken away counts. Tells of what changed."""
        before, self.not_obeyed = self.not_obeyed, {}
        operators = []
        for one in config.operator:
            try:
                operators.append(Operator(one.name, read_public_key(Path(one.key)), one.ops))
            except (OSError, ValueError, OperatorKeyError) as error:  # ValueError: a NUL in the name
                reason = f"{one.key}: {getattr(error, 'strerror', None) or error}"
                self.not_obeyed[one.name] = reason
                if before.get(one.name) != reason:
                    log.error(_("commands: %s is not obeyed: %s"), one.name, reason)
            else:
                if one.name in before:
                    log.info(_("commands: %s is obeyed again"), one.name)
        return operators
