"""The counting line: geometry, band, ends, gaps, jumps; what ships are; what came twice."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ais.aton import AID
from protocols.ais.counting import (
    GAP_S,
    REPEAT_S,
    SAME_PASSAGE_S,
    CountingLine,
    Passage,
    Repeats,
    Sighting,
    Track,
    advance,
    is_ship,
    sighting_of,
)
from protocols.ais.inland import SHIP as INLAND_SHIP
from protocols.ais.inland import InlandShip
from protocols.ais.position import CLASS_B, LONG_RANGE, POSITION
from protocols.ais.ship_class import UNKNOWN, WAIT_S, Ship, ShipClass, class_of, is_classified, tally, told
from protocols.ais.static import SHIP_PART, VOYAGE, ShipPart, VoyageData
from protocols.ais.table import Message, Table

SHIP = 413_000_001
LINE = CountingLine(lat_a=32.08, lon_a=118.73, lat_b=32.09, lon_b=118.73)
M_EAST = 1 / 94_328.0
"""Degrees of longitude in a metre, there."""


def seen(at: float, east_m: float, lat: float = 32.085, speed_kn: float | None = 8.0) -> Sighting:
    """Downstream is east of the line."""
    return Sighting(SHIP, at, lat, 118.73 + east_m * M_EAST, speed_kn)


def passages(sightings: list[Sighting], line: CountingLine = LINE) -> list[Passage]:
    track: Track | None = None
    found = []
    for sighting in sightings:
        track, passage = advance(line, track, sighting)
        if passage is not None:
            found.append(passage)
    return found


def directions(*places: tuple[float, float]) -> list[str]:
    return [passage.direction for passage in passages([seen(at, east) for at, east in places])]


def test_the_worked_example() -> None:
    one, other = Sighting(SHIP, 10.0, 32.0851, 118.7285), Sighting(SHIP, 20.0, 32.0852, 118.7310)
    assert LINE.distance_m(one.lat_deg, one.lon_deg) == pytest.approx(141.5, abs=0.05)
    assert LINE.distance_m(other.lat_deg, other.lon_deg) == pytest.approx(-94.3, abs=0.05)
    [passage] = passages([one, other])
    assert passage.at == pytest.approx(16.0, abs=0.005)
    assert passage.lat_deg == pytest.approx(32.08516, abs=1e-6)
    assert passage.lon_deg == pytest.approx(118.73, abs=1e-9)
    assert passage.direction == "down"


def test_down_and_up() -> None:
    assert directions((0, -100), (60, 100)) == ["down"]
    assert directions((0, 100), (60, -100)) == ["up"]
    assert directions((0, -100), (60, 100), (120, -100), (180, 100)) == ["down", "up"]


def test_the_band_keeps_a_ship_at_the_line_from_being_counted() -> None:
    assert directions((0, -100), (20, -10), (40, 10), (60, -10), (80, 10), (100, -100)) == []
    assert directions((0, -100), (20, -10), (40, 10), (60, -10), (80, 10), (100, 100)) == ["down"]
    [passage] = passages([seen(0, -100), seen(20, -10), seen(40, 10), seen(60, -10), seen(80, 10), seen(100, 100)])
    assert passage.at == pytest.approx(70, abs=0.1)


def test_a_ship_first_seen_within_the_band_is_not_counted() -> None:
    assert directions((0, -10), (20, 10), (40, 100)) == []
    assert directions((0, 10), (20, -10), (40, 10), (60, 100)) == []
    assert directions((0, 0), (60, 100), (120, -100)) == ["up"]


def test_around_the_ends_is_not_over_the_line() -> None:
    assert passages([seen(0, -100, lat=32.0799), seen(60, 100, lat=32.0799)]) == []
    assert passages([seen(0, -100, lat=32.0901), seen(60, 100, lat=32.0901)]) == []
    assert len(passages([seen(0, -100, lat=32.0801), seen(60, 100, lat=32.0801)])) == 1
    around = [seen(0, -100), seen(20, 10), seen(80, -10, lat=32.0795), seen(160, 100, lat=32.0795)]
    assert passages(around) == []


def test_nothing_is_inferred_over_a_gap() -> None:
    assert directions((0, -100), (GAP_S, 100)) == ["down"]
    assert directions((0, -100), (GAP_S + 1, 100)) == []
    assert directions((0, -100), (GAP_S + 1, 100), (GAP_S + 60, -100)) == ["up"]


def test_impossible_jumps_and_late_sightings_change_nothing() -> None:
    assert directions((0, -100), (1, 100), (60, -120)) == []
    assert directions((0, -100), (0, 100), (-5, 100)) == []
    track, _ = advance(LINE, None, seen(10, -100))
    assert advance(LINE, track, seen(10, 100)) == (track, None)
    assert advance(LINE, track, seen(11, 100)) == (track, None)


def test_the_same_direction_again_counts_after_half_an_hour() -> None:
    def again(after: float) -> list[str]:
        return directions((0, -100), (60, 100), (300, 100), (360, -100), (500, -100), (after - 60, -100), (after, 100))

    assert again(900.0) == ["down", "up"]
    track = Track(seen(SAME_PASSAGE_S, -100), side=1, counted_at={"down": 40.0})
    assert advance(LINE, track, seen(SAME_PASSAGE_S + 39, 0.1))[1] is None
    assert advance(LINE, track, seen(SAME_PASSAGE_S + 39, 100))[1] is None
    assert advance(LINE, track, seen(SAME_PASSAGE_S + 100, 100))[1] is not None


def test_the_line_across_the_antimeridian() -> None:
    line = CountingLine(lat_a=10.0, lon_a=179.9999, lat_b=10.01, lon_b=-179.9999)
    track, _ = advance(line, None, Sighting(1, 0.0, 10.005, 179.999))
    track, passage = advance(line, track, Sighting(1, 60.0, 10.005, -179.999))
    assert passage is not None
    assert (passage.lon_deg + 180.0) % 360.0 == pytest.approx(0.0, abs=1e-3)


def test_a_line_without_length() -> None:
    with pytest.raises(ValueError, match="same point"):
        CountingLine(lat_a=1.0, lon_a=2.0, lat_b=1.0, lon_b=2.0)


@given(st.lists(st.tuples(st.floats(1, 700), st.floats(-400, 400)), max_size=40))
def test_directions_alternate_and_never_come_closer_than_half_an_hour(steps: list[tuple[float, float]]) -> None:
    at = 0.0
    sightings = []
    for elapsed, east in steps:
        at += elapsed
        sightings.append(seen(at, east))
    found = passages(sightings)
    for direction in ("up", "down"):
        times = [passage.at for passage in found if passage.direction == direction]
        assert all(later - earlier >= SAME_PASSAGE_S for earlier, later in pairwise(times))
    assert all(passage.at <= at for passage in found)


def any_of(table: Table[Any], **changes: Any) -> Message:
    """A message of zeros, but for some values."""
    table_bits = table.decode(0, table.width)
    fields = {name: getattr(table_bits, name) for name in table.rows}
    made: Message = table.made(**(fields | {"mmsi": SHIP} | changes))
    return made


def test_what_is_a_sighting() -> None:
    here = {"lat_e4_min": 32 * 600_000, "lon_e4_min": 118 * 600_000}
    good = sighting_of(any_of(POSITION, **here, speed_tenth_kn=85), 5.0)
    assert good == Sighting(SHIP, 5.0, 32.0, 118.0, 8.5)
    assert sighting_of(any_of(CLASS_B, **here, speed_tenth_kn=None), 5.0) == Sighting(SHIP, 5.0, 32.0, 118.0, None)
    far = any_of(LONG_RANGE, lat_tenth_min=32 * 600, lon_tenth_min=118 * 600, speed_kn=9)
    assert sighting_of(far, 5.0) == Sighting(SHIP, 5.0, 32.0, 118.0, 9)
    refused: list[dict[str, Any]] = [
        {"lat_e4_min": None}, {"lon_e4_min": None}, {"speed_tenth_kn": 401}, {"mmsi": 4_120_001}, {"mmsi": 111_412_001},
        {"mmsi": 970_010_001}, {"mmsi": 994_121_001}, {"lat_e4_min": 60_000_000}, {"lon_e4_min": -108_000_001},
    ]  # fmt: skip
    for changes in refused:
        assert sighting_of(any_of(POSITION, **(here | {"speed_tenth_kn": 85} | changes)), 5.0) is None
    assert sighting_of(AID.decode(0, 272), 5.0) is None


@pytest.mark.parametrize(("mmsi", "answer"), [(199_999_999, False), (200_000_000, True), (799_999_999, True),
                                              (800_000_000, False), (984_121_234, False)])  # fmt: skip
def test_whose_mmsi_is_a_ships(mmsi: int, answer: bool) -> None:
    assert is_ship(mmsi) is answer


def voyage(shiptype: int, to_bow: int, to_stern: int = 0) -> VoyageData:
    message = any_of(VOYAGE, shiptype=shiptype, to_bow=to_bow, to_stern=to_stern)
    assert isinstance(message, VoyageData)
    return message


@pytest.mark.parametrize(
    ("shiptype", "length", "want"),
    [
        (60, 29, ShipClass("passenger", "<30")),
        (79, 30, ShipClass("cargo", "30-50")),
        (81, 50, ShipClass("tanker", "50-90", is_hazardous=True)),
        (74, 90, ShipClass("cargo", "90-150", is_hazardous=True)),
        (75, 150, ShipClass("cargo", ">=150")),
        (31, 20, ShipClass("tug", "<30")),
        (52, 20, ShipClass("tug", "<30")),
        (30, 20, ShipClass("fishing", "<30")),
        (37, 20, ShipClass("other", "<30")),
        (0, 0, ShipClass("other", UNKNOWN)),
        (174, 20, ShipClass("other", "<30")),
    ],
)
def test_how_a_ship_is_counted(shiptype: int, length: int, want: ShipClass) -> None:
    assert class_of(told(Ship(), voyage(shiptype, length))) == want


def inland(**changes: Any) -> InlandShip:
    message = any_of(INLAND_SHIP, **changes)
    assert isinstance(message, InlandShip)
    return message


def test_inland_data_comes_first_for_the_length() -> None:
    ship = told(told(Ship(), inland(length_tenth_m=1850, shiptype=8230, hazard=1)), voyage(70, 20))
    assert class_of(ship) == ShipClass("cargo", ">=150", is_hazardous=True, is_convoy=True)
    assert class_of(told(Ship(), inland(length_tenth_m=0, shiptype=8010, hazard=5))) == ShipClass()
    assert told(ship, any_of(POSITION)) is ship
    assert class_of(Ship()) == ShipClass()


def test_a_class_b_ship_tells_it_in_part_b() -> None:
    part = any_of(SHIP_PART, shiptype=37, to_bow=7, to_stern=5)
    assert isinstance(part, ShipPart)
    assert class_of(told(Ship(), part)) == ShipClass("other", "<30")


def test_a_passage_waits_for_what_the_ship_is() -> None:
    passage = Passage(SHIP, 100.0, "up", 32.0, 118.0, 8.0)
    assert not is_classified(passage, Ship(), 99.9 + WAIT_S)
    assert is_classified(passage, Ship(), 100.0 + WAIT_S)
    assert is_classified(passage, told(Ship(), voyage(70, 80)), 101.0)
    inland_ship = told(told(Ship(), voyage(70, 0)), inland(length_tenth_m=850, shiptype=8010, hazard=0))
    assert is_classified(passage, inland_ship, 101.0)
    assert not is_classified(passage, told(Ship(), voyage(70, 0)), 101.0)


def test_tally_of_a_period() -> None:
    cargo, other = ShipClass("cargo", "50-90"), ShipClass()
    up, down = Passage(1, 1.0, "up", 0.0, 0.0, 6.0), Passage(2, 2.0, "down", 0.0, 0.0, None)
    period = tally([(up, cargo), (up, cargo), (down, other), (Passage(3, 3.0, "up", 0.0, 0.0, 9.0), other)])
    assert period.counts == {("up", cargo): 2, ("down", other): 1, ("up", other): 1}
    assert period.mean_speed_kn == 7.0
    assert tally([]).mean_speed_kn is None


def test_repeats_are_known_for_half_a_minute() -> None:
    repeats = Repeats()
    assert not repeats.is_repeat(5, 168, 0.0)
    assert repeats.is_repeat(5, 168, REPEAT_S - 0.1)
    assert not repeats.is_repeat(5, 167, 1.0)
    assert not repeats.is_repeat(5, 168, REPEAT_S)


def test_repeats_are_bounded() -> None:
    repeats = Repeats()
    for number in range(10_000):
        repeats.is_repeat(number, 168, 1.0)
    assert len(repeats._seen) == 4096
    assert repeats.is_repeat(9_999, 168, 1.0)
    assert not repeats.is_repeat(0, 168, 1.0)
