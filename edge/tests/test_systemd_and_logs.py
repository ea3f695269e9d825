"""Signs of life for systemd, and a log that neither grows nor lies."""

import logging
import os
import socket

import pytest

from edge.gateway import logs, systemd


def test_ready_reaches_the_notification_socket(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert systemd.notify("READY=1")
        assert s.recv(100) == b"READY=1"
    assert not systemd.notify("STOPPING=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "want"), [("20000000", None, 10.0), ("0", None, None), ("x", None, None), ("20000000", "1", None)]
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(monkeypatch, usec, pid, want):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert systemd.watchdog_period_s() == want


def test_the_log_stays_below_its_ceiling_and_shows_control_characters(tmp_path, own_logging, monkeypatch):
    monkeypatch.setattr(logs, "MAX_FILE_BYTES", 10_000)
    logs.start_logging(tmp_path)
    logging.getLogger("x").warning("peer said \x1b[31m%s\r\nINFO forged", "y" * 5_000)
    for n in range(1_000):
        logging.getLogger("x").warning("line %d of a very talkative device", n)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + logs.KEPT_FILES
    assert sum(f.stat().st_size for f in files) <= 10_000 * (1 + logs.KEPT_FILES)
    text = (tmp_path / "wayside.log").read_text()
    assert "line 999" in text


def test_a_peers_text_is_one_line_of_bounded_length(own_logging, tmp_path):
    logs.start_logging(tmp_path)
    logging.getLogger("x").warning("peer said \x1b[31m%s\r\nINFO forged", "y" * 5_000)
    (line,) = (tmp_path / "wayside.log").read_text().splitlines()
    assert "\\x1b[31m" in line
    assert len(line) < logs.MAX_LINE_CHARS + 10


@pytest.mark.parametrize("name", ["log", "log/wayside.log"])
def test_where_there_can_be_no_log_file_stderr_has_to_do(tmp_path, capsys, own_logging, name):
    if name == "log":
        (tmp_path / name).touch()
    else:
        (tmp_path / name).mkdir(parents=True)
    logs.start_logging(tmp_path / "log")
    logging.getLogger("x").error("hear me")
    said = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "log") in said[0]
    assert "hear me" in said[1]
