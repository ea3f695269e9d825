"""The agent's own files: whatever a disk has made of them, the next run starts, and updates go their way.

The slots' own state has `test_power_cut_update.py`; here is what stands beside it.
"""

import pytest

from ota.agent.account import explained, read_account, read_audit
from ota.agent.account_file import ACCOUNT
from ota.agent.agent import End
from ota.agent.audit import AUDIT, MAX_AUDIT_BYTES, OLD_AUDIT, STATUS, Audit, Seen, read_seen, write_seen
from ota.agent.wellbeing import BEFORE
from ota.storage import replace
from ota.testing.disk_double import DiskDouble
from ota.tests.agent_device import Device, publish

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")

RUBBISH = {
    "nothing": b"",
    "zeros": bytes(512),
    "no UTF-8": b'{"refusal":"\xff","version":"\xff"}',
    "no object": b"[1]",
    "deep": b'{"x":' + b"[" * 60_000,
    "other types": b'{"asked_at":"then","next_at":[],"has_uplink":7,"attempt":{}}',
    "out of all bounds": b'{"asked_at":99999999999999999999,"next_at":9999999999999}',
}
FILES = (STATUS, BEFORE, ACCOUNT, AUDIT, OLD_AUDIT, "fetch/account", "reports/dropped")


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_whatever_a_disk_has_made_of_them_an_update_goes_its_way(
    device: Device, images: dict[str, bytes], rubbish: str
):
    """Before the update, in the middle of it, and on trial."""
    ends = []
    publish(device, images, "2")
    while not ends or ends[-1] is not End.RESTING:
        for name in FILES:
            if device.storage.size(name) >= 0 or name in (STATUS, AUDIT):
                replace(device.storage, name, RUBBISH[rubbish])
        assert explained(read_account(device.config))
        read_audit(device.config, 100)
        ends.append(device.run())
        assert len(ends) < 6
    assert device.runs() == "2"
    assert [report.outcome for report in device.reports()] == ["confirmed"]


def test_a_clock_that_was_once_far_ahead_does_not_keep_it_from_asking_for_ever(
    device: Device, images: dict[str, bytes]
):
    publish(device, images, "1")
    now = device.world.start
    device.world.start = now + 50 * 365 * 86_400
    device.run()
    device.world.start = now
    asked = len(device.web.asked)
    device.agent().run()
    assert len(device.web.asked) > asked


# The trail ----------------------------------------------------------------------------------------------------------


def noted(disk: DiskDouble) -> list[str]:
    """What of the trail can be read."""
    lines = b"".join(disk.read(name) for name in (OLD_AUDIT, AUDIT) if disk.size(name) >= 0).splitlines()
    return [line.decode() for line in lines if line.endswith(b"}") and line.startswith(b'{"time"')]


def what(number: int) -> str:
    return f'"what":"line {number}"'


def test_a_line_that_was_noted_survives_every_cut_and_a_torn_one_takes_no_other_with_it():
    disk = DiskDouble()
    cuts = 0
    count = 0

    def begun(_step: str, _name: str) -> None:
        nonlocal cuts
        for after in disk.after_cut(1, most=6):
            cuts += 1
            there = noted(after)
            for number in range(count):
                assert any(what(number) in line for line in there), f"line {number} is lost"
            Audit(after, lambda: 2.0).note("after the cut")
            assert sum("after the cut" in line for line in noted(after)) == 1
            assert len(noted(after)) >= len(there) + 1

    disk.begun = begun
    trail = Audit(disk, lambda: 1.0)
    for number in range(4):
        trail.note(f"line {number}")
        count = number + 1
    assert cuts > 20


def test_no_cut_of_the_turn_to_a_new_file_loses_the_old_one():
    disk = DiskDouble()
    disk.write(AUDIT, 0, b'{"time":0,"what":"old"}\n' + b" " * MAX_AUDIT_BYTES + b"\n")
    disk.sync(AUDIT)
    disk.sync_folder("")
    cuts = 0

    def begun(_step: str, _name: str) -> None:
        nonlocal cuts
        for after in disk.after_cut(1, most=6):
            cuts += 1
            assert any('"what":"old"' in line for line in noted(after))

    disk.begun = begun
    Audit(disk, lambda: 1.0).note("new")
    assert cuts > 5


def test_a_disk_that_does_not_take_a_line_loses_it_and_nothing_else():
    disk = DiskDouble()
    trail = Audit(disk, lambda: 1.0)
    trail.note("before")
    disk.failing["sync"] = 5
    trail.note("in between")
    disk.failing.clear()
    disk.unreadable.add(AUDIT)
    trail.note("over a bad sector")
    disk.unreadable.clear()
    trail.note("after")
    assert [line for line in noted(disk) if '"after"' in line]
    assert [line for line in noted(disk) if '"before"' in line]


# The last look ------------------------------------------------------------------------------------------------------


def test_the_last_look_is_the_old_or_the_new_one_wherever_it_is_cut():
    disk = DiskDouble()
    old, new = Seen(asked_at=1, refusal="old"), Seen(asked_at=2, refusal="a longer one, which is new")
    write_seen(disk, old)
    found = set()

    def begun(_step: str, _name: str) -> None:
        for after in disk.after_cut(1, most=6):
            seen = read_seen(after)
            assert seen in (old, new)
            found.add(seen.asked_at)
            write_seen(after, new)
            assert read_seen(after) == new

    disk.begun = begun
    write_seen(disk, new)
    assert found == {1, 2}
