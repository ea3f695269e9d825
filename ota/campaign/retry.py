"""Which failures are tried again, and when.

What the surroundings did (a network, a full disk, a budget of bytes) is tried again with growing pauses before it
counts; what the release did counts at once: a second try on a device that it has harmed would harm it twice.
"""

from collections.abc import Mapping

from ota.campaign.rules import Retry
from ota.errors import Rule

DEFAULTS: Mapping[str, Retry] = {
    Rule.NETWORK.value: Retry(attempts=8, first_s=900, longest_s=86_400),
    Rule.BUDGET.value: Retry(attempts=8, first_s=43_200, longest_s=86_400),
    Rule.SPACE.value: Retry(attempts=3, first_s=3_600, longest_s=86_400),
    Rule.STORAGE.value: Retry(attempts=2, first_s=3_600, longest_s=86_400),
    Rule.CONDITION.value: Retry(attempts=8, first_s=3_600, longest_s=86_400),
    Rule.EXPIRY.value: Retry(attempts=3, first_s=900, longest_s=86_400),
}
_NEVER = Retry(attempts=0)


def next_try_s(rule: str, tries: int, own: Mapping[str, Retry]) -> int | None:
    """Seconds to the next try of a device that has failed by this rule; None: it counts.

    tries: how many it has had already, whatever they failed for: a device that fails each time for something else
    comes to an end too.
    """
    retry = own.get(rule) or DEFAULTS.get(rule, _NEVER)
    if tries > retry.attempts:
        return None
    return min(retry.longest_s, retry.first_s << min(tries - 1, 40))
