"""No connection bears the number of another, over restarts and on a full disk."""

import contextlib
import errno
import shutil
import subprocess

import pytest

from edge.gateway import session_count
from edge.gateway.durable import encode_kept
from edge.gateway.session_count import SessionCount


def wall_ms() -> int:
    return 1_793_421_234_567


def no_room(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_it_goes_on_after_a_restart(tmp_path):
    file = tmp_path / "session.json"
    assert [SessionCount(file, wall_ms).next() for _start in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "rubbish", [b"", b"{", b"\xff", b"302", encode_kept(-7), encode_kept("7"), encode_kept(302)[:-1]]
)
def test_a_damaged_count_goes_on_above_all_that_went_before_and_is_kept_again(tmp_path, rubbish):
    file = tmp_path / "session.json"
    file.write_bytes(rubbish)
    assert SessionCount(file, wall_ms).next() == 1_793_421_235
    assert SessionCount(file, wall_ms).next() == 1_793_421_236


def test_a_disk_that_takes_no_file_still_takes_the_number(tmp_path, monkeypatch, caplog):
    file = tmp_path / "session.json"
    file.write_bytes(encode_kept(99))
    monkeypatch.setattr(session_count, "replace_file", no_room)
    assert [SessionCount(file, wall_ms).next() for _start in range(3)] == [100, 101, 102]
    assert caplog.text == ""


def test_a_disk_that_takes_nothing_is_said_once_and_no_number_comes_twice(tmp_path, monkeypatch, caplog):
    file = tmp_path / "session.json"
    file.write_bytes(encode_kept(7))
    with monkeypatch.context() as patch:
        patch.setattr(session_count, "replace_file", no_room)
        patch.setattr(session_count, "write_over", no_room)
        count = SessionCount(file, wall_ms)
        assert [count.next() for _connection in range(5)] == [8, 9, 10, 11, 12]
        assert len(caplog.records) == 1
        assert str(file) in caplog.text
    assert count.next() == 13
    assert SessionCount(file, wall_ms).next() == 14


def test_a_disk_that_is_full_to_the_last_byte(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    try:
        file = disk / "session.json"
        assert SessionCount(file, wall_ms).next() == 1
        with (disk / "other").open("wb", buffering=0) as other, contextlib.suppress(OSError):
            while other.write(bytes(4096)) == 4096:
                pass
        assert [SessionCount(file, wall_ms).next() for _start in range(3)] == [2, 3, 4]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
