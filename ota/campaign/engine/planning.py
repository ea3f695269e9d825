"""Plans for devices: what a device is to run in its place in a campaign, and the way back from there."""

from collections.abc import Mapping

import msgspec

from ota.campaign.conditions import conditions_of
from ota.campaign.rules import Campaign
from ota.campaign.store.devices import Known
from ota.targets import EcuPlan, ImageInfo, Plan


def why_not(campaign: Campaign, info: ImageInfo, known: Known) -> str:
    """Why no plan can be made for a device, in words; nothing where one can."""
    hardware = known.device.ecus.get(campaign.ecu)
    if hardware is None:
        return f"it has no ECU {campaign.ecu}"
    if hardware not in info.hardware:
        return f"its {campaign.ecu} is {hardware}; {campaign.target} is for {', '.join(info.hardware)}"
    unknown = sorted(set(known.device.ecus) - {campaign.ecu} - set(known.device.targets))
    if unknown:
        return f"it is not known what its {', '.join(unknown)} runs, and a plan names every ECU"
    return ""


def plan_of(
    campaign: Campaign, known: Known, last: Plan | None, target: str, at: int, *, is_back: bool = False
) -> Plan:
    """The next plan of a device: this target on the campaign's ECU, everything else as it is.

    is_back: away from a bad release, which waits neither for the window nor for others; for a closed lane it does.
    """
    others = {ecu: EcuPlan(target=path) for ecu, path in known.device.targets.items() if ecu in known.device.ecus}
    if last is not None:
        others.update({ecu: one for ecu, one in last.ecus.items() if ecu in known.device.ecus})
    own = msgspec.structs.replace(others[campaign.ecu], target=target) if campaign.ecu in others else None
    others[campaign.ecu] = own or EcuPlan(target=target)
    number = max(known.plan, last.number if last is not None else 0) + 1
    conditions = conditions_of(campaign, known.device.id, at)
    if is_back:
        soon = {"not_before": at, "window_from_minute": None, "window_to_minute": None}
        conditions = msgspec.structs.replace(conditions, **soon)
    return Plan(device=known.device.id, number=number, ecus=others, conditions=conditions)


def targets_of(plan: Plan, ecus: Mapping[str, str]) -> dict[str, str]:
    """What a device runs that has confirmed this plan."""
    return {ecu: one.target for ecu, one in plan.ecus.items() if ecu in ecus}
