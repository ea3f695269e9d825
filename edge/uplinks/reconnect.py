"""When to try which broker, and in which version of MQTT. Pure: no clock, no socket; `now` and chance are handed in.

The rule, in one place: a wait is drawn evenly from nothing up to a cap ("full jitter": a thousand boxes whose broker
restarts do not all come back in the same second). The cap is 4 s for the first ten minutes of an outage, then doubles
up to 120 s. On a metered line waits are 30 to 300 s. A link that comes up is tried at once. Two failures in a row, or a
dead link, and the next broker of the list has its turn; while another than the first serves, the first is probed from
time to time. What only a person can mend (a certificate, a right) is tried about once a minute.

MQTT 5 is tried first. A broker that refuses it gets 3.1.1, and that is remembered for a day, so that a broker that
learns version 5 is found out. One that twice hangs up without a word gets 3.1.1 too, but that is a guess (a load
balancer without a broker behind it looks the same) and soon forgotten.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

JITTER_CAP_S = 4.0
PATIENT_AFTER_S = 600.0
LONG_CAP_S = 120.0
METERED_LEAST_S = 30.0
METERED_MOST_S = 300.0
PERSON_LEAST_S = 45.0
PERSON_MOST_S = 75.0
FAILURES_A_BROKER = 2
STEADY_S = 10.0
"""A connection that stood this long was one; a shorter one counts as a failure, and the outage goes on."""
PROBE_FIRST_S = 300.0
PROBE_MOST_S = 3600.0
DWELL_FIRST_S = 30.0
DWELL_MOST_S = 600.0
VERSION_MEMORY_S = 86_400.0
GUESS_MEMORY_S = 600.0


class Failure(Enum):
    """Why there is no connection; what helps differs."""

    LINK = "link"
    """No route, no answer, refused, hung up: it may pass by itself."""
    SILENT_CLOSE = "silent-close"
    """Hung up before the broker said anything: a link failure, or a broker that does not know the version."""
    BUSY = "busy"
    """The broker answered that it cannot serve now, or names another: the next one has its turn."""
    VERSION = "version"
    """The broker does not speak this version of MQTT."""
    CREDENTIAL = "credential"
    """A certificate or a right: a person must act."""
    DEAD_LINK = "dead-link"
    """It stood but nothing came any more: another way may work."""
    TAKEN_OVER = "taken-over"
    """Somebody else connected under this node's id: a person must act."""
    NO_INGEST = "no-ingest"
    """The broker works but nobody behind it takes records."""
    PREFERRED_IS_BACK = "preferred-is-back"
    """We left, because the first broker of the list answers again."""


class Attempt(NamedTuple):
    """The next thing to try."""

    at: float
    """Not before this moment."""
    broker: int
    """Index in the list."""
    mqtt5: bool


class _Version:
    """What one broker is known to speak."""

    def __init__(self) -> None:
        self.mqtt5 = True
        self.forget_at = 0.0
        self.silent_closes = 0

    def choose(self, *, mqtt5: bool, forget_at: float) -> None:
        self.mqtt5 = mqtt5
        self.forget_at = forget_at
        self.silent_closes = 0


class Reconnect:
    """Decides; whoever connects reports what came of it. `uniform(a, b)` is the source of chance."""

    def __init__(self, *, brokers: int, metered: bool, now: float, uniform: Callable[[float, float], float]) -> None:
        assert brokers > 0
        self._metered = metered
        self._uniform = uniform
        self._versions = [_Version() for _ in range(brokers)]
        self._broker = 0
        self._failures = 0
        self._needs_person: set[int] = set()
        self._outage_since = now
        self._patience_since = now
        self._connected_at: float | None = None
        self._at = now
        self._cap_s = JITTER_CAP_S
        self._metered_cap_s = 2 * METERED_LEAST_S
        self._probe_wait_s = PROBE_FIRST_S
        self._probe_at: float | None = None
        self._dwell_s = DWELL_FIRST_S

    @property
    def outage_since(self) -> float:
        """When the present, or else the last, outage began."""
        return self._outage_since

    @property
    def broker(self) -> int:
        """The broker that serves, or has the next turn."""
        return self._broker

    @property
    def dwell_s(self) -> float:
        """How long to stay with a broker behind which nobody takes records; doubles with each that was left."""
        return self._dwell_s

    def next_attempt(self, now: float) -> Attempt:
        """What to try next, and when."""
        version = self._versions[self._broker]
        if not version.mqtt5 and now >= version.forget_at:
            version.mqtt5 = True
        return Attempt(self._at, self._broker, version.mqtt5)

    def link_up(self, now: float) -> None:
        """A network interface came up, or a person says "now": the next attempt is due at once."""
        if self._connected_at is None:
            self._at = now
            self._patience_since = now
            self._cap_s = JITTER_CAP_S
            self._metered_cap_s = 2 * METERED_LEAST_S

    def connected(self, now: float) -> None:
        """The broker has accepted us."""
        self._versions[self._broker].silent_closes = 0
        self._connected_at = now
        self._needs_person.discard(self._broker)
        self._probe_at = self._next_probe(now) if self._broker else None

    def lost(self, now: float, failure: Failure) -> None:
        """A connection that stood is gone."""
        assert self._connected_at is not None
        if now - self._connected_at >= STEADY_S:
            self._outage_since = self._patience_since = now
            self._failures = 0
            self._cap_s = JITTER_CAP_S
            self._metered_cap_s = 2 * METERED_LEAST_S
            if not self._broker and failure is not Failure.NO_INGEST:
                self._probe_wait_s = PROBE_FIRST_S
        self._connected_at = None
        self._probe_at = None
        if failure is Failure.NO_INGEST:
            self._dwell_s = min(2 * self._dwell_s, DWELL_MOST_S)
        self._after(now, failure)

    def failed(self, now: float, failure: Failure, *, mqtt5: bool) -> None:
        """An attempt came to nothing."""
        version = self._versions[self._broker]
        if failure is Failure.VERSION:
            version.choose(mqtt5=not mqtt5, forget_at=now + VERSION_MEMORY_S)
            if mqtt5:
                self._at = now  # it answered at once and said what it wants: not a failure of the link
                return
        elif failure is Failure.SILENT_CLOSE:
            version.silent_closes += 1
            if version.silent_closes >= FAILURES_A_BROKER:
                version.choose(mqtt5=not mqtt5, forget_at=now + GUESS_MEMORY_S)
        self._after(now, failure)

    def ingest_heard(self) -> None:
        """Somebody behind this broker takes records."""
        self._dwell_s = DWELL_FIRST_S

    def probe_due(self) -> float | None:
        """When to see whether the preferred broker is back; None while it serves or nobody does."""
        return self._probe_at

    def probed(self, now: float) -> None:
        """The preferred broker was looked at. Seldomer from here on: also a switch that fails must not come often."""
        self._probe_wait_s = min(2 * self._probe_wait_s, PROBE_MOST_S)
        self._probe_at = self._next_probe(now)

    def _next_probe(self, now: float) -> float:
        return now + self._uniform(self._probe_wait_s / 2, self._probe_wait_s)

    def _after(self, now: float, failure: Failure) -> None:
        if failure is Failure.PREFERRED_IS_BACK:
            self._broker = self._failures = 0
            self._at = self._patience_since = now
            return
        self._failures += 1
        if failure in (Failure.CREDENTIAL, Failure.TAKEN_OVER):
            self._needs_person.add(self._broker)
        else:
            self._needs_person.discard(self._broker)
        if self._failures >= FAILURES_A_BROKER or failure not in (Failure.LINK, Failure.SILENT_CLOSE):
            self._broker = (self._broker + 1) % len(self._versions)
            self._failures = 0
        self._at = now + self._wait_s(now)

    def _wait_s(self, now: float) -> float:
        if self._broker in self._needs_person:
            return self._uniform(PERSON_LEAST_S, PERSON_MOST_S)
        if self._metered:
            cap_s = self._metered_cap_s
            self._metered_cap_s = min(2 * cap_s, METERED_MOST_S)
            return self._uniform(METERED_LEAST_S, cap_s)
        if now - self._patience_since >= PATIENT_AFTER_S:
            self._cap_s = min(2 * self._cap_s, LONG_CAP_S)
        return self._uniform(0.0, self._cap_s)
