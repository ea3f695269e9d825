"""What an operator writes down of a campaign: one TOML file, checked before anything is planned.

name = "gateway-1.4.2"
target = "rsu/gateway/1.4.2.tar"
where = ["model=rsu-a,rsu-b", "region=north"]

[[stage]]
percent = 1            # of the devices that are meant, with those of the stages before
soak_s = 86400         # how long a device is watched after it has confirmed

[[stage]]
percent = 100

[gate]
tolerated = 0.01       # this share of failures a good release may have
on_failure = "halt-and-revert"
"""

import tomllib
from typing import Annotated, Literal

import msgspec

from ota.campaign.mistakes import Words
from ota.errors import OtaError, Rule, printable
from ota.targets import Path, Word

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400)]
Minute = Annotated[int, msgspec.Meta(ge=0, lt=1440)]
Percent = Annotated[float, msgspec.Meta(gt=0, le=100)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
Term = Annotated[str, msgspec.Meta(min_length=3, max_length=500)]
OnFailure = Literal["pause", "halt", "halt-and-revert"]
MAX_FILE_BYTES = 16 * 1024
_WORDS = Words(
    {
        Name: "1 to 64 of a-z 0-9 . _ -, a letter or digit first",
        Clock: "a time of the day, such as 01:30",
        Path: "the path of a release, such as rsu/gateway/1.4.2.tar",
        Word: "1 to 64 of A-Z a-z 0-9 . _ + -, a letter or digit first",
    }
)


class CampaignError(OtaError):
    """A campaign that cannot be as it is asked for. Its text is one line, with the place in front."""


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of the way to everybody."""

    percent: Percent
    """Of the devices that are meant, those of the stages before counted in."""
    soak_s: Seconds = 3600
    """A device counts as good when nothing is wrong with it this long after it has confirmed."""
    patience_s: Seconds = 7 * 86_400
    """A stage that has not come to its end by then is paused, and a person is asked."""

    def __post_init__(self) -> None:
        """It can come to its end in time."""
        if self.patience_s <= self.soak_s:
            raise ValueError(
                f"patience_s {self.patience_s} must be longer than soak_s {self.soak_s}: it could only end as a pause"
            )


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is held against every count of failures, and before each next stage."""

    tolerated: Share = 0.01
    """The share of failures that a good release may have in this fleet."""
    confidence: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.99999
    """One-sided, of the Wilson bound: it is looked at after each report, so it must err rarely at each look."""
    min_sample: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20
    """Below so many devices that have come to an end a share says nothing."""
    min_failures: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 5
    """Below so many failures it is chance: the Wilson bound is too bold for two of twenty."""
    min_success: Share = 0.95
    """Of the devices of a stage that came to an end, for the next one to begin by itself."""
    min_done: Share = 0.9
    """Of the devices of a stage that were reached, those that must have come to an end."""
    silent_after_s: Seconds = 6 * 3600
    """A device that took its plan and was not heard of for so long is a failure."""
    on_failure: OnFailure = "halt-and-revert"


class Health(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes a failure of a device that has confirmed, held against what it was before."""

    restarts_more_a_day: Annotated[float, msgspec.Meta(ge=0)] = 3.0
    min_rate: Share = 0.7
    """Of the records that it made a day."""
    after_s: Annotated[int, msgspec.Meta(ge=60)] = 1800
    """A shorter time than this after the confirmation says nothing of a rate."""


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """When slots are switched, by each device's own local time, `"01:30"`."""

    from_: Clock
    to: Clock

    def __post_init__(self) -> None:
        """It is open at some time."""
        if self.from_ == self.to:
            raise ValueError(f"a window from {self.from_} to {self.to} never opens; leave it out for the whole day")


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a device may take what it is given."""

    window: Window | None = None
    jitter_s: Seconds = 900
    """Devices begin spread over this time: a fleet must not stampede."""
    deadline_s: Seconds = 0
    """After this it is taken without waiting for the window; 0: never."""
    is_metered_allowed: bool = False
    max_bytes_per_s: Annotated[int, msgspec.Meta(ge=1024, le=1 << 30)] | None = None
    local: Annotated[list[Word], msgspec.Meta(max_length=16)] = []
    """`speed-zero`, `lane-closed`, `battery-above-50`, `tide-high`: judged by the device."""


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one kind of failure is tried again before it counts."""

    attempts: Annotated[int, msgspec.Meta(ge=0, le=100)]
    first_s: Annotated[int, msgspec.Meta(ge=1)] = 900
    longest_s: Annotated[int, msgspec.Meta(ge=1)] = 86_400


class Campaign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    name: Name
    target: Path
    """The release, by its path in the image repository."""
    stage: Annotated[list[Stage], msgspec.Meta(min_length=1, max_length=32)]
    ecu: Word = "main"
    where: Annotated[list[Term], msgspec.Meta(max_length=32)] = []
    """All must hold; see `ota.campaign.selection`."""
    gate: Gate = Gate()
    health: Health = Health()
    when: When = When()
    retry: dict[Word, Retry] = {}
    """By rule (`ota.errors.Rule`); what is not named has its default (`ota.campaign.retry`)."""
    approvals: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    """By how many people beside its author."""
    takes_late_joiners: bool = True
    may_begin_at: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)] = 0
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        """Stages rise to 100 %; what is tried again is something that fails, with pauses that grow."""
        shares = [stage.percent for stage in self.stage]
        if shares != sorted(set(shares)):
            raise ValueError("stages must rise: each percent counts the stages before it in")
        if shares[-1] != 100:
            raise ValueError(f"the last stage is at {shares[-1]:g} percent: the last one has 100")
        known = {rule.value for rule in Rule}
        for rule, retry in self.retry.items():
            if rule not in known:
                raise ValueError(f"retry: nothing fails by the rule {rule}; there are {', '.join(sorted(known))}")
            if retry.longest_s < retry.first_s:
                raise ValueError(f"retry.{rule}: longest_s {retry.longest_s} is below first_s: pauses grow")


def read_campaign(data: bytes, what: str) -> Campaign:
    """A campaign out of TOML. Raises `CampaignError`. what: the file, for the error."""
    if len(data) > MAX_FILE_BYTES:
        raise CampaignError(f"{what}: a campaign has at most {MAX_FILE_BYTES} bytes")
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # not its own error alone: an integer may have too many digits
        raise CampaignError(f"{what}: not TOML: {printable(str(error))}") from error
    try:
        return msgspec.convert(document, Campaign)
    except (msgspec.ValidationError, OverflowError) as error:
        raise CampaignError(f"{what}: {_WORDS.of(error)}") from error
