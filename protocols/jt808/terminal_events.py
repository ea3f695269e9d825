"""What a terminal's session is made with, what may be asked of it, what may happen in it, and where it may stand."""

from enum import Enum

import msgspec

from protocols.jt808.dialect import Dialect
from protocols.jt808.link import Timers
from protocols.jt808.location import Location
from protocols.jt808.registration import Registration
from protocols.jt808.session import Answer, Answered, Close, Connected, Disconnected, Received, Send, Unanswered
from protocols.jt808.subpackage import Abandoned


class TerminalConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who the terminal is, and how patient. The timers are parameters 0x0001 to 0x0003."""

    phone: str
    dialect: Dialect
    registration: Registration
    auth_code: bytes | None = None
    imei: bytes = b""
    software_version: bytes = b""
    timers: Timers = Timers()
    heartbeat_interval_s: float = 60.0
    reconnect_min_s: float = 5.0
    reconnect_max_s: float = 600.0
    registered_elsewhere_retry_s: float = 1800.0
    """After results 1 and 3: somebody has to undo the other registration."""
    unknown_retry_s: float = 4 * 3600.0
    """After results 2 and 4: somebody has to enter the vehicle or terminal."""
    has_backup: bool = False
    asks_time: bool = False
    """Ask for the platform's clock after each authentication (2019)."""
    max_stored: int = 10_000
    """Locations that wait at most."""


class Report(msgspec.Struct, frozen=True):
    """Send a location, or keep it until it can be sent. token: whatever shall come back with what becomes of it."""

    location: Location
    token: object = None


class LogOffNow(msgspec.Struct, frozen=True):
    """End the registration."""


class Connect(msgspec.Struct, frozen=True):
    """Connect to the server, or to the backup server."""

    to_backup: bool = False


class CodeGiven(msgspec.Struct, frozen=True):
    """The platform gave an authentication code: to be kept over restarts."""

    auth_code: bytes

    def __repr__(self) -> str:
        return "CodeGiven()"


class CodeDropped(msgspec.Struct, frozen=True):
    """The authentication code is worth nothing any more."""


class RegistrationRefused(msgspec.Struct, frozen=True):
    """The platform does not want this terminal. result: see `registration.py`."""

    result: int


class Online(msgspec.Struct, frozen=True):
    """The platform knows who we are."""


class Offline(msgspec.Struct, frozen=True):
    """What was online is not any more."""

    reason: str


class Delivered(msgspec.Struct, frozen=True):
    """The platform answered for a location."""

    token: object


class Undelivered(msgspec.Struct, frozen=True):
    """A location is lost. result: the platform's refusal, or None where it gave way to newer ones."""

    token: object
    result: int | None


class PlatformTime(msgspec.Struct, frozen=True):
    """The platform's clock, and when its answer came."""

    utc_ms: int
    received_at: float


TerminalCommand = Connected | Disconnected | Report | Send | Answer | LogOffNow
TerminalEvent = (
    Connect
    | Close
    | CodeGiven
    | CodeDropped
    | RegistrationRefused
    | Online
    | Offline
    | Received
    | Delivered
    | Undelivered
    | Answered
    | Unanswered
    | PlatformTime
    | Abandoned
)


class TerminalState(Enum):
    """Where the terminal stands."""

    OFFLINE = "offline"
    REGISTERING = "registering"
    AUTHENTICATING = "authenticating"
    ONLINE = "online"
    LOGGING_OFF = "logging off"
    LOGGED_OFF = "logged off"


class TerminalStimulus(Enum):
    """What may happen to it."""

    CONNECTED = "connected, no code"
    CONNECTED_AGAIN = "connected, code known"
    DISCONNECTED = "disconnected"
    REGISTERED = "registered"
    REGISTRATION_REFUSED = "registration refused"
    AUTHENTICATED = "authenticated"
    CODE_REFUSED = "code refused"
    FRESH_CODE_REFUSED = "fresh code refused"
    NO_ANSWER = "no answer"
    LOG_OFF = "LogOffNow"
    LOGGED_OFF = "log-off answered"
