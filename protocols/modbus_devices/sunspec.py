"""Where a SunSpec device keeps a model, and a map that is placed there.

SunSpec Information Model Specification 1.9, clause 6.2 (SunSpec Alliance): at one of three base addresses stands the
identifier "SunS", behind it one model after the other, each with its id, its length and its body; id FFFFH ends them.

>>> search = find_model(802)
>>> next(search)
Block(start=40000, count=4)
>>> search.send((0x5375, 0x6E53, 1, 66))  # "SunS", then model 1 with 66 registers
Block(start=40070, count=2)
>>> search.send((802, 62))
FoundModel(address=40070, length=62)
"""

from collections.abc import Generator, Sequence

import msgspec

from protocols.core.errors import FieldError
from protocols.modbus_devices.planner import Block
from protocols.modbus_devices.register_map import RegisterMap

BASE_ADDRESSES = (40_000, 0, 50_000)
IDENTIFIER = (0x5375, 0x6E53)
"""The text "SunS"."""
END_ID = 0xFFFF
MAX_MODELS = 64
"""A device has a dozen; a longer chain is a broken one."""
_HEADER = 2
_ADDRESSES = 0x1_0000


class FoundModel(msgspec.Struct, frozen=True):
    """Where a model is."""

    address: int
    """Of the register that holds its id: what the addresses of its map count from."""
    length: int
    """Registers behind id and length."""


Search = Generator[Block | FoundModel, Sequence[int] | None, None]


def find_model(model: int) -> Search:
    """Search a device: yields holding registers to read, is sent them (None: refused), yields `FoundModel` at the end.

    Raises `FieldError` when it is no SunSpec device or has no such model.
    """
    for base in BASE_ADDRESSES:
        registers = yield Block(base, len(IDENTIFIER) + _HEADER)
        if registers is None or tuple(registers[:2]) != IDENTIFIER:
            continue
        address = base + len(IDENTIFIER)
        found, length = registers[2], registers[3]
        for _ in range(MAX_MODELS):
            if found == END_ID:
                break
            if found == model:
                yield FoundModel(address, length)
                return
            address += _HEADER + length
            if address + _HEADER > _ADDRESSES:
                raise FieldError("the chain of models leads behind the last register", field="length")
            registers = yield Block(address, _HEADER)
            if registers is None:
                break
            found, length = registers[0], registers[1]
        raise FieldError(f"the device has no SunSpec model {model}", field="sunspec_model")
    raise FieldError("the device is no SunSpec device: nowhere stands SunS", field="sunspec_model")


def placed(register_map: RegisterMap, address: int) -> RegisterMap:
    """A map whose addresses count from a model's id, moved to where that is. Raises `ValueError` beyond 65535."""
    points = tuple(msgspec.structs.replace(point, address=point.address + address) for point in register_map.points)
    for point in points:
        point.__post_init__()  # `replace` does not look whether it still fits
    factors = {
        name: msgspec.structs.replace(factor, address=factor.address + address)
        for name, factor in register_map.scale_factors.items()
    }
    return msgspec.structs.replace(register_map, points=points, scale_factors=factors, sunspec_model=None)
