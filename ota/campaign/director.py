"""The Director, online: signs a device's plan when the device asks for it, and keeps nothing.

What it answers is made of the plan, of what is published, and of the quarter of the day alone, and Ed25519 signs the
same bytes alike: two Directors of one database give the same answer, one that was started again gives it again, and
there is no file for each of a hundred thousand devices. The version of the metadata is made of the three, and rises
with each of them.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from ota.campaign.published import Published
from ota.campaign.store.plans import Made
from ota.errors import OtaError
from ota.repository.director import SignedPlan, sign_plan
from ota.repository.keys import SigningKey

QUARTER_S = 6 * 3600
"""An answer is dated to the beginning of its quarter of the day, and holds for a day from there."""
_BITS = 22
"""Of a version, for the quarter, and above it for the repository's version: enough for some thousand years."""
_DEVICE = re.compile("[a-z0-9][a-z0-9_-]{0,63}")
_NAME = re.compile(r"timestamp\.json|(?P<version>[1-9][0-9]{0,30})\.(?P<role>root|snapshot|targets)\.json")
MAX_ANSWERS = 2_000
"""Kept in memory, of some 5 kB each: a device asks for three files in a row."""


class OnlineDirector:
    """plan_of: the newest plan of a device, None where it has none. May be asked by several threads.

    Raises `RefusedError` for a key that is not the Director's.
    """

    def __init__(self, key: SigningKey, published: Published, plan_of: Callable[[str], Made | None]) -> None:
        self._key = key
        self._published = published
        self._plan_of = plan_of
        self._answers: OrderedDict[tuple[str, int], SignedPlan] = OrderedDict()
        self._lock = Lock()
        published.check_director(key.public.keyid)

    def file(self, device: str, name: str, now: float) -> bytes | None:
        """A file of a device's folder, such as `timestamp.json`; None where there is none. Raises `OtaError`."""
        found = _NAME.fullmatch(name)
        if found is None or not _DEVICE.fullmatch(device):
            return None  # a URL may hold what a database takes for no name
        version = int(found["version"] or 0)
        if found["role"] == "root":
            return self._published.director_root(version)
        with self._lock:
            kept = self._answers.get((device, version))
        if kept is not None:  # the device has the timestamp of this one, whatever is planned and published since
            return kept.files.get(name)
        made = self._plan_of(device)
        quarter = int(now) // QUARTER_S
        asked = version & ((1 << _BITS) - 1) if version else quarter
        if made is None or asked not in (quarter, quarter - 1):  # asked for just after a quarter ended
            return None
        with self._lock:
            return self._answer(made, asked).files.get(name)

    def _answer(self, made: Made, quarter: int) -> SignedPlan:
        images = self._published.newest()
        version = (((made.plan.number << _BITS) + images.version) << _BITS) + quarter
        key = made.plan.device, version
        if key not in self._answers:
            now = datetime.fromtimestamp(quarter * QUARTER_S, UTC)
            self._answers[key] = sign_plan(made.plan, images.listed, self._key, version=version, now=now)
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        return self._answers[key]


Start = Callable[[str, list[tuple[str, str]]], Any]
"""WSGI's `start_response` (PEP 3333)."""


def application(
    director: OnlineDirector, clock: Callable[[], float], say: Callable[[str], None]
) -> Callable[[dict[str, Any], Start], list[bytes]]:
    """`GET /director/{device}/{file}` as a WSGI application (PEP 3333), for any server that runs one."""

    def answer(environ: dict[str, Any], start: Start) -> list[bytes]:
        parts = str(environ.get("PATH_INFO", "")).split("/")
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _plain(start, "405 Method Not Allowed")
        if len(parts) != 4 or parts[:2] != ["", "director"]:
            return _plain(start, "404 Not Found")
        try:
            data = director.file(parts[2], parts[3], clock())
        except OtaError as error:
            say(f"director: {parts[2][:64]!r}: {error}")
            return _plain(start, "503 Service Unavailable")
        if data is None:
            return _plain(start, "404 Not Found")
        length = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        start("200 OK", [*length, ("Cache-Control", "no-cache")])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [data]

    return answer


def _plain(start: Start, status: str) -> list[bytes]:
    data = f"{status}\n".encode()
    start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
    return [data]
