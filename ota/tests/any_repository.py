"""Any TUF repository, right or wrong, on a real web server, and the client under test beside it.

repository.signed["timestamp"].expires = ...
repository.publish("timestamp")                  # the next version, signed by its signers
assert client.refresh() == 0
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from ota.testing.web_double import WebDouble
from tools.tuf_client import run

HOLDS = timedelta(days=30)
TOP = ("root", "timestamp", "snapshot", "targets")
UNVERSIONED = "timestamp"


class AnyRepository:
    """Its metadata is at `metadata/`, its targets at `targets/`; all it has ever published stays there."""

    def __init__(self, *, is_consistent: bool = True, has_hashes: bool = False) -> None:
        self.web = WebDouble()
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.has_hashes = has_hashes
        end = self.now + HOLDS
        self.root = Root(expires=end, consistent_snapshot=is_consistent)
        self.timestamp = Timestamp(expires=end)
        self.snapshot = Snapshot(expires=end)
        self.targets = Targets(expires=end)
        self.signed: dict[str, Signed] = {role: getattr(self, role) for role in TOP}
        self.signers: dict[str, list[CryptoSigner]] = {}
        for role in TOP:
            self.add_key(role)
        self._published: set[str] = set()
        self.publish("targets", "snapshot", "timestamp", "root")

    def add_key(self, role: str, signer: CryptoSigner | None = None) -> CryptoSigner:
        """Another key of a top-level role, which signs from now on."""
        signer = signer or CryptoSigner.generate_ed25519()
        self.root.add_key(signer.public_key, role)
        self.signers.setdefault(role, []).append(signer)
        return signer

    def rotate(self, role: str) -> None:
        """New keys in place of all of a top-level role's; its root is not published yet."""
        old = self.signers.pop(role)
        for signer in old:
            self.root.revoke_key(signer.public_key.keyid, role)
        for _ in old:
            self.add_key(role)

    def publish(self, *roles: str, version: int | None = None, by: Sequence[CryptoSigner] | None = None) -> None:
        """The next version of each role, and what snapshot and timestamp say of it; those are published by name too."""
        for role in roles:
            signed = self.signed[role]
            if version is not None:
                signed.version = version
            elif role in self._published:
                signed.version += 1
            self._published.add(role)
            self.put(role, signed_bytes(signed, self.signers[role] if by is None else by))

    def publish_all(self) -> None:
        """The next version of everything but the root."""
        self.publish(*(role for role in self.signed if role not in TOP), "targets", "snapshot", "timestamp")

    def put(self, role: str, data: bytes) -> None:
        """Serve these bytes as a role's version, and list them as such."""
        signed = self.signed[role]
        name = quote(role, "")
        is_versioned = role == "root" or (role != UNVERSIONED and self.root.consistent_snapshot)
        self.web.files[f"metadata/{quote(name)}.json"] = data
        if is_versioned:
            self.web.files[f"metadata/{signed.version}.{name}.json"] = data
        meta = MetaFile(signed.version)
        if self.has_hashes:
            meta = MetaFile.from_data(signed.version, data, ["sha256"])
        if role == "snapshot":
            self.timestamp.snapshot_meta = meta
        elif role not in TOP or role == "targets":
            self.snapshot.meta[f"{role}.json"] = meta

    def add_target(self, path: str, data: bytes, role: str = "targets") -> TargetFile:
        """List a target and serve it; its role is not published yet."""
        signed = self.signed[role]
        assert isinstance(signed, Targets)
        target = TargetFile.from_data(path, data, ["sha256"])
        signed.targets[path] = target
        folder, slash, file = path.rpartition("/")
        prefix = f"{target.hashes['sha256']}." if self.root.consistent_snapshot else ""
        self.web.files[f"targets/{folder}{slash}{prefix}{file}"] = data
        return target

    def delegate(
        self,
        name: str,
        paths: Sequence[str] = ("*",),
        *,
        by: str = "targets",
        is_terminating: bool = False,
        path_hash_prefixes: list[str] | None = None,
        signer: CryptoSigner | None = None,
    ) -> Targets:
        """Delegate to a role, a new one or one that there is; neither is published yet."""
        delegator = self.signed[by]
        assert isinstance(delegator, Targets)
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, {})
        assert delegator.delegations.roles is not None
        signer = signer or CryptoSigner.generate_ed25519()
        delegator.delegations.keys[signer.public_key.keyid] = signer.public_key
        delegator.delegations.roles[name] = DelegatedRole(
            name, [signer.public_key.keyid], 1, is_terminating,
            None if path_hash_prefixes else list(paths), path_hash_prefixes,
        )  # fmt: skip
        return self._delegated(name, signer)

    def delegate_bins(self, prefix: str, bits: int) -> None:
        """Delegate all paths to hash bins."""
        signer = CryptoSigner.generate_ed25519()
        bins = SuccinctRoles([signer.public_key.keyid], 1, bits, prefix)
        self.targets.delegations = Delegations({signer.public_key.keyid: signer.public_key}, None, bins)
        for name in bins.get_roles():
            self._delegated(name, signer)

    def asked(self) -> list[str]:
        """The metadata that was asked for since the last time, without `metadata/` and `.json`."""
        names = [path.removeprefix("metadata/").removesuffix(".json") for path, _ in self.web.asked]
        self.web.asked.clear()
        return names

    def _delegated(self, name: str, signer: CryptoSigner) -> Targets:
        role = self.signed.setdefault(name, Targets(expires=self.now + HOLDS))
        assert isinstance(role, Targets)
        self.signers.setdefault(name, []).append(signer)
        return role


class Client:
    """The client under test, in this process, with a clock of its own."""

    def __init__(self, repository: AnyRepository, folder: Path) -> None:
        self.repository = repository
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self.later = timedelta()
        """How far its clock is ahead."""
        self.root = folder / "given-root.json"
        self.root.write_bytes(repository.web.files["metadata/1.root.json"])
        assert self.run("init", str(self.root)) == 0

    def run(self, *words: str) -> int:
        """One command."""
        ahead_s = self.later.total_seconds()
        return int(run(["--metadata-dir", str(self.metadata), *words], lambda: time.time() + ahead_s))

    def refresh(self) -> int:
        """The command of this name."""
        return self.run("--metadata-url", f"{self.repository.web.url}/metadata", "refresh")

    def download(self, *paths: str) -> int:
        """The command of this name."""
        names = [word for path in paths for word in ("--target-name", path)]
        url = self.repository.web.url
        places = ["--target-base-url", f"{url}/targets/", "--target-dir", str(self.targets)]
        return self.run("--metadata-url", f"{url}/metadata/", *names, *places, "download")

    def versions(self) -> dict[str, int]:
        """Role, its name as its file has it, -> the version that is trusted."""
        files = {file.stem: json.loads(file.read_bytes()) for file in self.metadata.glob("*.json")}
        return {role: data["signed"]["version"] for role, data in files.items()}

    def downloaded(self) -> dict[str, bytes]:
        """File name -> bytes of what was downloaded."""
        return {file.name: file.read_bytes() for file in self.targets.glob("**/*") if file.is_file()}


@contextmanager
def client_of(repository: AnyRepository, folder: Path) -> Iterator[Client]:
    """Serve the repository and set a client up with its first root."""
    with repository.web.serving():
        yield Client(repository, folder)


def signed_bytes(signed: Signed, by: Sequence[CryptoSigner]) -> bytes:
    """A role's metadata as it is served."""
    metadata: Metadata[Any] = Metadata(signed)
    for signer in by:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(JSONSerializer())


def versions(**more: int) -> Mapping[str, int]:
    """What is trusted: version 1 of each top-level role, but for what is named."""
    return {**dict.fromkeys(TOP, 1), **more}
