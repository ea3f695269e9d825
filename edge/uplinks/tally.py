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
        self._alarmed: set[str] = set()

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
        """Alarm, unless `name` is known to be refused, or was so since a connection last stood for some time."""
        if name in self.refused_names or len(self.refused_names) >= MAX_REFUSED:
            return
        is_first = not self.refused_names
        self.refused_names.add(name)
        if name in self._alarmed or len(self._alarmed) >= MAX_REFUSED:
            return  # a broker that takes and refuses in turn
        self._alarmed.add(name)
        if is_first:  # who is refused everything reads of it once; the rest stands in the status
            log.error(_("uplink: %s: %s; it is kept, and `wayside status` names all that is refused"), name, reason)
        self.alarm(kind, f"{name}: {reason}")

    def forget_alarms(self) -> None:
        """A connection has stood for some time: what is refused on the next one is news."""
        self._alarmed.clear()
