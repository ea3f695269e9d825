"""`account.json`: how this device stands with its updates, for the gateway, which passes it on unread.

One object of JSON in the folder of `data`, 16 KB at most, replaced in one step, and only where it would say something
else. The device itself believes nothing of it; where the file is lost the next run writes it anew.
"""

from typing import Any

import msgspec

from ota.agent.account import Account
from ota.errors import StorageError
from ota.storage import Storage, replace

ACCOUNT = "account.json"
MAX_BYTES = 16 * 1024
_MAX_TEXT = 500
_FIRST_TO_GO = ("quarantine", "floors")
"""Left out, in this order, where they would not fit: the report and the device itself have them."""


def write_account(storage: Storage, account: Account) -> None:
    """Raises `StorageError`."""
    data = encoded(account)
    try:
        has = storage.read(ACCOUNT, 0, MAX_BYTES + 1)
    except StorageError:
        has = b""
    if data != has:
        replace(storage, ACCOUNT, data)


def encoded(account: Account) -> bytes:
    """The file."""
    told = _told(account)
    data = msgspec.json.encode(told)
    for name in _FIRST_TO_GO:
        if len(data) > MAX_BYTES:
            del told[name]
            data = msgspec.json.encode(told)
    return data


def _told(account: Account) -> dict[str, Any]:
    """`attempt` and what follows it are of one attempt; a plan that asked for what ran already made none."""
    attempt = account.attempt
    return {
        "device": account.device,
        "state": account.state,
        "slots": msgspec.to_builtins(account.slots),
        "attempt": attempt,
        "plan": int(attempt) if attempt.isdecimal() else 0,
        "outcome": account.outcome.replace(" ", "-"),
        "rule": account.rule,
        "reason": account.reason[:_MAX_TEXT],
        "waits_for": account.seen.waits_for[:_MAX_TEXT],
        "refusal": account.seen.refusal[:_MAX_TEXT],
        "refusal_rule": account.seen.rule,
        "has_taken": account.plan,
        "floors": account.floors,
        "quarantine": account.quarantine,
    }
