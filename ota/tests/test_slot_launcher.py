"""The launcher: counts before it starts, verifies what it starts, falls back only from a trial, and never raises."""

import errno
import fcntl
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from ota.errors import StorageError
from ota.installers.release_dir import ReleaseDir
from ota.launcher import NOTHING_TO_START, Launcher, command
from ota.slots.lock import only_one, record_lock
from ota.slots.record import BOOTS, NAMES, Record, RecordStore
from ota.slots.trailer import TRAILER
from ota.storage import PosixStorage
from ota.testing.disk_double import DiskDouble, PowerCut
from ota.testing.slot_world import KEY, Release, launch, set_up_with

OLD, NEW = Release(1), Release(2)


def both_slots(**fields: object) -> DiskDouble:
    """The old release confirmed in `a`, the new one whole in `b`."""
    disk = DiskDouble()
    set_up_with(disk, OLD)
    installer = ReleaseDir(disk, KEY)
    installer.erase("b")
    installer.write("b", NEW.trailer, [NEW.image])
    installer.seal("b", NEW.trailer)
    if fields:
        store = RecordStore(disk, KEY, nullcontext)
        store.write(replace(record_on(disk), **fields))
    return disk.settled()


def record_on(disk: DiskDouble) -> Record:
    record = RecordStore(disk, KEY, nullcontext).read()
    assert record is not None
    return record


def slot_of(disk: DiskDouble) -> str:
    start, _said = launch(disk)
    return start.slot if start is not None else ""


def test_a_confirmed_slot_is_started_however_often_the_power_flickers():
    """Three quick power cycles on a confirmed slot once made other systems fall back, months after the update."""
    disk = both_slots(confirmed="b", state="REPORTED")
    before = disk.state()
    for _cycle in range(50):
        assert launch(disk)[0] == launch(disk.settled())[0]
        assert slot_of(disk) == "b"
    assert disk.state() == before, "no start of a confirmed slot writes anything"


def test_a_trial_is_counted_down_before_it_is_started_and_then_given_up():
    disk = both_slots(state="ARMED", trial="b", boots_left=BOOTS)
    for left in (2, 1, 0):
        assert slot_of(disk) == "b"
        assert record_on(disk).boots_left == left
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "a"
    assert said == ["slot b is given up: it was not confirmed in 3 starts"]
    assert record_on(disk).fell_back == "it was not confirmed in 3 starts"
    assert record_on(disk).state == "ARMED", "what follows is the agent's to decide"
    assert launch(disk)[1] == []
    assert slot_of(disk) == "a"


def test_no_cut_gives_a_trial_more_starts_than_it_has():
    """Whatever the power does while a start is counted: the new slot is started three times at most."""
    waiting = [(both_slots(state="ARMED", trial="b", boots_left=BOOTS), 0)]
    seen = set()
    while waiting:
        disk, starts = waiting.pop()
        assert starts <= BOOTS

        found: list[tuple[DiskDouble, int]] = []

        def look(_step: str, _name: str, after: tuple = (disk, starts, found)) -> None:
            after[2].extend((each, after[1]) for each in after[0].after_cut())

        disk.begun = look
        slot = slot_of(disk)
        assert slot in ("a", "b")
        found.append((disk.settled(), starts + (slot == "b")))
        for each, count in found:
            if (each.state(), count) not in seen and record_on(each).to_start == "b":
                seen.add((each.state(), count))
                waiting.append((each, count))
    assert len(seen) > 10


@pytest.mark.parametrize("step", ["write", "sync", "sync_folder"])
def test_what_cannot_be_counted_is_not_started(step: str):
    disk = both_slots(state="ARMED", trial="b", boots_left=BOOTS)
    disk.failing[step] = errno.EIO
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "a"
    assert "cannot be counted" in said[0]


def test_a_disk_that_is_read_only_starts_what_is_confirmed():
    disk = both_slots(state="REPORTED", confirmed="b")
    disk.is_read_only_from = 0
    assert slot_of(disk) == "b"
    for name in NAMES:
        disk.root.names.pop(name)
    start, said = launch(disk)
    assert start is not None, "the slots' own marks do"
    assert start.slot == "a", "the only slot with a mark"
    assert any("Read-only" in line for line in said)


def test_a_trial_that_is_damaged_is_given_up_at_once():
    disk = both_slots(state="ARMED", trial="b", boots_left=BOOTS)
    disk.write("slots/b/image.tar", 600, b"rot")
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "a"
    assert "slots/b/image.tar is not the image that its trailer names" in said[0]
    assert record_on(disk).fell_back


@pytest.mark.parametrize("name", ["agent/f0.py", "sitecustomize.py", "agent/__pycache__/f0.pyc"])
def test_a_tree_that_is_not_its_image_is_made_again(name: str):
    disk = both_slots()
    disk.make_folder("slots/a/tree/agent/__pycache__")
    disk.write(f"slots/a/tree/{name}", 0, b"import os")
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "a"
    assert said[0].endswith("unpacked again")
    tree = {each for each in disk.contents() if each.startswith("slots/a/tree/") and not each.endswith("/")}
    assert tree == {f"slots/a/tree/{each}" for each in OLD.files}
    assert launch(disk)[1] == []


def test_an_image_that_is_damaged_with_its_tree_leaves_the_other_slot():
    disk = both_slots()
    disk.write("slots/a/image.tar", 600, b"rot")
    disk.write("slots/a/tree/agent/f0.py", 600, b"rot")
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "b"
    assert said == ["slot a is not started: slots/a/image.tar is not the image that its trailer names"]


@pytest.mark.parametrize(
    ("bad", "slot"),
    [
        (["state-a"], "b"),
        (["state-b"], "b"),
        (["state-a", "state-b"], "a"),
        (["slots/b/image.tar"], "b"),
        (["slots/b/image.tar", "slots/b/tree/agent/f0.py"], "a"),
        (["slots/b/trailer"], "a"),
        (["slots/a/trailer", "slots/a/confirmed"], "b"),
        (["slots/a/image.tar", "slots/b/image.tar"], "b"),
        (["slots/a/image.tar", "slots/b/image.tar", "slots/b/tree/manifest.json"], "a"),
        (["slots/a/image.tar", "slots/b/image.tar", "slots/a/tree/manifest.json", "slots/b/tree/manifest.json"], ""),
    ],
)
def test_files_that_cannot_be_read_leave_what_can(bad: list[str], slot: str):
    disk = both_slots(confirmed="b", state="REPORTED")
    RecordStore(disk, KEY, nullcontext).write(record_on(disk))  # so that either record has `b`
    disk.unreadable.update(bad)
    start, said = launch(disk)
    assert (start.slot if start is not None else "") == slot
    assert bool(said) is (slot != "b" or "slots/b/image.tar" in bad)
    assert all("\n" not in line for line in said)


@pytest.mark.parametrize("bad", [b"", b"WSR1", bytes(400), bytes(range(256)) * 4])
def test_records_of_rubbish_are_made_again_from_the_slots(bad: bytes):
    disk = both_slots(confirmed="b", state="REPORTED")
    for name in NAMES:
        disk.truncate(name, 0)
        disk.write(name, 0, bad)
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "a", "b has no mark"
    assert len(said) == 3
    assert record_on(disk).confirmed == "a"


def test_nothing_that_no_trailer_vouches_for_is_started():
    disk = both_slots()
    for slot in "ab":
        disk.remove(f"slots/{slot}/{TRAILER}")
    start, said = launch(disk)
    assert start is None
    assert len(said) == 2


def test_a_trailer_of_another_device_is_none():
    disk = both_slots()
    assert next(Launcher(disk, bytes(32), lock=nullcontext, say=lambda _line: None).starts(), None) is None


def test_a_record_that_changes_meanwhile_is_read_again():
    """The agent confirms while the launcher counts."""
    disk = both_slots(state="TRIAL", trial="b", boots_left=2)
    store = RecordStore(disk, KEY, nullcontext)
    is_first = True

    class Lock:
        def __enter__(self) -> None:
            nonlocal is_first
            if is_first:
                is_first = False
                store.write(replace(record_on(disk), state="CONFIRMED", confirmed="b", trial="", boots_left=0))

        def __exit__(self, *_error: object) -> None:
            pass

    start = next(Launcher(disk, KEY, lock=Lock, say=lambda _line: None).starts())
    assert start.slot == "b"
    assert record_on(disk).state == "CONFIRMED"


def test_a_cut_while_a_tree_is_made_again_is_survived():
    disk = both_slots()
    disk.write("slots/a/tree/agent/f0.py", 0, b"x")
    found: list[DiskDouble] = []

    def look(_step: str, _name: str) -> None:
        found.extend(disk.after_cut(most=2))

    disk.begun = look
    assert slot_of(disk) == "a"
    assert len(found) > 20
    assert {slot_of(each) for each in found} == {"a"}


def test_a_power_cut_in_the_launcher_is_no_error_of_it():
    disk = both_slots(state="ARMED", trial="b", boots_left=1)

    def cut(_step: str, _name: str) -> None:
        raise PowerCut

    disk.begun = cut
    with pytest.raises(PowerCut):
        launch(disk)


# The process ---------------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "ota.launcher", str(folder), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_it_becomes_the_agent_with_its_arguments_and_exit_code(tmp_path: Path):
    storage = PosixStorage(tmp_path / "update")
    storage.open()
    source = b"import os, sys\nprint(os.getpid(), os.environ['WAYSIDE_SLOT'], *sys.argv[1:])\nsys.exit(7)\n"
    release = Release(1, source=source)
    set_up_with(storage, release)
    line = [sys.executable, "-m", "ota.launcher", str(storage.folder), "run", "--fast"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        said = process.communicate(timeout=60)[0]
    assert said == f"{process.pid} a run --fast\n"
    assert process.returncode == 7
    assert not list(tmp_path.rglob("*.pyc"))


def test_a_signal_reaches_the_agent_itself(tmp_path: Path):
    storage = PosixStorage(tmp_path / "update")
    storage.open()
    source = (
        b"import signal, sys, time\n"
        b"signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        b"print('up', flush=True)\n"
        b"time.sleep(60)\n"
    )
    set_up_with(storage, Release(1, source=source))
    line = [sys.executable, "-m", "ota.launcher", str(storage.folder)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.wait(60) == 9


def test_what_the_kernel_does_not_start_leaves_the_other_slot(tmp_path: Path):
    storage = PosixStorage(tmp_path)
    set_up_with(storage, Release(1, source=b"print('the old one')\n"))
    odd = Release(2, entry=["agent/f0.py"])
    installer = ReleaseDir(storage, KEY)
    installer.erase("b")
    installer.write("b", odd.trailer, [odd.image])
    installer.seal("b", odd.trailer)
    store = RecordStore(storage, KEY, nullcontext)
    record = store.read()
    assert record is not None
    store.write(replace(record, state="ARMED", trial="b", boots_left=2))
    done = run(tmp_path)
    assert (done.stdout, done.returncode) == ("the old one\n", 0)
    assert done.stderr == f"launcher: slot b: {tmp_path}/slots/b/tree/agent/f0.py: Permission denied\n"
    after = store.read()
    assert after is not None
    assert after.boots_left == 1


def test_a_log_that_nobody_reads_any_more_keeps_no_slot_from_being_started(tmp_path: Path):
    storage = PosixStorage(tmp_path)
    set_up_with(storage, Release(1, source=b"print('the old one')\n"))
    store = RecordStore(storage, KEY, nullcontext)
    record = store.read()
    assert record is not None
    store.write(replace(record, state="ARMED", trial="b", boots_left=2))
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, "-m", "ota.launcher", str(tmp_path)]
    with os.fdopen(writer, "wb") as log:
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=log, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("the old one\n", 0)


def test_a_record_is_written_by_one_process_at_a_time(tmp_path: Path):
    with record_lock(tmp_path), (tmp_path / "lock").open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "lock").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(StorageError), record_lock(tmp_path / "nowhere"):
        pass


def test_names_that_are_no_unicode_keep_no_slot_from_being_started():
    """A damaged file system gives such names, and does not remove them."""
    disk = both_slots(state="ARMED", trial="b", boots_left=BOOTS)
    disk.write("slots/b/tree/!\udcff\n", 0, b"rubbish")
    disk.failing["remove"] = errno.EIO
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "a"
    assert all(line.isprintable() for line in said)
    assert record_on(disk).fell_back == r"storage: slots/b/tree/!\udcff\n: Input/output error"


def test_where_a_lock_cannot_be_had_the_confirmed_slot_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on a file system without locks, or one that is read-only."""

    def refuse(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    disk, said = both_slots(state="ARMED", trial="b", boots_left=BOOTS), []
    launcher = Launcher(disk, KEY, lock=lambda: record_lock(tmp_path), say=said.append)
    assert next(launcher.starts()).slot == "a"
    assert "cannot be counted" in said[0]
    with pytest.raises(StorageError, match=r"^storage: .*agent\.lock: No locks available$"), only_one(tmp_path):
        pass


def test_where_nothing_is_it_says_one_line_and_an_exit_code(tmp_path: Path):
    done = run(tmp_path)
    assert done.returncode == NOTHING_TO_START
    assert done.stderr == f"launcher: {tmp_path}: the device's key is lost: no slot can be verified\n"
    assert run(tmp_path / "nowhere").returncode == NOTHING_TO_START


def test_a_program_of_the_tree_is_started_from_there(tmp_path: Path):
    start = next(Launcher(both_slots(), KEY, lock=nullcontext, say=lambda _line: None).starts())
    line, environment = command(tmp_path, start._replace(entry=["bin/agent", "-v"]), ["x"])
    assert line == [str(tmp_path / "slots/a/tree/bin/agent"), "-v", "x"]
    assert environment["PYTHONPATH"] == str(tmp_path / "slots/a/tree")


def test_it_loads_the_standard_library_and_nothing_else():
    code = (
        "import sys, ota.launcher\n"
        "ours = [n for n in sys.modules if n.split('.')[0] not in sys.stdlib_module_names]\n"
        "print(*sorted(ours))"
    )
    line = [sys.executable, "-S", "-c", code]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=60, check=True, cwd=root, env={"PYTHONPATH": root}
    )
    assert {name.split(".")[0] for name in done.stdout.split()} <= {"ota", "__main__"}
