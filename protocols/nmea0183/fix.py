"""What the sentences of one epoch say together, and whether it may be used.

MicroPython-clean, and pure: monotonic moments are handed in. GGA and RMC of one epoch have the same time; they are
combined by that time, never by the order in which they arrive.

>>> from protocols.core.instant import date_text, days_of
>>> date_text(corrected_day(days_of(2007, 4, 10), days_of(2026, 1, 1)))
'2026-11-24'
"""

from protocols.core.instant import instant_of
from protocols.nmea0183.motion import Vtg, Zda
from protocols.nmea0183.position import NO_FIX_MODE, VALID, Gga, Gll, Gns, Rmc
from protocols.nmea0183.satellites import Gsa
from protocols.nmea0183.sentence import Sentence

ROLLOVER_DAYS = 7168
"""GPS counts weeks in 10 bits: 1024 weeks. The count began anew on 1999-08-22, 2019-04-07, and will on 2038-11-21."""
MOST_ROLLOVERS = 3
NO_HDOP = 50.0
"""A dilution of precision from here on says that there is none (50 or 99.99)."""
_DOUBTFUL_MODES = "NEMS"
"""None, estimated (dead reckoning), manual, simulator: never a position to use."""
_DOUBTFUL_QUALITIES = (0, 6, 7, 8)
"""GGA's words for the same."""
_MODES = "RFPDAEMSN"
"""From best to worst."""
_QUALITY_OF_MODE = {"R": 4, "F": 5, "P": 3, "D": 2, "A": 1, "E": 6, "M": 7, "S": 8, "N": 0}
_KNOWS_BEST = ("GGA", "RMC", "GNS", "VTG", "GLL", "GSA", "ZDA")
"""Whose word counts where several sentences tell the same, the best first: a fix is the same in whatever order."""
_FIX_2D = 2
_FIX_3D = 3


class Fix:
    """One epoch. What no sentence told is None."""

    __slots__ = (
        "_told_by",
        "altitude_m",
        "at",
        "course_deg",
        "day",
        "fix_mode",
        "fix_quality",
        "geoid_sep_m",
        "gll_status",
        "gns_mode",
        "hdop",
        "mode",
        "num_sats",
        "position_e9",
        "speed_knots",
        "status",
        "utc_ms",
    )

    def __init__(self, at: float, utc_ms: int | None = None) -> None:
        self.at = at
        """The monotonic moment at which the first byte of its first sentence began."""
        self.utc_ms = utc_ms
        """ms of the day."""
        self.day: int | None = None
        """Days since 1970-01-01 as the receiver says, week rollover and all."""
        self.status: str | None = None
        self.mode: str | None = None
        self.gll_status: str | None = None
        self.gns_mode: str | None = None
        self.fix_quality: int | None = None
        self.fix_mode: int | None = None
        self.num_sats: int | None = None
        self.hdop: float | None = None
        self.position_e9: tuple[int, int] | None = None
        self.altitude_m: float | None = None
        self.geoid_sep_m: float | None = None
        self.speed_knots: float | None = None
        self.course_deg: float | None = None
        self._told_by: dict[str, int] = {}
        """The place in `_KNOWS_BEST` of whoever told an attribute."""

    def take(self, sentence: Sentence) -> bool:
        """Add what a sentence of this epoch tells; False when it tells nothing of a fix. Raises `FieldError`."""
        if isinstance(sentence, Rmc):
            self._take_rmc(sentence)
        elif isinstance(sentence, Gga):
            self._take_gga(sentence)
        elif isinstance(sentence, Gns):
            self._take_gns(sentence)
        elif isinstance(sentence, Gll):
            self._take(sentence, gll_status=sentence.status, mode=sentence.mode, position_e9=sentence.position_e9)
        elif isinstance(sentence, Gsa):
            self._take_gsa(sentence)
        elif isinstance(sentence, Vtg):
            course = sentence.course_true_deg
            self._take(sentence, speed_knots=sentence.speed_knots, course_deg=course, mode=sentence.mode)
        elif isinstance(sentence, Zda):
            self._take(sentence, day=sentence.day)
        else:
            return False
        return True

    def _take(self, sentence: Sentence, **told: object) -> None:
        """Keep what a sentence tells, unless one that knows better has told it."""
        place = _KNOWS_BEST.index(sentence.FORMATTER)
        for name, value in told.items():
            if value is not None and place <= self._told_by.get(name, place):
                setattr(self, name, value)
                self._told_by[name] = place

    def _take_rmc(self, rmc: Rmc) -> None:
        self._take(rmc, status=rmc.status, mode=rmc.mode, day=rmc.day, position_e9=rmc.position_e9)
        self._take(rmc, speed_knots=rmc.speed_knots, course_deg=rmc.course_deg)

    def _take_gga(self, gga: Gga) -> None:
        self._take(gga, fix_quality=gga.fix_quality, position_e9=gga.position_e9, hdop=gga.hdop)
        self._take(gga, altitude_m=gga.altitude_m, geoid_sep_m=gga.geoid_sep_m)
        self._take_num_sats(gga.num_sats)

    def _take_gns(self, gns: Gns) -> None:
        self._take(gns, gns_mode=gns.mode, position_e9=gns.position_e9, hdop=gns.hdop)
        self._take(gns, altitude_m=gns.altitude_m, geoid_sep_m=gns.geoid_sep_m)
        self._take_num_sats(gns.num_sats)

    def _take_num_sats(self, num_sats: int | None) -> None:
        if num_sats is not None and (self.num_sats is None or num_sats > self.num_sats):
            self.num_sats = num_sats  # GGA stops counting at 12, GNS does not

    def _take_gsa(self, gsa: Gsa) -> None:
        self._take(gsa, hdop=gsa.hdop)
        if gsa.fix_mode is not None and (self.fix_mode is None or gsa.fix_mode > self.fix_mode):
            self.fix_mode = gsa.fix_mode  # several systems send one each

    @property
    def is_valid(self) -> bool:
        """Whether the receiver says that position and time are to be trusted."""
        if self.status is not None:
            says_valid = self.status == VALID
        elif self.fix_quality is not None:
            says_valid = self.fix_quality > 0
        elif self.gns_mode is not None:
            says_valid = self.gns_mode.strip(NO_FIX_MODE) != ""
        else:
            says_valid = self.gll_status == VALID
        if self.gns_mode is not None and self.gns_mode.strip(_DOUBTFUL_MODES) == "":
            return False
        return says_valid and self.mode not in tuple(_DOUBTFUL_MODES) and self.fix_quality not in _DOUBTFUL_QUALITIES

    @property
    def quality(self) -> int | None:
        """GGA's fix quality; from the mode letters or the status where there is no GGA."""
        if self.fix_quality is not None:
            return self.fix_quality
        letters = self.mode or self.gns_mode or ""
        for mode in _MODES:
            if mode in letters:
                return _QUALITY_OF_MODE[mode]
        status = self.status or self.gll_status
        return None if status is None else int(status == VALID)

    @property
    def has_height(self) -> bool:
        """Whether the fix is in three dimensions, as far as the receiver tells."""
        return self.fix_mode is None or self.fix_mode >= _FIX_3D

    def why_unusable(self, max_hdop: float, min_satellites: int) -> str | None:
        """Why the position may not be used, in a few words, or None when it may."""
        if not self.is_valid:
            return "no fix"
        if self.position_e9 is None:
            return "no position"
        if self.fix_mode is not None and self.fix_mode < _FIX_2D:
            return "no fix"
        if self.hdop is not None and self.hdop > max_hdop:
            return "poor geometry"
        if self.num_sats is not None and self.num_sats < min_satellites:
            return "too few satellites"
        return None

    def utc_instant(self, build_day: int) -> int | None:
        """UTC ms since 1970 of the epoch, week rollover corrected; None without a valid status, time and date."""
        if not self.is_valid or self.utc_ms is None or self.day is None:
            return None
        day = corrected_day(self.day, build_day)
        return None if day is None else instant_of(day, self.utc_ms)


def corrected_day(day: int, build_day: int) -> int | None:
    """Undo the rollover of the GPS week: add 1024 weeks until the day is not before the build; None when that fails.

    A four-digit year has the same fault, so ZDA's date needs it too.
    """
    for rollovers in range(MOST_ROLLOVERS + 1):
        if day + rollovers * ROLLOVER_DAYS >= build_day:
            return day + rollovers * ROLLOVER_DAYS
    return None
