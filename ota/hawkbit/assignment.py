"""What a server wants of a device, in this package's own words: an action, its urgency, its software."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Handling(Enum):
    """How a part of an action is to be done. The word is hawkBit's (DdiDeployment.HandlingType)."""

    SKIP = "skip"
    """Not yet, or not at all."""
    SOFT = "attempt"
    """The server asks; the device may choose the moment."""
    FORCED = "forced"
    """At once, whatever a person or an application at the device would rather have."""


class Window(Enum):
    """The maintenance window of an action (DdiDeployment.DdiMaintenanceWindowStatus)."""

    NONE = ""
    """It has none: always."""
    OPEN = "available"
    CLOSED = "unavailable"


class Artifact(NamedTuple):
    """A file as hawkBit lists it. Its hashes are the server's word, signed by nobody."""

    name: str
    size: int
    sha256: str
    sha1: str
    md5: str
    links: Mapping[str, str]
    """`download`, `download-http`, `md5sum`, `md5sum-http` -> address. For a person: nothing here follows them."""


class Chunk(NamedTuple):
    """A software module of the assigned distribution set."""

    part: str
    """The module's type: `os`, `bApp`, `jvm`, or a word of the operator's."""
    name: str
    version: str
    artifacts: tuple[Artifact, ...]
    metadata: Mapping[str, str]
    """What the operator has marked as visible to targets."""
    is_encrypted: bool = False


class Assignment(NamedTuple):
    """One action of the server that is open."""

    action: str
    download: Handling
    update: Handling
    window: Window
    chunks: tuple[Chunk, ...]
    is_to_be_confirmed: bool = False
    """A person or a rule at the device must agree before the server releases it (confirmationBase)."""

    @property
    def may_download(self) -> bool:
        """Whether the server wants the files to be fetched now."""
        return not self.is_to_be_confirmed and self.download is not Handling.SKIP

    @property
    def may_update(self) -> bool:
        """Whether the server wants it to be installed now."""
        return self.may_download and self.update is not Handling.SKIP and self.window is not Window.CLOSED
