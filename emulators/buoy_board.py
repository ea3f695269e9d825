"""The wires of a buoy's board, as `edge/buoy/board_unix.py` speaks to them: one line a request, one line an answer.

The world (`emulators.buoy_world`) is behind it. Numbers are integers, `-` is none; times are ms of the world. Answers
begin with `ok`, or with `no` and a reason; `bitten` is the answer to everything once the watchdog has bitten.

| request | answer | |
|---|---|---|
| `hello` | `ok NOW CAUSE` | the board starts: `power_on`, or `watchdog`, `software` after a reset |
| `reset` | `ok` | it is about to start anew |
| `utc` | `ok UTC` | the board's clock |
| `setutc UTC` | `ok` | |
| `limits MG TENTH_DEG LUX` | `ok` | what wakes |
| `sleep UNTIL` | `ok NOW REASON` | when it wakes; modem and receiver are off |
| `feed` | `ok` | |
| `sense` | `ok ...` | sixteen numbers, in the order of `SENSED` |
| `lamp LEVEL_MS FLASHES` | `ok FLASH_MA DARK_MA LAMP_MV` | what was played since the last time: brightness x ms |
| `gnss 1`, `gnss 0` | `ok` | power |
| `hear UNTIL` | `ok NOW HEX` | what the receiver says, when it says it; no HEX: nothing in time |
| `modem 1`, `modem 0` | `ok` | power |
| `link` | `ok RSSI` | whether the network carries: `no network` |
| `wait UNTIL` | `ok NOW` | time passes in a wait for the network that brought nothing |
| `light LEVEL COLOUR MS` | none | the lamp's output changed, at this moment of the board's clock |

The world is master of time. While the board works, its time is real. In `sleep`, `hear` and `wait` it goes `speed`
times as fast, or jumps to the end at once (`speed = 0`); the answer says how late it is then.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from emulators.buoy_world import MAX_LEVEL, BuoyWorld
from protocols.core.instant import day_and_ms_of
from protocols.nmea0183.position import Gga, Rmc
from protocols.nmea0183.sentence import encode_for_sending

SENSED = (
    "battery_mv", "charge_ma", "discharge_ma", "solar_mv", "solar_ma", "lux", "temp_tenth_c", "humidity_pct",
    "tilt_tenth_deg", "roll_rms_tenth_deg", "shock_mg", "shock_ms", "is_leaking", "is_door_open", "water_level_mm",
)  # fmt: skip
WATCHDOG_MS = 8000
LONGEST_LINE = 200
PATIENCE_S = 0.05
"""In a sleep that is not jumped, the world is looked at so often."""
EPOCH_MS = 1000
_OUTLIER_M = 400.0
_LOWEST_SOLAR_MV, _SOLAR_MV = 500, 17_500


class LightFile:
    """The observer of the light: a line for each edge, with the observer's own time in microseconds."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii", buffering=1)

    def write(self, level: int, colour: int, board_ms: int, at_us: int) -> None:
        """An edge."""
        self._file.write(json.dumps({"us": at_us, "level": level, "colour": colour, "board_ms": board_ms}) + "\n")


class _Wait(NamedTuple):
    """What the board waits for."""

    verb: str
    end_ms: int

    @property
    def is_sleep(self) -> bool:
        return self.verb == "sleep"


class BuoyBoard:
    """An emulated device (`emulators.kit.device`). It outlives the connections of the board: `plug_in` begins one."""

    def __init__(self, world: BuoyWorld, on_light: Callable[[int, int, int, int], None] | None = None) -> None:
        self.world = world
        self._on_light = on_light
        self._incoming = b""
        self._lives_at: float | None = None  # when the world's time was last let go on
        self._waiting: _Wait | None = None
        self._rate = 1.0
        self._carry_ms = 0.0
        self._cause = "power_on"
        self._fed_ms = 0
        self._is_bitten = False
        self._gnss_since_ms: int | None = None
        self._has_modem = False
        self._utc_ahead_ms = 0  # what the board's clock is wrong by
        self._sensed_ms = 0
        self.level = 0
        """What the board lights the lamp with."""
        self._lit_level = MAX_LEVEL  # of the last flash
        self.boots = 0
        self.bites = 0

    def plug_in(self) -> "BuoyBoard":
        """Another connection: the board that was there is gone, with what it had switched on."""
        self._incoming = b""
        self._waiting = None
        self._rate = 1.0
        self._gnss_since_ms = None
        self._has_modem = False
        self._is_bitten = False
        self._set_load()
        return self

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Requests of the board."""
        at_us = time.monotonic_ns() // 1000
        lines = (self._incoming + data).split(b"\n")
        self._incoming = lines.pop()[-LONGEST_LINE:]
        answers = []
        for line in lines:
            words = line.decode("ascii", "replace").split()
            if words and words[0] == "light":
                self._light(words, at_us)
                continue
            self._live(now)
            answer = self._answer(words, now)
            if answer is not None:
                answers.append(answer.encode() + b"\n")
        return answers

    def tick(self, now: float) -> list[bytes]:
        """Time goes on for a board that waits."""
        woken = self._live(now)
        answer = self._waited(woken)
        return [] if answer is None else [answer.encode() + b"\n"]

    def next_deadline(self) -> float | None:
        """When the wait is to be looked at."""
        if self._waiting is None or self._lives_at is None:
            return None
        left_s = max(0.0, (self._waiting.end_ms - self.world.ms) / 1000 / self._rate)
        return self._lives_at + min(left_s, PATIENCE_S)

    def _live(self, now: float) -> str | None:
        """Let the world's time go on to now."""
        if self._lives_at is None:
            self._lives_at = now
        passed = (now - self._lives_at) * 1000 * self._rate + self._carry_ms
        self._lives_at = now
        to_ms = self.world.ms + int(passed)
        self._carry_ms = passed - int(passed)
        is_asleep = self._waiting is not None and self._waiting.is_sleep
        if self._waiting is not None:
            to_ms = min(to_ms, self._waiting.end_ms)
        woken = self.world.run_to(to_ms, can_wake=is_asleep)
        if self._waiting is None:
            self._watch()
        return woken

    def _watch(self) -> None:
        if self.boots and not self._is_bitten and self.world.ms - self._fed_ms > WATCHDOG_MS:
            self._is_bitten = True
            self.bites += 1
            self._cause = "watchdog"
            self.world.tell("watchdog")

    def _answer(self, words: list[str], now: float) -> str | None:
        verb = words[0] if words else ""
        if self._is_bitten and verb != "hello":
            return "bitten"
        try:
            numbers = [None if word == "-" else int(word) for word in words[1:]]
        except ValueError:
            return "no number"
        if verb in _WAITS and len(numbers) == 1:
            return self._wait(verb, numbers[0] or 0, now)
        request = _REQUESTS.get(verb)
        if request is None or len(numbers) != request[0]:
            return "no such request"
        return request[1](self, *numbers)

    # Waiting

    def _wait(self, verb: str, until_ms: int, now: float) -> str | None:
        end_ms = until_ms
        if verb == "hear" and self._gnss_since_ms is not None and not self.world.is_in("gnss-silent"):
            end_ms = min(until_ms, (self.world.ms // EPOCH_MS + 1) * EPOCH_MS)
        self._waiting = _Wait(verb, end_ms)
        self._set_load()
        speed = self.world.settings.speed
        if speed:
            self._rate = speed
            return self._waited(None)
        woken = self.world.run_to(end_ms, can_wake=verb == "sleep")
        self._lives_at, self._carry_ms = now, 0.0
        return self._waited(woken)

    def _waited(self, woken: str | None) -> str | None:
        """The answer to a wait, when it is over."""
        waiting = self._waiting
        if waiting is None or (woken is None and self.world.ms < waiting.end_ms):
            return None
        self._waiting = None
        self._rate = 1.0
        self._set_load()
        if waiting.is_sleep:
            self._fed_ms = self.world.ms
            return f"ok {self.world.ms} {woken or 'time'}"
        said = self._sentences() if waiting.verb == "hear" else b""
        return f"ok {self.world.ms} {said.hex()}".rstrip()

    def _set_load(self) -> None:
        loads = self.world.settings.loads
        is_asleep = self._waiting is not None and self._waiting.is_sleep
        self.world.load_ma = (
            (loads.asleep_ma if is_asleep else loads.awake_ma)
            + (loads.gnss_ma if self._gnss_since_ms is not None else 0)
            + (loads.modem_ma if self._has_modem else 0)
        )

    # The receiver

    def _sentences(self) -> bytes:
        """Of the epoch that is now, if one is and the receiver talks."""
        world = self.world
        if self._gnss_since_ms is None or world.ms % EPOCH_MS or world.is_in("gnss-silent"):
            return b""
        day, ms = day_and_ms_of(world.utc_ms // EPOCH_MS * EPOCH_MS)
        has_fix = world.ms - self._gnss_since_ms >= world.settings.gnss.acquire_s * 1000
        if not has_fix or world.is_in("gnss-no-fix"):
            lines = (Rmc.of("GN", None, "V", None, None, None, None, mode="N"),
                     Gga.of("GN", None, None, 0, 0, 99.99, None, None))  # fmt: skip
        else:
            is_astray = world.is_in("gnss-outliers") and world.rng.random() < world.outlier_share
            lat, lon = world.position_deg(_OUTLIER_M if is_astray else world.settings.gnss.noise_m)
            place = (round(lat * 1e9), round(lon * 1e9))
            lines = (Rmc.of("GN", ms, "A", place, 0.0, None, day, mode="A"),
                     Gga.of("GN", ms, place, 1, 11, 0.9, 4.0, 8.0))  # fmt: skip
        return b"".join(encode_for_sending(line) for line in lines)

    # One request each

    def _hello(self) -> str:
        cause, self._cause = self._cause, "power_on"
        self._is_bitten = False
        self._fed_ms = self._sensed_ms = self.world.ms
        self.boots += 1
        self.world.tell("boot", cause=cause)
        return f"ok {self.world.ms} {cause}"

    def _reset(self) -> str:
        self._cause = "software"
        return "ok"

    def _utc(self) -> str:
        return f"ok {self.world.utc_ms + self._utc_ahead_ms}" if self.world.has_rtc else "ok -"

    def _set_utc(self, utc_ms: int | None) -> str:
        if utc_ms is None:
            return "no time"
        self._utc_ahead_ms = utc_ms - self.world.utc_ms
        self.world.has_rtc = True
        return "ok"

    def _limits(self, shock_mg: int | None, tilt_tenth_deg: int | None, lux: int | None) -> str:
        self.world.limit_shock_g = (shock_mg or 0) / 1000
        self.world.limit_tilt_deg = (tilt_tenth_deg or 0) / 10
        self.world.limit_lux = lux
        return "ok"

    def _feed(self) -> str:
        self._fed_ms = self.world.ms
        return "ok"

    def _sense(self) -> str:
        world = self.world
        span_s = max(0.001, (world.ms - self._sensed_ms) / 1000)
        charge_ma, discharge_ma = world.charged_mas / span_s, world.drawn_mas / span_s
        world.charged_mas = world.drawn_mas = 0.0
        self._sensed_ms = world.ms
        solar_ma = world.solar_ma()
        numbers = (
            world.battery_mv(), round(charge_ma), round(discharge_ma), _SOLAR_MV if solar_ma else _LOWEST_SOLAR_MV,
            solar_ma, world.lux(), 180, 55, round(world.tilt_deg * 10), round(world.roll_deg * 10),
            round(world.shock_g * 1000), world.shock_ms, int(world.is_leaking), int(world.is_door_open),
            round(world.water_m * 1000) if world.settings.has_water_level else None,
        )  # fmt: skip
        world.shock_g, world.shock_ms = 0.0, 0
        return "ok " + " ".join("-" if number is None else str(number) for number in numbers)

    def _lamp(self, level_ms: int | None, flashes: int | None) -> str:
        """The lamp is paid for when its player says how long it was lit; a stuck one burns on and is not."""
        del flashes
        world = self.world
        world.draw((level_ms or 0) / 1000 / MAX_LEVEL * world.lamp_ma(MAX_LEVEL))
        dark_ma = world.settings.loads.lamp_ma if world.lamp == "stuck" else 0
        return f"ok {world.lamp_ma(self._lit_level)} {dark_ma} {world.battery_mv() - 200}"

    def _gnss(self, is_on: int | None) -> str:
        if is_on and self._gnss_since_ms is None:
            self._gnss_since_ms = self.world.ms
            lat, lon = self.world.position_deg()
            self.world.tell("gnss", lat_deg=round(lat, 7), lon_deg=round(lon, 7))
        elif not is_on:
            self._gnss_since_ms = None
        self._set_load()
        return "ok"

    def _modem(self, is_on: int | None) -> str:
        self._has_modem = bool(is_on)
        self._set_load()
        return "ok"

    def _link(self) -> str:
        if not self._has_modem or self.world.is_in("modem-dead"):
            return "no network"
        return f"ok {self.world.settings.rssi_dbm}"

    def _light(self, words: list[str], at_us: int) -> None:
        if len(words) != 4 or not all(word.isdigit() for word in words[1:]):
            return
        before = self.world.light(self.level)
        self.level = min(MAX_LEVEL, int(words[1]))
        self._lit_level = self.level or self._lit_level
        after = self.world.light(self.level)
        if self._on_light is not None and after != before:
            self._on_light(after, int(words[2]), int(words[3]), at_us)


_WAITS = ("sleep", "hear", "wait")
_REQUESTS: dict[str, tuple[int, Callable[..., str]]] = {
    "hello": (0, BuoyBoard._hello),  # noqa: SLF001  # its own table
    "reset": (0, BuoyBoard._reset),  # noqa: SLF001
    "utc": (0, BuoyBoard._utc),  # noqa: SLF001
    "setutc": (1, BuoyBoard._set_utc),  # noqa: SLF001
    "limits": (3, BuoyBoard._limits),  # noqa: SLF001
    "feed": (0, BuoyBoard._feed),  # noqa: SLF001
    "sense": (0, BuoyBoard._sense),  # noqa: SLF001
    "lamp": (2, BuoyBoard._lamp),  # noqa: SLF001
    "gnss": (1, BuoyBoard._gnss),  # noqa: SLF001
    "modem": (1, BuoyBoard._modem),  # noqa: SLF001
    "link": (0, BuoyBoard._link),  # noqa: SLF001
}
"""How many numbers follow, and who answers."""
