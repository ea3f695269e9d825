"""A dialogue over HTTP, with its memory on the disk: one round of questions and answers, as often as somebody likes.

Whoever polls calls `round` when `wait_s` is over, and tells of its work by `report`, `confirm` and `answer_cancel`:
what they are given is on the disk when they return, and goes out with the next round.
"""

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from ota.errors import RefusedError
from ota.hawkbit.assignment import Assignment
from ota.hawkbit.config import HawkbitConfig, read_authorization
from ota.hawkbit.dialogue import CancelAnswer, Dialogue
from ota.hawkbit.events import Event, NeedData, Reply, Request
from ota.hawkbit.feedback import Feedback
from ota.hawkbit.memory import Memory, read_memory, write_memory
from ota.hawkbit.resources import MAX_BODY_BYTES
from ota.storage import Storage
from ota.trust.web import Answer, Call, Web, WebSettings

MAX_REQUESTS = 32
"""Of one round: what a server still points to after so many waits for the next."""
_JSON = "application/json"
_READS = f"application/hal+json, {_JSON};q=0.9"
"""HAL has the links under `_links`; what a server calls plain JSON may have them elsewhere."""


class HawkbitClient:
    """One for the life of a process. Raises `ConfigError` and `StorageError`."""

    def __init__(
        self,
        config: HawkbitConfig,
        storage: Storage,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
        uniform: Callable[[float, float], float] = random.uniform,
        first_poll_s: float = 0.0,
    ) -> None:
        self._config = config
        self._storage = storage
        self._monotonic = monotonic
        self._wall_s = wall_s
        self._kept, self.was_damaged = read_memory(storage)
        """What the disk has. `was_damaged`: what it had did not hold, and is forgotten."""
        self._dialogue = Dialogue(
            self._kept,
            config.attributes,
            mode=config.attributes_mode,
            uniform=uniform,
            poll_s=config.poll_s,
            now=monotonic(),
            first_poll_s=first_poll_s,
        )
        read_authorization(config)  # now, and not in the first night

    @property
    def assignment(self) -> Assignment | None:
        """See `Dialogue.assignment`."""
        return self._dialogue.assignment

    @property
    def memory(self) -> Memory:
        """What is open and what is owed."""
        return self._dialogue.memory

    @property
    def wait_s(self) -> float:
        """Until the next round has something to do."""
        at = self._dialogue.next_deadline()
        return 0.0 if at is None else max(0.0, at - self._monotonic())

    def round(self) -> list[Event]:
        """Ask and tell all that is due now; what was learnt. Raises `ConfigError`, `StorageError`."""
        settings = WebSettings(
            ca_file=self._config.path(self._config.ca_file) if self._config.ca_file else None, proxy=self._config.proxy
        )
        web = Web(settings, monotonic=self._monotonic)
        headers = {"Authorization": read_authorization(self._config), "Accept": _READS}
        events: list[Event] = []
        try:
            for _ in range(MAX_REQUESTS):
                self._keep()  # what could not be kept when it was said
                request = self._dialogue.next_request(self._monotonic())
                if request is None:
                    break
                self._exchange(web, request, headers)
                self._keep()
                while not isinstance(event := self._dialogue.next_event(), NeedData):
                    events.append(event)
        finally:
            web.close()
        return events

    def report(self, feedback: Feedback) -> bool:
        """See `Outbox.report`."""
        is_told = self._dialogue.report(feedback)
        self._keep()
        return is_told

    def follow(self, plan: int) -> None:
        """See `Dialogue.follow`."""
        self._dialogue.follow(plan)
        self._keep()

    def confirm(self, action: str, *, is_confirmed: bool, details: tuple[str, ...] = ()) -> None:
        """See `Dialogue.confirm`."""
        self._dialogue.confirm(action, is_confirmed=is_confirmed, details=details)
        self._keep()

    def answer_cancel(self, action: str, answer: CancelAnswer, reason: str = "") -> bool:
        """See `Dialogue.answer_cancel`."""
        is_answer = self._dialogue.answer_cancel(action, answer, reason, int(self._wall_s()))
        self._keep()
        return is_answer

    def _exchange(self, web: Web, request: Request, headers: dict[str, str]) -> None:
        if request.body is not None:
            headers = {**headers, "Content-Type": _JSON}
        url = self._config.base_url + request.path
        try:
            answer = web.answer(url, Call(request.method, headers, request.body), MAX_BODY_BYTES)
        except RefusedError as error:
            self._dialogue.lost(str(error), self._monotonic())
        else:
            reply = Reply(answer.status, answer.body, self._retry_after_s(answer))
            self._dialogue.receive(reply, self._monotonic())

    def _retry_after_s(self, answer: Answer) -> float | None:
        """`Retry-After`: seconds, or a date (RFC 9110, 10.2.3)."""
        said = (answer.headers.get("Retry-After") or "").strip()
        if said.isascii() and said.isdigit():
            return float(said[:9])
        try:
            return parsedate_to_datetime(said).timestamp() - self._wall_s()
        except (ValueError, TypeError, OverflowError):
            return None

    def _keep(self) -> None:
        """On the disk before anything rests on it. A disk that refuses ends the round: what it holds is told again."""
        memory = self._dialogue.memory
        if memory is not self._kept:
            write_memory(self._storage, memory)
            self._kept = memory
