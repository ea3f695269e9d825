"""The walk along a SunSpec device's models, and a map placed at the end of it."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.map_file import load_map
from protocols.core.errors import FieldError
from protocols.modbus_devices import sunspec
from protocols.modbus_devices.sunspec import FoundModel, find_model, placed


def device(base, *models):
    """The registers of a device: {address: value}."""
    chain = [0x5375, 0x6E53]
    for model, length in models:
        chain += [model, length, *[0] * length]
    return dict(enumerate([*chain, 0xFFFF, 0], base))


def walk(registers, model):
    """Answer every read from `registers`; what lies outside is refused."""
    search = find_model(model)
    step, reads = next(search), 0
    while not isinstance(step, FoundModel):
        reads += 1
        wanted = range(step.start, step.start + step.count)
        step = search.send([registers[at] for at in wanted] if all(at in registers for at in wanted) else None)
    return step, reads


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_a_model_is_found_at_each_base(base):
    registers = device(base, (1, 66), (103, 50), (802, 62))
    assert walk(registers, 1)[0] == FoundModel(base + 2, 66)
    assert walk(registers, 802)[0] == FoundModel(base + 2 + 68 + 52, 62)


@pytest.mark.parametrize(
    "registers",
    [
        {},
        dict.fromkeys(range(65_536), 0),
        device(40_000, (1, 66), (103, 50)),
        device(40_000),
        {40_000: 0x5375, 40_001: 0x6E53, 40_002: 1, 40_003: 66},  # the chain breaks off
        {40_000: 0x5375, 40_001: 0x6E53, 40_002: 1, 40_003: 60_000},  # and here it leaves the address space
        {40_000: 0x5375, 40_001: 0x6E53, **dict.fromkeys(range(40_002, 42_000), 0)},  # and here it never ends
    ],
    ids=range(7),
)
def test_a_device_without_the_model_is_told_in_the_end(registers):
    with pytest.raises(FieldError):
        walk(registers, 802)


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4)), min_size=200, max_size=200)
)
def test_any_answers_end_the_search(answers):
    search = find_model(802)
    step = next(search)
    try:
        for answer in answers:
            if isinstance(step, FoundModel):
                return
            assert 0 <= step.start < step.end <= 0x10000
            step = search.send(answer and answer[: step.count])
    except FieldError:
        return
    pytest.fail("200 answers were not enough")


def test_a_map_is_placed():
    there = placed(load_map("sunspec_802"), 40_070)
    assert there.sunspec_model is None
    assert {point.name: point.address for point in there.points}["soc_pct"] == 40_081
    assert there.scale_factors["SoC_SF"].address == 40_126
    with pytest.raises(ValueError, match="last address"):
        placed(load_map("sunspec_802"), 65_500)


def test_examples_in_the_docstring():
    assert doctest.testmod(sunspec).failed == 0
