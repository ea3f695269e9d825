"""The face of a buoy's hardware: all that the duty cycle, the lamp and the uplink ask of a board.

MicroPython-clean. A board file (`board_unix`, `board_rp2`) is the only place that touches hardware; everything else is
handed one of these. Values are integers with the unit in the name.

Two clocks. `now_ms` is monotonic, a Python integer that never wraps and goes on through sleep; every deadline counts in
it. `utc_ms` comes from a clock that loses its time with its battery: then it is None until GNSS or the network tells.
A light's period begins where UTC is a multiple of it, so that `set_utc` may shift what the lamp plays, once.

The lamp is played by the board, beside everything else: a thread, a timer or a state machine asks the lamp that it was
given with `play()` what comes next. It goes on through sleep, through every wait and after every exception.

Every wait has its end (`until_ms`) and may be shorter than that. The watchdog bites when `feed()` was not called for
8 s of waking time: no call may take longer. Whoever waits longer in many calls is handed an `alive` by the cycle.
"""

TIME = 0
SHOCK = 1
TILT = 2
LAMP = 3
LIGHT = 4
MODEM = 5
LEAK = 6
WAKE_REASONS = ("time", "shock", "tilt", "lamp", "light", "modem", "leak")
"""Why `sleep()` ended: the end that was asked for, a blow, the limit of tilt, a current of the lamp that is not as it
was, the limit of light passed, the modem's ring line, water or a door."""

POWER_ON = 0
WATCHDOG = 1
SOFTWARE = 2
RESET_CAUSES = ("power_on", "watchdog", "software")

WATCHDOG_MS = 8000
MAX_LEVEL = 15
"""Brightness goes from 0 (dark) to this, in the steps of the makers."""


class Sensed:
    """One look at every sensor. None: not fitted, or no answer."""

    __slots__ = ("battery_mv", "charge_ma", "discharge_ma", "humidity_pct", "is_door_open", "is_leaking", "lux",
                 "roll_rms_tenth_deg", "shock_mg", "shock_ms", "solar_ma", "solar_mv", "temp_tenth_c",
                 "tilt_tenth_deg", "water_level_mm")  # fmt: skip

    def __init__(self) -> None:
        self.battery_mv: int | None = None
        self.charge_ma: int | None = None
        """Into the battery, the mean since the last look; so is"""
        self.discharge_ma: int | None = None
        """out of it, lamp and all."""
        self.solar_mv: int | None = None
        self.solar_ma: int | None = None
        """At this moment."""
        self.lux: int | None = None
        self.temp_tenth_c: int | None = None
        self.humidity_pct: int | None = None
        self.tilt_tenth_deg: int | None = None
        """The mean of some seconds."""
        self.roll_rms_tenth_deg: int | None = None
        self.shock_mg: int = 0
        """The hardest blow since the last look, and"""
        self.shock_ms: int = 0
        """how long it lasted."""
        self.is_leaking: bool | None = None
        self.is_door_open: bool | None = None
        self.water_level_mm: int | None = None


class LampSensed:
    """What the player measured of the lamp since the last look; the newest of each counts."""

    __slots__ = ("dark_ma", "flash_ma", "flashes", "lamp_mv")

    def __init__(self) -> None:
        self.flashes: int = 0
        """How many flashes were measured."""
        self.flash_ma: int | None = None
        """In the middle of a flash."""
        self.dark_ma: int | None = None
        """In the middle of a darkness."""
        self.lamp_mv: int | None = None


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Played(Protocol):
        """What `play()` is given: the lamp. All of it is called from the player and must not allocate."""

        level: int
        """0 dark to `MAX_LEVEL`, since the last `step()`."""
        colour: int
        """Which of the lamp's colours, 0 where it has but one."""

        def step(self, now_ms: int) -> int:
            """Set `level` and `colour` for this moment; returns ms until they change, 0 when they never do.

            The moment may lie any distance after the last one, and before it by a set of the clock.
            """

        def set_utc(self, now_ms: int, utc_ms: int | None) -> None:
            """That moment was this UTC: where periods begin. None: nobody knows."""

    class Stream(Protocol):
        """A connection through the modem, TLS and all. Every call may raise `OSError`: it is lost then."""

        def readinto(self, buffer: bytearray | memoryview, until_ms: int) -> int:
            """Wait for bytes, take those that are there, return how many: 0 when none came in time."""

        def write(self, data: bytes | bytearray | memoryview) -> None:
            """Send all of it. `OSError` when that takes more than a few seconds."""

        def close(self) -> None:
            """Hang up; harmless when it is done already."""

    class Board(Protocol):
        """The hardware."""

        folder: str
        """Where flash is mounted: the journal, the settings."""
        firmware: str
        """Which version runs here."""

        def now_ms(self) -> int:
            """Monotonic ms; see above."""

        def utc_ms(self) -> int | None:
            """UTC ms since 1970, None after the clock lost it."""

        def set_utc(self, utc_ms: int) -> None:
            """Set the clock. The lamp that plays is told."""

        def sleep(self, until_ms: int) -> int:
            """Sleep with modem and GNSS off; returns why it ended, see `WAKE_REASONS`. The watchdog rests."""

        def wake_limits(self, shock_mg: int, tilt_tenth_deg: int, lux: int | None) -> None:
            """What wakes: a harder blow, a greater tilt, light that passes this (None: it does not wake)."""

        def feed(self) -> None:
            """Feed the watchdog. The duty cycle alone does."""

        def reset_cause(self) -> int:
            """Why it last began, see `RESET_CAUSES`."""

        def reset(self) -> None:
            """Begin anew, with the cause `SOFTWARE`. Does not return."""

        def sense(self) -> Sensed:
            """Look at every sensor. The peak of shock begins anew."""

        def play(self, lamp: Played) -> None:
            """Play this lamp from now on, instead of the last one; returns at once."""

        def lamp_sense(self) -> LampSensed:
            """What was measured of the lamp since the last call."""

        def gnss_power(self, is_on: bool) -> None:
            """Switch the receiver."""

        def gnss_readinto(self, buffer: bytearray, until_ms: int) -> int:
            """Wait for bytes of the receiver; 0 when none came in time."""

        def modem_power(self, is_on: bool) -> None:
            """Switch the modem. It needs some seconds until `connect()` can succeed, which waits for it."""

        def modem_rssi_dbm(self) -> int | None:
            """How strong the network is, None without one."""

        def connect(self, until_ms: int) -> Stream:
            """Connect to the broker of the board's own settings. Raises `OSError`."""
