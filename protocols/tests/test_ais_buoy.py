"""What an aid to navigation says of itself: the rules of message 21, and the vectors of the encoder again."""

import doctest
import json
from typing import Any

import pytest

from protocols.ais import buoy
from protocols.ais.buoy import INTERNAL_GNSS, Fix, charted_aid, floating_aid
from protocols.ais.catalogue import decode, encode
from protocols.ais.message import readable
from protocols.ais.sentence import encode_part, parts_of
from protocols.core.errors import LocalProtocolError
from protocols.tests.kit import VECTORS

HERE = Fix(32.089123, 118.781235, 17, is_differential=True)


def case_named(name: str) -> dict[str, Any]:
    cases = json.loads((VECTORS / "ais.json").read_text())["cases"]
    found: dict[str, Any] = next(case for case in cases if case["name"] == name)
    return found


def lines_of(report: Any) -> list[str]:
    return [encode_part(part).decode() for part in parts_of(*encode(report), "AN", "VDO", "A")]


def test_a_buoy_on_position_is_the_vector() -> None:
    report = floating_aid(994_121_001, 24, "Yangtze No.12", HERE, light=1)
    assert lines_of(report) == case_named("encode_21_port_hand_buoy")["expect"]["text"]


def test_a_buoy_off_position_with_a_long_name_is_the_vector() -> None:
    report = floating_aid(
        994_121_012, 24, "Qinhuai River Entrance Buoy 3", HERE, off_position=True, light=3, is_alarm=True
    )
    assert lines_of(report) == case_named("encode_21_name_extension")["expect"]["text"]


def test_without_a_fix_nothing_is_said_about_the_position() -> None:
    read = readable(floating_aid(994_121_001, 24, "BUOY", None, off_position=True, light=1))
    assert (read["lat"], read["lon"], read["second"], read["off_position"]) == (None, None, 63, False)
    assert (read["accuracy"], read["raim"], read["aton_light"]) == (False, False, 1)


def test_a_receiver_of_several_systems_and_a_large_buoy() -> None:
    report = floating_aid(994_121_001, 31, "LANBY", Fix(1.0, 2.0, 59, has_raim=True, epfd=INTERNAL_GNSS), half_size_m=6)
    assert (report.epfd, report.raim, report.accuracy, report.to_bow, report.to_port) == (15, True, False, 6, 6)
    assert decode(*encode(report)) == report


def test_virtual_and_fixed_aids_send_the_charted_position() -> None:
    virtual = charted_aid(994_126_003, 30, "BRIDGE PIER", 32.1, 118.7, is_virtual=True)
    assert (virtual.virtual_aid, virtual.epfd, virtual.second, virtual.to_bow) == (True, 7, 60, 0)
    fixed = charted_aid(994_121_003, 3, "PIER", 32.1, 118.7, half_size_m=70)
    assert (fixed.virtual_aid, fixed.epfd, fixed.to_bow, fixed.to_port) == (False, 7, 70, 63)
    assert decode(*encode(fixed)) == fixed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mmsi": 994_126_001}, "mmsi"),
        ({"mmsi": 413_001_001}, "mmsi"),
        ({"aid_type": 19}, "aid_type"),
        ({"aid_type": 32}, "aid_type"),
        ({"name": "x" * 35}, "name"),
        ({"fix": Fix(90.1, 0.0, 1)}, "position"),
        ({"fix": Fix(0.0, float("nan"), 1)}, "position"),
        ({"fix": Fix(0.0, 0.0, 60)}, "second"),
        ({"racon": 4}, "racon"),
        ({"racon": -1}, "racon"),
        ({"light": 4}, "light"),
        ({"light": -1}, "light"),
    ],
)
def test_reports_that_the_rules_refuse(changes: dict[str, Any], field: str) -> None:
    fields: dict[str, Any] = {"mmsi": 994_121_001, "aid_type": 24, "name": "BUOY", "fix": HERE} | changes
    with pytest.raises(LocalProtocolError) as caught:
        floating_aid(**fields)
    assert caught.value.field == field


def test_a_virtual_aid_has_an_mmsi_of_its_own() -> None:
    with pytest.raises(LocalProtocolError):
        charted_aid(994_121_003, 30, "X", 32.1, 118.7, is_virtual=True)


def test_example() -> None:
    result = doctest.testmod(buoy)
    assert result.attempted
    assert not result.failed
