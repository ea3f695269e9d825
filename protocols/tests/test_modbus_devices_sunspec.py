"""The walk along a SunSpec device's models, and a map placed at the end of it."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.map_file import load_map
from protocols.core.errors import FieldError
from protocols.modbus_devices import sunspec
from protocols.modbus_devices.sunspec import BASE_ADDRESSES, MAX_MODELS, FoundModel, find_model, placed


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


models = st.tuples(st.sampled_from([0, 1, 701, 802, 0xFFFE, 0xFFFF]), st.one_of(st.integers(0, 70), st.just(0xFFFF)))


@settings(derandomize=True, deadline=None)
@given(st.sampled_from(BASE_ADDRESSES), st.lists(st.one_of(models, st.none()), max_size=100))
def test_any_chain_of_models_ends_the_search(base, chain):
    """As a device that holds them would answer: the model, or why there is none."""
    registers = {base: 0x5375, base + 1: 0x6E53}
    address, place = base + 2, None
    for model in chain:
        if model is None:
            break
        registers[address], registers[address + 1] = model
        if place is None and model[0] == 802:
            place = address
        if model[0] in (802, 0xFFFF):
            break
        address += 2 + model[1]
    search = find_model(802)
    asked = 0
    step = next(search)
    try:
        while not isinstance(step, FoundModel):
            asked += 1
            assert 0 <= step.start < step.end <= 0x10000
            assert asked <= len(BASE_ADDRESSES) + MAX_MODELS
            known = [registers.get(at) for at in range(step.start, step.end)]
            step = search.send(None if None in known else known)
    except FieldError as error:
        assert error.field in ("length", "sunspec_model")  # noqa: PT017  # the device may have none
        assert place is None or place + 2 > 0x10000 or asked >= MAX_MODELS
    else:
        assert step.address == place


def test_a_map_is_placed():
    there = placed(load_map("sunspec_802"), 40_070)
    assert there.sunspec_model is None
    assert {point.name: point.address for point in there.points}["soc_pct"] == 40_081
    assert there.scale_factors["SoC_SF"].address == 40_126
    with pytest.raises(ValueError, match="last address"):
        placed(load_map("sunspec_802"), 65_500)


def test_examples_in_the_docstring():
    assert doctest.testmod(sunspec).failed == 0
