"""A living image repository and Director in memory, all keys at hand: an attack is three lines.

    double = RepositoryDouble()
    double.add_image("rsu/gateway/1.tar", b"...", counter=1)     # signed, listed, blobs served
    double.set_plan("rsu-7", {"gateway": "rsu/gateway/1.tar"})   # the number rises by itself
    trusted = double.first_root, double.first_director_root      # what a device is built with

It is a python-tuf fetcher (`FetcherInterface`) for URLs that begin with `RepositoryDouble.URL`, and with `serving()` a
web server; both give what stands in `files` (path -> bytes, laid out as `ota.repository.layout` says of `public/`), so
that a mirror's attack is an assignment. `asked` has the paths that were fetched, `endless` those that never end.

What is held by whom is a list of keys: `keys["root"]`, `keys["targets"]`, `keys["rsu"]` (three each, two must sign),
`keys["online"]` and `keys["director"]` (one each).

    old = dict(double.files); ...; double.files.update(old)      # replay, all of it or a part

    double.forge("rsu", lambda family: family.targets.clear(), by=double.keys["rsu"][:1])   # one image key
    double.relist()                                              # and the online key lists the forged file

    double.forge_plan("rsu-7", lambda targets: targets.targets.clear(), by=double.keys["director"])

    double.new_root(lambda root: root.revoke_key(keyid, "targets"), by=double.keys["root"][:2])

`now` is its clock: everything is signed as of it; move it, and `relist` or `set_plan` anew.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import zstandard
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient import FetcherInterface

from ota.payload.blocks import block_list
from ota.payload.patch import make_patch
from ota.repository import roles
from ota.repository.director import ONLINE, Director, SignedPlan
from ota.repository.keys import KeyRole, SigningKey
from ota.repository.layout import BLOBS, DIRECTOR, METADATA, TIMESTAMP, block_list_name
from ota.targets import Blob, Conditions, Delta, EcuPlan, ImageInfo, Plan, Schema, Target
from ota.testing.web_double import WebDouble

_SERIALIZER = JSONSerializer(compact=True)
_CHUNK_BYTES = 16 * 1024


class RepositoryDouble(FetcherInterface):
    """See the head of this file."""

    URL = "https://updates.example/"

    def __init__(self, *, families: Sequence[str] = ("rsu", "buoy"), now: datetime | None = None) -> None:
        self.now = now or datetime(2026, 6, 1, tzinfo=UTC)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.endless: set[str] = set()
        self.keys = {
            "root": _three(KeyRole.ROOT, "root"),
            "targets": _three(KeyRole.TARGETS, "targets"),
            **{family: _three(KeyRole.TARGETS, family) for family in families},
            "online": [SigningKey.new(KeyRole.ONLINE, "online")],
            "director": [SigningKey.new(KeyRole.DIRECTOR, "director")],
        }
        public = {role: [key.public for key in keys] for role, keys in self.keys.items()}
        self.root = roles.image_root(public["root"], public["targets"], public["online"][0], self.now)
        self.director_root = roles.director_root(public["root"], public["director"][0], self.now)
        self.targets = roles.top_targets({family: public[family] for family in families}, self.now)
        self.families: dict[str, Metadata[Targets]] = {name: roles.family_targets(self.now) for name in families}
        self.images: dict[str, bytes] = {}
        self.director = Director(self.keys["director"][0], self.listed, lambda: self.now)
        self.plans: dict[str, Plan] = {}
        self.answers: dict[str, SignedPlan] = {}
        """By device, as it was signed last; `forge_plan` begins there."""
        self._snapshot_version = 0
        self._listed: dict[str, tuple[int, bytes]] = {}
        self.first_root = self._put(METADATA, "root", self.root, self.keys["root"])
        self.first_director_root = self._put(DIRECTOR, "root", self.director_root, self.keys["root"])
        self._put(METADATA, "targets", self.targets, self.keys["targets"])
        for name, family in self.families.items():
            self._put(METADATA, name, family, self.keys[name])
        self.relist()

    # What honest people do.

    def add_image(
        self,
        path: str,
        data: bytes,
        *,
        counter: int,
        deltas_from: Sequence[str] = (),
        is_served: bool = True,
        **more: Any,  # of ImageInfo, in place of what stands here
    ) -> Target:
        """Publish an image: `rsu/gateway/1.tar`. `deltas_from`: paths of images that were added before."""
        family, product, file = path.split("/")
        blobs = [self._blob("zstd", zstandard.compress(data, 3)), self._blob("none", data)]
        deltas = []
        for old in deltas_from:
            blob = self._blob("delta", make_patch(self.images[old], data))
            from_sha256 = hashlib.sha256(self.images[old]).hexdigest()
            deltas.append(
                Delta(
                    codec="delta", length=blob.length, sha256=blob.sha256, blocks=blob.blocks, from_sha256=from_sha256
                )
            )
        facts: dict[str, Any] = {
            "kind": "release-dir",
            "hardware": ["rsu-arm64"],
            "family": f"{family}/{product}",
            "version": file.removesuffix(".tar"),
            "counter": counter,
            "schema": Schema(),
            "full": blobs,
            "deltas": deltas,
            **more,
        }
        target = Target(path=path, length=len(data), sha256=hashlib.sha256(data).hexdigest(), info=ImageInfo(**facts))
        self.images[path] = data
        if is_served:
            self.put_target(target)
        return target

    def put_target(self, target: Target) -> None:
        """List an image, or list it otherwise, and publish."""
        family = target.path.partition("/")[0]
        self.families[family].signed.targets[target.path] = roles.target_file(target)
        self.reissue(family)
        self.relist()

    def set_plan(
        self,
        device: str,
        ecus: Mapping[str, str | EcuPlan],
        *,
        number: int | None = None,
        conditions: Conditions | None = None,
        holds: timedelta = ONLINE,
        **more: Any,  # of Plan
    ) -> Plan:
        """Plan for a device: the path of an image by ECU. `holds`: an offline plan holds longer."""
        last = self.plans.get(device)
        plan = Plan(
            device=device,
            number=number if number is not None else (last.number + 1 if last else 1),
            ecus={name: EcuPlan(target=one) if isinstance(one, str) else one for name, one in ecus.items()},
            conditions=conditions or Conditions(),
            **more,
        )
        self.director.set_plan(plan)
        self.plans[device] = plan
        self.sign_plan(device, holds)
        return plan

    def sign_plan(self, device: str, holds: timedelta = ONLINE) -> None:
        """Sign a device's plan anew, as of now."""
        self.answers[device] = self.director.sign(device, holds)
        self._serve_plan(device, self.answers[device].files)

    def reissue(self, role: str, by: Sequence[SigningKey] | None = None) -> bytes:
        """Sign `targets` or a family as it stands, as its next version. `relist` makes it known."""
        metadata = self._of(role)
        metadata.signed.version += 1
        roles.dated(metadata.signed, self.now, roles.OFFLINE)
        return self._put(METADATA, role, metadata, self.keys[role] if by is None else by)

    def relist(self, by: Sequence[SigningKey] | None = None) -> None:
        """A new snapshot and timestamp of what was put last, by the online key."""
        self._snapshot_version += 1
        version = self._snapshot_version
        signers = self.keys["online"] if by is None else by
        snapshot = roles.snapshot(version, {f"{name}.json": one for name, one in self._listed.items()}, self.now)
        data = self._put(METADATA, "snapshot", snapshot, signers)
        self.files[f"{METADATA}/{TIMESTAMP}"] = _signed(roles.timestamp(version, version, data, self.now), signers)

    def new_root(self, change: Callable[[Root], object], *, by: Sequence[SigningKey], side: str = METADATA) -> bytes:
        """The next root, `METADATA`'s or `DIRECTOR`'s, changed and signed by whom is named."""
        root = self.root if side == METADATA else self.director_root
        root.signed.version += 1
        roles.dated(root.signed, self.now, roles.OFFLINE)
        change(root.signed)
        data = self._put(side, "root", root, by)
        if side == DIRECTOR:
            for device in self.plans:
                self.files[f"{DIRECTOR}/{device}/{root.signed.version}.root.json"] = data
        return data

    # What attackers do.

    def forge(self, role: str, change: Callable[[Targets], object], *, by: Sequence[SigningKey]) -> bytes:
        """Change `targets` or a family and sign it as its next version with the keys that the attacker has.

        It is served; nobody looks for it before `relist`.
        """
        metadata = self._of(role)
        change(metadata.signed)
        return self.reissue(role, by)

    def forge_plan(
        self, device: str, change: Callable[[Targets], object], *, by: Sequence[SigningKey], version: int | None = None
    ) -> None:
        """Change a device's plan metadata and sign it, its snapshot and its timestamp with the attacker's keys."""
        last = self.answers[device]
        metadata: Metadata[Targets] = Metadata.from_bytes(last.files[f"{last.version}.targets.json"])
        roles.dated(metadata.signed, self.now, ONLINE)
        change(metadata.signed)
        version = last.version + 1 if version is None else version
        metadata.signed.version = version
        metadata.signatures.clear()
        files = {f"{version}.targets.json": _signed(metadata, by)}
        listed = {"targets.json": (version, files[f"{version}.targets.json"])}
        files[f"{version}.snapshot.json"] = _signed(roles.snapshot(version, listed, self.now), by)
        newest = roles.timestamp(version, version, files[f"{version}.snapshot.json"], self.now)
        files[TIMESTAMP] = _signed(newest, by)
        self._serve_plan(device, files)

    # How it is reached.

    def listed(self) -> dict[str, TargetFile]:
        """What the image repository says of each image, as the Director copies it."""
        return {path: file for family in self.families.values() for path, file in family.signed.targets.items()}

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix(self.URL)
        self.asked.append(path)
        if path in self.endless:
            return iter(lambda: b"\0" * _CHUNK_BYTES, b"")
        if path not in self.files:
            raise DownloadHTTPError(f"{url}: not found", 404)
        data = self.files[path]
        return iter([data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES)])

    @contextmanager
    def serving(self) -> Iterator[WebDouble]:
        """Serve over HTTP; the server's `url` is the base, its `faults` what goes wrong."""
        web = WebDouble()
        web.files = self.files
        with web.serving():
            yield web

    def _of(self, role: str) -> Metadata[Targets]:
        return self.targets if role == "targets" else self.families[role]

    def _put(self, side: str, role: str, metadata: Metadata[Any], by: Sequence[SigningKey]) -> bytes:
        data = _signed(metadata, by)
        self.files[f"{side}/{metadata.signed.version}.{role}.json"] = data
        if isinstance(metadata.signed, Targets):
            self._listed[role] = (metadata.signed.version, data)
        return data

    def _serve_plan(self, device: str, files: Mapping[str, bytes]) -> None:
        roots = {
            path.removeprefix(f"{DIRECTOR}/"): data
            for path, data in self.files.items()
            if path.startswith(f"{DIRECTOR}/") and path.count("/") == 1
        }
        for name, data in {**roots, **files}.items():
            self.files[f"{DIRECTOR}/{device}/{name}"] = data

    def _blob(self, codec: Any, data: bytes) -> Blob:
        blocks = block_list([data])
        sha256 = hashlib.sha256(data).hexdigest()
        self.files[f"{BLOBS}/{sha256}"] = data
        self.files[f"{BLOBS}/{block_list_name(sha256)}"] = blocks
        return Blob(codec=codec, length=len(data), sha256=sha256, blocks=hashlib.sha256(blocks).hexdigest())


def _three(role: KeyRole, name: str) -> list[SigningKey]:
    return [SigningKey.new(role, f"{name}-{number}") for number in (1, 2, 3)]


def _signed(metadata: Metadata[Any], by: Sequence[SigningKey]) -> bytes:
    signed = copy.copy(metadata)
    signed.signatures = {}
    for key in by:
        signed.sign(key.signer, append=True)
    return signed.to_bytes(_SERIALIZER)
