"""A pushed configuration that lies elsewhere: fetched, tried again, given up, and out of date."""

import asyncio

import pytest

from edge.gateway import desired
from edge.gateway.fetch import FetchError
from edge.tests.test_desired import KEY, Box, box, broker_of, document
from protocols.wayside.envelope import Desired, build_envelope

__all__ = ["box"]  # a fixture, found by its name


class Web:
    """What the gateway would fetch; the pauses between tries are none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[bytes | str] = []
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        monkeypatch.setattr(desired, "fetch_document", self.fetch)
        monkeypatch.setattr(desired, "PAUSES_S", (0.0, 0.0, 0.0))

    async def fetch(self, url: str, sha256: str, *_config: object) -> bytes:
        self.asked.append(url)
        await self.gate.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            raise FetchError(answer)
        return answer


def push_url(box: Box, version: int, url: str = "https://web/79.toml") -> None:
    message = Desired(v=1, node="rsu-1", version=version, issued=1_795_415_333_000, url=url, sha256="0" * 64)
    box.desired.receive(build_envelope("desired", message, key_id="ops-1", sign=KEY.sign))


async def ended(box: Box) -> None:
    """What is being fetched is there, or given up."""
    await asyncio.gather(box.desired._fetching, return_exceptions=True)
    await box.settle()


async def test_a_document_that_lies_elsewhere_is_fetched_and_put_to_work(box, monkeypatch):
    web = Web(monkeypatch)
    web.answers = ["the server says 503", document("b").encode()]
    push_url(box, 5)
    await ended(box)
    assert (broker_of(box.config), box.history.state.version, web.asked) == ("b", 5, ["https://web/79.toml"] * 2)
    assert box.audited[-1]["version"] == 5


async def test_one_that_cannot_be_fetched_is_refused_and_may_be_pushed_again(box, monkeypatch):
    web = Web(monkeypatch)
    web.answers = ["the server says 404"] * 3
    push_url(box, 5)
    await ended(box)
    state = box.history.state
    assert (state.outcome, state.version, "404" in state.reason, box.applied) == ("refused", 0, True, [])
    assert box.reported == 1
    web.answers = [document("b").encode()]
    push_url(box, 5)
    await ended(box)
    assert (broker_of(box.config), box.history.state.version) == ("b", 5)


async def test_a_newer_one_ends_the_fetching_of_an_older_and_so_does_the_end(box, monkeypatch):
    web = Web(monkeypatch)
    web.gate.clear()
    push_url(box, 5)
    await asyncio.sleep(0)
    first = box.desired._fetching
    push_url(box, 6, "https://web/80.toml")
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    await box.desired.aclose()
    assert box.desired._fetching.cancelled()
    assert box.applied == []
