"""A GNSS receiver listened to: epochs by time, rules of use, week rollover, moments."""

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.core.instant import BUILD_DAY, date_text, days_of, instant_of
from protocols.nmea0183.fix import ROLLOVER_DAYS, Fix, corrected_day
from protocols.nmea0183.motion import Vtg, Zda
from protocols.nmea0183.position import Gga, Gll, Gns, Rmc
from protocols.nmea0183.receiver import GAP, GnssListener
from protocols.nmea0183.satellites import Gsa, Gsv
from protocols.nmea0183.sentence import Sentence, encode_for_sending, encode_sentence
from protocols.nmea0183.text import Txt
from protocols.tests.kit import pieces

NOON = 43_200_000
TODAY = days_of(2026, 11, 24)
HERE = (32_068_724_170, 118_775_720_170)


def gga(utc_ms: int | None = NOON, **changes: Any) -> Gga:
    values: dict[str, Any] = {
        "position_e9": HERE, "fix_quality": 1, "num_sats": 9, "hdop": 0.8, "altitude_m": 9.7, "geoid_sep_m": 3.1
    }  # fmt: skip
    return Gga.of("GN", utc_ms, **(values | changes))


def rmc(utc_ms: int | None = NOON, **changes: Any) -> Rmc:
    values: dict[str, Any] = {
        "status": "A", "position_e9": HERE, "speed_knots": 5.0, "course_deg": 90.0, "day": TODAY, "mode": "A"
    }  # fmt: skip
    return Rmc.of("GN", utc_ms, **(values | changes))


def gsa(fix_mode: int = 3, system_id: int = 1) -> Gsa:
    return Gsa.of("GN", "A", fix_mode, [1, 2, 3, 4], 1.5, 0.9, 1.2, system_id)


def wire_of(*sentences: Sentence) -> bytes:
    return b"".join(encode_for_sending(sentence) for sentence in sentences)


def events_of(listener: GnssListener) -> list[Fix]:
    events = []
    while isinstance(event := listener.next_event(), Fix):
        events.append(event)
    return events


def fixes_of(*sentences: Sentence) -> list[Fix]:
    """What one burst and a silence after it amount to."""
    listener = GnssListener()
    listener.receive(wire_of(*sentences), 10.0)
    listener.tick(10.0 + GAP)
    return events_of(listener)


def fix_of(*sentences: Sentence) -> Fix:
    (fix,) = fixes_of(*sentences)
    return fix


# Epochs


def test_sentences_of_one_time_are_one_fix_in_whatever_order() -> None:
    sentences = [gga(), gsa(), rmc(), Vtg.of("GN", 90.0, None, 5.0, 9.26, "A"), Gll.of("GN", HERE, NOON, "A", "A")]
    for seed in range(20):
        shuffled = random.Random(seed).sample(sentences, len(sentences))
        fix = fix_of(*shuffled)
        assert (fix.utc_ms, fix.day, fix.position_e9) == (NOON, TODAY, (32_068_724_167, 118_775_720_167))
        assert (fix.hdop, fix.num_sats, fix.fix_quality, fix.fix_mode) == (0.8, 9, 1, 3)
        assert (fix.speed_knots, fix.course_deg, fix.altitude_m) == (5.0, 90.0, 9.7)
        assert fix.why_unusable(2.5, 4) is None


def test_what_one_sentence_leaves_open_another_tells_in_whatever_order() -> None:
    """An old RMC has no mode and a receiver at rest no course there; GGA counts 12 satellites at most, GNS does not."""
    there = (HERE[0] + 10**6, HERE[1])
    sentences = [
        gga(num_sats=12, hdop=None, altitude_m=None, geoid_sep_m=None),
        rmc(speed_knots=None, course_deg=None, mode=None, day=None, position_e9=there),
        Gns.of("GN", NOON, there, "AA", 18, 0.7, 9.7, 3.1),
        Gll.of("GN", there, NOON, "A", "D"),
        gsa(),
        Vtg.of("GN", 90.0, None, 5.0, 9.26, "D"),
        Zda.of("GN", NOON, TODAY),
    ]
    for order in itertools.permutations(sentences):
        fix = fix_of(*order)
        assert (fix.num_sats, fix.hdop, fix.altitude_m, fix.geoid_sep_m) == (18, 0.7, 9.7, 3.1)
        assert (fix.speed_knots, fix.course_deg, fix.mode, fix.day) == (5.0, 90.0, "D", TODAY)
        assert fix.position_e9 == (32_068_724_167, 118_775_720_167)


def test_another_time_ends_an_epoch_and_never_mixes() -> None:
    """GGA of one second and RMC of the next are two fixes, although nothing came between them."""
    first, second = fixes_of(gga(NOON), rmc(NOON + 1000))
    assert (first.utc_ms, first.speed_knots, first.num_sats) == (NOON, None, 9)
    assert (second.utc_ms, second.speed_knots, second.num_sats) == (NOON + 1000, 5.0, None)


def test_silence_ends_an_epoch_without_a_tick_too() -> None:
    listener = GnssListener()
    listener.receive(wire_of(gga()), 10.0)
    assert listener.next_deadline() == 10.0 + GAP
    listener.receive(wire_of(rmc(NOON + 1000)), 11.0)
    assert [fix.utc_ms for fix in events_of(listener)] == [NOON]


def test_bytes_within_the_gap_keep_an_epoch_open() -> None:
    listener = GnssListener()
    now = 10.0
    for piece in pieces(wire_of(gga(), gsa(), rmc()), 3):
        listener.receive(piece, now)
        listener.tick(now)
        now += 0.9 * GAP
    listener.tick(now + GAP)
    (fix,) = events_of(listener)
    assert (fix.num_sats, fix.speed_knots) == (9, 5.0)


def test_ten_epochs_a_second_without_a_gap() -> None:
    listener = GnssListener()
    for n in range(50):
        listener.receive(wire_of(rmc(NOON + 100 * n), gga(NOON + 100 * n), gsa()), 10.0 + 0.1 * n)
        listener.tick(10.05 + 0.1 * n)
    fixes = events_of(listener)
    assert [fix.utc_ms for fix in fixes] == [NOON + 100 * n for n in range(49)]
    assert all(fix.speed_knots == 5.0 and fix.num_sats == 9 for fix in fixes)


def test_a_sentence_that_comes_after_its_epoch_ended_is_late_and_makes_no_second_fix() -> None:
    listener = GnssListener()
    listener.receive(wire_of(gga(NOON), rmc(NOON), gga(NOON + 1000), rmc(NOON)), 10.0)
    assert [fix.utc_ms for fix in events_of(listener)] == [NOON]
    assert listener.late == 1


def test_repeated_sentences_of_one_time_are_one_fix() -> None:
    assert len(fixes_of(gga(), gga(), rmc(), rmc())) == 1


def test_a_stopped_clock_makes_an_epoch_a_second_and_holds_no_memory() -> None:
    """Ten rounds a second without a gap, all of one time: as from a receiver that plays one second over and over."""
    listener = GnssListener()
    for n in range(100):
        listener.receive(wire_of(gga(), gsa(), rmc()), 10.0 + 0.1 * n)
    fixes = events_of(listener)
    assert [round(fix.at - 10.0, 1) for fix in fixes] == [1.0 * n for n in range(9)]
    assert all(fix.speed_knots == 5.0 and fix.num_sats == 9 for fix in fixes)
    assert listener.late == 0
    assert len(listener._addresses) == 2


def test_a_cold_receiver_without_time_makes_an_epoch_each_round() -> None:
    void = {
        "position_e9": None,
        "fix_quality": 0,
        "num_sats": 0,
        "hdop": 99.99,
        "altitude_m": None,
        "geoid_sep_m": None,
    }
    silent = {"status": "V", "position_e9": None, "speed_knots": None, "course_deg": None, "day": None, "mode": "N"}
    fixes = fixes_of(*[sentence for _ in range(3) for sentence in (gga(None, **void), gsa(1), rmc(None, **silent))])
    assert [fix.why_unusable(2.5, 4) for fix in fixes] == ["no fix"] * 3
    assert all(fix.utc_instant(BUILD_DAY) is None and fix.position_e9 is None for fix in fixes)


def test_a_receiver_whose_time_stands_still_is_heard_each_second() -> None:
    listener = GnssListener()
    for second in range(5):
        listener.receive(wire_of(gga(), rmc()), 10.0 + second)
        listener.tick(10.0 + second + GAP)
    assert len(events_of(listener)) == 5


def test_gns_alone_is_a_fix() -> None:
    fix = fix_of(Gns.of("GN", NOON, HERE, "NNNA", 15, 0.7, 9.7, 3.1), Zda.of("GN", NOON, TODAY))
    assert fix.why_unusable(2.5, 4) is None
    assert (fix.num_sats, fix.altitude_m) == (15, 9.7)
    assert fix.utc_instant(BUILD_DAY) == instant_of(TODAY, NOON)


def test_gns_beside_gga_tells_the_satellites_beyond_twelve() -> None:
    assert fix_of(gga(num_sats=12), Gns.of("GN", NOON, HERE, "AANA", 21, 0.7, 9.7, 3.1)).num_sats == 21


def test_several_gsa_of_one_epoch_give_the_best_mode() -> None:
    assert fix_of(gga(), gsa(1, 1), gsa(3, 4), gsa(1, 2)).fix_mode == 3


def test_what_tells_nothing_of_a_fix_makes_none() -> None:
    assert fixes_of(Gsv.of("GP", 1, 1, 0, []), Txt.of("GN", 1, 1, 2, "ANTENNA OK")) == []


def test_fixes_that_nobody_takes_are_bounded() -> None:
    listener = GnssListener()
    for second in range(500):
        listener.receive(wire_of(gga(second * 1000)), float(second))
    fixes = events_of(listener)
    assert len(fixes) == 64
    assert fixes[-1].utc_ms == 498_000


# Rules of use


@pytest.mark.parametrize(
    ("sentences", "reason"),
    [
        ([gga(), rmc()], None),
        ([gga(), gsa(2), rmc()], None),
        ([rmc()], None),
        ([gga()], None),
        ([gga(), rmc(status="V")], "no fix"),
        ([gga(fix_quality=0), rmc()], "no fix"),
        ([gga(fix_quality=6), rmc(mode=None)], "no fix"),
        ([gga(fix_quality=8)], "no fix"),
        ([gga(), rmc(mode="E")], "no fix"),
        ([gga(), rmc(mode="M")], "no fix"),
        ([gga(), rmc(mode="S")], "no fix"),
        ([gga(), rmc(mode="N")], "no fix"),
        ([gga(), rmc(mode=None)], None),
        ([gga(), rmc(mode="D")], None),
        ([gga(fix_quality=4), rmc(mode="R")], None),
        ([gga(), gsa(1), rmc()], "no fix"),
        ([gga(hdop=2.51), rmc()], "poor geometry"),
        ([gga(hdop=99.99), rmc()], "poor geometry"),
        ([gga(num_sats=3), rmc()], "too few satellites"),
        ([gga(position_e9=None, fix_quality=0), rmc(status="V", position_e9=None)], "no fix"),
        ([gga(position_e9=None), rmc(position_e9=None)], "no position"),
        ([gga(position_e9=(0, 0), fix_quality=0), rmc(status="V", position_e9=(0, 0))], "no fix"),
        ([Gns.of("GN", NOON, HERE, "NNNN", 0, 0.7, 9.7, 3.1)], "no fix"),
        ([Gns.of("GN", NOON, HERE, "NEN", 9, 0.7, 9.7, 3.1)], "no fix"),
        ([Gll.of("GN", HERE, NOON, "A", "A")], None),
        ([Gll.of("GN", HERE, NOON, "N", "V")], "no fix"),
        ([Gll.of("GN", HERE, NOON, "A", "E")], "no fix"),
        ([Zda.of("GN", NOON, TODAY)], "no fix"),
    ],
)
def test_when_a_position_may_be_used(sentences: list[Sentence], reason: str | None) -> None:
    assert fix_of(*sentences).why_unusable(2.5, 4) == reason


def test_height_needs_three_dimensions() -> None:
    assert fix_of(gga(), gsa(3)).has_height
    assert fix_of(gga()).has_height
    assert not fix_of(gga(), gsa(2)).has_height


@pytest.mark.parametrize(
    ("sentences", "quality"),
    [
        ([gga(fix_quality=4), rmc()], 4),
        ([rmc(mode="D")], 2),
        ([rmc(mode=None)], 1),
        ([rmc(mode=None, status="V")], 0),
        ([Gns.of("GN", NOON, HERE, "NAD", 9, 0.7, 9.7, 3.1)], 2),
        ([Gll.of("GN", HERE, NOON, "A")], 1),
        ([Zda.of("GN", NOON, TODAY)], None),
    ],
)
def test_quality_of_a_fix_with_and_without_gga(sentences: list[Sentence], quality: int | None) -> None:
    assert fix_of(*sentences).quality == quality


# Time


@pytest.mark.parametrize("day", ["1980-01-06", "2007-04-10", "1999-08-22", "2011-11-11"])
def test_dates_before_the_first_fix_are_never_offered(day: str) -> None:
    when = days_of(*map(int, day.split("-")))
    assert fix_of(gga(fix_quality=0), rmc(status="V", day=when, mode="N")).utc_instant(BUILD_DAY) is None


def test_time_needs_a_date_and_a_time() -> None:
    assert fix_of(gga()).utc_instant(BUILD_DAY) is None
    assert fix_of(rmc(None)).utc_instant(BUILD_DAY) is None
    assert fix_of(rmc()).utc_instant(BUILD_DAY) == instant_of(TODAY, NOON)


@pytest.mark.parametrize(
    ("wire", "build", "true"),
    [
        ("2007-04-10", "2026-01-01", "2026-11-24"),
        ("2026-11-24", "2026-01-01", "2026-11-24"),
        ("1987-08-25", "2026-01-01", "2026-11-24"),
        ("2026-01-01", "2026-01-01", "2026-01-01"),
        ("2025-12-31", "2026-01-01", "2045-08-16"),
        ("1999-08-22", "2019-04-07", "2019-04-07"),
    ],
)
def test_week_rollover_is_undone(wire: str, build: str, true: str) -> None:
    def day(text: str) -> int:
        return days_of(*map(int, text.split("-")))

    corrected = corrected_day(day(wire), day(build))
    assert corrected is not None
    assert date_text(corrected) == true
    assert (corrected - day(wire)) % ROLLOVER_DAYS == 0


def test_a_date_beyond_three_rollovers_is_no_date() -> None:
    assert corrected_day(BUILD_DAY - 3 * ROLLOVER_DAYS, BUILD_DAY) == BUILD_DAY
    assert corrected_day(BUILD_DAY - 3 * ROLLOVER_DAYS - 1, BUILD_DAY) is None
    assert fix_of(rmc(day=days_of(1980, 1, 6))).utc_instant(days_of(2050, 1, 1)) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_fix_is_dated_at_its_first_byte_however_the_bytes_come(seed: int) -> None:
    """The line's own time is taken off: at 9600 baud a burst of 250 characters lasts a quarter of a second."""
    char_s = 10 / 9600
    listener = GnssListener(char_time=char_s)
    wire = b"\r\n\xff" + wire_of(gga(), gsa(), rmc())
    sent = 0
    for piece in pieces(wire, seed):
        sent += len(piece)
        listener.receive(piece, 50.0 + sent * char_s)
    listener.tick(60.0)
    (fix,) = events_of(listener)
    assert fix.at == pytest.approx(50.0 + 3 * char_s, abs=1e-9)


def test_a_fix_over_tcp_is_dated_when_its_first_piece_came() -> None:
    listener = GnssListener()
    wire = wire_of(gga(), rmc())
    listener.receive(wire[:30], 50.0)
    listener.receive(wire[30:], 50.1)
    listener.tick(60.0)
    assert [fix.at for fix in events_of(listener)] == [50.0]


# What the line brings


def test_broken_unsupported_and_foreign_lines_are_counted_and_passed_over() -> None:
    listener = GnssListener()
    good = wire_of(gga())
    torn = bytearray(wire_of(rmc()))
    torn[20] ^= 1
    listener.receive(
        b"\x00noise"
        + encode_sentence(Sentence("$PUBX,00,1"))
        + b"\r\n"
        + bytes(torn)
        + encode_sentence(Sentence("$GNRMC,1,A"))
        + b"\r\n"
        + good,
        1.0,
    )
    listener.tick(2.0)
    assert len(events_of(listener)) == 1
    assert (listener.sentences, listener.unsupported, listener.broken) == (2, 1, 2)
    assert listener.discarded == 6
    assert listener.heard == {"GNGGA": 1}


def test_a_sentence_with_a_bad_field_ends_no_epoch_and_adds_nothing() -> None:
    bad = gga(NOON + 1000)
    bad.body = bad.body.replace(",0.8,", ",1e1,")
    fix = fix_of(gga(), bad, rmc())
    assert (fix.utc_ms, fix.hdop, fix.speed_knots) == (NOON, 0.8, 5.0)


def test_addresses_are_counted_up_to_a_ceiling() -> None:
    listener = GnssListener()
    for n in range(100):
        listener.receive(wire_of(Txt.of(f"U{n % 10}", 1, 1, n % 100, "x"), Gsv.of(f"G{n % 10}", 1, 1, 0, [])), n)
        listener.receive(wire_of(Gll.of(f"{n:02}", HERE, NOON, "A")), n)
    assert len(listener.heard) == 32


def test_it_only_listens() -> None:
    listener = GnssListener()
    assert listener.bytes_to_send() == b""
    assert listener.next_event() is NEED_DATA
    assert listener.next_deadline() is None
    listener.tick(100.0)
    with pytest.raises(LocalProtocolError):
        listener.send("hello", 0.0)


@given(st.lists(st.binary(max_size=200), max_size=10), st.integers(0, 2**32))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_any_bytes_raise_nothing(chunks: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    listener = GnssListener()
    now = 0.0
    for chunk in chunks:
        mixed = chunk + wire_of(gga(rng.randrange(86_400_000)))
        listener.receive(mixed[: rng.randrange(len(mixed))], now)
        now += rng.random() / 2
        listener.tick(now)
        assert all(isinstance(fix.at, float) and fix.at <= now for fix in events_of(listener))


def test_a_flood_of_one_megabyte_in_one_piece() -> None:
    listener = GnssListener()
    listener.receive(wire_of(gga()) * 14_000, 1.0)
    assert listener.sentences == 14_000
    assert listener.discarded == 0
    assert len(listener._marks) == 1
