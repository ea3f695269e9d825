"""One point of a register map."""

import msgspec

from protocols.modbus_devices.register_map import RegisterPoint


def point(name="p", address=0, table="holding", **more):
    return msgspec.convert({"name": name, "table": table, "address": address, **more}, RegisterPoint)
