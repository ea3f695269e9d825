"""What a node says to a sink, read as the sink reads it; and a disk that is full."""

import sqlite3
from typing import Any

from protocols.wayside.events import encode_event
from protocols.wayside.pack_codec import encode_pack
from protocols.wayside.state import State, encode
from tools.sink.intake import Heard, Record, read_message

NODE = "rsu-7f3a"
TELEMETRY, EVENTS, MONEY = "9c41d07be21f00aa", "11b2ee0c9aa04417", "22b2ee0c9aa04417"
EPOCHS = {"telemetry": TELEMETRY, "event": EVENTS, "transaction": MONEY}
NOW = 1793421234567


def up(tail: str, node: str = NODE) -> str:
    return f"wayside/1/up/{node}/{tail}"


def pack(seq: int, *, value: Any = 7, **columns: Any) -> bytes:
    defaults: dict[str, Any] = {
        "node": NODE,
        "epoch": TELEMETRY,
        "boot": 1,
        "seq": seq,
        "device": "flow-1",
        "time": NOW + seq,
        "time_quality": "ntp",
        "uptime": seq * 1000,
        "points": ["vehicles"],
        "offsets": [0],
        "values": [[value]],
        "bad": [],
    }
    return encode_pack(**defaults | columns)


def packed(seq: int, **columns: Any) -> Record:
    record = read_message(up("telemetry/flow-1"), pack(seq, **columns))
    assert isinstance(record, Record)
    return record


def event(kind: str, seq: int, data: dict[str, Any], **columns: Any) -> Record:
    defaults: dict[str, Any] = {
        "node": NODE,
        "device": None,
        "epoch": EVENTS,
        "boot": 1,
        "time_ms": NOW,
        "time_quality": "ntp",
        "uptime_ms": 500,
    }
    record = read_message(up(f"event/{kind}"), encode_event(kind=kind, seq=seq, data=data, **defaults | columns))
    assert isinstance(record, Record)
    return record


def loss(seq: int, first: int, last: int, *, count: int | None = None, why: str = "quota") -> Record:
    count = last - first + 1 if count is None else count
    data = {"lane": "telemetry", "epoch": TELEMETRY, "from": first, "to": last, "count": count, "why": why}
    return event("loss", seq, data)


def birth(**fields: Any) -> Heard:
    defaults: dict[str, Any] = {"node": NODE, "online": True, "boot": 1, "session": 1, "epochs": EPOCHS}
    state = State(**defaults | fields)
    heard = read_message(up("state"), encode(state))
    assert isinstance(heard, Heard)
    return heard


class FullDisk:
    """The store's connection, whose commits fail while `is_full`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def execute(self, statement: str, *parameters: Any) -> Any:
        if self.is_full and (statement == "COMMIT" or statement.startswith("PRAGMA user_version =")):
            raise sqlite3.OperationalError("database or disk is full")
        return self.db.execute(statement, *parameters)
