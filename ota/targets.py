"""What signed metadata says of an image and of a plan: the wire types of this package's own fields.

An image is a TUF target: the target's length and hash are those of the uncompressed image, the very bytes that will
lie in a slot. What is fetched are its blobs, the whole image or a delta, each with the hash of its block list.
Both repositories carry the same `ImageInfo` as a target's `custom`; only the Director's targets carry a `Plan`, under
the key `wayside` of the signed part. A key that this version does not know is passed over and kept.

    targets/rsu/gateway/1.4.2.tar          never fetched by this name: the image itself
    blobs/{sha256}                         what is fetched, named by its own hash
    blobs/{sha256}.blocks                  its block list: the SHA-256 of each 256 KiB, 32 bytes each
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec

from ota.errors import RefusedError, Rule

if TYPE_CHECKING:
    from tuf.api.metadata import Root

BLOCK_BYTES = 256 * 1024
PLAN_KEY = "wayside"
SIGNED_AT_KEY = "wayside-signed-at"
"""When a role was signed, in seconds since 1970, beside its expiry; optional. A device's clock is never before it."""
MAX_IMAGE_BYTES = 1 << 30
MAX_DELTAS = 32
MAX_ECUS = 64

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Counter = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Length = Annotated[int, msgspec.Meta(ge=0, le=MAX_IMAGE_BYTES)]
Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")]
Path = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*){1,7}\Z", max_length=200)]
"""`{family}/{product}/{file}`: no dots in front, no way out of a folder."""
Instant = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
"""Seconds since 1970, UTC."""


class Blob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to fetch: `blobs/{sha256}`."""

    codec: Literal["none", "zstd", "delta"]
    length: Length
    sha256: Sha256
    blocks: Sha256
    """SHA-256 of the block list."""

    @property
    def block_count(self) -> int:
        """Blocks of 256 KiB, the last one shorter."""
        return -(-self.length // BLOCK_BYTES)


class Delta(Blob, frozen=True, kw_only=True, omit_defaults=True):
    """A blob that turns one certain image into this one."""

    from_sha256: Sha256


class Schema(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Editions of the data on the device: what this image can read, and what it writes."""

    reads_from: Counter = 0
    writes: Counter = 0


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target's `custom`; the same in both repositories."""

    kind: Literal["release-dir", "mcu", "rauc"]
    hardware: Annotated[list[Word], msgspec.Meta(min_length=1, max_length=64)]
    family: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*\Z", max_length=80)]
    """`rsu/gateway`: one floor for each hardware id and family."""
    version: Word
    counter: Counter
    """The release counter: rises with each release of the family."""
    min_counter: Counter = 0
    """Once confirmed, nothing below this counter is taken any more; 0: a later rollback stays possible."""
    schema: Schema = Schema()
    full: Annotated[list[Blob], msgspec.Meta(min_length=1, max_length=2)]
    """The whole image, by preference: zstd, then uncompressed."""
    deltas: Annotated[list[Delta], msgspec.Meta(max_length=MAX_DELTAS)] = []


class EcuPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one ECU is to run."""

    target: Path
    group: Annotated[int, msgspec.Meta(ge=0, le=63)] = 0
    """Barrier: groups are armed in order."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When it may be done. Each that is left out holds always."""

    not_before: Instant = 0
    deadline: Instant = 0
    """After this it is taken without waiting for the window; 0: never."""
    window_from_minute: Annotated[int, msgspec.Meta(ge=0, lt=1440)] | None = None
    """Local minutes of the day between which the slot is switched."""
    window_to_minute: Annotated[int, msgspec.Meta(ge=0, lt=1440)] | None = None
    is_metered_allowed: bool = False
    max_bytes_per_s: Annotated[int, msgspec.Meta(ge=1024, le=1 << 30)] | None = None
    local: Annotated[list[Word], msgspec.Meta(max_length=16)] = []
    """Names of local conditions, `lane-closed`, `speed-zero`: the device knows how to judge them, or waits."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The Director's word for one device: always every ECU, so that an old and empty answer is none."""

    device: Word
    number: Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
    """Rises with each plan of a device; the same number is the same plan."""
    ecus: Annotated[dict[Word, EcuPlan], msgspec.Meta(min_length=1, max_length=MAX_ECUS)]
    policy: Literal["atomic", "best-effort"] = "atomic"
    conditions: Conditions = Conditions()
    is_cancelled: bool = False
    """Stop what is under way of this plan; what is confirmed stays."""


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image as verified metadata names it."""

    path: Path
    length: Length
    sha256: Sha256
    info: ImageInfo


T = TypeVar("T")


def decode_image_info(custom: Any, path: str) -> ImageInfo:  # what JSON gives
    """A target's `custom`. Raises `RefusedError` with `Rule.FORMAT`."""
    return _convert(custom, ImageInfo, path)


def decode_target(path: str, length: int, sha256: Any, custom: Any, what: str) -> Target:  # what JSON gives
    """An image as a repository lists it. Raises `RefusedError` with `Rule.FORMAT`."""
    return _convert({"path": path, "length": length, "sha256": sha256, "info": custom}, Target, what)


def decode_plan(value: Any, what: str) -> Plan:  # what JSON gives
    """The Director's plan. Raises `RefusedError` with `Rule.FORMAT`."""
    return _convert(value, Plan, what)


def is_directors(root: "Root") -> bool:
    """Whether a root is the Director's: there one key, online, says what is to run and that it is the newest word."""
    return root.roles["targets"].keyids == root.roles["timestamp"].keyids


def to_json_types(value: msgspec.Struct) -> dict[str, Any]:
    """For the repositories: what stands in the metadata, defaults left out."""
    result = msgspec.to_builtins(value)
    assert isinstance(result, dict)
    return result


def _convert(value: Any, type_: type[T], what: str) -> T:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise RefusedError(Rule.FORMAT, what, str(error)) from error
