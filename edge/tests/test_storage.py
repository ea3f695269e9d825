"""The medium on Linux: in which order it asks the system, what errors become, and what a full disk really does."""

import errno
import os
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path

import fastcrc
import pytest

from edge.store import storage as storage_module
from edge.store.errors import Cause, StorageError
from edge.store.journal import Journal
from edge.store.opening import open_store
from edge.store.storage import PosixStorage
from edge.store.store import Quotas
from edge.tests.test_store import all_of, balance, encode_loss, told_lost


@pytest.fixture
def storage(tmp_path):
    medium = PosixStorage(tmp_path / "lane")
    medium.open()
    yield medium
    medium.close()


class Spy:
    """The `os` module, with a record of what is asked of it, and failures on request."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.paths: dict[int, str] = {}
        self.fail: dict[str, int] = {}

    def __getattr__(self, name):
        return getattr(os, name)

    def open(self, path, *arguments):
        descriptor = os.open(path, *arguments)
        self.paths[descriptor] = Path(path).name
        return descriptor

    def _call(self, name, descriptor, *arguments):
        if name in self.fail:
            raise OSError(self.fail[name], os.strerror(self.fail[name]))
        self.calls.append((name, self.paths[descriptor]))
        return getattr(os, name)(descriptor, *arguments)

    def write(self, *arguments):
        return self._call("write", *arguments)

    def fsync(self, *arguments):
        return self._call("fsync", *arguments)

    def fdatasync(self, *arguments):
        return self._call("fdatasync", *arguments)

    def ftruncate(self, *arguments):
        return self._call("ftruncate", *arguments)


@pytest.fixture
def spy(monkeypatch):
    spy = Spy()
    monkeypatch.setattr(storage_module, "os", spy)
    replace = storage_module.Path.replace

    def replaced(path, target):
        spy.calls.append(("rename", target.name))
        return replace(path, target)

    monkeypatch.setattr(storage_module.Path, "replace", replaced)
    return spy


def test_a_file_is_replaced_in_the_only_order_that_a_power_cut_survives(storage, spy):
    storage.replace("position.json", b"new")
    assert spy.calls == [
        ("fsync", "position.json.new"),
        ("rename", "position.json"),
        ("fsync", "lane"),
    ]
    assert storage.read("position.json", 0, 10) == b"new"
    storage.replace("position.json", b"newer")
    assert storage.read("position.json", 0, 10) == b"newer", "not from the file that it was"


def test_what_is_appended_and_cut_is_synced_before_the_call_returns(storage, spy):
    storage.append("a.seg", b"12345")
    assert spy.calls == [("write", "a.seg")]
    storage.sync("a.seg")
    assert spy.calls[1:] == [("fdatasync", "a.seg")]
    storage.truncate("a.seg", 3)
    assert spy.calls[2:] == [("ftruncate", "a.seg"), ("fsync", "a.seg")]
    storage.sync("a.seg")
    assert spy.calls[4:] == [("fsync", "a.seg")], "also a file that nothing was appended to"
    storage.append("a.seg", b"6")
    assert storage.read("a.seg", 0, 10) == b"1236"


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ENOSPC, Cause.FULL),
        (errno.EDQUOT, Cause.FULL),
        (errno.EIO, Cause.BROKEN),
        (errno.EROFS, Cause.READ_ONLY),
        (errno.EPERM, Cause.OTHER),
    ],
)
def test_every_failure_says_what_and_where_and_why(storage, spy, number, cause):
    storage.append("a.seg", b"12345")
    spy.fail = dict.fromkeys(("write", "fsync", "fdatasync", "ftruncate"), number)
    for call in (
        lambda: storage.append("a.seg", b"1"),
        lambda: storage.sync("a.seg"),
        lambda: storage.truncate("a.seg", 1),
        lambda: storage.replace("a.seg", b"1"),
        storage.sync_dir,
    ):
        with pytest.raises(StorageError, match=os.strerror(number)) as caught:
            call()
        assert caught.value.cause is cause
        assert "lane" in str(caught.value)
    spy.fail = {}
    assert storage.list() == ["a.seg"], "no half of a replacement stays"


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_open(storage):
    before = descriptors()
    journal = Journal(storage, fastcrc.crc32.iscsi, lambda: "0123456789abcdef", 300)
    journal.open()
    for n in range(200):
        journal.append(b"%d" % n * 20)
        journal.commit()
    for seq in range(1, 200, 3):
        journal.read(seq)
    assert descriptors() - before <= 1 + storage_module.MAX_READERS
    journal.drop_through(200)
    storage.close()
    assert descriptors() == before


@contextmanager
def small_disk(path, megabytes):
    """A real file system of a few MB."""
    path.mkdir()
    made = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {made.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(path)], check=True)


def test_a_disk_that_is_really_full_takes_the_newest_and_tells_what_it_gave_up(tmp_path):
    """Rows 5 and 6 of docs/field_failures.md, without a quota to keep us from the end of the disk."""
    with small_disk(tmp_path / "disk", 8) as disk:
        filler = disk / "somebody-elses"
        options = {"quotas": Quotas(64), "encode_loss": encode_loss, "monotonic": lambda: 0.0}
        with closing(open_store(disk / "var", **options)) as store:
            telemetry = store.lanes["telemetry"]
            for n in range(3_000):
                telemetry.append("telemetry/a", b"%d " % n + b"x" * 5_000)
                store.commit_now()
                balance(store)
            assert telemetry.made == 3_000
            assert telemetry.lost > 1_000
            store.lanes["transaction"].append("transaction/fare", b"150 fen")
            store.commit_now()
            assert store.lanes["transaction"].made == 1
            assert told_lost(store)["telemetry"] >= set(range(1, telemetry.lost + 1))
            kept = all_of(telemetry)
            assert kept.keys() == set(range(telemetry.lost + 1, 3_001))

        free = os.statvfs(disk)
        filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
        with closing(open_store(disk / "var", **options)) as store:
            assert all_of(store.lanes["telemetry"]) == kept, "a full disk is no reason not to start"
            filler.unlink()
            store.lanes["telemetry"].append("telemetry/a", b"new")
            store.commit_now()
            assert not store.is_full
            balance(store)
