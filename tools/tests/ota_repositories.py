"""Repositories for the tests of `wayside ota repo`: keys of three holders, and the ceremony in a few words."""

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ota.repository import keys
from ota.repository.trail import AUDIT
from ota.testing.disk_double import DiskDouble
from ota.testing.trusting_device import GATEWAY, file_pieces
from ota.trust.agreement import Device
from ota.trust.client import Repository, TrustClient, VerifiedPlan
from ota.trust.clock_floor import ClockFloor
from tools.cli import app

PASSPHRASE = "correct horse battery"
HOLDERS = ("alice", "bob", "carol")


def repo(*words: object) -> Result:
    """Run a command as a person does."""
    return CliRunner().invoke(app, ["ota", "repo", *map(str, words)])


def done(*words: object) -> dict[str, Any]:
    """Run a command that must succeed; what it says to programs."""
    result = repo(*words, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def refused(*words: object) -> str:
    """Run a command that must be refused; its one line."""
    result = repo(*words)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("wayside: ").strip()


def source(folder: Path, text: str) -> Path:
    """A folder to make a release of."""
    (folder / "edge").mkdir(parents=True, exist_ok=True)
    (folder / "edge/__main__.py").write_text(text)
    (folder / "edge/table.txt").write_text("\n".join(str(number) for number in range(20_000)))
    return folder


def release_words(repository: Path, folder: Path, number: int, **more: object) -> list[object]:
    """Release `1.{number}` of that folder."""
    options = {"version": f"1.{number}", "counter": number, "family": "rsu/gateway", "hardware": "rsu-arm64", **more}
    flat = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    return ["add-release", repository, folder, *flat]


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file and folder below one: bytes and mode; without the audit trail, which also notes refusals."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.name != AUDIT
    }


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Stretch each passphrase only once for each key file: that takes a tenth of a second by design."""
    patch.setattr(keys, "_stretched", cache(keys._stretched))


class Desk:
    """Three holders with a folder each, and the publishing machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = folder / "passphrase"
        self.secret.write_text(PASSPHRASE)
        self.secret.chmod(0o600)
        for holder in HOLDERS:
            self.new_key(holder, "root")
            self.new_key(holder, "targets")
        self.new_key("server", "online")
        self.new_key("server", "director")

    def new_key(self, holder: str, role: str) -> Path:
        done("key", holder, "--role", role, "--out", self.folder / holder, "--passphrase-file", self.secret)
        return self.key(holder, role)

    def key(self, holder: str, role: str) -> Path:
        return self.folder / holder / f"{holder}-{role}.key"

    def pub(self, holder: str, role: str) -> Path:
        return self.key(holder, role).with_suffix(".pub")

    def signing_key(self, holder: str, role: str) -> keys.SigningKey:
        return keys.SigningKey.read(self.key(holder, role), PASSPHRASE.encode())

    def init_words(self, repository: Path, holders: tuple[str, ...] = HOLDERS) -> list[object]:
        words: list[object] = ["init", repository, "--family", "rsu", "--family", "buoy"]
        for holder in holders:
            words += ["--root", self.pub(holder, "root"), "--targets", self.pub(holder, "targets")]
        return [*words, "--online", self.pub("server", "online"), "--director", self.pub("server", "director")]

    def sign_words(self, file: Path, holder: str) -> list[object]:
        role = "root" if file.name.endswith(".root.json") else "targets"
        return ["sign", file, "--key", self.key(holder, role), "--passphrase-file", self.secret]

    def sign(self, repository: Path, *holders: str) -> None:
        """Everything that waits is carried to each holder's desk, signed there, and the signature carried back."""
        for file in sorted([*repository.glob("staged/image/*.json"), *repository.glob("staged/director/*.json")]):
            for holder in holders:
                mine = self.folder / holder / "desk" / file.parent.name / file.name
                mine.parent.mkdir(parents=True, exist_ok=True)
                mine.write_bytes(file.read_bytes())
                done(*self.sign_words(mine, holder))
                for signature in mine.parent.glob(f"{file.name}.*.sig"):
                    signature.rename(file.parent / signature.name)
                mine.unlink()

    def publish_words(self, repository: Path) -> list[object]:
        key = self.key("server", "online")
        return ["publish", repository, "--online-key", key, "--passphrase-file", self.secret]

    def publish(self, repository: Path) -> dict[str, Any]:
        return done(*self.publish_words(repository))

    def plan_words(self, repository: Path, *words: object) -> list[object]:
        key = self.key("server", "director")
        return ["plan", repository, *words, "--director-key", key, "--passphrase-file", self.secret]

    def begun(self, repository: Path) -> Path:
        """A repository with all its families and no image, published."""
        done(*self.init_words(repository))
        self.sign(repository, "alice", "bob")
        self.publish(repository)
        return repository


class FieldDevice:
    """Built when the repository began: it knows the first roots and nothing else."""

    def __init__(self, public: Path) -> None:
        self._disk = DiskDouble()
        self._roots = {
            "director_root": (public / "director/1.root.json").read_bytes(),
            "image_root": (public / "metadata/1.root.json").read_bytes(),
        }

    def refresh(self, folder: Path) -> VerifiedPlan:
        """Start anew, and read from a folder: what is served, or a stick."""
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}
        clock = ClockFloor(build_time=0, clock=time.time, is_synchronised=lambda: True)
        client = TrustClient(self._disk, Device("rsu-7", {"gateway": GATEWAY}), clock=clock, **self._roots)
        client.open()
        pieces = file_pieces(files)
        return client.refresh(Repository(pieces, "director/rsu-7"), Repository(pieces, "metadata"))
