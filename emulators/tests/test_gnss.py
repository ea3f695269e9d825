"""The emulated GNSS receiver, read by pynmea2 so that our own codec does not testify for itself."""

import math
from itertools import pairwise
from typing import Any

import msgspec
import pynmea2
import pytest

from emulators.gnss import SENTENCES, Circle, GnssReceiver, GnssSettings, Stationary, StraightLine
from protocols.core.instant import days_of, instant_of

NOON_MS = instant_of(days_of(2026, 11, 24), 43_200_000)
METRES_PER_DEGREE = 111_195


class Bench:
    """A receiver on a clock of its own."""

    def __init__(self, seed: int = 1, **settings: Any) -> None:
        self.now = 100.0
        self.truth: list[dict[str, object]] = []
        self.receiver = GnssReceiver(
            seed=seed,
            wall_ms=lambda: NOON_MS + round((self.now - 100.0) * 1000),
            settings=GnssSettings(**settings),
            on_truth=self.truth.append,
        )

    def epoch(self) -> list[Any]:
        """The next epoch as pynmea2 reads it, every checksum held."""
        while not (pieces := self.receiver.tick(self.now)):
            self.now = round(self.receiver.next_deadline(), 6)
        assert all(piece.startswith(b"$") for piece in pieces)
        wire = b"".join(pieces)
        assert wire.endswith(b"\r\n")
        lines = wire.decode("ascii").split("\r\n")[:-1]
        assert all(len(line) <= 80 for line in lines)
        self.now = round(self.receiver.next_deadline(), 6)
        return [pynmea2.parse(line, check=True) for line in lines]

    def rmc(self) -> Any:
        return next(sentence for sentence in self.epoch() if sentence.sentence_type == "RMC")


@pytest.mark.parametrize(
    ("talker", "of_satellites"), [("GN", {"GP", "GB"}), ("BD", {"BD"}), ("GP", {"GP"}), ("GB", {"GB"})]
)
def test_talkers(talker: str, of_satellites: set[str]) -> None:
    epoch = Bench(talker=talker).epoch()
    assert {s.talker for s in epoch if s.sentence_type != "GSV"} == {talker}
    assert {s.talker for s in epoch if s.sentence_type == "GSV"} == of_satellites
    assert {s.sentence_type for s in epoch} == set(SENTENCES)


def test_beidou_by_the_chinese_rule_beside_gps() -> None:
    epoch = Bench(beidou_talker="BD").epoch()
    assert {s.talker for s in epoch if s.sentence_type == "GSV"} == {"GP", "BD"}


@pytest.mark.parametrize("rate_hz", [1.0, 2.0, 5.0, 10.0])
def test_epochs_stand_on_the_clock_s_own_grid(rate_hz: float) -> None:
    bench = Bench(rate_hz=rate_hz, latency_s=0.08)
    times = [bench.rmc().timestamp for _ in range(12)]
    micro = [((t.hour * 60 + t.minute) * 60 + t.second) * 1_000_000 + t.microsecond for t in times]
    assert {b - a for a, b in pairwise(micro)} == {round(1e6 / rate_hz)}
    assert micro[0] % round(1e6 / rate_hz) == 0


def test_latency_is_the_time_from_an_epoch_to_its_first_byte() -> None:
    bench = Bench(latency_s=0.3)
    bench.now = 100.9
    bench.epoch()
    shown = bench.rmc().timestamp
    assert (shown.second, round(bench.now - 100.0, 3)) == (2, 3.3)


def test_nothing_is_due_between_epochs() -> None:
    bench = Bench()
    bench.epoch()
    bench.now -= 0.5
    assert bench.receiver.tick(bench.now) == []
    assert bench.receiver.receive(b"$PMTK000*32\r\n", bench.now) == []


def test_the_same_seed_is_the_same_receiver() -> None:
    one, same, other = Bench(seed=5), Bench(seed=5), Bench(seed=6)
    epochs = [[str(s) for _ in range(3) for s in bench.epoch()] for bench in (one, same, other)]
    assert epochs[0] == epochs[1]
    assert epochs[0] != epochs[2]


def test_a_stationary_receiver_strays_by_its_noise() -> None:
    bench = Bench(track=Stationary(32.0, 118.0), noise_m=2.0)
    offsets = [(bench.rmc().latitude - 32.0) * METRES_PER_DEGREE for _ in range(300)]
    spread = math.sqrt(sum(offset**2 for offset in offsets) / len(offsets))
    assert 1.5 < spread < 2.5
    assert bench.rmc().true_course is None


def test_a_straight_line_is_as_long_as_its_speed() -> None:
    bench = Bench(track=StraightLine(32.0, 118.0, speed_mps=20.0, course_deg=90.0), noise_m=0.0)
    first = bench.rmc()
    for _ in range(9):
        bench.epoch()
    last = bench.rmc()
    metres = (last.longitude - first.longitude) * METRES_PER_DEGREE * math.cos(math.radians(32.0))
    assert metres == pytest.approx(200.0, abs=0.1)
    assert last.spd_over_grnd == pytest.approx(20.0 * 3600 / 1852, abs=0.001)
    assert last.true_course == 90.0


def test_a_circle_returns_to_where_it_began() -> None:
    track = Circle(32.0, 118.0, radius_m=100.0, speed_mps=2 * math.pi * 100.0 / 60)
    begin, quarter, end = track.place(0.0), track.place(15.0), track.place(60.0)
    assert (begin.course_deg, quarter.course_deg) == (90.0, 180.0)
    assert (begin.lat_deg - 32.0) * METRES_PER_DEGREE == pytest.approx(100.0, abs=0.1)
    assert quarter.lat_deg == pytest.approx(32.0, abs=1e-9)
    assert (end.lat_deg, end.lon_deg) == (pytest.approx(begin.lat_deg), pytest.approx(begin.lon_deg))


def test_longitudes_beyond_the_date_line_come_back_on_the_other_side() -> None:
    place = StraightLine(0.0, 179.9999, speed_mps=100.0, course_deg=90.0).place(10.0)
    assert -180.0 <= place.lon_deg < -179.9


def test_a_cold_start_shows_default_dates_and_no_position() -> None:
    bench = Bench(cold_start_s=2.0)
    cold = bench.rmc()
    assert (cold.status, cold.mode_indicator, cold.lat) == ("V", "N", "")
    assert cold.datestamp.isoformat() == "1980-01-06"
    bench.rmc()
    warm = bench.rmc()
    assert (warm.status, warm.datestamp.isoformat()) == ("A", "2026-11-24")
    bench.receiver.power_cycle()
    assert bench.rmc().status == "V"


def test_a_lost_fix_keeps_its_time_and_no_place_and_the_truth_is_told() -> None:
    bench = Bench(outages_s=((2.0, 4.0),))
    status = [bench.rmc().status for _ in range(6)]
    assert status == ["A", "A", "V", "V", "A", "A"]
    bench.receiver.has_sky = False
    blind = {s.sentence_type: s for s in bench.epoch()}
    assert (blind["GGA"].gps_qual, blind["GGA"].num_sats, blind["GGA"].lat) == (0, "00", "")
    assert blind["GSA"].mode_fix_type == "1"
    assert blind["ZDA"].year == 2026
    assert [change["kind"] for change in bench.truth] == ["fix", "no-fix", "fix", "no-fix"]


@pytest.mark.parametrize(("rollovers", "date"), [(1, "2007-04-10"), (2, "1987-08-25")])
def test_old_firmware_is_1024_weeks_behind(rollovers: int, date: str) -> None:
    bench = Bench(rollovers=rollovers)
    epoch = {s.sentence_type: s for s in bench.epoch()}
    assert epoch["RMC"].datestamp.isoformat() == date
    assert epoch["ZDA"].datestamp.isoformat() == date


@pytest.mark.parametrize(("mode", "status", "quality"), [("D", "A", 2), ("R", "A", 4), ("E", "V", 6), ("S", "V", 8)])
def test_modes(mode: str, status: str, quality: int) -> None:
    epoch = {s.sentence_type: s for s in Bench(mode=mode).epoch()}
    assert (epoch["RMC"].status, epoch["RMC"].mode_indicator, epoch["GGA"].gps_qual) == (status, mode, quality)


def test_other_sentences_on_request() -> None:
    epoch = Bench(sentences=("GNS", "HDT", "TXT"), track=StraightLine()).epoch()
    assert [s.sentence_type for s in epoch] == ["GNS", "HDT", "TXT"]
    assert epoch[0].mode_indicator == "ANNA"


def test_settings_as_they_stand_in_a_file() -> None:
    table = {
        "talker": "BD",
        "rate_hz": 10.0,
        "outages_s": [[20.0, 30.0]],
        "track": {"kind": "circle", "radius_m": 50.0},
    }
    settings = msgspec.convert(table, GnssSettings)
    assert settings.track == Circle(radius_m=50.0)
    assert settings.outages_s == ((20.0, 30.0),)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sentences": ["XYZ"]},
        {"rate_hz": 0.0},
        {"rate_hz": 50.0},
        {"talker": "gn"},
        {"mode": "N"},
        {"colour": "red"},
        {"track": {"kind": "spiral"}},
        {"track": {"kind": "circle", "radius_m": 0.0}},
        {"track": {"lat_deg": 32.0}},
    ],
)
def test_receivers_that_do_not_exist(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, GnssSettings)


def test_a_clock_that_steps_makes_one_epoch_and_goes_on() -> None:
    wall = NOON_MS
    receiver = GnssReceiver(seed=1, wall_ms=lambda: wall)
    assert receiver.sentences(0.0)
    wall -= 3 * 365 * 86_400_000
    assert receiver.sentences(0.1)
    assert not receiver.sentences(0.2)
    assert receiver.next_deadline() == pytest.approx(1.2)


def test_a_noisy_line_lies_in_its_checksums() -> None:
    bench = Bench(wrong_checksums=0.2)
    wrong = total = 0
    for _ in range(40):
        for piece in bench.receiver.tick(bench.now):
            total += 1
            try:
                pynmea2.parse(piece.decode().strip(), check=True)
            except pynmea2.ChecksumError:
                wrong += 1
        bench.now = round(bench.receiver.next_deadline(), 6)
    assert 0.1 < wrong / total < 0.3
