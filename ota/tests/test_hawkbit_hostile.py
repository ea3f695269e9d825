"""A server, or somebody in its place, that says anything at all: refused in a line, bounded, and no slot is nearer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ota.errors import OtaError, RefusedError, Rule
from ota.hawkbit.dialogue import CancelAnswer, Dialogue
from ota.hawkbit.events import (
    NEED_DATA,
    Ask,
    Assigned,
    CancelAsked,
    ConfirmationAsked,
    Event,
    NeedData,
    Reply,
    Request,
    Told,
)
from ota.hawkbit.feedback import MAX_DETAILS, Channel, Execution, Feedback, Finished, encode_feedback, way
from ota.hawkbit.memory import MAX_OWED, MAX_RESULTS, Memory
from ota.hawkbit.outbox import SecondResultError
from ota.hawkbit.resources import (
    MAX_BODY_BYTES,
    MAX_CHUNKS,
    decode_base,
    decode_cancel,
    decode_confirmation,
    decode_deployment,
    seconds_of,
)
from ota.tests.hawkbit_exchanges import cancellation, confirmation, deployment, module, polled

DECODERS: dict[str, tuple[Callable[[bytes], Any], Any]] = {
    "base": (decode_base, polled(deployment="7?c=1", wants=True)),
    "deployment": (lambda data: decode_deployment(data, "7"), deployment(window="available", metadata={"a": "b"})),
    "confirmation": (lambda data: decode_confirmation(data, "7"), confirmation()),
    "cancel": (lambda data: decode_cancel(data, "7"), cancellation()),
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def refusal(decode: Callable[[bytes], Any], data: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return caught.value


def said_of(decode: Callable[[bytes], Any], data: bytes) -> str:
    """Why it is refused, if it is; no other error comes out."""
    try:
        decode(data)
    except OtaError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    assert "\n" not in said_of(DECODERS[name][0], data)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [at]
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        found += paths(each, (*at, key))
    return found


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(copy[at[0]], at[1:], new)
    return copy


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
def test_any_value_at_any_place_is_read_or_refused(name: str, data: st.DataObject) -> None:
    decode, document = DECODERS[name]
    place = data.draw(st.sampled_from(paths(document)))
    spoiled = json.dumps(replaced(document, place, data.draw(ANY_JSON))).encode()
    assert "\n" not in said_of(decode, spoiled)


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_too_long_or_nested_too_deep_is_refused(name: str) -> None:
    decode = DECODERS[name][0]
    assert refusal(decode, b" " * (MAX_BODY_BYTES + 1)).rule is Rule.LENGTH
    for deep in (b"[" * 500_000, b'{"x":' * 100_000, b'{"_links":' + b"[" * 100_000):
        assert refusal(decode, deep).rule is Rule.FORMAT


@pytest.mark.parametrize(
    "spoiled",
    [
        {"id": "7", "deployment": {**deployment()["deployment"], "chunks": [module()] * (MAX_CHUNKS + 1)}},
        {"id": "7\n8", "deployment": deployment()["deployment"]},
        {"id": "../7", "deployment": deployment()["deployment"]},
        {"id": 7, "deployment": deployment()["deployment"]},
        deployment(download="at once"),
        deployment(window="ajar"),
        deployment(name="x" * 600),
        {"id": "7", "deployment": {"download": "forced", "update": "forced"}},
    ],
)
def test_what_is_no_deployment_is_refused(spoiled: Any) -> None:
    assert refusal(DECODERS["deployment"][0], json.dumps(spoiled).encode()).rule is Rule.FORMAT


@pytest.mark.parametrize(
    "href",
    ["", "7", "http://[", "/deploymentBase/7x", "/cancelAction/7", "/deploymentBase/" + "7" * 20, "/7", "x" * 3_000],
)
def test_a_link_that_names_no_action_is_refused(href: str) -> None:
    body = json.dumps({"_links": {"deploymentBase": {"href": href}}}).encode()
    assert refusal(decode_base, body).rule is Rule.FORMAT


@given(st.text())
def test_a_time_between_polls_is_a_number_of_seconds_or_none(text: str) -> None:
    seconds = seconds_of(text)
    assert seconds is None or seconds >= 0


@given(
    st.tuples(st.text(max_size=3_000), st.text()),
    st.integers(-(1 << 31), (1 << 31) - 1) | st.none(),
    st.sampled_from(Execution),
)
def test_any_reason_becomes_a_body_of_bounded_size(
    details: tuple[str, ...], code: int | None, execution: Execution
) -> None:
    body = encode_feedback(way("7", execution, code=code, details=details * 20))
    said = json.loads(body)["status"]
    assert len(said.get("details", [])) <= MAX_DETAILS
    assert len(body) < 20_000
    assert said.get("code") == code


# A dialogue with a server that says anything ---------------------------------------------------------------------


class Peer:
    """Any answers, and what this side may say between them. What must always hold is looked at after each step."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.now = 0.0
        self.dialogue = Dialogue(Memory(), {"a": "b"}, uniform=lambda _low, high: high)
        self.results: dict[str, Finished] = {}
        self.opened: set[str] = set()

    def body(self, ask: Ask) -> bytes:
        action = self.data.draw(st.sampled_from(["7", "8", "9"]))
        link = self.data.draw(st.sampled_from(["deployment", "cancel", "confirmation", "wants", "none"]))
        documents: dict[Ask, Any] = {
            Ask.POLL: polled() if link == "none" else polled(**{link: True if link == "wants" else action}),
            Ask.DEPLOYMENT: deployment(action),
            Ask.CONFIRMATION: confirmation(action),
            Ask.CANCEL: cancellation(action),
        }
        is_right = self.data.draw(st.integers(0, 4))
        return json.dumps(documents.get(ask, "")).encode() if is_right else self.data.draw(st.binary(max_size=20))

    def answer(self, request: Request) -> None:
        if self.data.draw(st.integers(0, 5)) == 0:
            self.dialogue.lost("the line dropped", self.now)
            return
        status = self.data.draw(st.sampled_from([200] * 8 + [302, 400, 401, 403, 404, 410, 429, 500, 503]))
        wait = self.data.draw(st.none() | st.floats(allow_nan=False))
        self.dialogue.receive(Reply(status, self.body(request.ask), wait), self.now)

    def learn(self, event: Event) -> None:
        if isinstance(event, Assigned):
            assert event.assignment.action not in self.results, "nothing is done twice"
            self.opened.add(event.assignment.action)
        elif isinstance(event, Told) and event.feedback.channel is Channel.DEPLOYMENT and event.feedback.is_final:
            assert self.results[event.feedback.action] is event.feedback.finished, "one result, and no other"
        elif isinstance(event, CancelAsked):
            assert self.dialogue.answer_cancel(event.action, self.data.draw(st.sampled_from(CancelAnswer)))
        elif isinstance(event, ConfirmationAsked):
            self.dialogue.confirm(event.assignment.action, is_confirmed=self.data.draw(st.booleans()))

    def work(self) -> None:
        action = self.dialogue.memory.action
        if not action:
            return
        assert action in self.opened
        execution = self.data.draw(st.sampled_from(Execution))
        finished = self.data.draw(st.sampled_from([Finished.SUCCESS, Finished.FAILURE]))
        feedback = way(action, execution, finished=finished if execution is Execution.CLOSED else Finished.NONE)
        if self.dialogue.report(feedback) and feedback.is_final:
            self.results[action] = finished

    def look(self) -> None:
        memory = self.dialogue.memory
        assert len(memory.owed) <= MAX_OWED
        assert len(memory.results) <= MAX_RESULTS
        for action, finished in self.results.items():
            known = memory.result_of(Channel.DEPLOYMENT, action)
            assert known is None or known.finished is finished
            other = Finished.FAILURE if finished is Finished.SUCCESS else Finished.SUCCESS
            with pytest.raises(SecondResultError):
                self.dialogue.report(way(action, Execution.CLOSED, finished=other))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_a_server_says_an_action_has_one_result_and_every_wait_ends(data: st.DataObject) -> None:
    peer = Peer(data)
    for _ in range(data.draw(st.integers(1, 60))):
        request = peer.dialogue.next_request(peer.now)
        if request is not None:
            peer.answer(request)
        else:
            at = peer.dialogue.next_deadline()
            assert at is not None
            assert peer.now < at <= peer.now + 7 * 86_400
            peer.now = at
        while not isinstance(event := peer.dialogue.next_event(), NeedData):
            peer.learn(event)
        peer.work()
        peer.look()
    assert peer.dialogue.next_event() == NEED_DATA


def test_a_server_that_takes_no_answer_and_opens_ever_more_fills_no_disk() -> None:
    memory = Memory()
    for number in range(100):
        closed = Feedback(channel=Channel.DEPLOYMENT, action=str(number), execution=Execution.CLOSED)
        memory = memory.begun(str(number)).ended().with_result(closed)
    assert len(memory.owed) == MAX_OWED
    assert memory.owed[-1].action == "99"
