"""What an assignment means here: which image of the image repository each ECU is to run. Pure.

A software module speaks of the ECU that the configuration names it for. Its image is the target that the module's
metadata names (key `wayside.target`, visible to targets), or `{family}/{filename}` of its only artifact. In the second
case the artifact is the image itself, and what hawkBit lists of it must be what the image repository has signed.

`why_not` compares that with a plan that has been verified: hawkBit may hold an update back, and choose no other.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ota.errors import RefusedError, Rule
from ota.hawkbit.assignment import Artifact, Assignment, Chunk
from ota.targets import Path, Plan, Target
from ota.trust.web import plain

TARGET_KEY = "wayside.target"


class Module(NamedTuple):
    """Which software module speaks of an ECU, and below which family its images lie."""

    name: str
    family: str


class Wanted(NamedTuple):
    """The image of one ECU, by the server's word."""

    target: str
    version: str
    artifact: Artifact | None
    """The image itself, where hawkBit has it too."""


def wanted_of(assignment: Assignment, modules: Mapping[str, Module]) -> dict[str, Wanted]:
    """ECU -> its image. Raises `RefusedError`: something is assigned that no ECU here runs, or cannot be named."""
    by_name = {module.name: ecu for ecu, module in modules.items()}
    found: dict[str, Wanted] = {}
    for chunk in assignment.chunks:
        what = f"action {assignment.action}: {plain(chunk.name)}"
        ecu = by_name.get(chunk.name)
        if ecu is None:
            raise RefusedError(Rule.ECU, what, "no ECU here is configured for this software module")
        if ecu in found:
            raise RefusedError(Rule.ECU, what, f"{ecu} is to run two images")
        found[ecu] = _wanted(chunk, modules[ecu].family, what)
    if not found:
        raise RefusedError(Rule.ECU, f"action {assignment.action}", "it has no software module")
    return found


def why_not(
    assignment: Assignment | None, wanted: Mapping[str, Wanted], plan: Plan, images: Mapping[str, Target]
) -> str:
    """Why a verified plan is not what the server wants; nothing where it is. `images`: ECU -> what the plan names."""
    if assignment is None:
        return "hawkBit has assigned nothing"
    who = f"action {assignment.action} of hawkBit"
    for ecu, want in wanted.items():
        planned = plan.ecus.get(ecu)
        if planned is None or planned.target != want.target:
            named = "nothing" if planned is None else planned.target
            return f"{who} wants {want.target} for {ecu}; plan {plan.number} names {named}"
        image = images[ecu]
        if want.version != image.info.version:
            return f"{who} calls {want.target} version {plain(want.version)}; it is signed as {image.info.version}"
        if want.artifact is not None and want.artifact.sha256 not in ("", image.sha256):
            return f"{who} has another file {want.target} than the one that is signed"
        if want.artifact is not None and want.artifact.size not in (0, image.length):
            return f"{who} has {want.artifact.size} bytes as {want.target}; {image.length} are signed"
    return ""


def _wanted(chunk: Chunk, family: str, what: str) -> Wanted:
    named = chunk.metadata.get(TARGET_KEY)
    if named is not None:
        return Wanted(_path(named, family, what), chunk.version, None)
    if len(chunk.artifacts) != 1:
        reason = f"{len(chunk.artifacts)} artifacts: with one, or metadata {TARGET_KEY}, it would name its image"
        raise RefusedError(Rule.FORMAT, what, reason)
    if chunk.is_encrypted:
        raise RefusedError(Rule.FORMAT, what, "it is encrypted by hawkBit, and so is not the signed image")
    artifact = chunk.artifacts[0]
    return Wanted(_path(f"{family}/{artifact.name}", family, what), chunk.version, artifact)


def _path(name: str, family: str, what: str) -> str:
    try:
        path = msgspec.convert(name, Path)
    except msgspec.ValidationError:
        raise RefusedError(Rule.FORMAT, what, f"{plain(name)!r} is no name of an image") from None
    if not path.startswith(f"{family}/"):
        raise RefusedError(Rule.HARDWARE, what, f"{path} is not below {family}, which is what this ECU runs")
    return str(path)
