"""Who is meant by a campaign, and who comes first.

A term is `property=value`, `property=value,other*` (any of them; `*` is any letters, `?` is any one) or
`property!=value` (none of them); all terms of a campaign must hold. Properties are `id`, `model`, `version`, `hardware`
and `target` of the main ECU, and the fleet's own labels, such as `region`. What a device does not have equals nothing:
`region!=north` means the devices without a region too, `region=*` those that have one, `region!=*` those that do not.

The order is a hash of the campaign's name and the device's id: the same on each machine and after each restart, evenly
spread, and another one in the next campaign, so that it is not always the same boxes that go ahead.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from ota.campaign.rules import Campaign, CampaignError
from ota.errors import printable
from ota.targets import Path, Sha256, Word

OWN_PROPERTIES = ("id", "model", "hardware", "version", "target")
_SCALE = float(1 << 53)


DeviceId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]


class FleetDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device as the operator's side knows it."""

    id: DeviceId
    """As it is called on the broker and in its plans."""
    model: Word
    """What is judged together: devices of one build."""
    ecus: Annotated[dict[Word, Word], msgspec.Meta(min_length=1, max_length=64)]
    """Hardware id by ECU, all of them."""
    labels: dict[Word, Annotated[str, msgspec.Meta(max_length=200)]] = {}
    targets: dict[Word, Path] = {}
    """The image that each ECU is known to run."""
    version: str = ""
    """Of the image on its main ECU."""
    sha256: Sha256 | None = None

    def value_of(self, name: str) -> str:
        """Nothing where the device has none of that name."""
        if name in ("id", "model", "version"):
            value = getattr(self, name)
            assert isinstance(value, str)
            return value
        if name in ("hardware", "target"):
            return (self.ecus if name == "hardware" else self.targets).get("main", "")
        return self.labels.get(name, "")


class Filter:
    """The terms of a campaign, ready to be held against devices."""

    def __init__(self, terms: Sequence[str], known: Collection[str]) -> None:
        """known: labels that the fleet has. Raises `CampaignError` for a property that it does not have."""
        self._terms = [_parse(term) for term in terms]
        for name, _values, _is_wanted in self._terms:
            if name not in OWN_PROPERTIES and name not in known:
                there_are = ", ".join((*OWN_PROPERTIES, *sorted(known)))
                raise CampaignError(f"where: no device has a property {printable(name)}; there are {there_are}")

    def means(self, device: FleetDevice) -> bool:
        """Whether each term holds."""
        return all(_is_any_of(device.value_of(name), values) is is_wanted for name, values, is_wanted in self._terms)


def _is_any_of(value: str, wanted: list[str]) -> bool:
    return bool(value) and any(fnmatchcase(value, each) for each in wanted)


def _parse(term: str) -> tuple[str, list[str], bool]:
    name, equals, values = term.partition("=")
    is_wanted = not name.endswith("!")
    name = name.removesuffix("!").strip()
    wanted = [value.strip() for value in values.split(",")]
    if not equals or not name or not all(wanted):
        said = printable(term)
        raise CampaignError(f'where: "{said}" is not property=value, property=value,value or property!=value')
    return name, [value.replace("[", "[[]") for value in wanted], is_wanted  # `[` is a letter here


def place(campaign: str, device: str) -> float:
    """Where a device stands in the order of a campaign: from 0, the first, to below 1."""
    digest = hashlib.sha256(f"{campaign}\0{device}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / _SCALE


def stage_of(campaign: Campaign, device: str) -> int:
    """The stage that a device belongs to by its place."""
    percent = 100 * place(campaign.name, device)
    return next(index for index, stage in enumerate(campaign.stage) if percent < stage.percent)


def stages_of(campaign: Campaign, devices: Iterable[str]) -> dict[str, int]:
    """The stage of each device by its place, in their order.

    Where a stage has nobody, as the first one of a small fleet, the first of those behind it comes forward: else ten
    buoys would all be told at once.
    """
    in_order = sorted(devices, key=lambda device: place(campaign.name, device))
    stages = {device: stage_of(campaign, device) for device in in_order}
    least = 0
    for device, own in stages.items():
        stages[device] = min(own, least)
        least = max(least, stages[device] + 1)
    return stages


def stage_of_late_joiner(campaign: Campaign, device: str, running: int) -> int:
    """The stage of a device that came when stage `running` had begun: a stage that is over takes it, where one is.

    A stage that runs is not disturbed in its counts by who comes late: what the stages before it have proven is good
    enough for one more. In the first stage nothing is proven yet, and it waits for the second one, where there is one.
    """
    own = stage_of(campaign, device)
    if own > running:
        return own
    return running - 1 if running else min(1, len(campaign.stage) - 1)
