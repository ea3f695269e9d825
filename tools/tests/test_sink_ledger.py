"""The sink's ledger as a file: what is none, who may open it, whether it was tampered with."""

import sqlite3
from pathlib import Path

import pytest

from tools.sink.ledger import LedgerError, read_ledger, verify_ledger
from tools.sink.store import Store, StoreError
from tools.tests.sink_records import NOW, packed


def test_files_that_are_no_ledger_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with pytest.raises(LedgerError, match="no such ledger"):
        read_ledger(path)
    path.write_bytes(b"this is no database, and it is long enough to look at" * 20)
    with pytest.raises(LedgerError, match="no ledger"):
        read_ledger(path)
    with pytest.raises(StoreError):
        Store(path)
    with pytest.raises(StoreError):
        Store(tmp_path / "nowhere" / "ledger.db")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(StoreError, match="no ledger"):
        Store(other)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="version 99"):
        Store(newer)
    with pytest.raises(LedgerError, match="version 99"):
        read_ledger(newer)


def test_a_ledger_has_one_writer_and_many_readers(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = Store(path)
    with pytest.raises(StoreError, match="another sink"):
        Store(path)
    store.write([packed(1)], now_ms=NOW)
    assert read_ledger(path).totals()["telemetry"]["received"] == 1
    store.close()
    Store(path).close()
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}, "for its owner's eyes only"


def test_a_ledger_that_was_tampered_with_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = Store(path)
    store.write([packed(seq) for seq in (1, 2, 3)], now_ms=NOW)
    store.close()
    assert verify_ledger(path).problems == []
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM records WHERE seq = 2")
    db.close()
    problems = verify_ledger(path).problems
    assert any("the watermark says" in text for text in problems)
    assert any("3 records were counted, 2 are there" in text for text in problems)
