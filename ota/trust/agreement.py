"""Whether the Director's plan and the image repository say the same, and this device may follow. Pure.

The Director's key is online, so its word alone moves nothing: each image that it names must stand in the image
repository, signed offline, with the same length, hash and properties. Uptane 2.1.0, section 5.4.4.2 (full
verification), with what it leaves open closed: a plan names every ECU, so that an old and empty one is none.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ota.errors import RefusedError, Rule
from ota.targets import Plan, Target, decode_target
from ota.trust.floors import FloorRecord, ReleaseFloor

DIRECTOR = "Director"
IMAGES = "image repository"
MAX_PLAN_STEP = 1 << 32
"""Whoever has had the Director's key for a while cannot say the last number that there is: a plan can always follow."""


class EcuKind(NamedTuple):
    """What an ECU is, by the device's own configuration."""

    hardware: str
    family: str
    """The one image family that it takes: another family's keys must not speak for it."""


class Device(NamedTuple):
    """Who this is."""

    name: str
    ecus: Mapping[str, EcuKind]


class Listed(NamedTuple):
    """A target as one repository lists it."""

    length: int
    hashes: Mapping[str, str]
    custom: Any  # what JSON gives


def plan_digest(plan: Any, listed: Mapping[str, Listed]) -> str:
    """The fingerprint of a plan with its images; the same number must have the same."""
    images = {path: [target.length, dict(target.hashes), target.custom] for path, target in listed.items()}
    text = json.dumps([plan, images], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_plan(plan: Plan, digest: str, device: Device, record: FloorRecord) -> None:
    """Raises `RefusedError` where a plan is not for this device, not for all of it, or an old one."""
    what = f"plan {plan.number}"
    if plan.device != device.name:
        raise RefusedError(Rule.PLAN, what, f"it is for {plan.device}; this is {device.name}")
    if plan.number < record.plan_number:
        raise RefusedError(Rule.PLAN, what, f"plan {record.plan_number} was here before it")
    if plan.number > record.plan_number + MAX_PLAN_STEP:
        reason = f"it is more than {MAX_PLAN_STEP:,} above the last one, {record.plan_number}"
        raise RefusedError(Rule.PLAN, what, reason)
    if plan.number == record.plan_number and digest != record.plan_sha256:
        raise RefusedError(Rule.PLAN, what, "a plan with this number was here, and said something else")
    for ecu in plan.ecus:
        if ecu not in device.ecus:
            raise RefusedError(Rule.ECU, what, f"it names {ecu}, which this device does not have")
    for ecu in device.ecus:
        if ecu not in plan.ecus:
            raise RefusedError(Rule.ECU, what, f"it leaves out {ecu}; a plan names every ECU")


def agree(
    plan: Plan,
    device: Device,
    director: Mapping[str, Listed],
    images: Callable[[str], Listed | None],
    release: Callable[[str, str], ReleaseFloor | None],
    quarantined: Mapping[str, int],
) -> dict[str, Target]:
    """ECU -> its image. Raises `RefusedError`.

    images: looks a path up in the image repository. release: the floor of a hardware id and a family.
    quarantined: hash of an image that failed here -> number of the plan that brought it.
    """
    return {
        ecu: _image(plan, ecu, device.ecus[ecu], director, images, release, quarantined) for ecu in sorted(plan.ecus)
    }


def _image(
    plan: Plan,
    ecu: str,
    kind: EcuKind,
    director: Mapping[str, Listed],
    images: Callable[[str], Listed | None],
    release: Callable[[str, str], ReleaseFloor | None],
    quarantined: Mapping[str, int],
) -> Target:
    path = plan.ecus[ecu].target
    ordered = director.get(path)
    if ordered is None:
        raise RefusedError(
            Rule.AGREEMENT, path, f"plan {plan.number} wants it for {ecu}, and the {DIRECTOR} lists it not"
        )
    made = images(path)
    if made is None:
        raise RefusedError(Rule.AGREEMENT, path, f"the {IMAGES} does not list it")
    for name, one, other in zip(Listed._fields, ordered, made, strict=True):
        if one != other:
            raise RefusedError(Rule.AGREEMENT, path, f"{DIRECTOR} and {IMAGES} differ in its {name}")
    sha256 = made.hashes.get("sha256")
    if sha256 is None:
        raise RefusedError(Rule.HASH, path, "it has no SHA-256")
    target = decode_target(path, made.length, sha256, made.custom, path)
    _check_fit(target, ecu, kind)
    _check_floor(target, release(kind.hardware, target.info.family))
    if plan.number <= quarantined.get(sha256, 0):
        raise RefusedError(Rule.QUARANTINE, path, "it has failed here; a plan with a higher number may try it again")
    return target


def _check_fit(target: Target, ecu: str, kind: EcuKind) -> None:
    info = target.info
    if kind.hardware not in info.hardware:
        reason = f"it is for {', '.join(info.hardware)}; {ecu} is {kind.hardware}"
        raise RefusedError(Rule.HARDWARE, target.path, reason)
    if info.family != kind.family:
        raise RefusedError(Rule.HARDWARE, target.path, f"it is of the family {info.family}; {ecu} takes {kind.family}")
    if not target.path.startswith(f"{info.family}/"):
        raise RefusedError(Rule.ROLE, target.path, f"its place is not below its family {info.family}")


def _check_floor(target: Target, floor: ReleaseFloor | None) -> None:
    if floor is None:
        return
    counter, schema = target.info.counter, target.info.schema
    if counter < floor.counter:
        reason = f"release counter {counter} is below {floor.counter}, the least since what was confirmed here"
        raise RefusedError(Rule.FLOOR, target.path, reason)
    if not schema.reads_from <= floor.schema <= schema.writes:
        reason = f"it reads data of editions {schema.reads_from} to {schema.writes}; edition {floor.schema} is here"
        raise RefusedError(Rule.FLOOR, target.path, reason)


def check_no_diamond(delegations: Mapping[str, list[str]]) -> None:
    """Delegator -> roles that it delegates to. Raises `RefusedError` where a role can be reached by two ways."""
    by: dict[str, str] = {}
    for delegator, roles in delegations.items():
        for role in roles:
            if role in by:
                reason = f"both {by[role]} and {delegator} delegate to it; a role has one delegator here"
                raise RefusedError(Rule.ROLE, f"{IMAGES}: {role}.json", reason)
            by[role] = delegator
