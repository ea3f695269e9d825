"""A device's plan into its folder of what is served: made or signed anew, with what the folder says already in mind."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from tuf.api.metadata import Metadata, Root, Targets, Timestamp

from ota.errors import RefusedError, Rule
from ota.repository.change_set import ChangeSet
from ota.repository.director import ONLINE, check_follows, check_hardware, sign_plan
from ota.repository.keys import SigningKey
from ota.repository.layout import DIRECTOR, PUBLIC, TIMESTAMP
from ota.repository.signatures import check_signed, parse
from ota.repository.workspace import Workspace
from ota.targets import PLAN_KEY, Conditions, EcuPlan, Plan, decode_plan


class Known(NamedTuple):
    """What a device was told last."""

    plan: Plan
    version: int


def next_plan(
    device: str,
    ecus: Mapping[str, str],
    last: Plan | None,
    *,
    number: int | None = None,
    conditions: Conditions | None = None,
    is_cancelled: bool = False,
) -> Plan:
    """A plan out of what a person says; what is not said stays. The number rises by itself. Raises `RefusedError`."""
    if last is None and not ecus:
        raise RefusedError(Rule.ECU, device, "there is no plan yet, and none of its ECUs is named")
    before = dict(last.ecus) if last is not None else {}
    plan = {
        "device": device,
        "number": last.number if last is not None else 1,
        "ecus": {**before, **{ecu: _ordered(before.get(ecu), target) for ecu, target in ecus.items()}},
        "policy": last.policy if last is not None else "atomic",
        "conditions": conditions if conditions is not None else (last.conditions if last else Conditions()),
        "is_cancelled": is_cancelled,
    }
    made = decode_plan(msgspec.to_builtins(plan), device)
    if number is None and last is not None and made != last:
        number = last.number + 1
    return made if number is None else decode_plan(msgspec.to_builtins({**plan, "number": number}), device)


def _ordered(before: EcuPlan | None, target: str) -> EcuPlan:
    return EcuPlan(target=target) if before is None else msgspec.structs.replace(before, target=target)


class Planner:
    """Signs plans over one view of the repository, which is verified once for all of them."""

    def __init__(self, workspace: Workspace, key: SigningKey, now: datetime) -> None:
        """Raises `RefusedError` where the key is not the Director's, or what is published is not right."""
        self._workspace = workspace
        self._key = key
        self._now = now
        self._images = workspace.published_images(now).listed
        self._roots = workspace.director_roots()
        root = self._roots[-1].signed
        if key.public.keyid not in root.roles["targets"].keyids:
            reason = f"{key.public.holder}'s key {key.public.keyid[:8]} is not the Director's"
            raise RefusedError(Rule.KEY, f"{DIRECTOR}/{root.version}.root.json", reason)

    def last(self, device: str) -> Known | None:
        """What a device was told last."""
        return last_plan(self._workspace, device, self._roots)

    def put(
        self,
        plan: Plan,
        *,
        hardware: Mapping[str, str] | None = None,
        versions_ahead: int = 1,
        holds: timedelta = ONLINE,
    ) -> ChangeSet:
        """Sign a plan and put it where the device looks. `hardware`: ids of all its ECUs, to be checked against.

        Raises `RefusedError`; the plan before it stays then.
        """
        if plan.device.endswith(".json"):
            raise RefusedError(Rule.PLAN, plan.device, "a device is not called like a file of metadata")
        known = self.last(plan.device)
        check_follows(plan, known.plan if known else None)
        if hardware is not None:
            check_hardware(plan, self._images, hardware)
        version = (known.version if known else 0) + versions_ahead
        signed = sign_plan(plan, self._images, self._key, version=version, now=self._now, holds=holds)
        folder = f"{PUBLIC}/{DIRECTOR}/{plan.device}"
        storage = self._workspace.storage
        made = ChangeSet(is_served=True, last=[f"{folder}/{TIMESTAMP}"])
        for root in self._roots:
            name = f"{root.signed.version}.root.json"
            made.files[f"{folder}/{name}"] = storage.read(f"{PUBLIC}/{DIRECTOR}/{name}")
        made.files.update({f"{folder}/{name}": data for name, data in signed.files.items()})
        made.replaced = {name for name in made.files if not name.endswith(".root.json")}
        made.removed = [f"{folder}/{name}" for name in storage.list(folder) if _is_older(name, version - 1)]
        said = ", ".join(f"{ecu}: {one.target}" for ecu, one in plan.ecus.items())
        told = "again" if known is not None and known.plan == plan else "new"
        until = f"{signed.expires:%Y-%m-%d %H:%M}"
        made.say("put plan", f"{DIRECTOR}/{plan.device}", f"number {plan.number} ({told}), until {until}: {said}")
        made.facts = {"plans": [{"device": plan.device, "number": plan.number, "version": version}]}
        return made


def last_plan(workspace: Workspace, device: str, roots: Sequence[Metadata[Root]]) -> Known | None:
    """What is in a device's folder, signed by a key that the Director has or had. Raises `RefusedError`."""
    folder = f"{DIRECTOR}/{device}"
    newest = workspace.read_public(f"{folder}/{TIMESTAMP}")
    if newest is None:
        return None
    timestamp: Metadata[Timestamp] = parse(newest, f"{folder}/{TIMESTAMP}")
    version = timestamp.signed.version
    name = f"{folder}/{version}.targets.json"
    targets: Metadata[Targets] = parse(workspace.read_public(name) or b"", name)
    for root in reversed(roots):
        try:
            check_signed(root.signed, "timestamp", timestamp, f"{folder}/{TIMESTAMP}")
            check_signed(root.signed, "targets", targets, name)
        except RefusedError:
            continue
        return Known(decode_plan(targets.signed.unrecognized_fields.get(PLAN_KEY), name), version)
    raise RefusedError(Rule.SIGNATURE, name, "no key that the Director ever had has signed it")


def check_unplanned(workspace: Workspace, dropped: Collection[str]) -> None:
    """Raises `RefusedError` where a listing would lose an image that a plan still names: its device would be stuck."""
    if not dropped:
        return
    roots = workspace.director_roots()
    for device in workspace.devices():
        known = last_plan(workspace, device, roots)
        for one in known.plan.ecus.values() if known else []:
            if one.target in dropped:
                reason = f"the plan of {device} still names it; plan another for it first"
                raise RefusedError(Rule.AGREEMENT, one.target, reason)


def _is_older(name: str, version: int) -> bool:
    number, _, rest = name.partition(".")
    return rest in ("targets.json", "snapshot.json") and number.isdecimal() and int(number) < version
