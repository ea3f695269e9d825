"""The fleet that is simulated, and what is wrong with the release.

The figures of the models are assumptions, stated here to be changed: nothing was measured on a fleet.
"""

from typing import Annotated

import msgspec

from ota.campaign.rules import Campaign, CampaignError, Share, Stage

HOUR_S = 3600
DAY_S = 24 * HOUR_S
MIN_FIRST = 100
"""So many devices in the first stage can be judged by numbers: fewer are left to a person."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Devices of one build. Times are means, of exponential distributions."""

    name: str
    share: float
    """Of the fleet."""
    online_s: float
    """Between two offline spells."""
    offline_s: float
    """The length of a spell."""
    away: float = 0.0
    """The share that cannot be reached for days when the campaign begins: in the workshop, laid up, without power."""
    loss: float = 0.01
    """The share of commands, answers and reports that must be sent again."""
    fetch_s: float = 300.0
    fetch_fails: float = 0.02
    """The share of downloads that the agent gives up."""
    background: float = 1.0
    """How often it fails without the release's doing, in relation to the others."""
    starts_a_day: float = 0.1
    records_a_day: float = 20_000.0


MODELS: tuple[Model, ...] = (
    Model(
        name="bus-a", share=0.30, online_s=8 * HOUR_S, offline_s=0.5 * HOUR_S, away=0.03, loss=0.03, fetch_s=600.0,
        fetch_fails=0.05, background=1.2, starts_a_day=0.5,
    ),
    Model(
        name="bus-b", share=0.20, online_s=8 * HOUR_S, offline_s=0.5 * HOUR_S, away=0.03, loss=0.03, fetch_s=600.0,
        fetch_fails=0.05, starts_a_day=0.5,
    ),
    Model(
        name="cabinet", share=0.22, online_s=10 * DAY_S, offline_s=HOUR_S, fetch_s=60.0, fetch_fails=0.005,
        background=0.7,
    ),
    Model(
        name="lane", share=0.10, online_s=20 * DAY_S, offline_s=0.5 * HOUR_S, fetch_s=60.0, fetch_fails=0.005,
        background=0.5,
    ),
    Model(
        name="station", share=0.15, online_s=2 * DAY_S, offline_s=HOUR_S, away=0.02, loss=0.05, fetch_s=1200.0,
        fetch_fails=0.05, background=1.2, records_a_day=288.0,
    ),
    Model(
        name="buoy", share=0.03, online_s=DAY_S, offline_s=HOUR_S, away=0.05, loss=0.1, fetch_s=3600.0,
        fetch_fails=0.1, background=1.5, records_a_day=48.0,
    ),
)  # fmt: skip


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, as shares of the devices that switch to the release."""

    failure_rate: Share = 0.0
    """By the release's doing: it is a bad one above 0."""
    model: str = ""
    """The one model on which it is bad; nothing: all of them."""
    silent: Share = 0.2
    """Of these failures: never heard of again, half of them after they have confirmed."""
    regressed: Share = 0.2
    """Of these failures: confirmed, and worse off than before. All others are rolled back by their trial."""
    background: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.005
    """Without its doing, the mean over all models: power lost in a trial, a medium at its end."""

    def __post_init__(self) -> None:
        """The kinds of failure are shares of a whole."""
        if self.silent + self.regressed > 1:
            raise ValueError("silent and regressed are shares of the failures: together at most 1")


def check_model(name: str, models: tuple[Model, ...]) -> None:
    """Raises `CampaignError` for a model that the fleet does not have."""
    if name and name not in {model.name for model in models}:
        raise CampaignError(f"model: no device is a {name}; there are {', '.join(model.name for model in models)}")


def default_campaign(devices: int) -> Campaign:
    """Stages of 0.1, 1, 5, 25 and 100 %; the first ones are left out where they would have less than 100 devices."""
    stages = [
        Stage(percent=0.1, soak_s=DAY_S),
        Stage(percent=1, soak_s=DAY_S),
        Stage(percent=5, soak_s=12 * HOUR_S),
        Stage(percent=25, soak_s=6 * HOUR_S),
    ]
    wanted = [stage for stage in stages if stage.percent / 100 * devices >= MIN_FIRST]
    return Campaign(
        name="simulated",
        target="simulated/gateway/2.0.0.tar",
        stage=[*wanted, Stage(percent=100, soak_s=2 * HOUR_S)],
    )
