"""Points and maps that cannot be, and options that stand in for what a map leaves open."""

import math

import msgspec
import pytest

from protocols.modbus_devices.register_map import RegisterMap, with_options
from protocols.tests.modbus_points import point


@pytest.mark.parametrize(
    "row",
    [
        {"name": "Upper"},
        {"address": 65_536},
        {"address": 65_535, "type": "int32"},
        {"table": "coil"},
        {"table": "coil", "type": "bool", "bit": 1},
        {"bit": 1},
        {"type": "bool", "bit": 16},
        {"words": 2},
        {"type": "bits", "words": 3},
        {"type": "bool", "scale": 0.1},
        {"type": "string", "words": 2, "invalid": [0]},
        {"type": "bool", "min": 0},
        {"scale": 0},
        {"scale": 1e-300},
        {"scale": math.nan},
        {"min": math.inf},
        {"deadband": math.nan},
        {"min": 2, "max": 1},
        {"invalid": [0x10000]},
        {"invalid": [-1]},
        {"table": "input", "writable": True},
        {"write_only": True},
        {"every": 0},
        {"colour": "red"},
    ],
    ids=repr,
)
def test_a_point_that_cannot_be_is_refused(row):
    with pytest.raises(msgspec.ValidationError):
        point(**row)


@pytest.mark.parametrize(
    "more",
    [
        {"points": []},
        {"points": [{"name": "a", "table": "input", "address": 1}] * 2},
        {"max_registers": 1, "points": [{"name": "a", "table": "input", "address": 1, "type": "int32"}]},
        {"even_start": True},
        {"points": [{"name": "a", "table": "input", "address": 1, "scale_factor": "V_SF"}]},
        {"points": [{"name": "a", "table": "input", "address": 1, "scale_option": "x"}]},
        {"options": {"x": {"default": 1, "allowed": [2]}}},
    ],
    ids=repr,
)
def test_a_map_that_contradicts_itself_is_refused(more):
    row = {"name": "m", "title": {}, "source": "", "points": [{"name": "a", "table": "input", "address": 1}]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**row, **more}, RegisterMap)


def test_an_option_stands_in_for_a_scale():
    row = {
        "name": "m",
        "title": {},
        "source": "",
        "options": {"word_scale": {"default": 0.1, "allowed": [0.1, 0.01]}},
        "points": [{"name": "a", "table": "input", "address": 1, "scale_option": "word_scale"}],
    }
    register_map = msgspec.convert(row, RegisterMap)
    assert with_options(register_map, {}).points[0].scale == 0.1
    assert with_options(register_map, {"word_scale": 0.01}).points[0].scale == 0.01
    for wrong in ({"word_scale": 0.5}, {"wort": 1}):
        with pytest.raises(ValueError, match=r"word_scale|wort"):
            with_options(register_map, wrong)
