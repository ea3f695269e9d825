"""Fault plans: repeatable by their seed, and each fault does what its line says."""

import msgspec
import pytest

from emulators.kit.faults import Fault, FaultPlan, FaultyDevice, load_faults

WIRE = bytes(range(20))


class Parrot:
    """Says `WIRE` to everything."""

    def __init__(self) -> None:
        self.heard = []

    def receive(self, data, now):
        self.heard.append(data)
        return [WIRE]

    def tick(self, now):
        return []

    def next_deadline(self):
        return None


def said(plan, times=1, until=10.0):
    """All that comes out, with its time, when the device is spoken to once a second."""
    device = FaultyDevice(Parrot(), plan)
    out = []
    for second in range(times):
        now = float(second)
        out += [(now, wire) for wire in device.receive(b"?", now)]
        while (deadline := device.next_deadline()) is not None and deadline < now + 1:
            out += [(deadline, wire) for wire in device.tick(deadline)]
    while (deadline := device.next_deadline()) is not None and deadline <= until:
        out += [(deadline, wire) for wire in device.tick(deadline)]
    return device, out


def test_without_faults_everything_passes():
    device, out = said(FaultPlan(), 3)
    assert out == [(0.0, WIRE), (1.0, WIRE), (2.0, WIRE)]
    assert device.struck == {}


def test_the_same_seed_gives_the_same_faults():
    plan = FaultPlan(
        seed=5, drop=Fault(p=0.2), flip=Fault(p=0.3), split=Fault(p=0.3), delay=Fault(p=0.3), foreign=Fault(p=0.2)
    )
    first, out = said(plan, 50)
    again, same = said(plan, 50)
    assert out == same
    assert first.struck == again.struck
    assert set(first.struck) == {"drop", "flip", "split", "delay", "foreign"}
    assert said(msgspec.structs.replace(plan, seed=6), 50)[1] != out


def one(**faults):
    return said(FaultPlan(seed=3, **faults))[1]


def test_each_fault_does_what_its_line_says():
    always = Fault(p=1, s=(0.1, 0.3))
    assert one(drop=always) == []
    assert one(duplicate=always) == [(0.0, WIRE)] * 2
    ((when, wire),) = one(late=always)
    assert 0.1 <= when <= 0.3
    assert wire == WIRE
    (first, second) = one(split=always)
    assert first[1] + second[1] == WIRE
    assert 0.1 <= second[0] - first[0] <= 0.3
    ((_when, wire),) = one(truncate=always)
    assert 0 < len(wire) < len(WIRE)
    assert WIRE.startswith(wire)
    ((_when, wire),) = one(flip=always)
    assert sum((a ^ b).bit_count() for a, b in zip(wire, WIRE, strict=True)) == 1
    ((_when, wire),) = one(checksum=always)
    assert wire[:-2] == WIRE[:-2]
    assert wire[-2:] != WIRE[-2:]
    (foreign, own) = one(foreign=Fault(p=1, frames=("0102", "03")))
    assert foreign[1] in (b"\1\2", b"\3")
    assert own[1] == WIRE


def test_merge_waits_for_the_next_frame():
    device = FaultyDevice(Parrot(), FaultPlan(merge=Fault(during=((0, 0.5),))))
    assert device.receive(b"?", 0.0) == []
    assert device.receive(b"?", 1.0) == [WIRE * 2]


def test_a_silent_device_hears_nothing_while_it_lasts():
    device = FaultyDevice(Parrot(), FaultPlan(silence=Fault(during=((1, 3),))))
    assert [len(device.receive(b"?", float(now))) for now in range(5)] == [1, 0, 0, 1, 1]
    assert len(device.device.heard) == 3


def test_a_reboot_stops_mid_frame_and_comes_back():
    device = FaultyDevice(Parrot(), FaultPlan(reboot=Fault(during=((0, 0.5),), s=(2, 2))))
    assert device.receive(b"?", 0.0) == [WIRE[:10]]
    assert [len(device.receive(b"?", float(now))) for now in (1, 3)] == [0, 1]


def test_a_plan_is_read_from_toml(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text("seed = 7\n[flip]\np = 0.05\n[silence]\nduring = [[10.0, 15.0]]\n")
    plan = load_faults(file)
    assert (plan.seed, plan.flip.p, plan.silence.during) == (7, 0.05, ((10.0, 15.0),))


@pytest.mark.parametrize(
    "text",
    [
        "[flip]\n",
        "[flip]\np = 2\n",
        "[flop]\np = 1\n",
        "[delay]\np = 1\ns = [2.0, 1.0]\n",
        "[silence]\nduring = [[5.0, 1.0]]\n",
        '[foreign]\np = 1\nframes = ["0x"]\n',
        "seed = ",
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path, text):
    file = tmp_path / "plan.toml"
    file.write_text(text)
    with pytest.raises(ValueError):
        load_faults(file)
