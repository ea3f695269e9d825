"""Calls of an interface over HTTP: any answer is one, none is one refusal, and a secret goes to one server only."""

import pytest

from ota.errors import RefusedError, Rule
from ota.tests.test_trust_web import OK, scripted
from ota.trust.web import Answer, Call, Web

SECRET = Call("POST", {"Authorization": "TargetToken secret"}, b'{"a": 1}')
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def asked_once(answer: bytes | None, call: Call = SECRET, limit: int = 100) -> tuple[Answer, bytes]:
    with scripted(answer) as (host, asked):
        web = Web()
        try:
            said = web.answer(f"http://{host}/a?b=1", call, limit)
        finally:
            web.close()
    return said, asked[0]


def refused(answer: bytes | None, rule: Rule, limit: int = 100) -> str:
    with pytest.raises(RefusedError) as caught:
        asked_once(answer, Call("GET", SECRET.headers), limit)
    assert caught.value.rule is rule
    assert "secret" not in str(caught.value)
    return caught.value.reason


def test_a_call_says_what_it_is_given_and_any_status_is_an_answer() -> None:
    answer, asked = asked_once(b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno")
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (429, b"no", "7")
    head, _, body = asked.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=1 HTTP/1.1\r\n")
    assert b"\r\nAuthorization: TargetToken secret\r\n" in head + b"\r\n"
    assert b"Content-Length: 8" in head
    assert body in (b"", b'{"a": 1}')  # it may come after its head


def test_an_answer_without_a_body_is_one() -> None:
    assert asked_once(NO_CONTENT)[0][::2] == (204, b"")


def test_a_redirect_is_not_followed() -> None:
    answer, _ = asked_once(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    assert answer.status == 307


def test_what_is_longer_than_it_may_be_is_left() -> None:
    assert asked_once(OK, limit=5)[0].body == b"hello"
    assert refused(OK, Rule.LENGTH, limit=4) == "it goes on after the 4 bytes it may have"
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 100
    refused(endless, Rule.LENGTH)


def test_an_answer_that_does_not_come_whole_is_none() -> None:
    assert refused(OK[:-2], Rule.NETWORK) == "the line dropped 2 bytes before the end"
    refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", Rule.NETWORK)
    refused(b"nonsense\r\n\r\n", Rule.NETWORK)
    refused(None, Rule.NETWORK)


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("PUT", 2), ("POST", 1)])
def test_only_what_may_be_said_twice_is_said_again_where_a_kept_connection_is_gone(method: str, times: int) -> None:
    """The double closes each connection after its answer, as a server does that has kept one long enough."""
    with scripted(OK, *[OK] * (times - 1)) as (host, asked):
        web = Web()
        web.answer(f"http://{host}/", Call(), 100)
        call = Call(method, {}, None if method == "GET" else b"{}")
        if times == 2:
            assert web.answer(f"http://{host}/", call, 100).body == b"hello"
        else:
            with pytest.raises(RefusedError):
                web.answer(f"http://{host}/", call, 100)
        web.close()
    assert len(asked) == times


@pytest.mark.parametrize("url", ["ftp://host/", "file:///etc/passwd", "http:///path", "http://[", "http://host:99999/"])
def test_no_other_address_is_asked(url: str) -> None:
    with pytest.raises(RefusedError):
        Web().answer(url, SECRET, 100)
