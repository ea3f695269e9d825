"""Who is meant by a campaign, and who comes first.

A term is `property=value`, `property=value,other*` (any of them, `*` and `?` as in file names) or `property!=value`;
all terms of a campaign must hold. Properties are `id`, `model`, `hardware`, `version`, `target` and the fleet's own
labels, such as `region`.

The order is a hash of the campaign's name and the device's id: the same on each machine and after each restart, evenly
spread, and another one in the next campaign, so that it is not always the same boxes that go ahead.
"""

import hashlib
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from ota.campaign.rules import Campaign, CampaignError
from ota.targets import Path, Sha256, Word

OWN_PROPERTIES = ("id", "model", "hardware", "version", "target")
_SCALE = float(1 << 53)


class FleetDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device as the operator's side knows it."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
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
                raise CampaignError(f"where: no device has a property {name}; there are {there_are}")

    def means(self, device: FleetDevice) -> bool:
        """Whether each term holds."""
        return all(
            any(fnmatchcase(device.value_of(name), value) for value in values) is is_wanted
            for name, values, is_wanted in self._terms
        )


def _parse(term: str) -> tuple[str, list[str], bool]:
    name, equals, values = term.partition("=")
    is_wanted = not name.endswith("!")
    name = name.removesuffix("!").strip()
    wanted = [value.strip() for value in values.split(",")]
    if not equals or not name or not all(wanted):
        raise CampaignError(f'where: "{term}" is not property=value, property=value,value or property!=value')
    return name, wanted, is_wanted


def place(campaign: str, device: str) -> float:
    """Where a device stands in the order of a campaign: from 0, the first, to below 1."""
    digest = hashlib.sha256(f"{campaign}\0{device}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / _SCALE


def stage_of(campaign: Campaign, device: str) -> int:
    """The stage that a device belongs to by its place."""
    percent = 100 * place(campaign.name, device)
    return next(index for index, stage in enumerate(campaign.stage) if percent < stage.percent)


def stage_of_late_joiner(campaign: Campaign, device: str, running: int) -> int:
    """The stage of a device that came when stage `running` had begun: a stage that is over takes it, where one is.

    A stage that runs is not disturbed in its counts by who comes late: what the stages before it have proven is good
    enough for one more. In the first stage there is nothing proven yet, and it waits for its own turn.
    """
    own = stage_of(campaign, device)
    return own if own > running or running == 0 else running - 1
