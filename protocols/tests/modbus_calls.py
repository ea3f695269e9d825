"""Calls of a master, and the events that they come to."""

from protocols.core.errors import NeedData
from protocols.modbus_devices.master import Call
from protocols.modbus_devices.pdu import ReadRequest


def call(address=0, quantity=2, unit_id=1, timeout_s=0.1):
    return Call(unit_id=unit_id, request=ReadRequest(3, address, quantity), timeout_s=timeout_s)


def events(master):
    found = []
    while not isinstance(event := master.next_event(), NeedData):
        found.append(event)
    return found
