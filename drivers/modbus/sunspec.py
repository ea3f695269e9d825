"""What must be read once before a device can be polled: where its SunSpec model stands, and its scale factors.

SunSpec Device Information Model Specification 1.1, clause 6: a device's map begins with "SunS" at one of three
addresses; models follow one another as id, length, body; id FFFFH ends them.

Each step is a generator: it yields a request and is sent the registers of the answer, or None where the device refused.
It does no I/O; the poller carries its questions.
"""

from collections.abc import Generator

from drivers.errors import DeviceConfigError
from drivers.text import _
from protocols.core.errors import FieldError
from protocols.modbus_devices.pdu import READ_HOLDING, ReadRequest
from protocols.modbus_devices.register_map import READ_FUNCTIONS, RegisterMap
from protocols.modbus_devices.values import decode_scale_factor

Registers = tuple[int, ...] | None
Steps = Generator[ReadRequest, Registers, tuple[int, dict[str, int]]]

BASES = (40_000, 0, 50_000)
MARK = (0x5375, 0x6E53)
"""The letters SunS."""
END_ID = 0xFFFF
MAX_MODELS = 200
"""A device with more models than this turns in a circle."""


def prepare(registers: RegisterMap) -> Steps:
    """Return (what all addresses are moved by, exponents of the scale factors). Raises `DeviceConfigError`."""
    base = 0
    if registers.sunspec_model is not None:
        base = yield from _find_model(registers.sunspec_model)
    exponents = {}
    for name, factor in registers.scale_factors.items():
        answer = yield ReadRequest(READ_FUNCTIONS[factor.table], base + factor.address, 1)
        try:
            exponents[name] = decode_scale_factor(answer[0]) if answer is not None else 0
        except FieldError as e:
            raise DeviceConfigError(_("scale factor %s: %s") % (name, e)) from e
    return base, exponents


def _find_model(model: int) -> Generator[ReadRequest, Registers, int]:
    for base in BASES:
        if (yield ReadRequest(READ_HOLDING, base, 2)) == MARK:
            break
    else:
        raise DeviceConfigError(_("the device speaks no SunSpec: it has no SunS mark at 40000, 0 or 50000"))
    at = base + len(MARK)
    seen = []
    for _number in range(MAX_MODELS):
        head = yield ReadRequest(READ_HOLDING, at, 2)
        if head is None or head[0] == END_ID:
            break
        if head[0] == model:
            return at
        seen.append(str(head[0]))
        at += 2 + head[1]
        if at > 0xFFFE:
            break
    raise DeviceConfigError(_("the device has no SunSpec model %d; it has: %s") % (model, ", ".join(seen)))
