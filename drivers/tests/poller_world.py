"""A poller on a clock of the test's own, and a device that answers as it is told to."""

import msgspec

from drivers.modbus.config import ModbusDeviceConfig
from drivers.modbus.plan import Layout
from drivers.modbus.poller import Poller
from protocols.modbus_devices.master import Call, Failure
from protocols.modbus_devices.pdu import RegistersResponse


class World:
    """A poller, what it makes, and a device that answers from a dictionary of registers."""

    def __init__(self, *, retries=2, period_s=1.0, **keys):
        keys = keys or {"range": [{"name": "raw", "table": "holding", "address": 0, "count": 4}]}
        registers = msgspec.convert({"driver": "modbus", "name": "m", **keys}, ModbusDeviceConfig).registers()
        layout = Layout.of(registers, None, lambda request: Call(1, request, 0.2, None))
        self.samples = []
        self.history = []
        self.poller = Poller(
            "m", registers, layout, period_s=period_s, retries=retries, probe_gap_s=lambda cost: 20 * cost, outlet=self
        )
        self.registers = {}
        self.asked = []
        self.now = 0.0

    def sample(self, sample):
        self.samples.append(sample)

    def lost(self, error):
        self.history.append(str(error))

    def back(self):
        self.history.append("back")

    def start(self, now=0.0):
        self.now = now
        self.poller.port_opened(now)

    def poll(self, held_until=lambda _call, now: now):
        return self.poller.poll(self.now, held_until)

    def serve(self, call):
        """The device answers: its registers, or exception 2."""
        request = call.request
        self.asked.append((request.function, request.start_address, request.quantity))
        wanted = range(request.start_address, request.start_address + request.quantity)
        self.now += 0.01
        if any(at not in self.registers for at in wanted):
            self.poller.failed(call, Failure.EXCEPTION, self.now, 2)
        else:
            data = b"".join(self.registers[at].to_bytes(2, "big") for at in wanted)
            self.poller.replied(call, RegistersResponse(request.function, data), self.now)

    def round(self, react=None):
        """Everything until the next sample."""
        self.asked.clear()
        self.now = max(self.now, self.poller.next_due)
        before = len(self.samples)
        while len(self.samples) == before:
            call = self.poll()
            if call is None:
                if len(self.samples) == before:
                    self.now = self.poller.next_due
            elif react is None or not react(call):
                self.serve(call)
        return self.samples[-1]

    def fail(self, reason=Failure.TIMEOUT, code=None, took=0.2):
        def react(call):
            self.asked.append((call.request.function, call.request.start_address, call.request.quantity))
            self.now += took
            self.poller.failed(call, reason, self.now, code)
            return True

        return react
