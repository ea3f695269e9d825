"""When a device may switch: what a plan says of it."""

from ota.campaign.rules import Campaign, When, Window
from ota.campaign.selection import place
from ota.targets import Conditions

_DAY_MINUTES = 24 * 60


def conditions_of(campaign: Campaign, device: str, told_at: int) -> Conditions:
    """For a device that is told at this time, in seconds since 1970.

    The jitter is the device's own and always the same: told again, it does not begin later. Its window opens later by
    as much: else all that were told by day would switch in the same minute of the night.
    """
    when = campaign.when
    share = place(f"{campaign.name} jitter", device)
    start, end = window_minutes(when)
    if start is not None and end is not None:
        longest = min(when.jitter_s // 60, (end - start) % _DAY_MINUTES // 2)
        start = (start + int(longest * share)) % _DAY_MINUTES
    return Conditions(
        not_before=told_at + int(when.jitter_s * share),
        deadline=told_at + when.deadline_s if when.deadline_s else 0,
        window_from_minute=start,
        window_to_minute=end,
        is_metered_allowed=when.is_metered_allowed,
        max_bytes_per_s=when.max_bytes_per_s,
        local=list(when.local),
    )


def longest_wait_s(when: When) -> int:
    """How long a well device may do nothing because of what it was told: it is not silent or stuck in this time."""
    return when.jitter_s + (86_400 if when.window is not None else 0)


def window_minutes(when: When) -> tuple[int | None, int | None]:
    """Local minutes of the day, from and to."""
    window: Window | None = when.window
    return (None, None) if window is None else (_minutes(window.from_), _minutes(window.to))


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
