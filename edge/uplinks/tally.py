"""What an uplink has done over all its connections, and what a broker refuses it, alarmed once each."""

import logging
from collections.abc import Callable

from drivers.text import _

log = logging.getLogger(__name__)

MAX_REFUSED = 100
"""Routes and subscriptions that are remembered as refused; beyond that they are counted only."""


class Tally:
    """Counters, and whom to alarm: kind and one line for a person.

    Kinds: `publish-refused`, `subscription-refused`, `taken-over`, `credential`.
    """

    def __init__(self, on_alarm: Callable[[str, str], None]) -> None:
        self.alarm = on_alarm
        self.records = 0
        """Records published, repeats included."""
        self.notes = 0
        """What is no record, published."""
        self.acknowledged = 0
        """Messages that the broker has taken."""
        self.refused = 0
        """Messages that it has not."""
        self.ingest_acks = 0
        self.bad_messages = 0
        """What came down and could not be read."""
        self.bytes_in = 0
        self.bytes_out = 0
        """Of connections that have ended."""
        self.refused_names: set[str] = set()
        """Routes and topics that are refused at present."""

    def accept(self, route: str) -> None:
        """The broker has taken a message: a refusal of its route is over."""
        self.acknowledged += 1
        if self.refused_names:
            self.refused_names.discard(route)

    def grant(self, topic: str) -> None:
        """The broker has granted a subscription: a refusal of it is over."""
        self.refused_names.discard(topic)

    def refuse(self, route: str, reason: str) -> None:
        """The broker will not have a message."""
        self.refused += 1
        self.alarm_once("publish-refused", route, reason)

    def alarm_once(self, kind: str, name: str, reason: str) -> None:
        """Alarm, unless `name` is known to be refused."""
        if name not in self.refused_names and len(self.refused_names) < MAX_REFUSED:
            if not self.refused_names:  # who is refused everything reads of it once; the rest stands in the status
                log.error(_("uplink: %s: %s; it is kept, and `wayside status` names all that is refused"), name, reason)
            self.refused_names.add(name)
            self.alarm(kind, f"{name}: {reason}")
