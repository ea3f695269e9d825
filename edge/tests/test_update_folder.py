"""The agent's folder as the gateway reads it: bounded, whatever lies there."""

import fcntl
import os
from pathlib import Path

import pytest

from edge.gateway import update_folder as module
from edge.gateway.update_folder import (
    MAX_ACCOUNT_BYTES,
    MAX_LOG_BYTES,
    MAX_REPORT_BYTES,
    UpdateFolderError,
    read_account,
    read_log,
    read_report,
    remove_report,
    update_folder,
    waiting,
)
from ota.agent.account_file import ACCOUNT, MAX_BYTES
from ota.reports import FOLDER
from ota.slots.lock import AGENT_LOCK

LINE = '{"report":{"attempt":"1"},"keyid":"5f1c","sig":"00"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    return tmp_path


def test_both_sides_mean_the_same_files():
    assert (module.ACCOUNT, module.MAX_ACCOUNT_BYTES) == (ACCOUNT, MAX_BYTES)
    assert (module.REPORTS, module.AGENT_LOCK) == (FOLDER, AGENT_LOCK)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ('data = "/var/lib/update"\n[ecu.main]\n', "/var/lib/update"),
        ('device = "x"\ndata = "update"\n', "{here}/update"),
    ],
)
def test_the_agent_s_own_file_says_where_it_is(tmp_path: Path, document: str, where: str):
    file = tmp_path / "update.toml"
    file.write_text(document)
    assert update_folder(file) == Path(where.format(here=tmp_path))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "data names no folder"),
        (b"data = 1", "data names no folder"),
        (b'data = ""', "data names no folder"),
        (b'data = "a\\u0000b"', "data names no folder"),
        (b"data", "Expected"),
        (b'data = "\xff"', "codec can't decode"),
        (b"a = " + b"[" * 30_000, ""),
        (b'data = "x"\n#' + b"x" * 65_536, "longer than 65536 bytes"),
    ],
)
def test_a_file_that_says_nothing_is_refused_in_a_line(tmp_path: Path, document: bytes, why: str):
    file = tmp_path / "update.toml"
    file.write_bytes(document)
    with pytest.raises(UpdateFolderError) as caught:
        update_folder(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert why in str(caught.value)
    with pytest.raises(UpdateFolderError, match="No such file"):
        update_folder(tmp_path / "none.toml")


def test_an_account_is_passed_on_as_it_stands(folder: Path):
    assert read_account(folder) == {}
    (folder / ACCOUNT).write_text('{"device": "rsu-1", "newer": {"a": [1, null, "\\u8a9e"]}}')
    assert read_account(folder) == {"device": "rsu-1", "newer": {"a": [1, None, "語"]}}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"a": "\xff"}',
        b'{"a": NaN}',
        b'{"a": ' + b"[" * 8_000,
        b'{"a": "' + b"x" * MAX_ACCOUNT_BYTES + b'"}',
        b'{"a": [' + b"1E15," * 3_000 + b"1]}",
    ],
    ids=["empty", "cut", "list", "null", "no text", "NaN", "deep", "long", "long numbers"],
)
def test_an_account_that_is_damaged_is_said(folder: Path, damaged: bytes):
    (folder / ACCOUNT).write_bytes(damaged)
    with pytest.raises(UpdateFolderError, match=ACCOUNT):
        read_account(folder)


def test_what_is_no_plain_file_is_not_waited_for(folder: Path):
    os.mkfifo(folder / ACCOUNT)
    with pytest.raises(UpdateFolderError, match="not a plain file"):
        read_account(folder)
    os.mkfifo(folder / "reports" / "1.json")
    with pytest.raises(OSError, match="not a plain file"):
        read_report(folder, "1")
    os.mkfifo(folder / "reports" / "1.log")
    assert read_log(folder, "1") == ""


def test_the_oldest_report_comes_first_and_strange_names_are_none(folder: Path):
    for name in ("10.json", "9.json", "9.log", "8.json.new", "dropped", ".json", "a b.json", "..json", "11.jsonx"):
        (folder / "reports" / name).write_text(LINE)
    assert waiting(folder) == ["9", "10"]
    for number in range(100):
        (folder / "reports" / f"{number}.json").write_text(LINE)
    assert waiting(folder) == [str(number) for number in range(64)]
    assert waiting(folder / "none") == []
    (folder / "other").mkdir()
    (folder / "other" / "reports").write_text("")
    with pytest.raises(UpdateFolderError, match="Not a directory"):
        waiting(folder / "other")


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{}",
        LINE.encode()[:-10],
        b'{"report":{},"keyid":"5f1c","sig":0}',
        b'{"report":"","keyid":"5f1c","sig":""}',
        LINE.encode().replace(b"5f1c", b"\xff"),
        LINE.encode() + b" " * MAX_REPORT_BYTES,
        b'{"report":' + b"[" * 20_000,
    ],
)
def test_a_line_that_can_be_no_report_is_refused(folder: Path, damaged: bytes):
    (folder / "reports" / "1.json").write_bytes(damaged)
    with pytest.raises(UpdateFolderError):
        read_report(folder, "1")


def test_a_report_is_read_as_the_text_that_it_is(folder: Path):
    line = LINE.replace(":", ": ").replace('"1"', '"1", "reason": "語"')
    (folder / "reports" / "1.json").write_text(line)
    assert read_report(folder, "1") == line


def test_of_a_log_the_end_is_taken_as_text(folder: Path):
    (folder / "reports" / "1.log").write_bytes(b"old" + b"x" * (MAX_LOG_BYTES - 4) + b"\xff\x00\xe8\n")
    log = read_log(folder, "1")
    assert log == "x" * (MAX_LOG_BYTES - 4) + "\ufffd\0\ufffd\n"
    assert read_log(folder, "2") == ""


def test_a_report_is_not_taken_from_an_agent_that_works(folder: Path):
    for ending in ("json", "log"):
        (folder / "reports" / f"1.{ending}").write_text(LINE)
    with (folder / AGENT_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not remove_report(folder, "1")
        assert waiting(folder) == ["1"]
    assert remove_report(folder, "1")
    assert list((folder / "reports").iterdir()) == []
    assert remove_report(folder, "1"), "gone is gone"
