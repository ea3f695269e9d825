"""A release to come, as far as its files go: it writes what no release of today writes.

It is written by the documents of the formats (docs/journal.md, docs/ota_slots.md, docs/configuration.md) and by nothing
of the product, so that an edition that reads only what it has written itself is found out.
"""

import hashlib
import hmac
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import fastcrc

RADAR = b"\n[radar]\nport = 'spi:0'\n"
"""A table that only it knows."""
PUSHED_VERSION = 9
OUTCOME = "soaking"


class NewerEdition:
    """Runs on trial, on the data of a box and in its folder of updates, whose key it has."""

    def __init__(self, data: Path, update: Path, key: bytes) -> None:
        self._data = data
        self._update = update
        self._key = key

    def run(self) -> None:
        """One start: it takes records, puts a pushed configuration to work, and notes what it does in the slots."""
        self.takes_records()
        self.keeps_another_position()
        self.takes_a_configuration()
        self.notes_in_the_slots()

    def takes_records(self) -> None:
        """Into the lane of events: a segment of format 2, whose frames no older program can read."""
        lane = self._data / "journal" / "event"
        newest = max(lane.glob("*.seg"))
        epoch, first = newest.name[:16], 4
        head = b"WSJ\2" + bytes.fromhex(epoch) + struct.pack("<Q", first)
        frames = b"\xb7\2" + zlib.compress(b"two records as one")
        (lane / f"{epoch}-{first:016x}.seg").write_bytes(head + struct.pack("<I", _crc(head)) + frames)

    def keeps_another_position(self) -> None:
        """Of the lane of telemetry, which it has written nothing into: with words that it has for itself."""
        file = self._data / "journal" / "telemetry" / "position.json"
        said = json.loads(file.read_bytes().partition(b"\n")[0])
        file.write_bytes(_checked(said | {"acked_by_shore": [[1, 1]], "edition": 2}))
        boot = self._data / "journal" / "boot.json"
        boot.write_text(json.dumps(json.loads(boot.read_text()) | {"boot": 41, "edition": 2}))

    def takes_a_configuration(self) -> None:
        """One that was pushed and ran well with it, as the newest of the good ones."""
        folder = self._data / "config"
        old = (folder / "good-1.toml").read_bytes()
        new = old + RADAR
        (folder / "good-2.toml").write_bytes(old)
        (folder / "good-1.toml").write_bytes(new)
        said = json.loads((folder / "state.json").read_bytes().partition(b"\n")[0])
        said |= {
            "version": PUSHED_VERSION, "is_pushed": True, "outcome": OUTCOME, "rings": ["canary"],
            "file_sha256": hashlib.sha256(old).hexdigest(),
            "good_sha256": [hashlib.sha256(each).hexdigest() for each in (new, old)],
        }  # fmt: skip
        (folder / "state.json").write_bytes(_checked(said))

    def notes_in_the_slots(self) -> None:
        """A state, a field and an ECU's progress that only it knows; and it signs as the device does."""
        name = max(("state-a", "state-b"), key=lambda each: self._record(each).get("sequence", 0))
        record = self._record(name)
        record["state"] = "SOAKING"
        record["rings"] = {"canary": 1}
        for row in record["ecus"].values():
            row["progress"] = "soaking"
        text = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        sealed = b"WSR1" + struct.pack(">I", len(text)) + text
        sealed += struct.pack(">I", zlib.crc32(sealed))
        (self._update / name).write_bytes(sealed + hmac.digest(self._key, sealed, hashlib.sha256))

    def finds_again(self) -> dict[str, Any]:
        """What it has of its own, back after another update."""
        lane = self._data / "journal" / "event"
        kept = {file.name.removeprefix("newer-"): file.read_bytes() for file in lane.glob("newer-*")}
        good = [file.read_bytes() for file in sorted((self._data / "config").glob("good-*.toml"))]
        records = [self._record(each) for each in ("state-a", "state-b")]
        newest = max(records, key=lambda record: record.get("sequence", 0))
        return {"events": kept, "configurations": good, "rings": newest.get("rings")}

    def _record(self, name: str) -> dict[str, Any]:
        file = self._update / name
        if not file.exists():
            return {}
        data = file.read_bytes()
        record: dict[str, Any] = json.loads(data[8 : 8 + struct.unpack_from(">I", data, 4)[0]])
        return record


def _crc(data: bytes) -> int:
    value: int = fastcrc.crc32.iscsi(data)
    return value


def _checked(said: dict[str, Any]) -> bytes:
    text = json.dumps(said, separators=(",", ":")).encode()
    return text + b"\ncrc32c %08x\n" % _crc(text)
