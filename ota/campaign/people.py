"""What people decide of campaigns: each deed is signed with a person's own key, so the second person is a second one.

    {"deed": {"what": "approve", "campaign": "gateway-1.4.2", "digest": "<SHA-256 of the campaign>", "who": "li", ...}}

The signature, Ed25519 over `wayside-campaign-1`, a zero byte and the deed's bytes, stands in the trail beside it.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from ota.campaign.rules import CampaignError
from ota.errors import printable

Verify = Callable[[bytes, bytes], bool]
"""Whether (signature, bytes) is a person's."""
Verb = Literal["new", "approve", "pause", "resume", "next", "halt", "halt-and-revert"]
_CONTEXT = b"wayside-campaign-1\0"


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """Who decides what of which campaign, with what content."""

    what: Verb
    campaign: str
    digest: str
    who: str
    at: int
    reason: str = ""


class SignedDeed(msgspec.Struct, frozen=True, kw_only=True):
    """As it is kept."""

    deed: str
    signature: str


def sign(deed: Deed, with_: Callable[[bytes], bytes]) -> SignedDeed:
    """with_: Ed25519 over these bytes with the person's key."""
    data = msgspec.json.encode(deed)
    return SignedDeed(deed=data.decode(), signature=with_(_CONTEXT + data).hex())


def check(signed: SignedDeed, people: Mapping[str, Verify]) -> Deed:
    """The deed, when the person who it names has signed it.

    Raises `CampaignError`.
    """
    data = signed.deed.encode("utf-8", "surrogatepass")
    try:
        deed = msgspec.json.decode(data, type=Deed)
        signature = bytes.fromhex(signed.signature)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CampaignError(f"signature: a deed that cannot be read: {error}") from error
    verify = people.get(deed.who)
    if verify is None:
        raise CampaignError(
            f"signature: {printable(deed.who)}: nobody of that name may decide here; there are {_names(people)}"
        )
    if not verify(signature, _CONTEXT + data):
        raise CampaignError(f"signature: {deed.campaign}: {deed.what} is not signed with the key of {deed.who}")
    return deed


def _names(people: Mapping[str, object]) -> str:
    return ", ".join(sorted(people)) or "none yet"
