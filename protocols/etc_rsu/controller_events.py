"""What may be asked of the computer's end of a link, what may happen there, and where it stands."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from protocols.etc_rsu.catalogue import Choice, Interface
from protocols.etc_rsu.payload import AnyPayload


class ControllerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Timers differ by province; these are the values most often seen.

    start_s, max_starts: B0 follows C0. step_s: the next report of a vehicle follows a command. decide_s: how long the
    application may think before the vehicle is given up. silence_s: the unit says something, were it a heartbeat.
    variants: see `catalogue.VARIANTS`.
    """

    interface: Interface = Interface.CLASSIC
    variants: Mapping[int, Choice] | None = None
    start_s: float = 3.0
    max_starts: int = 3
    step_s: float = 3.0
    decide_s: float = 2.0
    silence_s: float = 61.0


GANTRY_SETTINGS = ControllerSettings(interface=Interface.GANTRY, step_s=1.0, decide_s=1.0, silence_s=31.0)
"""Free flow: a heartbeat comes every 10 s, and a step takes a second at most."""


class Start(msgspec.Struct, frozen=True):
    """Initialise the unit with this C0, now and whenever it comes back."""

    payload: AnyPayload


class Instruct(msgspec.Struct, frozen=True):
    """Say something that concerns no vehicle: antenna, authorisation of PSAMs."""

    payload: AnyPayload


class Decide(msgspec.Struct, frozen=True):
    """What shall become of a vehicle after its last report: C1, C2, or C3, C6, C7, C8 after a card was read."""

    obu_id: bytes
    payload: AnyPayload


class Ready(msgspec.Struct, frozen=True):
    """The unit has answered C0. Its report says whether it is well."""

    report: AnyPayload


class Fault(msgspec.Struct, frozen=True):
    """The unit does not answer C0, however often it was sent. `Start` tries again."""


class Silent(msgspec.Struct, frozen=True):
    """Nothing came for too long, not even a heartbeat; the unit is initialised anew."""


class Restarted(msgspec.Struct, frozen=True):
    """The unit says that it has just been switched on; it is initialised anew."""


class Told(msgspec.Struct, frozen=True):
    """A report that concerns no vehicle, or of a kind without a table."""

    report: AnyPayload


class Reported(msgspec.Struct, frozen=True):
    """A vehicle's report. `Decide` is due; after a result once that is stored durably.

    unsettled: a debit or entry of this vehicle with no result, or with an error: it may have been done all the same.
    is_written: the card carries its record, so it was: prove it with C7 or C8. Another C6 for it is refused.
    """

    obu_id: bytes
    report: AnyPayload
    unsettled: AnyPayload | None = None
    is_written: bool = False


class Undecided(msgspec.Struct, frozen=True):
    """No `Decide` came in time; the unit was told to let the vehicle go and search again."""

    obu_id: bytes
    report: AnyPayload


class Abandoned(msgspec.Struct, frozen=True):
    """Nothing more came of a vehicle. unsettled: its debit or entry, whose outcome is therefore not known."""

    obu_id: bytes
    unsettled: AnyPayload | None = None


ControllerCommand = Start | Instruct | Decide
ControllerEvent = Ready | Fault | Silent | Restarted | Told | Reported | Undecided | Abandoned


class LinkState(Enum):
    """Where the link stands."""

    DOWN = "down"
    STARTING = "starting"
    UP = "up"


class LinkStimulus(Enum):
    """What may happen to it."""

    START = "Start"
    STATE = "B0"
    POWER_UP = "B0 after power up"
    NO_STATE = "no B0, tries left"
    SPENT = "no B0, tries spent"
    SILENCE = "nothing for too long"


class PassageState(Enum):
    """Where a vehicle stands."""

    ABSENT = "absent"
    FOUND = "found"
    READING = "reading"
    VEHICLE = "vehicle read"
    CARD = "card read"
    TRADING = "trading"
    RESULT = "result"


class PassageStimulus(Enum):
    """What may happen to it."""

    FOUND = "B2"
    VEHICLE = "B3"
    CARD = "B4"
    RESULT = "B5, B7 or B8"
    CONTINUE = "C1"
    STOP = "C2"
    TRADE = "C3, C6, C7 or C8"
    LATE = "no decision"
    SILENCE = "no report"
