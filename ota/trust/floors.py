"""What never falls on this device, kept outside the metadata cache: a lost cache must not open the door to old words.

A role's version rises with each refresh; the counter and the data schema of what runs only once it is confirmed, so
that an ordinary bad release can still be rolled back. The floor of a role ends when the keys that spoke for it no
longer suffice: nothing that they have signed can come back then, and a version that a thief drove to the sky with a
stolen key does not shut the device out for ever. With the snapshot's floor those of all that it lists end too (TUF
5.3.11 has it so). A root's never ends.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ota.errors import StorageError
from ota.storage import Storage
from ota.targets import ImageInfo
from ota.trust.two_copies import TwoCopies

STEM = "trust/floors"


class RoleFloor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest that a role has said here."""

    version: int
    keys: list[str] = []
    """Which keys could speak for it; none: the floor never ends."""
    signed_at: int = 0
    """When it was signed, where it says so."""

    def stands(self, keys: Sequence[str], threshold: int) -> bool:
        """Whether what was signed then could still be taken for true now."""
        return not self.keys or len(set(self.keys) & set(keys)) >= threshold


class ReleaseFloor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one hardware id and image family: what is confirmed."""

    counter: int = 0
    """No release counter below this."""
    schema: int = 0
    """The edition of the data that lies on the device."""


class FloorRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of it, one record."""

    roles: dict[str, RoleFloor] = {}
    """`{repository}/{role}`"""
    releases: dict[str, ReleaseFloor] = {}
    """`{hardware id} {family}`"""
    plan_number: int = 0
    plan_sha256: str = ""
    clock: int = 0
    """A clock that signed metadata has confirmed."""


class Floors:
    """The record and its two copies."""

    def __init__(self, storage: Storage, stem: str = STEM) -> None:
        self._copies = TwoCopies(storage, stem)
        self.record = FloorRecord()

    @property
    def damaged(self) -> list[str]:
        """Copies that do not hold. Where both do not, the floors are lost."""
        return self._copies.damaged

    def open(self) -> None:
        """Read the record; the folder is there. Raises `StorageError`."""
        data = self._copies.read()
        try:
            self.record = FloorRecord() if data is None else msgspec.json.decode(data, type=FloorRecord)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # another program's: its checksum holds
            raise StorageError(self._copies.stem, f"no record of floors: {error}") from error

    def role_floors(self, repository: str) -> dict[str, RoleFloor]:
        """Of the roles of one repository."""
        prefix = f"{repository}/"
        return {
            name.removeprefix(prefix): floor for name, floor in self.record.roles.items() if name.startswith(prefix)
        }

    def release(self, hardware: str, family: str) -> ReleaseFloor | None:
        """Of what is confirmed; none where nothing is."""
        return self.record.releases.get(_release_key(hardware, family))

    def keep(self, floors: Mapping[str, Mapping[str, RoleFloor]], **changes: Any) -> None:
        """Keep the floors after a whole refresh: repository -> role -> floor. `changes`: other fields of the record."""
        roles = {f"{repository}/{role}": floor for repository, each in floors.items() for role, floor in each.items()}
        others = {name: floor for name, floor in self.record.roles.items() if name.partition("/")[0] not in floors}
        self._save(msgspec.structs.replace(self.record, roles={**others, **roles}, **changes))

    def confirm(self, hardware: str, info: ImageInfo) -> None:
        """An image is confirmed on an ECU. May be done again after a cut."""
        old = self.release(hardware, info.family) or ReleaseFloor()
        new = ReleaseFloor(max(old.counter, info.min_counter), max(old.schema, info.schema.writes))
        releases = {**self.record.releases, _release_key(hardware, info.family): new}
        self._save(msgspec.structs.replace(self.record, releases=releases))

    def _save(self, record: FloorRecord) -> None:
        if record != self.record:
            self._copies.write(msgspec.json.encode(record))
            self.record = record


def _release_key(hardware: str, family: str) -> str:
    return f"{hardware} {family}"
