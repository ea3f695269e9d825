"""The MicroPython secondaries for the driver: which image each runs, and its way from the release to the box.

A secondary names what it runs by the hash of its manifest; the release names the image. What belongs together is kept
here, `secondaries/{ecu}.json`, when a set is staged. Where that is lost, nothing is: the whole set is sent.
"""

from collections.abc import Mapping

import msgspec

from ota.agent.kept import read_kept
from ota.agent.payload import FetchedPayload
from ota.errors import RefusedError, Rule
from ota.installers.mcu import McuInstaller
from ota.payload.file_set import make_package
from ota.payload.image import image_pieces
from ota.storage import Storage, make_durable, replace
from ota.targets import Target

FOLDER = "secondaries"
_KEPT = 4
_MAX_BYTES = 4_096
_OF_A_BASE = frozenset({Rule.HASH, Rule.FORMAT, Rule.LENGTH})
"""What is wrong with a delta where a secondary does not run what it said, or that has rotted or become shorter."""


class McuSecondaries:
    """See `ota.slots.neighbours.Secondaries`."""

    def __init__(self, storage: Storage, installers: Mapping[str, McuInstaller], payload: FetchedPayload) -> None:
        self._storage = storage
        self._installers = installers
        self._payload = payload

    def running(self, ecu: str) -> str:
        """See `Secondaries`; nothing where that is not known, or on trial."""
        state = self._installer(ecu).state()
        return "" if state.is_trial else self._image_of(ecu).get(state.set_hash, "")

    def stage(self, ecu: str, target: Target) -> bool:
        """See `Secondaries`: all of it at once; a set is small, and what a secondary has it is not sent again."""
        way, data = self._payload.blob(target)
        if not way.is_delta:
            pieces = image_pieces(self._storage, target, way, self._payload.part_of(target))
            data = make_package(b"".join(pieces))
        try:
            name = self._installer(ecu).stage(data, target.path)
        except RefusedError as error:
            if way.is_delta and error.rule in _OF_A_BASE:
                self._payload.mark_wrong(way)
            raise
        self._keep(ecu, name, target.sha256)
        return True

    def is_staged(self, ecu: str, sha256: str) -> bool:
        """See `Secondaries`."""
        state = self._installer(ecu).state()
        return self._image_of(ecu).get(state.staged_hash, "") == sha256

    def arm(self, ecu: str, sha256: str) -> None:
        """See `Secondaries`."""
        name = self._set_of(ecu, sha256)
        self._installer(ecu).arm(name)

    def runs(self, ecu: str, sha256: str) -> bool:
        """See `Secondaries`: by the set that the box names or, where that is lost here, by its being on trial."""
        state = self._installer(ecu).state()
        name = self._image_to_set(ecu).get(sha256)
        return state.is_trial if name is None else state.set_hash == name

    def commit(self, ecu: str, sha256: str) -> None:
        """See `Secondaries`. A box that runs something else was not told, or has fallen back."""
        installer = self._installer(ecu)
        if installer.state().set_hash != self._set_of(ecu, sha256):
            raise RefusedError(Rule.ECU, ecu, "it does not run the set that it was to try")
        installer.confirm()

    def revert(self, ecu: str, sha256: str) -> None:
        """See `Secondaries`."""
        installer = self._installer(ecu)
        if installer.state().set_hash == self._image_to_set(ecu).get(sha256, ""):
            installer.revert()

    def _installer(self, ecu: str) -> McuInstaller:
        if ecu not in self._installers:
            raise RefusedError(Rule.ECU, ecu, "there is no such secondary here")
        return self._installers[ecu]

    def _set_of(self, ecu: str, sha256: str) -> str:
        name = self._image_to_set(ecu).get(sha256)
        if name is None:
            raise RefusedError(Rule.ECU, ecu, "the set was not staged here")
        return name

    def _image_to_set(self, ecu: str) -> dict[str, str]:
        return {image: name for name, image in self._image_of(ecu).items()}

    def _image_of(self, ecu: str) -> dict[str, str]:
        return read_kept(self._storage, f"{FOLDER}/{ecu}.json", dict[str, str], _MAX_BYTES) or {}

    def _keep(self, ecu: str, name: str, sha256: str) -> None:
        known = self._image_of(ecu)
        if known.get(name) == sha256:
            return
        kept = {**dict(list(known.items())[-_KEPT + 1 :]), name: sha256}
        make_durable(self._storage, FOLDER)
        replace(self._storage, f"{FOLDER}/{ecu}.json", msgspec.json.encode(kept))
