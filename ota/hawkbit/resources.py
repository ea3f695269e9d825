"""The resources of the DDI that a device reads: bytes to values, whatever the bytes are.

    GET {base}                                  poll: how long to sleep, and links to what is open
    GET {base}/deploymentBase/{action}          an update to be made
    GET {base}/confirmationBase/{action}        one that the device must agree to first, the same but for one key
    GET {base}/cancelAction/{action}            one that is to be stopped

with {base} = `/{tenant}/controller/v1/{controllerId}`. A key that is not known here is passed over. Of a link only the
action and the parameter `c` are read: a server behind a proxy names itself by addresses that are not its own, and the
token of this device goes to no other host than the one that is configured.
"""

import re
from typing import Annotated, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from ota.errors import RefusedError, Rule
from ota.hawkbit.assignment import Artifact, Assignment, Chunk, Handling, Window
from ota.hawkbit.feedback import Channel
from ota.trust.web import plain

MAX_BODY_BYTES = 1 << 20
"""A distribution set of a hundred modules is about a tenth of it."""
MAX_CHUNKS = 64
MAX_ARTIFACTS = 64
_MAX_WORDS = 256

Text = Annotated[str, msgspec.Meta(max_length=512)]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,19}$")]
"""A Java long, in digits."""
_ACTION = re.compile(r"/([A-Za-z]+)/([0-9]{1,19})\Z")
_HASH_CODE = re.compile(r"-?[0-9]{1,10}")
_SLEEP = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,2}):([0-9]{2}):([0-9]{2})")


class Link(NamedTuple):
    """An action that is open. `c` changes with it, as from soft to forced."""

    action: str
    c: str = ""


class Base(NamedTuple):
    """What a poll says."""

    sleep_s: float | None
    """What the server suggests, if anything that can be read."""
    open: tuple[Channel, Link] | None
    """The one action that the server puts first, and what it wants to be done about it."""
    wants_attributes: bool


class _Wire(msgspec.Struct, frozen=True):
    pass


class _Href(_Wire, frozen=True):
    href: Annotated[str, msgspec.Meta(max_length=2_048)]


_Links = Annotated[dict[Annotated[str, msgspec.Meta(max_length=64)], _Href], msgspec.Meta(max_length=16)]


class _Polling(_Wire, frozen=True):
    sleep: Text | None = None


class _Config(_Wire, frozen=True):
    polling: _Polling | None = None


class _BaseLinks(_Wire, frozen=True, rename="camel"):
    deployment_base: _Href | None = None
    confirmation_base: _Href | None = None
    cancel_action: _Href | None = None
    config_data: _Href | None = None


class _ControllerBase(_Wire, frozen=True):
    config: _Config | None = None
    links: _BaseLinks = msgspec.field(default=_BaseLinks(), name="_links")


class _Hashes(_Wire, frozen=True):
    sha1: Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{40})?$")] = ""
    md5: Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{32})?$")] = ""
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{64})?$")] = ""


class _Artifact(_Wire, frozen=True):
    filename: Text
    hashes: _Hashes = _Hashes()
    size: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0
    links: _Links = msgspec.field(default_factory=dict, name="_links")


class _Metadata(_Wire, frozen=True):
    key: Text
    value: Annotated[str, msgspec.Meta(max_length=4_096)]


class _Chunk(_Wire, frozen=True):
    part: Text
    version: Text
    name: Text
    encrypted: bool | None = None
    artifacts: Annotated[list[_Artifact], msgspec.Meta(max_length=MAX_ARTIFACTS)] | None = None
    metadata: Annotated[list[_Metadata], msgspec.Meta(max_length=_MAX_WORDS)] | None = None


class _Deployment(_Wire, frozen=True, rename="camel"):
    download: Handling
    update: Handling
    chunks: Annotated[list[_Chunk], msgspec.Meta(max_length=MAX_CHUNKS)]
    maintenance_window: Window | None = None


class _DeploymentBase(_Wire, frozen=True):
    id: Id
    deployment: _Deployment


class _ConfirmationBase(_Wire, frozen=True):
    id: Id
    confirmation: _Deployment


class _ToStop(_Wire, frozen=True, rename="camel"):
    stop_id: Id


class _Cancel(_Wire, frozen=True, rename="camel"):
    id: Id
    cancel_action: _ToStop


T = TypeVar("T")


def decode_base(data: bytes) -> Base:
    """The answer to a poll (DdiControllerBase). Raises `RefusedError` (format), as all of these."""
    base = _decode(data, _ControllerBase, "poll")
    links = base.links
    sleep = base.config.polling.sleep if base.config and base.config.polling else None
    first = (
        _link(links.cancel_action, Channel.CANCEL)
        or _link(links.confirmation_base, Channel.CONFIRMATION)
        or _link(links.deployment_base, Channel.DEPLOYMENT)
    )
    return Base(None if sleep is None else seconds_of(sleep), first, links.config_data is not None)


def decode_deployment(data: bytes, action: str) -> Assignment:
    """DdiDeploymentBase; it must be the action that was asked for."""
    base = _decode(data, _DeploymentBase, "deploymentBase")
    _check_action(base.id, action, "deploymentBase")
    return _assignment(base.id, base.deployment, is_to_be_confirmed=False)


def decode_confirmation(data: bytes, action: str) -> Assignment:
    """DdiConfirmationBaseAction."""
    base = _decode(data, _ConfirmationBase, "confirmationBase")
    _check_action(base.id, action, "confirmationBase")
    return _assignment(base.id, base.confirmation, is_to_be_confirmed=True)


def decode_cancel(data: bytes, action: str) -> str:
    """DdiCancel: the action that is to be stopped, which `stopId` names."""
    cancel = _decode(data, _Cancel, "cancelAction")
    _check_action(cancel.id, action, "cancelAction")
    return cancel.cancel_action.stop_id


def seconds_of(sleep: str) -> float | None:
    """`HH:MM:SS`, or from a day on `d:HH:MM:SS` (hawkBit pull request 2533); none where it is anything else."""
    found = _SLEEP.fullmatch(sleep)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _decode(data: bytes, type_: type[T], what: str) -> T:
    if len(data) > MAX_BODY_BYTES:
        raise RefusedError(Rule.LENGTH, what, f"{len(data)} bytes; at most {MAX_BODY_BYTES} are read")
    try:
        return msgspec.json.decode(data, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RefusedError(Rule.FORMAT, what, plain(str(error))) from error
    except RecursionError as error:
        raise RefusedError(Rule.FORMAT, what, "it is nested too deep") from error


def _link(href: _Href | None, channel: Channel) -> tuple[Channel, Link] | None:
    if href is None:
        return None
    try:
        parts = urlsplit(href.href)
    except ValueError:
        raise RefusedError(Rule.FORMAT, channel.value, "its link is no address") from None
    found = _ACTION.search(parts.path)
    if found is None or found[1] != channel.value:
        raise RefusedError(Rule.FORMAT, channel.value, "its link names no action")
    c = parse_qs(parts.query).get("c", [""])[0]
    return channel, Link(found[2], c if _HASH_CODE.fullmatch(c) else "")


def _check_action(found: str, wanted: str, what: str) -> None:
    if found != wanted:
        raise RefusedError(Rule.FORMAT, what, f"action {wanted} was asked for, and {found} came")


def _assignment(action: str, deployment: _Deployment, *, is_to_be_confirmed: bool) -> Assignment:
    return Assignment(
        action=action,
        download=deployment.download,
        update=deployment.update,
        window=deployment.maintenance_window or Window.NONE,
        chunks=tuple(_chunk(each) for each in deployment.chunks),
        is_to_be_confirmed=is_to_be_confirmed,
    )


def _chunk(chunk: _Chunk) -> Chunk:
    return Chunk(
        part=chunk.part,
        name=chunk.name,
        version=chunk.version,
        artifacts=tuple(
            Artifact(
                name=each.filename,
                size=each.size,
                sha256=each.hashes.sha256.lower(),
                sha1=each.hashes.sha1.lower(),
                md5=each.hashes.md5.lower(),
                links={rel: link.href for rel, link in each.links.items()},
            )
            for each in chunk.artifacts or ()
        ),
        metadata={each.key: each.value for each in chunk.metadata or ()},
        is_encrypted=bool(chunk.encrypted),
    )
