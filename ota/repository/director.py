"""The Director's word for one device: which image each of its ECUs is to run.

A plan is signed when somebody asks, with a key that is online, and holds for a day; the offline variant, for a USB
bundle, holds longer. Each answer lists every ECU and bears the plan's number, so that an old or an empty answer is
told from a new one. What it says of an image is copied from the verified image repository, so that both say the same.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from ota.errors import RefusedError, Rule
from ota.repository.keys import SigningKey
from ota.repository.roles import dated
from ota.targets import PLAN_KEY, Plan, decode_image_info, to_json_types

ONLINE = timedelta(days=1)
MAX_OFFLINE = timedelta(days=365)
MAX_ANSWERS = 10_000
"""Signed plans that a Director keeps, of some 5 kB each; another is signed in less than half a millisecond."""
_SERIALIZER = JSONSerializer(compact=True)


class SignedPlan(NamedTuple):
    """A plan as a device fetches it."""

    plan: Plan
    version: int
    """Of its metadata; rises with each signing, also of the same plan."""
    expires: datetime
    files: dict[str, bytes]
    """By name in the device's folder; `timestamp.json` is the last to be written."""


def sign_plan(
    plan: Plan,
    images: Mapping[str, TargetFile],
    key: SigningKey,
    *,
    version: int,
    now: datetime,
    holds: timedelta = ONLINE,
) -> SignedPlan:
    """Sign a plan. `images`: what the verified image repository lists. Raises `RefusedError`."""
    what = f"plan {plan.number} for {plan.device}"
    wanted: dict[str, TargetFile] = {}
    for ecu, one in plan.ecus.items():
        wanted[one.target] = _image(images, ecu, one.target, what)
    targets = Targets(version, targets=wanted, unrecognized_fields={PLAN_KEY: to_json_types(plan)})
    files = {f"{version}.targets.json": _signed(targets, key, now, holds)}
    meta = MetaFile.from_data(version, files[f"{version}.targets.json"], ["sha256"])
    snapshot = _signed(Snapshot(version, meta={"targets.json": meta}), key, now, holds)
    files[f"{version}.snapshot.json"] = snapshot
    newest = MetaFile.from_data(version, snapshot, ["sha256"])
    files["timestamp.json"] = _signed(Timestamp(version, snapshot_meta=newest), key, now, holds)
    return SignedPlan(plan, version, targets.expires, files)


def check_follows(plan: Plan, last: Plan | None) -> None:
    """Raises `RefusedError` where a plan's number does not rise, unless it is the last plan once more."""
    if last is None or plan == last:
        return
    what = f"plan {plan.number} for {plan.device}"
    if plan.number <= last.number:
        reason = f"the last plan of this device has the number {last.number}; a new one has a higher"
        raise RefusedError(Rule.PLAN, what, reason)
    if left_out := sorted(set(last.ecus) - set(plan.ecus)):
        reason = f"it says nothing of {', '.join(left_out)}; a plan lists every ECU of its device"
        raise RefusedError(Rule.ECU, what, reason)


def check_hardware(plan: Plan, images: Mapping[str, TargetFile], hardware: Mapping[str, str]) -> None:
    """Raises `RefusedError` where an image is not for its ECU. `hardware`: hardware ids by ECU, all of a device."""
    what = f"plan {plan.number} for {plan.device}"
    if set(plan.ecus) != set(hardware):
        reason = f"it lists {', '.join(sorted(plan.ecus))}; the device has {', '.join(sorted(hardware))}"
        raise RefusedError(Rule.ECU, what, reason)
    for ecu, one in plan.ecus.items():
        allowed = decode_image_info(_image(images, ecu, one.target, what).custom, one.target).hardware
        if hardware[ecu] not in allowed:
            reason = f"{ecu} is {hardware[ecu]}; {one.target} is for {', '.join(allowed)}"
            raise RefusedError(Rule.HARDWARE, what, reason)


class Director:
    """Answers devices: signs on request, keeps an answer while at least half of its life is left."""

    def __init__(
        self, key: SigningKey, images: Callable[[], Mapping[str, TargetFile]], now: Callable[[], datetime]
    ) -> None:
        self._key = key
        self._images = images
        self._now = now
        self._plans: dict[str, Plan] = {}
        self._answers: dict[str, SignedPlan] = {}
        self._versions: dict[str, int] = {}

    def set_plan(self, plan: Plan, *, version: int = 0) -> None:
        """What a device is to run from now on. Raises `RefusedError`, and then the old plan stays.

        version: that of the metadata which the device was given last, where another Director gave it.
        """
        check_follows(plan, self._plans.get(plan.device))
        for ecu, one in plan.ecus.items():
            _image(self._images(), ecu, one.target, f"plan {plan.number} for {plan.device}")
        if plan != self._plans.get(plan.device):
            self._answers.pop(plan.device, None)
        self._plans[plan.device] = plan
        self._versions[plan.device] = max(version, self._versions.get(plan.device, 0))

    def answer(self, device: str) -> SignedPlan:
        """What a device gets now. Raises `RefusedError` where there is no plan for it."""
        if device not in self._plans:
            raise RefusedError(Rule.PLAN, device, "there is no plan for this device")
        answer = self._answers.get(device)
        if answer is None or answer.expires - self._now() < ONLINE / 2:
            self._answers.pop(device, None)
            while len(self._answers) >= MAX_ANSWERS:
                del self._answers[next(iter(self._answers))]
            answer = self._answers[device] = self.sign(device, ONLINE)
        return answer

    def sign(self, device: str, holds: timedelta) -> SignedPlan:
        """Sign a device's plan anew, such as for longer."""
        version = self._versions[device] + 1
        plan = sign_plan(self._plans[device], self._images(), self._key, version=version, now=self._now(), holds=holds)
        self._versions[device] = version
        return plan


def _image(images: Mapping[str, TargetFile], ecu: str, target: str, what: str) -> TargetFile:
    image = images.get(target)
    if image is None:
        raise RefusedError(Rule.AGREEMENT, what, f"{ecu}: the image repository has no {target}")
    return image


def _signed(signed: Targets | Snapshot | Timestamp, key: SigningKey, now: datetime, holds: timedelta) -> bytes:
    metadata: Metadata[Any] = Metadata(dated(signed, now, holds))
    metadata.sign(key.signer)
    return metadata.to_bytes(_SERIALIZER)
