"""What is signed and published, as the operator's side sees it: the verified image repository, the Director's roots.

It is read again when it has changed. What has expired is read all the same: a release is signed as long as it is, and
it is the devices that refuse what nobody has signed anew in time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tuf.api.metadata import TargetFile

from ota.errors import RefusedError, Rule, StorageError
from ota.repository.layout import DIRECTOR, METADATA, TIMESTAMP
from ota.repository.workspace import HostStorage, Workspace
from ota.targets import ImageInfo, decode_image_info


class Publication(NamedTuple):
    """What is published at one time."""

    version: int
    """Of the snapshot: rises whenever anything is published."""
    listed: Mapping[str, TargetFile]
    """Every image by its path."""
    timestamp: bytes | None = None


class Published:
    """folder: of `wayside ota repo`. Nothing is written to it. May be asked by several threads."""

    def __init__(self, folder: Path) -> None:
        self._workspace = Workspace(HostStorage(folder))
        self._newest = Publication(0, {})

    def newest(self) -> Publication:
        """What stands there now. Raises `RefusedError` where what is published does not hold, `StorageError`."""
        known = self._newest
        try:
            timestamp = self._workspace.read_public(f"{METADATA}/{TIMESTAMP}")
        except StorageError:
            if known.timestamp is None:
                raise
            return known  # a file system that is away for a moment takes nothing back
        if timestamp == known.timestamp:
            return known
        images = self._workspace.published_images()
        self._newest = Publication(images.snapshot.signed.version, images.listed, timestamp)
        return self._newest

    def listed(self) -> Mapping[str, TargetFile]:
        """Every image by its path. Raises as `newest`."""
        return self.newest().listed

    def info_of(self, target: str) -> ImageInfo | None:
        """What is signed of a target; None where none is listed. Raises as `listed`."""
        found = self.listed().get(target)
        return None if found is None else decode_image_info(found.custom, target)

    def director_root(self, version: int) -> bytes | None:
        """A root of the Director; None where there is none of this version. Raises `StorageError`."""
        return self._workspace.read_public(f"{DIRECTOR}/{version}.root.json")

    def check_director(self, keyid: str) -> None:
        """Raises `RefusedError` where a key is not the Director's."""
        roots = self._workspace.director_roots()
        if not roots:
            raise RefusedError(Rule.ROLE, DIRECTOR, "no root of the Director is published yet")
        if keyid not in roots[-1].signed.roles["targets"].keyids:
            name = f"{DIRECTOR}/{roots[-1].signed.version}.root.json"
            raise RefusedError(Rule.KEY, name, f"the key {keyid[:8]} is not the Director's")
