"""The metadata fetcher on bad lines: each failure is one refusal, in one line, and no wait is without end."""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError

from ota.errors import RefusedError, Rule
from ota.repository.layout import DIRECTOR, METADATA
from ota.testing.drip import dripping
from ota.testing.repository_double import RepositoryDouble
from ota.testing.trusting_device import TrustingDevice
from ota.testing.web_double import Faults, WebDouble
from ota.trust.fetcher import Folder, MetadataFetcher
from ota.trust.web import StatusError, Web, WebSettings, shown

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def scripted(*answers: bytes | None, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives each connection one of the answers in turn; none: it just closes. (host:port, asked)"""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                line, _ = server.accept()
                with line:
                    line.settimeout(10)
                    try:
                        _answer(line if context is None else context.wrap_socket(line, server_side=True), answer, asked)
                    except OSError:  # the client has hung up
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", asked
    thread.join(10)


def _answer(line: socket.socket, answer: bytes | None, asked: list[bytes]) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := line.recv(4096)):
            return
        data += piece
    asked.append(data)
    if answer is not None:
        line.sendall(answer)
    line.close()


def fetched(web: Web, url: str) -> bytes:
    try:
        return b"".join(web.pieces(url))
    finally:
        web.close()


def refusal(web: Web, url: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        fetched(web, url)
    assert caught.value.rule is Rule.NETWORK
    assert "\n" not in str(caught.value)
    return caught.value


def test_files_come_over_one_connection() -> None:
    double = WebDouble()
    double.files = {"a": b"one", "b": b"two"}
    with double.serving():
        web = Web()
        assert b"".join(web.pieces(f"{double.url}/a")) == b"one"
        connection = web._connection
        assert connection is not None
        sock = connection.sock
        with pytest.raises(StatusError, match="the server says 404"):
            list(web.pieces(f"{double.url}/none"))
        assert b"".join(web.pieces(f"{double.url}/b")) == b"two"
        assert web._connection is connection
        assert connection.sock is sock
        web.close()


def test_a_kept_connection_that_the_server_has_closed_is_opened_once_more() -> None:
    with scripted(OK, OK) as (host, asked):
        web = Web()
        assert b"".join(web.pieces(f"http://{host}/1")) == b"hello"
        assert b"".join(web.pieces(f"http://{host}/2")) == b"hello"
        web.close()
    assert [data.split()[1] for data in asked] == [b"/1", b"/2"]


def test_a_server_that_closes_without_an_answer_is_asked_once() -> None:
    with scripted(None, OK) as (host, asked):
        refusal(Web(), f"http://{host}/x")
        with socket.create_connection(tuple(host.split(":"))):  # type: ignore[arg-type]  # for the second answer
            pass
    assert len(asked) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503, 511])
def test_another_status_is_told_and_nothing_is_tried_again(status: int) -> None:
    double = WebDouble()
    double.faults = Faults(status=status)
    with double.serving():
        error = refusal(Web(), f"{double.url}/x")
    assert isinstance(error, StatusError)
    assert (error.status, len(double.asked)) == (status, 1)


def test_a_name_without_an_address_is_told() -> None:
    assert "has no address" in str(refusal(Web(), "http://nowhere.invalid/x"))


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "refused" in str(refusal(Web(), f"http://127.0.0.1:{port}/x"))


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "file:///etc/passwd", "http:///x", "http://h:99999/x", "http://h:x/", "http://a b/x", "x"]
)
def test_no_other_address_is_fetched(url: str) -> None:
    refusal(Web(), url)


def test_a_body_that_ends_early_is_no_file() -> None:
    with scripted(OK[:-2]) as (host, _):
        assert "dropped 2 bytes before the end" in str(refusal(Web(), f"http://{host}/x"))


def test_a_chunked_body_that_ends_early_is_no_file() -> None:
    with scripted(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel") as (host, _):
        refusal(Web(), f"http://{host}/x")


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     b"\0" * 99,
     b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300, b"HTTP/1.1 200 " + b"x" * 70_000],
)  # fmt: skip
def test_what_is_no_http_is_told(answer: bytes) -> None:
    with scripted(answer) as (host, _):
        assert "no proper HTTP" in str(refusal(Web(), f"http://{host}/x"))


def test_a_peer_that_drips_its_body_runs_into_the_deadline() -> None:
    """Each look at the clock costs nine seconds here; the peer sends a byte a time, as fast as it likes."""
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000_000
    clock = iter(range(0, 10**9, 9))
    with scripted(body) as (host, _):
        error = refusal(Web(monotonic=lambda: float(next(clock))), f"http://{host}/x")
    assert "not here after 120 s" in str(error)


def test_a_peer_that_drips_its_headers_runs_into_the_deadline() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dripping(server, b"y", first=b"HTTP/1.1 200 OK\r\nx: "),
    ):
        web = Web(WebSettings(silent_s=5, file_s=0.3))
        assert "comes too slowly" in str(refusal(web, f"http://127.0.0.1:{server.getsockname()[1]}/x"))


def test_a_peer_that_says_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        web = Web(WebSettings(silent_s=0.1))
        assert "nothing comes" in str(refusal(web, f"http://127.0.0.1:{server.getsockname()[1]}/x"))


def test_a_redirect_is_followed_and_a_circle_is_not() -> None:
    def to(url: str) -> bytes:
        return f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n".encode()

    with scripted(OK) as (end, _), scripted(to(f"http://{end}/there?a=b")) as (begin, _):
        assert fetched(Web(), f"http://{begin}/x") == b"hello"
    with scripted(*[to("/again")] * 4) as (host, asked):
        assert "redirected more than 3 times" in str(refusal(Web(), f"http://{host}/x"))
    assert len(asked) == 4
    with scripted(to("file:///etc/passwd")) as (host, _):
        assert "only http" in str(refusal(Web(), f"http://{host}/x"))


def test_a_proxy_is_asked_for_the_whole_address_with_its_password() -> None:
    with scripted(OK) as (proxy, asked):
        web = Web(WebSettings(proxy=f"http://me:s%40cret@{proxy}"))
        assert fetched(web, "http://updates.example/a?b") == b"hello"
    assert asked[0].startswith(b"GET http://updates.example/a?b HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c0BjcmV0\r\n" in asked[0]
    assert b"Host: updates.example\r\n" in asked[0]


def test_a_proxy_is_asked_for_a_tunnel_to_https() -> None:
    with scripted(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (proxy, asked):
        refusal(Web(WebSettings(proxy=f"http://{proxy}")), "https://updates.example/a")
    assert asked[0].startswith(b"CONNECT updates.example:443 HTTP/1.")


def test_no_secret_of_an_address_is_shown() -> None:
    assert shown("https://me:secret@h:1/p/q?token=secret#x") == "https://h:1/p/q"
    assert "secret" not in str(refusal(Web(), "http://me:secret@nowhere.invalid/x?token=secret"))


# TLS ------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, *, begins: timedelta, ends: timedelta) -> ssl.SSLContext:
    """A server's own; `folder/server.pem` is whom to believe."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now + begins).not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(*pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "key.pem")
    return context


def test_tls_believes_the_given_authority_and_no_other(tmp_path: Path) -> None:
    context = certificate(tmp_path, begins=-timedelta(days=1), ends=timedelta(days=1))
    with scripted(OK, b"", context=context) as (host, _):
        url = f"https://{host.replace('127.0.0.1', 'localhost')}/x"
        assert fetched(Web(WebSettings(ca_file=tmp_path / "server.pem")), url) == b"hello"
        assert "certificate is refused" in str(refusal(Web(), url))


def test_tls_judges_no_dates_where_there_is_no_clock(tmp_path: Path) -> None:
    context = certificate(tmp_path, begins=-timedelta(days=9), ends=-timedelta(days=1))
    with scripted(b"", OK, context=context) as (host, _):
        url = f"https://{host.replace('127.0.0.1', 'localhost')}/x"
        trusted = WebSettings(ca_file=tmp_path / "server.pem")
        assert "expired" in str(refusal(Web(trusted), url))
        assert fetched(Web(trusted._replace(has_clock=False)), url) == b"hello"


def test_https_is_not_redirected_to_http(tmp_path: Path) -> None:
    context = certificate(tmp_path, begins=-timedelta(days=1), ends=timedelta(days=1))
    long = b"HTTP/1.1 301 Moved\r\nLocation: http://localhost/" + b"x" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n"
    with scripted(long, context=context) as (host, _):
        web = Web(WebSettings(ca_file=tmp_path / "server.pem"))
        said = str(refusal(web, f"https://{host.replace('127.0.0.1', 'localhost')}/x"))
        assert "redirected from https to http://localhost/xxx" in said
        assert len(said) < 400


# What python-tuf sees -------------------------------------------------------------------------------------------


def given(*pieces: bytes) -> MetadataFetcher:
    return MetadataFetcher(lambda _url: iter(pieces))


def test_a_file_of_just_its_length_is_taken_and_one_byte_more_is_not() -> None:
    assert given(b"{", b"12").download_bytes("x", 3) == b"{12"
    with pytest.raises(DownloadLengthMismatchError, match="after the 2 bytes") as caught:
        given(b"{", b"12").download_bytes("x", 2)
    assert isinstance(caught.value.__cause__, RefusedError)


def test_endless_data_is_left_at_its_ceiling() -> None:
    count = 0

    def endless(_url: str) -> Iterator[bytes]:
        nonlocal count
        while True:
            count += 1
            yield bytes(1000)

    with pytest.raises(DownloadLengthMismatchError):
        MetadataFetcher(endless).download_bytes("x", 10_000)
    assert count == 11


@pytest.mark.parametrize("page", [b"<html>", b" \r\n<!DOCTYPE html>", b"<?xml?>"])
def test_a_login_page_is_known(page: bytes) -> None:
    with pytest.raises(DownloadError, match="login page"):
        given(page).download_bytes("x", 100)


def test_refusals_become_what_python_tuf_knows() -> None:
    def refused(_url: str) -> Iterator[bytes]:
        raise RefusedError(Rule.NETWORK, "x", "gone")
        yield b""

    def missing(_url: str) -> Iterator[bytes]:
        raise StatusError("x", 404, "not there")
        yield b""

    with pytest.raises(DownloadError, match="gone"):
        MetadataFetcher(refused).download_bytes("x", 1)
    with pytest.raises(DownloadHTTPError) as caught:
        MetadataFetcher(missing).download_bytes("x", 1)
    assert caught.value.status_code == HTTPStatus.NOT_FOUND


# A stick --------------------------------------------------------------------------------------------------------


def test_a_stick_gives_true_files_of_its_folder_only(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (stick / "file").write_bytes(b"a" * 100_000)
    (stick / "link").symlink_to(tmp_path / "secret")
    (stick / "folder").mkdir()
    os.mkfifo(stick / "pipe")
    folder = Folder(stick)
    assert b"".join(folder.pieces("/file")) == b"a" * 100_000
    for name in ("link", "folder", "pipe", "../secret"):
        with pytest.raises(RefusedError) as caught:
            list(folder.pieces(name))
        assert caught.value.rule is Rule.NETWORK, name
        assert not isinstance(caught.value, StatusError)
    with pytest.raises(StatusError):
        list(folder.pieces("none"))


# A whole refresh ------------------------------------------------------------------------------------------------

FAULTS = {
    "dropped": Faults(drop_after=20),
    "short": Faults(is_short=True),
    "404": Faults(status=404),
    "403": Faults(status=403),
    "503": Faults(status=503),
    "endless": Faults(is_endless=True),
    "login page": Faults(is_portal=True),
    "flipped": Faults(flip_at=30),
}


def updates() -> RepositoryDouble:
    double = RepositoryDouble()
    double.add_image("rsu/gateway/1.tar", b"one", counter=1)
    double.set_plan("rsu-7", {"gateway": "rsu/gateway/1.tar"})
    return double


def over(web: Web, base: str) -> Callable[[TrustingDevice], object]:
    return lambda device: device.refresh(pieces=web.pieces, base_url=f"{base}/")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_file_refuses_and_the_next_refresh_goes_on(fault: str) -> None:
    """Nine files of a first refresh, each with the fault; 403 and 404 for a newer root only mean that there is none."""
    double = updates()
    with double.serving() as server:
        web = Web()
        over(web, server.url)(TrustingDevice(double))
        files = [path for path, _ in server.asked]
        assert len(files) == 9
        for at, path in enumerate(files):
            device = TrustingDevice(double)
            server.asked.clear()
            server.faults_at = {at: FAULTS[fault]}
            is_root = path.endswith("root.json")
            if is_root and fault not in ("503", "login page"):  # there is no newer root to spoil
                assert over(web, server.url)(device)
                continue
            with pytest.raises(RefusedError) as caught:
                over(web, server.url)(device)
            assert len(server.asked) == at + 1
            expected = {"flipped": {Rule.HASH, Rule.FORMAT, Rule.THRESHOLD, Rule.ROLE}, "endless": {Rule.LENGTH}}
            assert caught.value.rule in expected.get(fault, {Rule.NETWORK}), caught.value
            assert path.rpartition("/")[2] in str(caught.value)
            device.refresh()
        web.close()


def test_a_stick_is_read_by_the_very_same_code(tmp_path: Path) -> None:
    double = updates()
    for name, data in double.files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    device = TrustingDevice(double)
    assert device.refresh(pieces=Folder(tmp_path).pieces).plan.number == 1
    (tmp_path / METADATA / "2.rsu.json").write_bytes(b"{}")
    with pytest.raises(RefusedError, match=r"image repository: 2.rsu.json"):
        TrustingDevice(double).refresh(pieces=Folder(tmp_path).pieces)
    (tmp_path / DIRECTOR / "rsu-7/timestamp.json").unlink()
    with pytest.raises(RefusedError, match="it is not there"):
        device.refresh(pieces=Folder(tmp_path).pieces)
