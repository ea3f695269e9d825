"""What devices say, as the engine takes it; whoever listens to them makes these out of what came over the wire."""

from typing import Any

import msgspec


class Sign(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A sign of life. `at`: when it was heard, in seconds since 1970, by our clock."""

    device: str
    at: int
    is_fresh: bool = True
    """False for what the broker kept: it says what the device has said last, not that it is alive."""


class Look(Sign, frozen=True, kw_only=True, tag=True):
    """Counters: of starts, of records made. None: it did not say."""

    starts: int | None = None
    records: int | None = None


class Answer(Sign, frozen=True, kw_only=True, tag=True):
    """It has a command of ours, whatever it makes of it."""

    command: str


class Account(Sign, frozen=True, kw_only=True, tag=True):
    """What it says of its slots: `state`, `plan`, `outcome`, `rule`, `reason`, `slots`; not signed by itself."""

    account: dict[str, Any]


class Reported(Sign, frozen=True, kw_only=True, tag=True):
    """A signed report, as it stands, and the end of a log."""

    line: str
    log: str = ""


Heard = Sign | Look | Answer | Account | Reported
